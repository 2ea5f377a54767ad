"""A detector's own losses on given features, with targets that are assigned once."""

from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext

from torch import Tensor, nn

from sssd.errors import UserError


@contextmanager
def on_features(detector: nn.Module, features: Sequence[Tensor]) -> Iterator[None]:
    """Within it, the detector's methods work on these features, whatever images they are given."""
    detector.extract_feat = lambda batch_inputs: features
    try:
        yield
    finally:
        del detector.extract_feat


class OwnTargets:
    """In place of :class:`SharedTargets`: every pass assigns and samples by itself."""

    recorded = replayed = staticmethod(nullcontext)


class SharedTargets:
    """Keeps what a detector's heads assign and sample in one pass, and gives it out again in another.

    Assignment belongs to the labels, not to the features: two passes over the same images are compared on the same
    targets, and the random samplers of RPN and RoI head are asked once. The second stage of the later pass thus works
    on the proposals sampled in the earlier one.

    mmdet has no seam for that, so within :meth:`recorded` and :meth:`replayed` the methods concerned (``get_targets``
    of every head, ``sample`` of the RoI head's samplers) are overlaid on the instances, and never else.

    Args:
        detector: Any mmdet detector; its feature maps have the same shapes in both passes.

    Raises:
        UserError: If a dense head assigns its targets elsewhere than in ``get_targets``.
    """

    def __init__(self, detector: nn.Module) -> None:
        self.methods, self.heads = assigning_methods(detector), dense_heads(detector)
        self.kept = [deque() for _ in self.methods]

    @contextmanager
    def recorded(self) -> Iterator[None]:
        """Within it, everything that is assigned is kept."""

        def keep(method, kept):
            """The method, with its result kept."""

            def call(*args, **kwargs):
                kept.append(method(*args, **kwargs))
                return kept[-1]

            return call

        with self._overlaid(keep):
            yield
        for (owner, _), kept in zip(self.methods, self.kept):
            if owner in self.heads and not kept:  # such as DDODHead, which inherits the method and does not call it
                raise not_shared(owner)

    @contextmanager
    def replayed(self) -> Iterator[None]:
        """Within it, what was kept is given out in the order of its making, and nothing is assigned anew."""
        with self._overlaid(lambda method, kept: lambda *args, **kwargs: kept.popleft()):
            yield

    @contextmanager
    def _overlaid(self, make) -> Iterator[None]:
        for (owner, name), kept in zip(self.methods, self.kept):
            setattr(owner, name, make(getattr(owner, name), kept))
        try:
            yield
        finally:
            for owner, name in self.methods:
                delattr(owner, name)


def targets_of(detector: nn.Module, shared: bool | None) -> SharedTargets | OwnTargets:
    """What two passes of a detector have in common.

    Args:
        detector: The detector.
        shared: Whether they have the same targets; None means that they do unless there is a second stage.

    Raises:
        UserError: If they should and a dense head assigns its targets elsewhere than in ``get_targets``.
    """
    if shared is None:
        shared = getattr(detector, 'roi_head', None) is None
    return SharedTargets(detector) if shared else OwnTargets()


def assigning_methods(detector: nn.Module) -> list[tuple[object, str]]:
    """Owner and name of every method that assigns or samples targets."""
    for head in dense_heads(detector):
        if not hasattr(head, 'get_targets'):
            raise not_shared(head)
    found = [(module, 'get_targets') for module in detector.modules() if hasattr(module, 'get_targets')]
    samplers = getattr(getattr(detector, 'roi_head', None), 'bbox_sampler', None) or []
    return found + [(sampler, 'sample') for sampler in (samplers if isinstance(samplers, list) else [samplers])]


def dense_heads(detector: nn.Module) -> list[nn.Module]:
    """The heads of a detector that assign targets to anchors or points."""
    heads = (getattr(detector, part, None) for part in ('bbox_head', 'rpn_head'))
    return [head for head in heads if head is not None]


def not_shared(head: nn.Module) -> UserError:
    """What is said of a head whose targets cannot be kept."""
    return UserError(
        f'{type(head).__name__} assigns its targets by itself, so a guided detector cannot share '
        'them; set shared_targets=False, or take a head with get_targets, such as RetinaHead or FCOSHead.'
    )

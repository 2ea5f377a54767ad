"""What a view is: how a detector's raw output becomes rows that two passes can be compared in."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from torch import Tensor, nn

from sssd.errors import UserError


@dataclass
class PredictionView:
    """Predictions as rows; rows of two comparable passes pair one to one.

    Args:
        logits: Class scores before the activation, (N, C).
        boxes: Box regression in a unit that does not change with scale, (N, G, 4); G is 1, or the number of
            classes where every class has a box of its own.
        valid: False for rows that take no part in any loss, such as cells in the padding, (N,).
        activation: ``'sigmoid'`` (each class a Bernoulli) or ``'softmax'`` (the last class is background).
        levels: Rows of every pyramid level in one image, where rows come image by image and in an image level by
            level; empty where there are no levels.
        class_boxes: Whether each class has boxes of its own, which one class alone does not show.
    """

    logits: Tensor
    boxes: Tensor
    valid: Tensor
    activation: str
    levels: tuple[int, ...] = ()
    class_boxes: bool = False

    def detached(self) -> 'PredictionView':
        """The same rows, as a target that learns nothing."""
        return replace(self, logits=self.logits.detach(), boxes=self.boxes.detach())

    def by_level(self) -> list['PredictionView']:
        """The rows of every level, image by image, as views of one level each; where there are none, all of them."""
        if not self.levels:
            return [self]
        size = sum(self.levels)
        images = len(self.valid) // size
        parts = [
            [part.flatten(0, 1) for part in rows.unflatten(0, (images, size)).split(self.levels, 1)]
            for rows in (self.logits, self.boxes, self.valid)
        ]
        return [
            replace(self, logits=logits, boxes=boxes, valid=valid, levels=(count,))
            for logits, boxes, valid, count in zip(*parts, self.levels)
        ]


@dataclass
class Pass:
    """One forward of one detector over one batch, with what its heads gave.

    Args:
        detector: The detector that made the features.
        feats: Its pyramid features, finest first.
        metas: One dict an image with ``img_shape`` (h, w) of the unpadded image, as the network saw it.
        batch_shape: (h, w) of the padded batch.
    """

    detector: nn.Module
    feats: tuple[Tensor, ...]
    metas: list[dict]
    batch_shape: tuple[int, int]
    _made: dict = field(default_factory=dict, repr=False)

    def once(self, key: str, make: Callable):
        """``make()`` at the first call with this key, the same object afterwards.

        The distillation and the scale loss both need the student's head on the strong view: it runs once.
        """
        if key not in self._made:
            self._made[key] = make()
        return self._made[key]


Pair = tuple[PredictionView, PredictionView]


class View(ABC):
    """Turns two passes into comparable rows. SED runs every view of its list through the same loss."""

    #: Prefix of this view's entries in the log.
    name: str = ''

    @abstractmethod
    def check(self, detector: nn.Module) -> None:
        """Whether this view fits the detector, at build time.

        Raises:
            UserError: With the reason, if it does not.
        """

    @abstractmethod
    def distill_pair(self, student: Pass, teacher: Pass) -> Pair:
        """Rows of the student's and of the teacher's pass over views of one geometry (Eq. 3)."""

    @abstractmethod
    def scale_pair(self, full: Pass, small: Pass, shift: int) -> Pair:
        """Rows of X and of X^, which is 1/2**shift of its size (Eq. 2); those of X^ are made of its own pass alone."""


def require(condition: bool, reason: str) -> None:
    """Raise a :class:`UserError` with ``reason`` unless ``condition`` holds."""
    if not condition:
        raise UserError(reason)


@contextmanager
def training_flag(modules: Iterable[nn.Module], value: bool):
    """Set the modules' own training flags, and not those of their children, for a while."""
    before = [(module, module.training) for module in modules]
    for module, _ in before:
        module.training = value
    try:
        yield
    finally:
        for module, flag in before:
            module.training = flag

"""Self-distillation from labels: what a detector is given while it trains, beside itself."""

from collections.abc import Sequence

from mmdet.models.utils import rename_loss_dict
from mmdet.structures import SampleList
from mmengine.model import BaseModule
from torch import Tensor, nn

from sssd.detectors.shared_targets import on_features, targets_of
from sssd.detectors.whole_losses import whole_losses
from sssd.errors import UserError, require_weights
from sssd.guides import box_labels, conv_stack
from sssd.losses import total_of
from sssd.registry import LOSSES, MODELS

#: What marks the terms of L_total that are not the detector's own.
GUIDE, DISTILL = 'guide_', 'loss_distill'


@MODELS.register_module()
class Guidance(BaseModule):
    """A teacher made from the labels, and the losses it adds to a detector's own (SSSD, Sec. 2.1).

    ``L_total = det(H(k), g) + det(H(k_e), g) + lambda L_distill(phi(k), k_e)``

    k are the detector's pyramid features, k_e the guide's, H the detector's one set of heads, g the labels, phi an
    adapter of three 3x3 convolutions. Which targets the two terms of the heads have in common is ``shared_targets``.
    The distance moves the student alone; the guide learns from the heads.

    The detector itself is no part of it. The distance is in the graph even where lambda is 0, so that every parameter
    always has a gradient and DistributedDataParallel needs no search for unused ones.

    Args:
        channels: Channels of the detector's pyramid.
        num_classes: Classes of the labels.
        strides: Pixels of a cell of every level, (w, h) or one number. :func:`build_guidance` gives all three.
        guide: Config of the guide; default :class:`~sssd.guides.LGD`.
        distance: Config of L_distill; default :class:`~sssd.losses.FeatureDistance`, the JS distance.
        lambda_: Weight of the distance until a hook sets another; 75 is the paper's for its own, 1 LGD's for ``mse``.
        student_grad: 0 detaches the student from the distance, which then trains the adapter alone (LGD: for the
            first 30k iterations); anything above 0 does not.
        guide_loss: Whether det(H(k_e), g) is a term: without it nothing teaches the guide, which has to be frozen
            (LabelEnc, step 2).
        shared_targets: Whether det(H(k_e), g) takes over what det(H(k), g) has assigned and sampled: always (True: in
            a second stage the student's sampled proposals, too), never (False: RPN, proposals and sampling run anew
            on k_e), or, as in LGD's public code, where there is no second stage (None).
        init_cfg: As in MMEngine.

    Raises:
        UserError: If nothing would train a guide that is not frozen, or a weight is below 0 or no number.
    """

    def __init__(
        self,
        channels: int,
        num_classes: int,
        strides: Sequence[int | tuple[int, int]],
        guide: dict | None = None,
        distance: dict | None = None,
        lambda_: float = 75.0,
        student_grad: float = 1.0,
        guide_loss: bool = True,
        shared_targets: bool | None = None,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg=init_cfg)
        self.shared_targets = shared_targets
        self.guide = MODELS.build(
            {
                'type': 'LGD',
                '_scope_': 'sssd',
                **(guide or {}),
                'channels': channels,
                'num_classes': num_classes,
                'strides': strides,
            }
        )
        if not guide_loss and any(value.requires_grad for value in self.guide.parameters()):
            raise UserError(
                f'Guidance: nothing trains the guide {type(self.guide).__name__} with guide_loss=False; '
                'take guide_loss out, or freeze a trained guide, as LabelEnc(frozen=True) does.'
            )
        self.adapter = conv_stack(channels)
        self.distance = LOSSES.build({'type': 'FeatureDistance', **(distance or {})})
        require_weights('Guidance', lambda_=lambda_, student_grad=student_grad)
        self.lambda_, self.student_grad, self.guide_loss = lambda_, student_grad, guide_loss

    def predict(self, detector: nn.Module, inputs: Tensor, samples: SampleList, rescale: bool = True) -> SampleList:
        """Detections of the label-guided teacher itself: the heads on k_e, made from the labels of these images.

        Args:
            detector: The guided detector.
            inputs: Batch (n, 3, H, W).
            samples: Its data samples, with labels in pixels of the original images, as in mmdet's test pipelines.
            rescale: As in mmdet.

        Raises:
            UserError: If a sample has no labels.
        """
        guided = self.guide(detector.extract_feat(inputs), box_labels(samples, original=True))
        with on_features(detector, guided):
            return detector.predict(inputs, samples, rescale=rescale)

    def loss(self, detector: nn.Module, inputs: Tensor, samples: SampleList) -> dict:
        """L_total, term by term; the guide's terms are prefixed ``guide_``.

        Args:
            detector: The detector that is taught.
            inputs: Padded, normalised images (n, 3, H, W).
            samples: Their data samples with labels; images without boxes are allowed.

        Returns:
            Loss terms, ``distill_distance`` (L_distill) and ``distill_share`` (lambda L_distill / L_total, Table 3).
        """
        labels = box_labels(samples)  # first: it tells in one sentence what is missing
        features, targets = detector.extract_feat(inputs), targets_of(detector, self.shared_targets)
        with targets.recorded(), on_features(detector, features):
            losses = whole_losses(detector, inputs, samples)
        guided = self.guide(features, labels)
        if self.guide_loss:
            with targets.replayed(), on_features(detector, guided):
                losses.update(rename_loss_dict(GUIDE, whole_losses(detector, inputs, samples)))
        distance = self.distance(self.adapted(features), guided)
        losses[DISTILL] = self.lambda_ * distance
        share = losses[DISTILL].detach() / total_of(losses).clamp(min=1e-6)
        return {**losses, 'distill_distance': distance.detach(), 'distill_share': share}

    def adapted(self, features: Sequence[Tensor]) -> list[Tensor]:
        """phi(k), level by level."""
        return [self.adapter(level if self.student_grad > 0 else level.detach()) for level in features]


class CarriesGuidance:
    """Mixin: ``lambda_`` and ``student_grad`` of a model's ``guidance`` as attributes of the model, for hooks.

    A model whose ``guidance`` is None has neither.
    """

    guidance: Guidance | None

    @property
    def lambda_(self) -> float:
        """Weight of the distance."""
        return self.guidance.lambda_

    @lambda_.setter
    def lambda_(self, value: float) -> None:
        self.guidance.lambda_ = value

    @property
    def student_grad(self) -> float:
        """Whether (above 0) the distance moves the student."""
        return self.guidance.student_grad

    @student_grad.setter
    def student_grad(self, value: float) -> None:
        self.guidance.student_grad = value


def build_guidance(detector: nn.Module, config: dict) -> Guidance:
    """The guidance of a built detector, whose channels, classes and strides are read from it.

    Args:
        detector: The detector to be taught: RetinaNet, FCOS, Faster R-CNN and their like.
        config: Options of :class:`Guidance`.

    Raises:
        UserError: If the detector has no pyramid of the known kind, or its heads cannot share their targets.
    """
    guidance = MODELS.build({'type': 'Guidance', '_scope_': 'sssd', **config, **pyramid_of(detector)})
    targets_of(detector, guidance.shared_targets)  # refuses heads that cannot share theirs
    return guidance


def own_losses(losses: dict, prefix: str = '') -> dict:
    """The terms of L_total that are the detector's own, det(H(k), g), among terms of which all have a prefix."""
    return {name: value for name, value in losses.items() if not name.startswith((prefix + GUIDE, prefix + DISTILL))}


def pyramid_of(detector: nn.Module) -> dict:
    """Channels, classes and strides of a detector's pyramid, from its heads.

    Args:
        detector: The built detector.

    Returns:
        ``channels`` and ``num_classes`` as numbers, ``strides`` as one (w, h) for each level.

    Raises:
        UserError: If it has no head over a pyramid of equal channels and known strides.
    """
    head = getattr(detector, 'rpn_head', None) or getattr(detector, 'bbox_head', None)
    strides = getattr(getattr(head, 'prior_generator', None), 'strides', None)
    if (
        getattr(detector, 'neck', None) is None
        or strides is None
        or not isinstance(getattr(head, 'in_channels', None), int)
    ):
        raise UserError(
            f'Guidance: {type(detector).__name__} has no dense head over a pyramid of equal channels and '
            'known strides; use a detector such as RetinaNet, FCOS or Faster R-CNN.'
        )
    second = getattr(detector, 'roi_head', None)
    classifier = head if second is None else second.bbox_head
    classifier = classifier[0] if isinstance(classifier, nn.ModuleList) else classifier
    return dict(
        channels=head.in_channels,
        num_classes=classifier.num_classes,
        strides=[tuple(stride) if isinstance(stride, (tuple, list)) else (stride, stride) for stride in strides],
    )

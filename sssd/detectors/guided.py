"""Self-distillation from labels: one wrapper for LGD, SSSD and LabelEnc around any mmdet detector with a pyramid."""

import copy
from collections.abc import Sequence

from mmdet.models.detectors import BaseDetector
from mmdet.registry import MODELS as MMDET_MODELS
from mmdet.structures import SampleList
from torch import Tensor

from sssd.detectors.gradient_ratios import MeasuresGradients
from sssd.detectors.guidance import DISTILL, CarriesGuidance, build_guidance, own_losses
from sssd.errors import UserError
from sssd.losses import sum_of
from sssd.registry import MODELS


@MODELS.register_module()
class GuidedDetector(CarriesGuidance, MeasuresGradients, BaseDetector):
    """A detector taught by features that are made from its own labels and dropped at inference (SSSD, Sec. 2.1).

    It is a detector and its :class:`~sssd.detectors.Guidance`, which has the losses. ``lambda_`` and ``student_grad``
    are attributes that :class:`~sssd.hooks.LambdaScheduleHook` sets.

    Args:
        detector: Config of an mmdet detector with a pyramid: RetinaNet, FCOS, Faster R-CNN and their like.
        guide: Config of the guide; channels, classes and strides are added. Default :class:`~sssd.guides.LGD`.
        distance: Config of L_distill; default :class:`~sssd.losses.FeatureDistance`, the JS distance.
        lambda_: Weight of the distance until a hook sets another.
        student_grad: 0 detaches the student from the distance; anything above 0 does not.
        guide_loss: Whether the heads' losses on the guide's features are terms; off for a frozen guide.
        shared_targets: Whether these have the targets and sampled proposals of the student's; None, as in LGD: where
            there is no second stage.
        predict_on: ``'student'``, the plain detector, or ``'guide'``, the label-guided teacher, which needs labels.
        data_preprocessor: As in mmdet; default the one of the detector's config.
        init_cfg: As in mmdet.

    Raises:
        UserError: If the detector has no pyramid of the known kind, or an option is unknown.
    """

    def __init__(
        self,
        detector: dict,
        guide: dict | None = None,
        distance: dict | None = None,
        lambda_: float = 75.0,
        student_grad: float = 1.0,
        guide_loss: bool = True,
        shared_targets: bool | None = None,
        predict_on: str = 'student',
        data_preprocessor: dict | None = None,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(
            data_preprocessor=data_preprocessor or copy.deepcopy(detector.get('data_preprocessor')), init_cfg=init_cfg
        )
        if predict_on not in ('student', 'guide'):
            raise UserError(f'GuidedDetector: predict_on is {predict_on!r}; use student (the default) or guide.')
        self.predict_on = predict_on
        self.detector = MMDET_MODELS.build(copy.deepcopy(detector))
        self.guidance = build_guidance(
            self.detector,
            dict(
                guide=guide,
                distance=distance,
                lambda_=lambda_,
                student_grad=student_grad,
                guide_loss=guide_loss,
                shared_targets=shared_targets,
            ),
        )

    def extract_feat(self, batch_inputs: Tensor) -> Sequence[Tensor]:
        """The student's pyramid of a batch (n, 3, H, W)."""
        return self.detector.extract_feat(batch_inputs)

    def loss(self, batch_inputs: Tensor, batch_data_samples: SampleList) -> dict:
        """L_total, term by term: :meth:`~sssd.detectors.Guidance.loss`; ``guide_grad_ratio`` where that is measured.

        The ratio compares lambda L_distill with the detector's own losses.
        """
        losses = self.guidance.loss(self.detector, batch_inputs, batch_data_samples)
        branches = dict(guide=losses[DISTILL]) if self.lambda_ > 0 else {}
        return {**losses, **self.gradient_ratios(self.detector, sum_of(own_losses(losses)), branches)}

    def predict(self, batch_inputs: Tensor, batch_data_samples: SampleList, rescale: bool = True) -> SampleList:
        """Detections of the plain detector or, with ``predict_on='guide'``, of the teacher that is given the labels.

        :meth:`Guidance.predict` says how labels are to be given.
        """
        if self.predict_on == 'guide':
            return self.guidance.predict(self.detector, batch_inputs, batch_data_samples, rescale)
        return self.detector.predict(batch_inputs, batch_data_samples, rescale=rescale)

    def _forward(self, batch_inputs: Tensor, batch_data_samples: SampleList | None = None):
        """Raw outputs of the plain detector."""
        return self.detector._forward(batch_inputs, batch_data_samples)

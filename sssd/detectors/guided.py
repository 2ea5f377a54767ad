# Copyright (c) sssd contributors. Licensed under the Apache License 2.0.
"""Self-distillation from labels: one wrapper for LGD and SSSD around any mmdet detector with a pyramid."""
import copy
from typing import List, Optional, Sequence

import torch
from mmdet.models.detectors import BaseDetector
from mmdet.models.utils import rename_loss_dict
from mmdet.registry import MODELS as MMDET_MODELS
from mmdet.structures import SampleList
from torch import Tensor, nn

from sssd.detectors.sed import total_of
from sssd.detectors.shared_targets import SharedTargets, on_features
from sssd.errors import UserError
from sssd.guides import box_labels, conv_stack
from sssd.registry import LOSSES, MODELS


@MODELS.register_module()
class GuidedDetector(BaseDetector):
    """A detector taught by features that are made from its own labels and dropped at inference (SSSD, Sec. 2.1).

    ``L_total = det(H(k), g) + det(H(k_e), g) + lambda L_distill(phi(k), k_e)``

    k are the detector's pyramid features, k_e the guide's, H the detector's one set of heads, g the labels, phi an
    adapter of three 3x3 convolutions. Both terms of the heads use the same assigned targets and, in a second stage,
    the same sampled proposals. The distance moves the student alone; the guide learns from the heads.

    ``lambda_`` and ``student_grad`` are plain attributes that :class:`~sssd.hooks.LambdaScheduleHook` sets. The
    distance is in the graph even where lambda is 0, so that every parameter always has a gradient and
    DistributedDataParallel needs no search for unused ones.

    Args:
        detector: Config of an mmdet detector with a pyramid: RetinaNet, FCOS, Faster R-CNN and their like.
        guide: Config of the guide; channels, classes and strides are added. Default :class:`~sssd.guides.LGD`.
        distance: Config of L_distill; default :class:`~sssd.losses.FeatureDistance`, the JS distance.
        lambda_: Weight of the distance until a hook sets another; 75 is the paper's for its own, 1 LGD's for ``mse``.
        student_grad: 0 detaches the student from the distance, which then trains the adapter alone (LGD: for the
            first 30k iterations); anything above 0 does not.
        predict_on: ``'student'``, the plain detector, or ``'guide'``, the label-guided teacher, which needs labels.
        data_preprocessor: As in mmdet; default the one of the detector's config.
        init_cfg: As in mmdet.

    Raises:
        UserError: If the detector has no pyramid of the known kind, or an option is unknown.
    """

    def __init__(self,
                 detector: dict,
                 guide: Optional[dict] = None,
                 distance: Optional[dict] = None,
                 lambda_: float = 75.0,
                 student_grad: float = 1.0,
                 predict_on: str = 'student',
                 data_preprocessor: Optional[dict] = None,
                 init_cfg: Optional[dict] = None) -> None:
        super().__init__(data_preprocessor=data_preprocessor or copy.deepcopy(detector.get('data_preprocessor')),
                         init_cfg=init_cfg)
        if predict_on not in ('student', 'guide'):
            raise UserError(f'GuidedDetector: predict_on is {predict_on!r}; use student (the default) or guide.')
        self.detector = MMDET_MODELS.build(copy.deepcopy(detector))
        shape = pyramid_of(self.detector)
        self.guide = MODELS.build({'type': 'LGD', '_scope_': 'sssd', **(guide or {}), **shape})
        self.adapter = conv_stack(shape['channels'])
        self.distance = LOSSES.build({'type': 'FeatureDistance', **(distance or {})})
        self.lambda_, self.student_grad, self.predict_on = lambda_, student_grad, predict_on
        SharedTargets(self.detector)  # refuses heads that cannot share theirs

    def extract_feat(self, batch_inputs: Tensor) -> Sequence[Tensor]:
        """The student's pyramid of a batch (n, 3, H, W)."""
        return self.detector.extract_feat(batch_inputs)

    def loss(self, batch_inputs: Tensor, batch_data_samples: SampleList) -> dict:
        """L_total, term by term; the guide's terms are prefixed ``guide_``.

        Args:
            batch_inputs: Padded, normalised images (n, 3, H, W).
            batch_data_samples: Their data samples with labels; images without boxes are allowed.

        Returns:
            Loss terms, ``distill_distance`` (L_distill) and ``distill_share`` (lambda L_distill / L_total, Table 3).
        """
        features, targets = self.extract_feat(batch_inputs), SharedTargets(self.detector)
        with targets.recorded(), on_features(self.detector, features):
            losses = dict(self.detector.loss(batch_inputs, batch_data_samples))
        guided = self.guide(features, box_labels(batch_data_samples))
        with targets.replayed(), on_features(self.detector, guided):
            losses.update(rename_loss_dict('guide_', self.detector.loss(batch_inputs, batch_data_samples)))
        distance = self.distance(self.adapted(features), guided)
        losses['loss_distill'] = self.lambda_ * distance
        share = losses['loss_distill'].detach() / total_of(losses).clamp(min=1e-6)
        return {**losses, 'distill_distance': distance.detach(), 'distill_share': share}

    def adapted(self, features: Sequence[Tensor]) -> List[Tensor]:
        """phi(k), level by level."""
        return [self.adapter(level if self.student_grad > 0 else level.detach()) for level in features]

    def predict(self, batch_inputs: Tensor, batch_data_samples: SampleList, rescale: bool = True) -> SampleList:
        """Detections of the plain detector or, with ``predict_on='guide'``, of the teacher that is given the labels.

        Labels are taken to be in pixels of the original images, as mmdet's test pipelines give them.
        """
        if self.predict_on == 'student':
            return self.detector.predict(batch_inputs, batch_data_samples, rescale=rescale)
        guided = self.guide(self.extract_feat(batch_inputs), box_labels(batch_data_samples, original=True))
        with on_features(self.detector, guided):
            return self.detector.predict(batch_inputs, batch_data_samples, rescale=rescale)

    def _forward(self, batch_inputs: Tensor, batch_data_samples: Optional[SampleList] = None):
        """Raw outputs of the plain detector."""
        return self.detector._forward(batch_inputs, batch_data_samples)


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
    if getattr(detector, 'neck', None) is None or strides is None or not isinstance(
            getattr(head, 'in_channels', None), int):
        raise UserError(f'GuidedDetector: {type(detector).__name__} has no dense head over a pyramid of equal '
                        'channels and known strides; use a detector such as RetinaNet, FCOS or Faster R-CNN.')
    second = getattr(detector, 'roi_head', None)
    classifier = head if second is None else second.bbox_head
    classifier = classifier[0] if isinstance(classifier, nn.ModuleList) else classifier
    return dict(channels=head.in_channels, num_classes=classifier.num_classes,
                strides=[tuple(int(side) for side in torch.as_tensor(stride).expand(2)) for stride in strides])

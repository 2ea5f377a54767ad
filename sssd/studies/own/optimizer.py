"""How a detector is trained on a user's data: its optimizer and learning rate, for the images of a step."""

import copy
from dataclasses import dataclass

from sssd.studies.own.detector import OwnDetector, is_transformer
from sssd.studies.own.plan import Plan

#: Names of the detector whose baseline has twice SED's learning rate in the paper's configs.
BASELINES = ('faster-rcnn_r50', 'faster_rcnn')
#: Of configs/_base_/schedules/photos.py and small.py: AdamW for batches of four labelled images.
SMALL_LR, SMALL_IMAGES, BACKBONE = 1e-3, 4, 0.2
CLIP = dict(max_norm=10, norm_type=2)
#: Options of mmdet's optimizers that also fit a student's parameters.
PARAMWISE = (
    'custom_keys', 'norm_decay_mult', 'bias_decay_mult', 'bias_lr_mult', 'bypass_duplicate', 'dwconv_decay_mult',
)  # fmt: skip


@dataclass(frozen=True)
class Training:
    """How a detector is trained.

    Attributes:
        wrapper: The config's ``optim_wrapper``.
        lr: Learning rate of SED.
        supervised_lr: That of labels alone.
        start: The first iteration has this part of the learning rate.
        milestones: Where it falls to a tenth, as parts of the iterations.
        reason: A sentence.
    """

    wrapper: dict
    lr: float
    supervised_lr: float
    start: float
    milestones: tuple[float, ...]
    reason: str


def make_training(own: OwnDetector, name: str, plan: Plan, total: int, pretrained: bool) -> Training:
    """Choose optimizer and learning rate.

    A config's own AdamW is kept in either preset, and so is its SGD in the paper's: learning rates of SGD are in
    proportion to the images of a step, those of AdamW to their square root.

    Args:
        own: The detector.
        name: As it was asked for.
        plan: What was chosen for the data.
        total: Labelled images of a step on all GPUs.
        pretrained: Whether the backbone begins with weights, and so trains more slowly.
    """
    theirs = own.source.optim_wrapper.get('optimizer') or {}
    adaptive = str(theirs.get('type', '')).startswith('Adam')
    if adaptive or (plan.preset == 'paper' and theirs) or is_transformer(own.config):
        factor = total / own.source.batch
        lr = rounded(theirs.get('lr', 1e-4) * (factor**0.5 if adaptive else factor))
        how = 'times the root of' if adaptive else 'times'
        reason = (
            f'learning rate: {lr:g}, that of {own.source.name} ({theirs.get("lr", 1e-4):g} for {own.source.batch} '
            f'labelled images) {how} {total}/{own.source.batch}'
        )
        # In our own configs SED has the lower rate; mmdet's have but one.
        supervised = 2 * lr if name in BASELINES else lr
        milestones = (0.7, 0.9) if plan.preset == 'paper' else (2 / 3,)
        return Training(kept(own.source.optim_wrapper, lr), lr, supervised, 0.001, milestones, reason)
    lr = rounded(SMALL_LR * (total / SMALL_IMAGES) ** 0.5)
    wrapper = dict(type='OptimWrapper', optimizer=dict(type='AdamW', lr=lr, weight_decay=0.05), clip_grad=CLIP)
    if pretrained:
        wrapper['paramwise_cfg'] = dict(custom_keys={'student.backbone': dict(lr_mult=BACKBONE)}, norm_decay_mult=0.0)
    reason = f'learning rate: AdamW with {lr:g}, {SMALL_LR:g} times the root of {total}/{SMALL_IMAGES}'
    if pretrained:
        reason += f', the backbone {BACKBONE:g} of it'
    return Training(wrapper, lr, lr, 0.1, (2 / 3,), reason)


def rounded(value: float) -> float:
    """Three digits of a learning rate."""
    return float(f'{value:.3g}')


def kept(wrapper: dict, lr: float) -> dict:
    """A config's own wrapper at another learning rate, without what does not fit a student or the precision."""
    optimizer = {**copy.deepcopy(wrapper['optimizer']), 'lr': lr}
    found = dict(type='OptimWrapper', optimizer=optimizer, clip_grad=wrapper.get('clip_grad') or CLIP)
    paramwise = {key: value for key, value in (wrapper.get('paramwise_cfg') or {}).items() if key in PARAMWISE}
    return {**found, **(dict(paramwise_cfg=paramwise) if paramwise else {})}

"""Rows of a dense head: RetinaNet, RPN, FCOS and mmdet's other anchor and point heads."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from mmdet.models.dense_heads import FCOSHead, RTMDetHead
from mmdet.models.task_modules.coders import DeltaXYWHBBoxCoder
from torch import Tensor, nn

from sssd.errors import UserError
from sssd.losses.distances import SIGMOID
from sssd.registry import VIEWS
from sssd.views.base import Pair, Pass, PredictionView, View, require, training_flag
from sssd.views.pairing import Pairing, pairings, strides_of
from sssd.views.single_map import check_single_map

#: Units a head may give its boxes in. All but pixels are free of scale already.
DELTAS, STRIDES, PIXELS, BINS = 'deltas', 'strides', 'pixels', 'bins'


class Level(NamedTuple):
    """One pyramid level: logits (B, HWA, C), boxes (B, HWA, 4), valid (B, HWA), grid (H, W), stride (w, h)."""

    logits: Tensor
    boxes: Tensor
    valid: Tensor
    grid: tuple[int, int]
    stride: tuple[int, int]

    def only(self, some: Callable[[Tensor, tuple[int, int]], Tensor], step: int) -> 'Level':
        """The rows that ``some`` takes, on a grid that is coarser by ``step``."""
        return Level(
            *(some(rows, self.grid) for rows in (self.logits, self.boxes, self.valid)),
            tuple(-(-side // step) for side in self.grid),
            tuple(side * step for side in self.stride),
        )


@VIEWS.register_module()
class DenseView(View):
    """All cells and anchors of one dense head (Sec. 3.1, "all the anchor points are regularized").

    Args:
        head: Name of the head in the detector.
        box_unit: ``'deltas'``, ``'strides'``, ``'pixels'`` or ``'bins'`` (a distribution to integrate);
            None reads it off the head, which is right for every head that is not refused.
    """

    def __init__(self, head: str = 'bbox_head', box_unit: str | None = None) -> None:
        require(
            box_unit in (None, DELTAS, STRIDES, PIXELS, BINS),
            f'DenseView: box_unit is {box_unit!r}; use deltas, strides, pixels, bins, or None.',
        )
        self.head, self.box_unit = head, box_unit
        self.name = head.replace('_head', '')

    def check(self, detector: nn.Module) -> None:
        """Refuse a head whose rows could not be compared; see :func:`check_head`."""
        head = getattr(detector, self.head, None)
        require(
            head is not None,
            f'DenseView: {type(detector).__name__} has no {self.head}; name the dense '
            'head in the view, or leave `views` out and they are chosen by the heads that exist.',
        )
        self.box_unit = self.box_unit or box_unit_of(head)
        check_head(head, self.box_unit)

    def distill_pair(self, student: Pass, teacher: Pass) -> Pair:
        """Rows of all levels; the two passes have the same grids."""
        return self._join(self.levels(student)), self._join(self.levels(teacher))

    def scale_pair(self, full: Pass, small: Pass, shift: int) -> Pair:
        """Rows of level f of X and of level f - shift of X^; levels without a partner are left out.

        On a single map, anchors pair that are the same box of the image (:mod:`sssd.views.single_map`).
        """
        pairs = self.paired(full, small, shift)
        return self._join([here for _, here, _ in pairs]), self._join([there for _, _, there in pairs])

    def paired(self, full: Pass, small: Pass, shift: int) -> list[tuple[Pairing, Level, Level]]:
        """What :meth:`scale_pair` joins: each pairing with its rows of X and those of X^, padding marked alike.

        Raises:
            UserError: If the grids of X and of X^ do not match.
        """
        levels, others, pairs = self.levels(full), self.levels(small), []
        for pairing in pairings(getattr(full.detector, self.head), shift):
            level = levels[pairing.level].only(pairing.of_full, pairing.step)
            partner = others[pairing.partner].only(pairing.of_small, 1)
            require(
                level.grid == partner.grid,
                f'Scale pair: stride {level.stride} of X has grid {level.grid} and its partner in X^ '
                f'{partner.grid}; pad batches to a multiple of 2**S times the largest stride that the '
                'backbone halves by (pad_size_divisor of the data preprocessor, 64 for S=1).',
            )
            pairs.append((pairing, level, partner._replace(valid=level.valid)))
        return pairs

    def outputs(self, run: Pass) -> tuple:
        """What the head gives for a pass, computed once: a tuple of per-level lists."""
        return run.once(self.head, lambda: forward_as_in_training(getattr(run.detector, self.head), run.feats))

    def levels(self, run: Pass) -> list[Level]:
        """The head's output as rows, level by level."""
        head = getattr(run.detector, self.head)
        return [self._level(head, run, stride, *maps) for stride, *maps in zip(strides_of(head), *self.outputs(run))]

    def _level(
        self,
        head: nn.Module,
        run: Pass,
        stride: tuple[float, float],
        scores: Tensor,
        boxes: Tensor,
        quality: Tensor | None = None,
    ) -> Level:
        """One level; ``quality`` is FCOS's and ATSS's centerness, a part of the score."""
        logits = to_rows(scores, head.cls_out_channels)
        if getattr(getattr(head, 'loss_cls', None), 'activated', False):
            logits = logits.logit(eps=1e-6)
        if quality is not None:
            logits = joint_logit(logits, to_rows(quality, 1))
        grid = tuple(scores.shape[-2:])
        valid = cells_in_image(grid, stride, run.once('image_shapes', lambda: image_shapes(run.metas, scores.device)))
        valid = valid.repeat_interleave(logits.shape[1] // valid.shape[1], dim=1)
        return Level(logits, self._scale_free(head, boxes, stride), valid, grid, stride)

    def _scale_free(self, head: nn.Module, boxes: Tensor, stride: tuple[float, float]) -> Tensor:
        """Boxes (B, HWA, 4) in a unit that does not change with scale."""
        if self.box_unit == BINS:
            bins = to_rows(boxes, 4 * (head.reg_max + 1))
            return head.integral(bins).reshape(*bins.shape[:-1], 4)
        rows = to_rows(boxes, 4)
        if self.box_unit == PIXELS:
            horizontal = torch.arange(4, device=rows.device) % 2 == 0
            rows = rows / torch.where(horizontal, *stride).to(rows.dtype)
        return rows

    def _join(self, levels: list[Level]) -> PredictionView:
        """All levels as one set of rows; at least one level, or none of this batch has a partner."""
        require(
            len(levels) > 0,
            f'Scale pair: no level of {self.head} has a partner at this down-sampling rate; '
            'lower max_shift or use a detector with more pyramid levels, or more anchor scales on a single map.',
        )
        logits = torch.cat([level.logits for level in levels], 1).flatten(0, 1).float()
        boxes = torch.cat([level.boxes for level in levels], 1).reshape(-1, 1, 4).float()
        valid = torch.cat([level.valid for level in levels], 1).flatten()
        return PredictionView(logits, boxes, valid, SIGMOID, tuple(level.valid.shape[1] for level in levels))


def to_rows(maps: Tensor, channels: int) -> Tensor:
    """(B, A*channels, H, W) to (B, H*W*A, channels), the order in which mmdet flattens its heads."""
    return maps.permute(0, 2, 3, 1).reshape(maps.shape[0], -1, channels)


def joint_logit(score: Tensor, quality: Tensor) -> Tensor:
    """Logit of ``sigmoid(score) * sigmoid(quality)``, without going through probabilities.

    The odds against the product are ``e^-a + e^-b + e^-(a+b)``.
    """
    score, quality = torch.broadcast_tensors(score.float(), quality.float())
    return -torch.logsumexp(torch.stack((-score, -quality, -score - quality)), dim=0)


def image_shapes(metas: list[dict], device: torch.device) -> Tensor:
    """(h, w) of the images without padding, (B, 2), sent without waiting for the device."""
    return torch.tensor([meta['img_shape'][:2] for meta in metas], dtype=torch.float).to(device, non_blocking=True)


def cells_in_image(grid: tuple[int, int], stride: tuple[float, float], shapes: Tensor) -> Tensor:
    """True for the cells that hold a part of their image, False for padding: (B, H*W), from (h, w) of images (B, 2)."""
    rows = torch.arange(grid[0], device=shapes.device) * stride[1] < shapes[:, :1]
    columns = torch.arange(grid[1], device=shapes.device) * stride[0] < shapes[:, 1:]
    return (rows[:, :, None] & columns[:, None, :]).flatten(1)


def forward_as_in_training(head: nn.Module, feats: tuple[Tensor, ...]) -> tuple:
    """A head's outputs in the form it gives while training, also for a teacher in eval mode.

    Some heads (FCOS with norm_on_bbox) return other units when evaluated; their norm layers keep their mode.
    """
    with training_flag([head], True):
        return head(feats)


def box_unit_of(head: nn.Module) -> str | None:
    """Unit of a head's raw boxes, or None if it is not known."""
    if hasattr(head, 'integral'):
        return BINS
    if isinstance(getattr(head, 'bbox_coder', None), DeltaXYWHBBoxCoder):
        return DELTAS
    if isinstance(head, RTMDetHead):
        return PIXELS
    if getattr(type(head), 'forward_single', None) is FCOSHead.forward_single:
        return STRIDES if head.norm_on_bbox else PIXELS
    return None


def check_head(head: nn.Module, unit: str | None) -> None:
    """Refuse, with the reason, a head whose output is not one score and one box for each cell and prior.

    Raises:
        UserError: Naming the head's type.
    """
    name = type(head).__name__
    for attribute in ('prior_generator', 'cls_out_channels', 'in_channels'):
        require(
            hasattr(head, attribute),
            f"{name} is no anchor or point head in mmdet's sense (it has no "
            f'{attribute}), so its cells cannot be paired over scales; use an AnchorHead or AnchorFreeHead.',
        )
    require(
        len(set(head.prior_generator.num_base_priors)) == 1,
        f'{name} has another number of anchors at each level, so its levels cannot be paired over scales.',
    )
    require(
        getattr(head, 'use_sigmoid_cls', True),
        f'{name} scores its anchors by a softmax; the dense view takes sigmoid scores (use_sigmoid=True).',
    )
    strides = [stride[0] for stride in head.prior_generator.strides]
    if len(strides) == 1:
        check_single_map(head)
    require(
        len(strides) == 1 or any(b == 2 * a for a, b in zip(strides, strides[1:])),
        f'{name} has strides {strides}: no two levels differ by a factor of 2, so no scale pair exists.',
    )
    _check_outputs(head, unit)
    require(
        unit is not None,
        f"The unit of {name}'s boxes is not known, and in a wrong one two scales cannot be "
        "compared; give it as views=[dict(type='DenseView', box_unit='strides' or 'pixels' or 'deltas')].",
    )


@torch.no_grad()
def _check_outputs(head: nn.Module, unit: str | None) -> None:
    """Run the head once on zeros and look at what comes out; its state is not touched."""
    name, priors, mode = type(head).__name__, head.prior_generator.num_base_priors[0], head.training
    reference = next(head.parameters())
    # Eight cells a side: a deformable convolution wants its kernel covered.
    feats = tuple(reference.new_zeros(1, head.in_channels, 8, 8) for _ in head.prior_generator.strides)
    head.eval()
    try:
        outputs = forward_as_in_training(head, feats)
    except TypeError as error:
        raise UserError(
            f'{name} cannot be run on feature maps alone ({error}), so its rows cannot be paired; use a '
            'head that takes nothing else.'
        ) from error
    finally:
        head.train(mode)
    box_channels = 4 * (head.reg_max + 1) if unit == BINS else 4
    expected = [priors * head.cls_out_channels, priors * box_channels, priors]
    channels = [maps[0].shape[1] for maps in outputs]
    require(
        2 <= len(outputs) <= 3 and channels == expected[: len(channels)],
        f'{name} gives {len(outputs)} outputs with {channels} channels, but the dense view compares scores, '
        f'boxes and at most one quality score, here {expected}; this head cannot be paired.',
    )

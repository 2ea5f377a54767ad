"""The label side of LGD, which SSSD takes over: features and labels to a teacher's pyramid (SSSD, Fig. 1)."""

from collections.abc import Sequence

import torch.nn.functional as F
from mmengine.model import BaseModule
from torch import Tensor, nn

from sssd.errors import UserError
from sssd.guides.cells import RULES, Cells, Cover, pool, render, render_convolved
from sssd.guides.label_encoder import LabelEncoder
from sssd.guides.labels import BoxLabels
from sssd.guides.layers import conv, conv_stack, on_every_level
from sssd.registry import MODELS


@MODELS.register_module()
class LGD(BaseModule):
    """Label-guided teacher features (Zhang et al., LGD, AAAI 2022; SSSD, Sec. 2.1).

    Every box has a descriptor; the label encoder embeds it, the student's features inside the box are its appearance
    on every level, attention lets the boxes of an image exchange the two, and what comes out is written back into
    the boxes' cells and refined by convolutions. Images and boxes are dimensions of tensors; convolutions, pooling and
    writing run level by level. No value is read back from a device.

    The defaults are what the authors' public code (megvii-research/LGD) does, whose names stand in brackets below.
    The other values are this project's first form of the guide; docs/sssd.md has them together, for checkpoints made
    with it.

    Args:
        channels: Channels of the pyramid; the guided detector gives it.
        num_classes: Classes of the labels; the guided detector gives it.
        strides: Pixels of a cell of every level, finest first, (w, h) or one number; the guided detector gives it.
        heads: Heads of the attention; 8 in LGD.
        context: Whether the whole image is a further box, without class, whose vector is written everywhere. In LGD
            on for RetinaNet and FCOS R101, off for Faster R-CNN and FCOS R50.
        detach: Whether the guide's gradient stops before the student's features. In LGD for Faster R-CNN.
        query: Which side asks in the attention: ``'appearance'`` (LGD's default; labels are key and value) or
            ``'label'`` (appearance is).
        cells: Which cells a box covers on a level of stride s: ``'index'``, those with x1/s <= column <= x2/s and
            y1/s <= row <= y2/s (``get_inside_gt_mask``), so that a thin box may have none on a coarse level; or
            ``'overlap'``, every cell that the box overlaps; or ``'share'``, no part of LGD: of every cell the part that
            lies in the box, so that the guide's maps tell its sides within a cell; clamped to the batch, not to its
            size - 1.
        transform: Spatial transformer of the label encoder: one matrix for every ``'box'`` (``STN``, whose maximum
            runs over an axis of one element) or for every ``'image'`` (PointNet's).
        embed: Width of the label encoder's layer after the join with the image; 256 (``conv4``) or 512.
        box_projection: Whether a linear layer stands between the attention and the writing into a box's cells
            (``local_inst_proj_1D``).
        context_projection: How the context box's vector comes in: ``True``, through a linear layer of its own and
            added after the first convolution (``global_ctx_proj_1D``); ``False``, written into all cells like a box.
        norm_affine: Whether the GroupNorm of the refining convolutions has weights; not in LGD (``affine_flag``).
        coordinates: What boxes are relative to: ``'batch'``, the padded batch, boxes clamped to its size - 1
            (``box_descriptor_encode``), or ``'image'``, each image without padding, boxes as they are.
        init_cfg: As in MMEngine.

    Raises:
        UserError: If the channels do not divide among the heads, or an option is unknown.
    """

    def __init__(
        self,
        channels: int,
        num_classes: int,
        strides: Sequence[int | tuple[int, int]],
        heads: int = 8,
        context: bool = False,
        detach: bool = False,
        query: str = 'appearance',
        cells: str = 'index',
        transform: str = 'box',
        embed: int = 256,
        box_projection: bool = True,
        context_projection: bool = True,
        norm_affine: bool = False,
        coordinates: str = 'batch',
        init_cfg=None,
    ) -> None:
        super().__init__(init_cfg=init_cfg)
        if channels % heads:
            raise UserError(
                f'LGD: {channels} channels do not divide among {heads} heads; set heads of the guide to a '
                'divisor of the channels.'
            )
        for key, value, known in (
            ('query', query, ('appearance', 'label')),
            ('cells', cells, RULES),
            ('transform', transform, ('box', 'image')),
            ('coordinates', coordinates, ('batch', 'image')),
        ):
            if value not in known:
                raise UserError(f'LGD: {key} is {value!r}; use {", ".join(known[:-1])} or {known[-1]}.')
        self.num_classes, self.context, self.detach, self.query = num_classes, context, detach, query
        self.cells, self.coordinates = cells, coordinates
        self.strides = [stride if isinstance(stride, tuple) else (stride, stride) for stride in strides]
        self.encode = LabelEncoder(4 + num_classes, channels, embed, transform)
        self.appearance = nn.Sequential(conv(channels), nn.GroupNorm(1, channels, affine=False), nn.ReLU(inplace=True))
        self.attention = nn.MultiheadAttention(channels, heads, batch_first=True)
        self.box_projection = nn.Linear(channels, channels) if box_projection else nn.Identity()
        self.context_projection = nn.Linear(channels, channels) if context and context_projection else None
        self.refine = nn.Sequential(
            conv(channels), nn.ReLU(inplace=True), *conv_stack(channels, norm=True, affine=norm_affine)
        )

    def forward(self, features: Sequence[Tensor], labels: BoxLabels) -> list[Tensor]:
        """The teacher's pyramid.

        Args:
            features: The student's maps (n, C, h_p, w_p).
            labels: Labels of the n images.

        Returns:
            Maps of the same shapes.
        """
        if self.detach:
            features = [level.detach() for level in features]
        cells = Cells.of(features, self.strides)
        labels = self.placed(labels, cells)
        covered = cells.covered(labels, self.cells)
        embedding = self.encode(labels.descriptors(self.num_classes), labels.slots)
        appearance = pool(on_every_level(self.appearance, features), covered)
        return self.mapped(self.interact(appearance, embedding, labels.valid), covered)

    def placed(self, labels: BoxLabels, cells: Cells) -> BoxLabels:
        """The labels in the coordinates that are asked for, with the context box if there is one."""
        of_batch = self.coordinates == 'batch'
        labels = labels.in_batch(cells.size) if of_batch else labels
        labels = labels.with_context() if self.context else labels
        return labels.clamped(margin=0 if self.cells == 'share' else 1) if of_batch else labels

    def interact(self, appearance: Tensor, embedding: Tensor, valid: Tensor) -> Tensor:
        """Attention among the boxes of an image on each level, one call for all.

        Args:
            appearance: (n, P, m, C).
            embedding: (n, m, C).
            valid: (n, m), which slots are no padding.

        Returns:
            (n, P, m, C); meaningless in padding, which covers no cell.
        """
        shape = appearance.shape
        if self.query == 'appearance':  # the labels, which answer, are the same on every level
            asks, asked, padding = appearance.flatten(1, 2), embedding, ~valid
        else:
            asks, asked = embedding[:, None].expand(shape).flatten(0, 1), appearance.flatten(0, 1)
            padding = ~valid[:, None].expand(shape[:3]).flatten(0, 1)
        return self.attention(asks, asked, asked, key_padding_mask=padding, need_weights=False)[0].view(shape)

    def mapped(self, vectors: Tensor, covered: Sequence[Cover]) -> list[Tensor]:
        """Maps (n, C, h_p, w_p) from the boxes' vectors (n, P, m, C) and the cells that they cover."""
        first, rest = self.refine[0], self.refine[1:]
        constant = first.bias.expand(*vectors.shape[:2], -1)
        if self.context_projection is not None:
            constant = constant + self.context_projection(vectors[:, :, 0])
            vectors, covered = vectors[:, :, 1:], [cover.without_first() for cover in covered]
        elif self.context:
            covered = [cover.with_whole_first() for cover in covered]
        vectors = self.box_projection(vectors)
        return [rest(level) for level in self.convolved(vectors, covered, constant)]

    def convolved(self, vectors: Tensor, covered: Sequence[Cover], constant: Tensor) -> list[Tensor]:
        """The first convolution of the maps that have the vectors in the cells of their boxes.

        Args:
            vectors: (n, P, m, C).
            covered: Cells that they are written into.
            constant: What takes the place of the convolution's bias on every level, (n, P, C).

        Returns:
            Maps (n, C, h_p, w_p).
        """
        weight = self.refine[0].weight
        if 3 * vectors.shape[2] <= covered[0].columns.shape[2]:
            return render_convolved(vectors, covered, weight, constant)
        maps, constant = render(vectors, covered), constant[..., None, None].unbind(1)
        return [F.conv2d(level, weight, padding=1).add_(plain) for level, plain in zip(maps, constant)]

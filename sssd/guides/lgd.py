"""The label side of LGD, which SSSD takes over: features and labels to a teacher's pyramid (SSSD, Fig. 1)."""

from collections.abc import Sequence

import torch
from mmengine.model import BaseModule
from torch import Tensor, nn

from sssd.errors import UserError
from sssd.guides.cells import Cells, pool, render
from sssd.guides.label_encoder import LabelEncoder
from sssd.guides.labels import BoxLabels
from sssd.guides.layers import conv, conv_stack, on_every_level
from sssd.registry import MODELS


@MODELS.register_module()
class LGD(BaseModule):
    """Label-guided teacher features (Zhang et al., LGD, AAAI 2022; SSSD, Sec. 2.1).

    Every box has a descriptor; the label encoder embeds it, the student's features inside the box are its appearance
    on every level, attention lets the boxes of an image exchange the two, and what comes out is written back into
    the boxes' cells and refined by convolutions. Images, levels and boxes are dimensions of tensors; only the
    convolutions run level by level. No value is read back from the device.

    Args:
        channels: Channels of the pyramid; the guided detector gives it.
        num_classes: Classes of the labels; the guided detector gives it.
        strides: Pixels of a cell of every level, (w, h) or one number; the guided detector gives it.
        heads: Heads of the attention.
        context: Whether the whole image is a further box, without class, whose vector is written everywhere. In LGD
            on for RetinaNet and FCOS R101, off for Faster R-CNN and FCOS R50.
        detach: Whether the guide's gradient stops before the student's features. In LGD for Faster R-CNN.
        query: Which side asks in the attention: ``'appearance'`` (LGD's default; labels are key and value) or
            ``'label'`` (appearance is).
        init_cfg: As in MMEngine.

    Raises:
        UserError: If the channels do not divide among the heads, or ``query`` is unknown.
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
        init_cfg=None,
    ) -> None:
        super().__init__(init_cfg=init_cfg)
        if channels % heads:
            raise UserError(
                f'LGD: {channels} channels do not divide among {heads} heads; set heads of the guide to a '
                'divisor of the channels.'
            )
        if query not in ('appearance', 'label'):
            raise UserError(f'LGD: query is {query!r}; use appearance (the default) or label.')
        self.num_classes, self.context, self.detach, self.query = num_classes, context, detach, query
        self.strides = [stride if isinstance(stride, tuple) else (stride, stride) for stride in strides]
        self.encode = LabelEncoder(4 + num_classes, channels)
        self.appearance = nn.Sequential(conv(channels), nn.GroupNorm(1, channels, affine=False), nn.ReLU())
        self.attention = nn.MultiheadAttention(channels, heads, batch_first=True)
        self.refine = nn.Sequential(conv(channels), nn.ReLU(), *conv_stack(channels, norm=True))

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
        labels = labels.with_context() if self.context else labels
        cells = Cells.of(features, self.strides)
        covered = cells.covered(labels)
        embedding = self.encode(labels.descriptors(self.num_classes), labels.valid)
        appearance = pool(cells.join(on_every_level(self.appearance, features)), covered)
        vectors = self.interact(appearance, embedding, labels.valid)
        row = render(vectors, self.written(covered, cells))
        return on_every_level(self.refine, cells.split(row))

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
        appearance = appearance.flatten(0, 1)
        embedding = embedding[:, None].expand(shape).flatten(0, 1)
        padding = ~valid[:, None].expand(shape[:3]).flatten(0, 1)
        asked, asks = (embedding, appearance) if self.query == 'appearance' else (appearance, embedding)
        return self.attention(asks, asked, asked, key_padding_mask=padding, need_weights=False)[0].view(shape)

    def written(self, covered: Tensor, cells: Cells) -> Tensor:
        """Cells that the vectors are written into: those covered, and for the context slot all of its level."""
        if not self.context:
            return covered
        everywhere = cells.on_level[None, :, None].expand_as(covered[:, :, :1])
        return torch.cat([everywhere, covered[:, :, 1:]], dim=2)

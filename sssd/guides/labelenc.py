"""The label encoding function of LabelEnc: labels painted as class maps, encoded to a teacher's pyramid."""

from collections.abc import Sequence

import torch
from mmengine.model import BaseModule
from torch import Tensor, nn

from sssd.errors import UserError
from sssd.guides.cells import Cells
from sssd.guides.labels import BoxLabels
from sssd.guides.layers import conv_stack, on_every_level
from sssd.guides.pretrained import check_pretrained
from sssd.registry import MODELS

REMEDY = (
    'run step 1 (configs/quickstart/*_labelenc_step1.py are examples) and set init_cfg of the guide to '
    "dict(type='Pretrained', checkpoint=PATH, prefix='guidance.guide.') with PATH its last checkpoint"
)


@MODELS.register_module()
class LabelEnc(BaseModule):
    """Teacher features from the labels alone (Hao et al., LabelEnc, ECCV 2020, Sec. 3).

    Every level has a class map on its own grid, painted from the boxes (:func:`class_maps`); convolutions shared by
    all levels, as the heads are, encode it. Of the student's features only the shapes are used. Images, levels and
    boxes are dimensions of tensors; only the convolutions run level by level. No value is read back from the device.

    Two steps: the function is trained by the heads of an auxiliary detector; then, with ``frozen=True``, it is loaded
    from that run and supervises the features of a new detector.

    Args:
        channels: Channels of the pyramid; the guidance gives it.
        num_classes: Classes of the labels; the guidance gives it.
        strides: Pixels of a cell of every level, (w, h) or one number; the guidance gives it.
        depth: Convolutions after the first, which takes the class maps.
        dim: Share of the boxes that, while the function trains, are painted darker by a random factor, as the authors'
            code does; 0 for none.
        frozen: Whether the function is fixed (step 2): evaluated and without gradients. Needs ``init_cfg``.
        init_cfg: As in MMEngine; for a frozen one ``dict(type='Pretrained', checkpoint=PATH,
            prefix='guidance.guide.')``.

    Raises:
        UserError: If ``dim`` is no share, if a frozen function has no ``init_cfg`` of type ``Pretrained``, or, on
            initialisation, if the checkpoint is missing or does not fit.
    """

    def __init__(
        self,
        channels: int,
        num_classes: int,
        strides: Sequence[int | tuple[int, int]],
        depth: int = 3,
        dim: float = 0.5,
        frozen: bool = False,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg=init_cfg)
        if not 0 <= dim <= 1:
            raise UserError(f'LabelEnc: dim is {dim}, but a share of the boxes lies in [0, 1]; 0.5 is the default.')
        if frozen and (init_cfg or {}).get('type') != 'Pretrained':
            raise UserError(
                f'LabelEnc: frozen=True without an init_cfg of type Pretrained would teach random features; {REMEDY}.'
            )
        self.num_classes, self.dim, self.frozen = num_classes, dim, frozen
        self.strides = [stride if isinstance(stride, tuple) else (stride, stride) for stride in strides]
        self.encode = nn.Sequential(
            nn.Conv2d(num_classes, channels, 3, padding=1),
            nn.ReLU(inplace=True),
            *conv_stack(channels, depth, norm=True),
        )
        self.requires_grad_(not frozen).train()  # which a frozen one is not

    def init_weights(self) -> None:
        """As in MMEngine, after a check of the checkpoint that ``init_cfg`` names."""
        check_pretrained(self, REMEDY)
        super().init_weights()

    def train(self, mode: bool = True) -> 'LabelEnc':
        """Set the mode; a frozen function is always evaluated."""
        return super().train(mode and not self.frozen)

    def forward(self, features: Sequence[Tensor], labels: BoxLabels) -> list[Tensor]:
        """The teacher's pyramid.

        Args:
            features: The student's maps (n, C, h_p, w_p), whose shapes are taken.
            labels: Labels of the n images.

        Returns:
            Maps of the same shapes.
        """
        cells = Cells.of(features, self.strides)
        maps = class_maps(labels, cells, self.num_classes, self.brightness(labels))
        return on_every_level(self.encode, cells.split(maps))

    def brightness(self, labels: BoxLabels) -> Tensor:
        """A factor in [0, 1] for every box, (n, m): 1, or for a share ``dim`` of them in training a uniform draw."""
        if not (self.training and self.dim > 0):
            return torch.ones_like(labels.boxes[..., 0])
        return (torch.rand_like(labels.boxes[..., 0]) / self.dim).clamp(max=1)


def class_maps(labels: BoxLabels, cells: Cells, num_classes: int, brightness: Tensor) -> Tensor:
    """One channel for each class, painted inside the boxes of that class: (n, num_classes, K).

    A cell that a box overlaps is 1 at the box's centre and falls linearly to 0.5 at its border, by the coordinate in
    which the cell's centre is nearer to the border (LabelEnc's colour map); a cell whose centre lies outside is 0.5,
    so that a box smaller than a cell still has one. Where boxes of a class overlap, the brightest counts.

    Args:
        labels: Labels of n images in m slots.
        cells: The K cells of all levels.
        num_classes: Classes of the labels.
        brightness: Factors (n, m).
    """
    x1, y1, x2, y2 = labels.boxes[..., None].unbind(2)
    left, top, right, bottom = cells.corners.unbind(1)
    across = ((left + right) - (x1 + x2)).abs() / (x2 - x1).clamp(min=1e-6)
    down = ((top + bottom) - (y1 + y2)).abs() / (y2 - y1).clamp(min=1e-6)
    colour = (1 - torch.maximum(across, down) / 2).clamp(min=0.5) * brightness[..., None]
    painted = torch.where(cells.overlapped(labels), colour, 0.0)
    channel = labels.classes.clamp(min=0)[..., None].expand_as(painted)
    return painted.new_zeros(len(painted), num_classes, painted.shape[2]).scatter_reduce(1, channel, painted, 'amax')

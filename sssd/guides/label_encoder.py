"""The label encoder: descriptors of the boxes of an image to one embedding each, by a small PointNet."""

import torch
from torch import Tensor, nn

from sssd.guides.layers import point_layers

LOCAL, WIDE, HIDDEN = 64, (128, 1024), (512, 256)


def masked_max(points: Tensor, valid: Tensor) -> Tensor:
    """Largest value of every channel over the valid boxes of an image, (n, m, d) and (n, m) to (n, d)."""
    return points.masked_fill(~valid[..., None], float('-inf')).amax(1)


class LearnedTransform(nn.Module):
    """Multiplies every box's vector by a d x d matrix that is made from it, or from all boxes of its image.

    The spatial transformer of PointNet without its identity shortcut.

    Args:
        size: d.
        of: ``'box'``, a matrix for every box, as in LGD's public code, whose maximum runs over an axis of one element;
            or ``'image'``, PointNet's: one for all boxes of an image, from the largest values over them.
    """

    def __init__(self, size: int, of: str = 'box') -> None:
        super().__init__()
        self.of = of
        self.points = point_layers(size, LOCAL, *WIDE)
        self.matrix = nn.Sequential(*point_layers(WIDE[-1], *HIDDEN), nn.Linear(HIDDEN[-1], size * size))

    def forward(self, points: Tensor, valid: Tensor) -> Tensor:
        """(n, m, d) and the mask (n, m) of boxes that are no padding to (n, m, d)."""
        wide, size = self.points(points), points.shape[2]
        if self.of == 'image':
            return torch.bmm(points, self.matrix(masked_max(wide, valid)).unflatten(1, (size, size)))
        return (points[:, :, None] @ self.matrix(wide).unflatten(2, (size, size))).squeeze(2)


class LabelEncoder(nn.Module):
    """Transform, 64, transform, then 128 and 1024; the largest over the image joins each box's 64; down to the end.

    Args:
        size: Width of a descriptor, 4 and the number of classes.
        channels: Width of an embedding.
        embed: Width of the layer between the joined 1088 and the embedding.
        transform: What a matrix of the transforms belongs to, ``'box'`` or ``'image'``.
    """

    def __init__(self, size: int, channels: int, embed: int = 256, transform: str = 'box') -> None:
        super().__init__()
        self.first, self.local = LearnedTransform(size, transform), point_layers(size, LOCAL)
        self.second, self.wide = LearnedTransform(LOCAL, transform), point_layers(LOCAL, *WIDE)
        self.narrow = point_layers(LOCAL + WIDE[-1], embed, channels)

    def forward(self, descriptors: Tensor, valid: Tensor) -> Tensor:
        """Descriptors (n, m, size) and the mask (n, m) of slots that are no padding to embeddings (n, m, channels)."""
        local = self.second(self.local(self.first(descriptors, valid)), valid)
        image = masked_max(self.wide(local), valid)
        return self.narrow(torch.cat([local, image[:, None].expand(-1, local.shape[1], -1)], dim=2))

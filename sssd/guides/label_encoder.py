"""The label encoder: descriptors of the boxes of an image to one embedding each, by a small PointNet."""

import torch
from torch import Tensor, nn

from sssd.guides.layers import point_layers

LOCAL, WIDE, HIDDEN = 64, (128, 1024), (512, 256)


class Slots:
    """Boxes of n images, T in all, and their places among n m slots; layers see the T alone.

    Args:
        places: (T,).
        shape: (n, m).
    """

    def __init__(self, places: Tensor, shape: tuple[int, int]) -> None:
        self.places, self.shape = places, shape
        self.image = torch.div(places, shape[1], rounding_mode='floor')

    def padded(self, points: Tensor, value: float) -> Tensor:
        """(T, d) to (n, m, d), a value elsewhere."""
        slots = points.new_full((self.shape[0] * self.shape[1], points.shape[1]), value)
        return slots.index_copy(0, self.places, points).unflatten(0, self.shape)

    def largest(self, points: Tensor) -> Tensor:
        """Largest value of every channel over the boxes of an image, (T, d) to (n, d)."""
        return self.padded(points, float('-inf')).amax(1)


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

    def forward(self, points: Tensor, slots: Slots) -> Tensor:
        """(T, d) to (T, d)."""
        wide, size = self.points(points), points.shape[1]
        if self.of == 'image':
            matrix = self.matrix(slots.largest(wide))[slots.image]
        else:
            matrix = self.matrix(wide)
        return torch.bmm(points[:, None], matrix.unflatten(1, (size, size))).squeeze(1)


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

    def forward(self, descriptors: Tensor, places: Tensor) -> Tensor:
        """Embeddings of all boxes.

        Args:
            descriptors: (n, m, size).
            places: Which of the n m slots are no padding, (T,).

        Returns:
            (n, m, channels), 0 in padding.
        """
        slots = Slots(places, descriptors.shape[:2])
        local = self.local(self.first(descriptors.flatten(0, 1)[places], slots))
        local = self.second(local, slots)
        image = slots.largest(self.wide(local))[slots.image]
        return slots.padded(self.narrow(torch.cat([local, image], dim=1)), 0.0)

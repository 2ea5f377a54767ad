"""The shape of LGD's public code (megvii-research/LGD), written anew from what it does, with the modules of our guide.

What it does image by image and level by level is done so here: the descriptors; masks, from lists of numbers, by the
distance from a box's centre; means, projections and the writing of vectors; the largest values of the label encoder.
Its attention sees the boxes of all images of a level, with a mask, and gives its weights back. The layers of its label
encoder are convolutions over one position. Its distance is the mean square of both pyramids, instance-normalised and
joined.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sssd.guides import LGD, BoxLabels


class LGDShape(nn.Module):
    """The guide in that shape; defaults of :class:`sssd.guides.LGD` alone.

    Args:
        guide: The guide whose modules are used.
        batch: (h, w) of the padded batch.
    """

    def __init__(self, guide: LGD, batch: tuple[int, int]) -> None:
        super().__init__()
        self.guide, self.batch = guide, batch
        self.attention = nn.MultiheadAttention(guide.attention.embed_dim, guide.attention.num_heads)
        for name, value in guide.attention.named_parameters(recurse=False):
            setattr(self.attention, name, value)
        self.attention.out_proj = guide.attention.out_proj

    def forward(self, features: Sequence[Tensor], labels: BoxLabels) -> list[Tensor]:
        """The teacher's pyramid."""
        guide = self.guide
        labels = labels.in_batch(self.batch[::-1]).clamped()
        counts = labels.valid.sum(1).tolist()
        found = [some[:count] for some, count in zip(labels.descriptors(guide.num_classes), counts)]
        embedding = self.encoded(torch.cat(found)[..., None], counts)[:, None]
        features = [guide.appearance(level) for level in features]
        boxes = [some[:count].tolist() for some, count in zip(labels.boxes, counts)]
        masks = [[self.mask(some, level.shape[-2:]) for some in boxes] for level in features]
        seen = [self.means(level.flatten(2), some)[:, None] for level, some in zip(features, masks)]
        image = torch.tensor([place for place, count in enumerate(counts) for _ in range(count)])
        apart = (image[:, None] != image).to(embedding.device)
        vectors = [self.attention(level, embedding, embedding, attn_mask=apart)[0].squeeze(1) for level in seen]
        vectors = [[guide.box_projection(some) for some in level.split(counts)] for level in vectors]
        maps = [[some.t() @ mask for some, mask in zip(*level)] for level in zip(vectors, masks)]
        maps = [torch.cat(drawn).reshape(level.shape) for drawn, level in zip(maps, features)]
        return [guide.refine(level) for level in maps]

    def mask(self, boxes: Sequence[Sequence[float]], shape: Sequence[int]) -> Tensor:
        """Cells (m, h w) of the boxes of one image: no further from the centre than half a box."""
        device = self.attention.in_proj_weight.device
        factors = torch.tensor([side / whole for side, whole in zip(shape, self.batch)], device=device)
        x1, y1, x2, y2 = torch.tensor(boxes).to(device).unbind(1)
        low, high = torch.stack([y1, x1], 1) * factors, torch.stack([y2, x2], 1) * factors
        grid = torch.stack(torch.meshgrid(*(torch.arange(side, device=device) for side in shape), indexing='ij'))
        distance = ((low + high)[..., None, None] * 0.5 - grid).abs() / (high - low)[..., None, None]
        return (distance <= 0.5).all(1).flatten(1).float()

    @staticmethod
    def means(level: Tensor, masks: Sequence[Tensor]) -> Tensor:
        """Mean over the cells of every box, (T, C), from a map (n, C, K) and masks (m, K) of every image."""
        sizes = [mask.sum(1, keepdim=True) for mask in masks]
        found = [mask @ image.t() for mask, image in zip(masks, level)]
        return torch.cat([some / torch.maximum(size, torch.ones_like(size)) for some, size in zip(found, sizes)])

    def encoded(self, points: Tensor, counts: Sequence[int]) -> Tensor:
        """Descriptors (T, d, 1) of all boxes to embeddings (T, C)."""
        encoder = self.guide.encode
        local = transformed(encoder.first, points)
        local = transformed(encoder.second, convolved(encoder.local, local))
        wide = convolved(encoder.wide, local).split(counts)
        largest = torch.cat([some.max(0)[0][None].repeat(count, 1, 1) for some, count in zip(wide, counts)])
        joined, last = convolved(encoder.narrow[:3], torch.cat([local, largest], 1)), encoder.narrow[3:]
        return last(joined.squeeze(2))


def transformed(transform: nn.Module, points: Tensor) -> Tensor:
    """Every point (T, d, 1) times a matrix of its own."""
    wide = convolved(transform.points, points).max(2)[0]
    matrix = transform.matrix(wide).view(-1, points.shape[1], points.shape[1])
    return torch.bmm(points.transpose(1, 2), matrix).transpose(1, 2)


def convolved(layers: nn.Sequential, points: Tensor) -> Tensor:
    """Linear layers and their norms as convolutions over the one position of points (T, d, 1)."""
    for layer in layers:
        if isinstance(layer, nn.Linear):
            points = F.conv1d(points, layer.weight[..., None], layer.bias)
        elif isinstance(layer, nn.LayerNorm):
            points = F.layer_norm(points, [*layer.normalized_shape, 1])
        else:
            points = layer(points)
    return points


def mean_square(student: Sequence[Tensor], teacher: Sequence[Tensor]) -> Tensor:
    """LGD's distance of two pyramids."""
    norm, count = nn.InstanceNorm2d(student[0].shape[1]), len(student[0])
    joined = [
        torch.cat([norm(level).view(count, -1) for level in levels], 1)
        for levels in (student, [level.detach() for level in teacher])
    ]
    return F.mse_loss(*joined)

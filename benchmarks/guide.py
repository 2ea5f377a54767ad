"""The label-guided teacher without its convolutions, beside the shape of LGD's public code; and a step with both.

The shape of the public code, written anew from what it does: masks, means, projections and the writing of vectors image
by image and level by level; attention level by level over the boxes of all images, with a mask. Convolutions and the
label encoder are the same modules on both sides.

``guide`` is the guide alone, its convolutions taken out: forward, and backward from a given gradient of its maps.
``step`` has its convolutions, the adapter and the JS distance, on the other side by autograd: what SSSD adds to a
detector's own step.

    python benchmarks/guide.py [--device cuda]
"""

import sys
from collections.abc import Sequence

import _timing as timing
import torch
from mmdet.structures import DetDataSample
from mmengine.structures import InstanceData
from torch import Tensor, nn

from sssd.errors import run_cli
from sssd.guides import LGD, BoxLabels, box_labels, conv_stack
from sssd.losses import FeatureDistance

STRIDES = (8, 16, 32, 64, 128)


class PublicShape(nn.Module):
    """The same guide, with products for each image and level.

    Args:
        guide: The guide whose modules are used.
        batch: (h, w) of the padded batch.
    """

    def __init__(self, guide: LGD, batch: tuple[int, int]) -> None:
        super().__init__()
        self.guide, self.batch = guide, batch

    def forward(self, features: Sequence[Tensor], labels: BoxLabels) -> list[Tensor]:
        """The teacher's pyramid."""
        guide, (height, width) = self.guide, self.batch
        labels = labels.in_batch((width, height)).clamped()
        embedding = guide.encode(labels.descriptors(guide.num_classes), labels.valid)[labels.valid]
        counts = labels.valid.sum(1).tolist()
        boxes = labels.boxes[labels.valid].split(counts)
        of_image = torch.arange(len(counts), device=embedding.device).repeat_interleave(labels.valid.sum(1))
        apart = of_image[:, None] != of_image
        return [self.level(level, embedding, boxes, apart) for level in features]

    def level(self, level: Tensor, embedding: Tensor, boxes: Sequence[Tensor], apart: Tensor) -> Tensor:
        """One map (n, C, h, w) of the teacher, from the boxes (m, 4) of every image and those apart from each other."""
        guide, seen = self.guide, self.guide.appearance(level)
        masks, means = [self.mask(some, level.shape[-2:]) for some in boxes], []
        for image, mask in zip(seen, masks):
            means.append(mask @ image.flatten(1).t() / mask.sum(1, keepdim=True).clamp(min=1))
        vectors = guide.attention(torch.cat(means), embedding, embedding, attn_mask=apart)[0]
        vectors = [guide.box_projection(some) for some in vectors.split([len(some) for some in boxes])]
        drawn = [some.t() @ mask for some, mask in zip(vectors, masks)]
        return guide.refine(torch.cat(drawn).view(level.shape))

    def mask(self, boxes: Tensor, shape: Sequence[int]) -> Tensor:
        """Cells (m, h w) of the boxes of one image."""
        (height, width), (batch_height, batch_width) = shape, self.batch
        x = torch.arange(width, device=boxes.device) * (batch_width / width)
        y = torch.arange(height, device=boxes.device) * (batch_height / height)
        x1, y1, x2, y2 = boxes[:, :, None].unbind(1)
        across, down = (x1 <= x) & (x <= x2) & (x1 < x2), (y1 <= y) & (y <= y2) & (y1 < y2)
        return (down[:, :, None] & across[:, None]).flatten(1).float()


def made_up(images: int, boxes: int, size: tuple[int, int], channels: int, device: str) -> tuple[list, BoxLabels]:
    """A pyramid, and labels with up to so many boxes."""
    samples = []
    for index in range(images):
        count = max(boxes - 2 * index, 1)
        corner = torch.rand(count, 2) * 0.8
        corners = torch.cat([corner, corner + 0.02 + torch.rand(count, 2) ** 2 * 0.6], 1).clamp(max=1)
        sample = DetDataSample(metainfo=dict(img_shape=size))
        sample.gt_instances = InstanceData(
            bboxes=(corners * torch.tensor(size[::-1] * 2)).to(device), labels=torch.randint(80, (count,)).to(device)
        )
        samples.append(sample)
    shapes = [(images, channels, -(-size[0] // stride), -(-size[1] // stride)) for stride in STRIDES]
    return [torch.randn(shape).to(device).requires_grad_() for shape in shapes], box_labels(samples)


def outcome(made: Sequence[Tensor], inputs: Sequence[Tensor], given: Sequence[Tensor]) -> dict[str, Tensor]:
    """Tensors and the gradients of their inputs, by name, from given gradients of the tensors."""
    gradients = torch.autograd.grad(made, inputs, given)
    named = {f'gradient_{place}': grad for place, grad in enumerate(gradients)}
    return dict({f'output_{place}': value.detach() for place, value in enumerate(made)}, **named)


def case(what: str, images: int, boxes: int, size: tuple[int, int], channels: int, device: str) -> timing.Case:
    """One row: ``guide`` or ``step``."""
    features, labels = made_up(images, boxes, size, channels, device)
    ours = LGD(channels, 80, STRIDES)
    if what == 'guide':
        ours.appearance, ours.refine = nn.Identity(), nn.Identity()
    adapter = conv_stack(channels).to(device)
    theirs = PublicShape(ours.to(device), size)
    parameters = [value for value in ours.parameters() if value.requires_grad]

    given = [torch.randn_like(level) for level in features]

    def step(guide: nn.Module, fused: bool) -> dict[str, Tensor]:
        made = guide(features, labels)
        if what == 'guide':
            return outcome(made, [*features, *parameters], given)
        distance = FeatureDistance(fused=fused)([adapter(level) for level in features], made)
        inputs = [*features, *parameters, *adapter.parameters()]
        return outcome([*made, distance], inputs, [*given, torch.ones_like(distance)])

    return timing.Case(
        f'{what} {images} images, {boxes} boxes',
        dict(public=lambda: step(theirs, False), ours=lambda: step(ours, True)),
        tolerance=1e-4 if what == 'guide' else 2e-2,  # where elements are equal the root of JS has two slopes
        facts=dict(images=images, boxes=boxes, pixels=list(size), channels=channels),
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print and write."""
    args = timing.parser(__doc__, 'guide').parse_args(argv)
    torch.manual_seed(args.seed)
    rows = []
    size, channels = ((64, 128), 16) if args.quick else ((800, 1344), 256)
    for images, boxes in ((2, 7),) if args.quick else ((2, 7), (4, 7), (4, 20)):
        rows.append(timing.measured(case('guide', images, boxes, size, channels, args.device), args))
    size = size if args.quick else (256, 384)  # convolutions take seconds
    rows.append(timing.measured(case('step', 2, 7, size, channels, args.device), args))
    timing.write(args, 'guide', rows, argv)
    return 0


if __name__ == '__main__':
    sys.exit(run_cli(main))

"""The label-guided teacher beside the shape of LGD's public code (``_lgd_shape.py``), and a step with both.

``guide`` is the guide alone, its convolutions taken out: forward, and backward from a given gradient of its maps;
``least`` is the part of it in which no way differs, memory for maps and gradients and the label encoder.
``step`` is what is added to a detector's own step: guide, adapter and distance with all their convolutions. ``lgd`` is
LGD's (MSE) in the public code's shape, ``lgd_ours`` the same by our guide and distance, ``sssd`` the JS distance by
ours, and ``sssd_public`` the JS distance left to autograd beside the public code's shape.

    python benchmarks/guide.py [--device cuda]
"""

import sys
from collections.abc import Callable, Sequence

import _timing as timing
import torch
from _lgd_shape import LGDShape, mean_square
from mmdet.structures import DetDataSample
from mmengine.structures import InstanceData
from torch import Tensor, nn

from sssd.errors import run_cli
from sssd.guides import LGD, BoxLabels, box_labels, conv_stack
from sssd.guides.cells import Cover, render
from sssd.losses import FeatureDistance

STRIDES = (8, 16, 32, 64, 128)


class WithoutConvolutions(LGD):
    """Our guide, from student to pooling and from attention to maps without a layer between."""

    def __init__(self, *args, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        self.appearance, self.refine = nn.Identity(), nn.Identity()

    def mapped(self, vectors: Tensor, covered: Sequence[Cover]) -> list[Tensor]:
        """The vectors in the cells of their boxes."""
        return render(self.box_projection(vectors), covered)


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


def guide_case(images: int, boxes: int, size: tuple[int, int], channels: int, device: str) -> timing.Case:
    """The guide without convolutions: maps, and gradients of features and weights."""
    features, labels = made_up(images, boxes, size, channels, device)
    ours = WithoutConvolutions(channels, 80, STRIDES).to(device)
    theirs, inputs = LGDShape(ours, size), [*features, *ours.parameters()]
    given = [torch.randn_like(level) for level in features]

    def least() -> dict[str, Tensor]:
        """What either does whatever its products are: new memory for maps and gradients, and the label encoder."""
        found = [torch.zeros_like(level) for level in (*features, *features)]
        embedding = ours.encode(labels.descriptors(80), labels.slots)
        found += torch.autograd.grad(embedding.sum(), list(ours.encode.parameters()))
        return {str(place): value for place, value in enumerate(found)}

    return timing.Case(
        f'guide {images} images, {boxes} boxes',
        dict(
            public=lambda: outcome(theirs(features, labels), inputs, given),
            ours=lambda: outcome(ours(features, labels), inputs, given),
            least=least,
        ),
        tolerance=1e-4,
        compared=['ours'],
        facts=dict(images=images, boxes=boxes, pixels=list(size), channels=channels),
    )


def step_case(images: int, boxes: int, size: tuple[int, int], channels: int, device: str) -> timing.Case:
    """What LGD and what SSSD add to a detector's step; a given gradient stands for that of the heads."""
    features, labels = made_up(images, boxes, size, channels, device)
    ours, adapter = LGD(channels, 80, STRIDES).to(device), conv_stack(channels).to(device)
    theirs, inputs = LGDShape(ours, size), [*features, *ours.parameters(), *adapter.parameters()]
    given = [torch.randn_like(level) for level in features]

    def step(guide: nn.Module, distance: Callable) -> dict[str, Tensor]:
        made = guide(features, labels)
        far = distance([adapter(level) for level in features], made)
        return outcome([*made, far], inputs, [*given, torch.ones_like(far)])

    return timing.Case(
        f'step {images} images, {boxes} boxes',
        dict(
            lgd=lambda: step(theirs, mean_square),
            lgd_ours=lambda: step(ours, FeatureDistance('mse')),
            sssd_public=lambda: step(theirs, FeatureDistance(fused=False)),
            sssd=lambda: step(ours, FeatureDistance()),
        ),
        tolerance=2e-2,  # a ReLU whose argument is 0 but for rounding has two slopes; in double precision it is 1e-13
        compared=['lgd_ours'],
        facts=dict(images=images, boxes=boxes, pixels=list(size), channels=channels),
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print and write."""
    args = timing.parser(__doc__, 'guide').parse_args(argv)
    torch.manual_seed(args.seed)
    rows = []
    size, channels = ((256, 384), 16) if args.quick else ((800, 1344), 256)
    for images, boxes in ((2, 7),) if args.quick else ((2, 7), (4, 7), (4, 20)):
        rows.append(timing.measured(guide_case(images, boxes, size, channels, args.device), args))
    size = size if args.quick else (256, 384)  # convolutions take seconds
    rows.append(timing.measured(step_case(2, 7, size, channels, args.device), args))
    timing.write(args, 'guide', rows, argv)
    return 0


if __name__ == '__main__':
    sys.exit(run_cli(main))

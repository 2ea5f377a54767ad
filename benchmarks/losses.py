"""Eq. 5 over many rows and the JS distance of pyramids: time and memory of forward and backward pass.

Eq. 5: ``probabilities`` is what the equations say, in plain PyTorch: KL from probabilities, bin by bin the same
weights, autograd. ``stable`` is the same from logits (SoftLoss with fused=False), ``fused`` is SoftLoss's default.
The JS distance: ``autograd`` is FeatureDistance with fused=False.

    python benchmarks/losses.py [--device cuda] [--compiled]
"""

import sys
from collections.abc import Callable, Sequence
from functools import partial

import _timing as timing
import torch
from torch import Tensor

from sssd.errors import run_cli
from sssd.losses import FeatureDistance, SoftLoss
from sssd.views import PredictionView

CLASSES, BINS = 80, 30


def rows_of(count: int, classes: int, activation: str, device: str) -> list[PredictionView]:
    """Two predictions of the same rows, most of which are background."""
    columns = classes + (activation == 'softmax')
    first = torch.randn(count, columns) - 4
    first = torch.where(torch.rand(count, 1) < 0.02, first + 3, first)
    second = first + 0.3 * torch.randn(count, columns)
    valid, boxes = torch.rand(count) < 0.9, torch.zeros(count, 1, 4)
    return [
        PredictionView(logits.to(device).requires_grad_(), boxes.to(device), valid.to(device), activation)
        for logits in (first, second)
    ]


def from_probabilities(target: Tensor, pred: Tensor, valid: Tensor, activation: str) -> Tensor:
    """Eq. 5 over KL(target || pred) as it is written."""
    divergence = (target * (target / pred).log()).sum(1)
    gap = (pred.detach() - target).abs().sum(1)
    if activation == 'sigmoid':
        divergence = divergence + ((1 - target) * ((1 - target) / (1 - pred)).log()).sum(1)
        gap = gap.clamp(max=1)
    else:
        gap = gap / 2
    index = (gap * BINS).long().clamp(max=BINS - 1)
    counts = torch.bincount(index[valid], minlength=BINS)
    return (divergence * valid / (BINS * counts[index].clamp(min=1))).sum()


def plain_step(equation: str, student: PredictionView, teacher: PredictionView) -> dict[str, Tensor]:
    """Value and gradients of Eq. 2 (scale) or Eq. 3 (distill) from probabilities."""
    activation, valid = student.activation, student.valid
    p, q = (view.logits.sigmoid() if activation == 'sigmoid' else view.logits.softmax(1) for view in (student, teacher))
    value = from_probabilities(q.detach(), p, valid, activation)
    if equation == 'scale':
        value = value + from_probabilities(p.detach(), q, valid, activation)
    return with_gradients(equation, value, student, teacher)


def our_step(equation: str, student: PredictionView, teacher: PredictionView, part: Callable) -> dict[str, Tensor]:
    """The same by a part of SoftLoss, that of the classes, as the other side has no boxes."""
    rows = (student.logits, teacher.logits) if equation == 'scale' else (teacher.logits.detach(), student.logits)
    value = part(*rows, student.valid, student.activation)
    return with_gradients(equation, value, student, teacher)


def with_gradients(equation: str, value: Tensor, student: PredictionView, teacher: PredictionView) -> dict[str, Tensor]:
    """A value and its gradients by name."""
    sides = [student, teacher] if equation == 'scale' else [student]
    gradients = torch.autograd.grad(value, [view.logits for view in sides])
    return dict(value=value.detach(), **{f'gradient_{side}': grad for side, grad in enumerate(gradients)})


def row_case(
    equation: str, activation: str, count: int, classes: int, device: str, compiled: bool = False
) -> timing.Case:
    """Eq. 5 over one of the two equations; if asked for with torch.compile of what is left to autograd, too."""
    pair, times = rows_of(count, classes, activation, device), 10 if count * classes < 5e5 else 1
    name = 'both_directions' if equation == 'scale' else 'classification'
    losses = [SoftLoss(dict(type='Histogram', bins=BINS), fused=way).to(device) for way in (False, True)]
    stable, fused = (getattr(loss, name) for loss in losses)
    ways = dict(
        probabilities=lambda: plain_step(equation, *pair),
        stable=lambda: our_step(equation, *pair, stable),
        fused=lambda: our_step(equation, *pair, fused),
    )
    if compiled:
        fast = torch.compile(stable)
        ways['compiled'] = lambda: our_step(equation, *pair, fast)
    return timing.Case(
        f'{equation} {activation} {count}x{classes}' + (f', {times} times' if times > 1 else ''),
        {name: partial(often, way, times) for name, way in ways.items()},
        tolerance=1e-3,  # from probabilities, the logarithm of 1 - p has few digits
        facts=dict(rows=count, classes=classes, equation=equation, activation=activation, times=times),
    )


def often(call: timing.Call, times: int) -> dict[str, Tensor]:
    """The last result of a call that is too short to be timed alone."""
    for _ in range(times):
        result = call()
    return result


def distance_case(channels: int, size: tuple[int, int], device: str) -> timing.Case:
    """The JS distance of a pyramid of five levels."""
    shapes = [(2, channels, -(-size[0] // stride), -(-size[1] // stride)) for stride in (8, 16, 32, 64, 128)]
    student = [torch.randn(shape).to(device).requires_grad_() for shape in shapes]
    teacher = [level.detach() + 0.5 * torch.randn_like(level) for level in student]

    def step(fused: bool) -> dict[str, Tensor]:
        value = FeatureDistance(fused=fused)(student, teacher)
        gradients = torch.autograd.grad(value, student)
        return dict(value=value.detach(), **{f'gradient_{level}': grad for level, grad in enumerate(gradients)})

    return timing.Case(
        f'JS distance {channels}x{size[0]}x{size[1]}',
        dict(autograd=lambda: step(False), fused=lambda: step(True)),
        tolerance=2e-2,  # where elements are equal the root has no slope, and rounding decides between two
        facts=dict(channels=channels, pixels=list(size)),
    )


def cases(quick: bool, device: str) -> list[timing.Case]:
    """The issue's row first, then growth with rows and classes."""
    rows = 2000 if quick else 100_000
    found = [row_case(equation, 'sigmoid', rows, CLASSES, device) for equation in ('distill', 'scale')]
    found.append(row_case('distill', 'softmax', rows // 50, CLASSES, device))
    found.append(row_case('scale', 'softmax', rows // 50, CLASSES, device))
    for count, classes in ((rows // 10, CLASSES), (rows // 10, 20), (rows // 10, 1203)):
        found += [row_case(equation, 'sigmoid', count, classes, device) for equation in ('distill', 'scale')]
    found.append(distance_case(16 if quick else 256, (64, 96) if quick else (256, 384), device))
    return found


def compiled_cases(device: str, quick: bool) -> list[timing.Case]:
    """Three sizes of sigmoid heads and a softmax one, torch.compile among the ways."""
    return [
        row_case(equation, activation, count // (50 if quick else 1), CLASSES, device, compiled=True)
        for count, activation in ((100_000, 'sigmoid'), (10_000, 'sigmoid'), (2000, 'sigmoid'), (2000, 'softmax'))
        for equation in ('distill', 'scale')
    ]


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print and write."""
    parser = timing.parser(__doc__, 'losses')
    parser.add_argument('--compiled', action='store_true', help='Eq. 5 with torch.compile instead, which takes minutes')
    args = parser.parse_args(argv)
    torch.manual_seed(args.seed)
    made = compiled_cases(args.device, args.quick) if args.compiled else cases(args.quick, args.device)
    name = 'losses_compiled' if args.compiled else 'losses'
    timing.write(args, name, [timing.measured(case, args) for case in made], argv)
    return 0


if __name__ == '__main__':
    sys.exit(run_cli(main))

"""How the costs grow, as curves: Eq. 5 with classes and rows, the guide with boxes, a step with images and pixels.

Ours and the baseline are timed in turn in one run, as in losses.py, guide.py and step.py, whose calls they are.

guide    boxes of 2 images, and images of up to 7 boxes, 512 x 768 pixels; beside the shape of LGD's public code
losses   rows of 80 classes; classes of 5000 rows; beside plain PyTorch from probabilities
step     RetinaNet R18: n_u of one labelled image, at 192 x 256; pixels at 1 + 1; beside a supervised step and mmdet's

    python benchmarks/growth.py     # writes bench_growth_PART.json for each
"""

import sys
from collections.abc import Iterator, Sequence

import _timing as timing
import guide
import losses
import step
import torch

from sssd.errors import UserError, run_cli

ROWS, CLASSES = (1000, 10_000, 100_000), (80, 320, 1203)
BOXES, IMAGES = (1, 10, 30, 100), (1, 2, 4, 8)
UNLABELLED, SIZES = (1, 2, 4), ((192, 256), (256, 320), (384, 512))

#: A point of a curve: its name, where on it, and what is measured.
Point = tuple[str, int, timing.Case]


def losses_points(args) -> Iterator[Point]:
    """Eq. 5 over one pair of rows after the other."""
    rows, classes = ((100, 200), (20, 40)) if args.quick else (ROWS, CLASSES)
    fixed = (20, 100) if args.quick else (80, 5000)
    for equation in ('distill', 'scale'):
        for count in rows:
            yield f'{equation}, rows', count, losses.row_case(equation, 'sigmoid', count, fixed[0], args.device)
        for count in classes:
            yield f'{equation}, classes', count, losses.row_case(equation, 'sigmoid', fixed[1], count, args.device)


def step_points(args) -> Iterator[Point]:
    """Training steps; the gradients of SED's ways are compared in step.py."""
    args.max_rows, args.ways = None, ('branch',)
    numbers, sizes = ((1, 2), ((64, 128),)) if args.quick else (UNLABELLED, SIZES)
    for number in numbers:
        case, _ = step.case_of('retinanet_r18', sizes[0], args, number)
        yield 'unlabelled images', number, case
    for size in sizes[1:]:
        case, _ = step.case_of('retinanet_r18', size, args)
        yield 'pixels', size[0] * size[1], case


def guide_points(args) -> Iterator[Point]:
    """The guide without convolutions."""
    boxes, images = ((1, 4), (1, 2)) if args.quick else (BOXES, IMAGES)
    size, channels = ((256, 384), 16) if args.quick else ((512, 768), 256)
    for count in boxes:
        yield 'boxes of 2 images', count, guide.guide_case(2, count, size, channels, args.device)
    for count in images:
        yield 'images of 7 boxes', count, guide.guide_case(count, 7, size, channels, args.device)


POINTS = dict(guide=guide_points, losses=losses_points, step=step_points)


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print and write."""
    parser = timing.parser(__doc__, 'growth_PART')
    parser.add_argument('--parts', nargs='+', choices=sorted(POINTS), default=sorted(POINTS), help='default: all')
    parser.set_defaults(repeats=5)
    args = parser.parse_args(argv)
    if args.out and len(args.parts) > 1:
        raise UserError('--out names one file, and each part has its own: name one with --parts.')
    torch.set_num_threads(args.threads)
    for part in args.parts:
        torch.manual_seed(args.seed)
        rows = [dict(curve=curve, at=at, **timing.measured(case, args)) for curve, at, case in POINTS[part](args)]
        if part == 'step':  # the smallest images are the first of both curves
            rows.append(dict(rows[0], curve='pixels', at=rows[0]['size'][0] * rows[0]['size'][1]))
        timing.write(args, f'growth_{part}', rows, argv, script='growth')
    return 0


if __name__ == '__main__':
    sys.exit(run_cli(main))

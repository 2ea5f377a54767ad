"""Draw the pictures of docs/method.md and docs/sssd.md, from the repository's root.

``python docs/draw [NAME ...] [--checkpoint FILE]``

Schedules need nothing; the others show photographs through a detector, that of ``bccd.py``, whose header says how it is
trained. ``--analysis`` draws the figures of docs/analysis.md anew from the numbers in benchmarks/results, ``--shares``
that of docs/results.md.
"""

import argparse
import importlib
import inspect
from pathlib import Path

from method.png import save

HERE = Path(__file__).resolve().parent
#: Names of the pictures, and whether they show a scene.
PICTURES = dict(branches=True, scale_shift=True, reweighting=True, ema=False, guide=True, cells=False, stepwise=False)


def main() -> None:
    """Draw those that are named, or all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('names', nargs='*', metavar='NAME', help=f'of {", ".join(PICTURES)} (default: all)')
    parser.add_argument('--config', default=HERE / 'bccd.py', help='an SED with guidance (default: %(default)s)')
    parser.add_argument('--checkpoint', help='its weights (default: random ones)')
    parser.add_argument('--seed', type=int, default=5, help='of the images (default: %(default)s)')
    parser.add_argument('--out', type=Path, default=HERE.parent / 'figures', help='default: %(default)s')
    parser.add_argument('--analysis', action='store_true', help='draw the figures of docs/analysis.md instead')
    parser.add_argument('--toy', type=Path, default=Path('data/toy'), help='for --analysis (default: %(default)s)')
    parser.add_argument('--shares', action='store_true', help='draw the picture of docs/results.md instead')
    args = parser.parse_args()
    if args.shares:
        print(f'wrote {save(importlib.import_module("shares").draw(), args.out / "results_shares.png")}')
        return
    if args.analysis:
        importlib.import_module('analysis').main(args.out, args.toy, args.config, args.checkpoint)
        return
    unknown = set(args.names) - set(PICTURES)
    if unknown:
        parser.error(f'no picture {", ".join(sorted(unknown))}; there are {", ".join(PICTURES)}')
    names = args.names or list(PICTURES)
    scene = None
    if any(PICTURES[name] for name in names):
        scene = importlib.import_module('method.scene').load(args.config, args.checkpoint, args.seed)
    for name in names:
        draw = importlib.import_module(f'method.{name}').draw
        figure = draw(scene) if inspect.signature(draw).parameters else draw()
        print(f'wrote {save(figure, args.out / f"method_{name}.png")}')


if __name__ == '__main__':
    main()

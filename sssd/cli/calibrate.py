"""Command: find the lambda that gives the distance a wanted share of the loss."""

import argparse
import os
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from sssd.calibration.measure import Calibration
from sssd.calibration.override import override_text
from sssd.calibration.search import Goal
from sssd.calibration.view import CalibrationView
from sssd.checkpoints.loading import trusting
from sssd.cli._config import CFG_OPTIONS_HELP, CfgOptions, add_checkpoint_arguments, load_config, require_file
from sssd.cli._runner import build_runner, missing_files_explained, report_data
from sssd.errors import UserError
from sssd.places import find_config

#: How every config begins that a calibration wrote.
NOTE = '# lambda '


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """The arguments of ``python -m sssd calibrate``."""
    parser = argparse.ArgumentParser(
        prog='sssd calibrate',
        description='Find, by a binary search over short trainings, the constant lambda at '
        'which the distance is a wanted share of the loss (SSSD, Sec. 3.2), and write a config that trains with it. '
        'Call it again to go on where it was interrupted.',
    )
    parser.add_argument('config', help='config file with a guided model')
    parser.add_argument('--share', type=float, default=Goal.share, help='wanted share (default: %(default)s)')
    parser.add_argument(
        '--tolerance', type=float, default=Goal.tolerance, help='how far from it is good enough (default: %(default)s)'
    )
    parser.add_argument(
        '--iterations',
        type=int,
        default=300,
        help='iterations of each training; the share is its mean over their second half (default: %(default)s)',
    )
    parser.add_argument('--low', type=float, default=Goal.low, help='smallest lambda at first (default: %(default)s)')
    parser.add_argument('--high', type=float, default=Goal.high, help='largest lambda at first (default: %(default)s)')
    parser.add_argument('--seed', type=int, help="default: the config's, else 0")
    parser.add_argument(
        '--out',
        metavar='FILE.py',
        help='config to write, its record beside it as FILE.json (default: <work_dir>/<config name>_calibrated.py)',
    )
    parser.add_argument('--work-dir', help='default: work_dir of the config, else ./work_dirs/<config name>')
    parser.add_argument('--cfg-options', nargs='+', action=CfgOptions, metavar='KEY=VALUE', help=CFG_OPTIONS_HELP)
    add_checkpoint_arguments(parser)
    parser.set_defaults(launcher='none', local_rank=0)
    return parser.parse_args(argv)


def place_of(args: argparse.Namespace, work_dir: str) -> Path:
    """Where the config is written.

    Raises:
        UserError: If that is no Python file, the config itself, or any file that is not from a calibration.
    """
    name = Path(args.config).stem
    out = Path(args.out or os.path.join(work_dir, f'{name}_calibrated.py'))
    if out.suffix != '.py':
        raise UserError(f'--out {out} has to end in .py: a config is written.')
    if out.resolve() == Path(find_config(args.config)).resolve():
        raise UserError(f'--out {out} is the config itself: name another file.')
    if out.exists() and not out.read_text(errors='replace').startswith(NOTE):
        raise UserError(f'--out {out} is there already and was not written by a calibration: name another file.')
    return out


def main(argv: Sequence[str] | None = None) -> int:
    """Calibrate; returns the exit status."""
    args = parse_args(argv)
    goal = Goal(args.share, args.tolerance, args.low, args.high)
    cfg = load_config(args)
    out, options = place_of(args, cfg.work_dir), list(args.cfg_options or {})
    require_file(cfg.get('load_from'), 'checkpoint')
    seed = args.seed if args.seed is not None else (cfg.get('randomness') or {}).get('seed') or 0
    command = shlex.join(['python', '-m', 'sssd', 'calibrate', *(sys.argv[2:] if argv is None else argv)])
    base = find_config(args.config)
    override_text(cfg, goal.low, base, out, options)  # what cannot be written is told before training
    search = Calibration(
        cfg, goal, args.iterations, seed, out.with_suffix('.json'), dict(config=args.config, command=command)
    )
    console = Console()
    with trusting(args.trust_checkpoint), missing_files_explained(args.config):
        report_data(cfg, ('train',))
        if search.trials:
            console.print(
                f'{len(search.trials)} trainings are known from {search.record}.', highlight=False, soft_wrap=True
            )
        with CalibrationView(console, goal, args.iterations, search.trials) as view:
            chosen = search.run(lambda cfg: build_runner(cfg, checkpoint=cfg.get('load_from'), strict=False), view)
    note = f'lambda {chosen.lambda_:g} has a share of {chosen.share:.3f} (wanted {goal.share:g}): {command}'
    out.write_text(override_text(cfg, chosen.lambda_, base, out, options, note))
    console.print(
        f'lambda {chosen.lambda_:g}: share {chosen.share:.3f}; wrote {out} and {search.record}',
        highlight=False,
        soft_wrap=True,
    )
    return 0

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
from sssd.checks.weights import require_weights
from sssd.cli._config import load_config, require_file
from sssd.cli._parser import parse
from sssd.cli._runner import build_runner, missing_files_explained, report_data
from sssd.errors import UserError
from sssd.places import find_config

#: How every config begins that a calibration wrote.
NOTE = '# lambda '


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """The arguments of ``sssd calibrate``."""
    return parse('calibrate', argv)


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
    require_weights(cfg, args.config)
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

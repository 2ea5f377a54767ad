"""Command: find the lambdas that give the losses beside the supervised one a wanted weight."""

import argparse
import os
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from sssd import provenance
from sssd.calibration.measure import Calibration, write_record
from sssd.calibration.override import override_text
from sssd.calibration.plan import WEIGHTS, Plan, plan_of
from sssd.calibration.ratios import as_record, measure_ratios
from sssd.calibration.search import Goal, Trial
from sssd.calibration.view import CalibrationView, measuring, ratio_table
from sssd.checkpoints.loading import trusting
from sssd.checks.weights import require_weights
from sssd.cli._config import load_config, require_file
from sssd.cli._parser import parse
from sssd.cli._runner import build_runner, missing_files_explained, report_data
from sssd.cli._subject import check_numbers
from sssd.errors import UserError
from sssd.places import find_config
from sssd.progress import say

#: How every config begins that a calibration wrote.
NOTE = '# lambda'


def place_of(args: argparse.Namespace, work_dir: str) -> Path:
    """Where the config is written.

    Raises:
        UserError: If that is no Python file, the config itself, or any file that is not from a calibration.
    """
    # beside the work directory: in it, there would be two configs
    out = Path(args.out or f'{os.path.normpath(work_dir)}_calibrated.py')
    if out.suffix != '.py':
        raise UserError(f'--out {out} has to end in .py: a config is written.')
    if out.resolve() == Path(find_config(args.config)).resolve():
        raise UserError(f'--out {out} is the config itself: name another file.')
    if out.exists() and not out.read_text(errors='replace').startswith(NOTE):
        raise UserError(f'--out {out} is there already and was not written by a calibration: name another file.')
    return out


def main(argv: Sequence[str] | None = None) -> int:
    """Calibrate; returns the exit status."""
    args = parse('calibrate', argv)
    check_numbers(args)
    goal = Goal(Goal.share if args.share is None else args.share, args.tolerance, args.low, args.high)
    cfg = load_config(args)
    plan = plan_of(cfg, args.share is not None, args.ratio, {name: getattr(args, f'{name}_ratio') for name in WEIGHTS})
    args.out, options = place_of(args, cfg.work_dir), list(args.cfg_options or {})
    require_file(cfg.get('load_from'), 'checkpoint')
    require_weights(cfg, args.config)
    args.seed = args.seed if args.seed is not None else (cfg.get('randomness') or {}).get('seed') or 0
    args.command = shlex.join(['python', '-m', 'sssd', 'calibrate', *(sys.argv[2:] if argv is None else argv)])
    base, console = find_config(args.config), Console()
    # what cannot be written is told before training
    override_text(cfg, dict.fromkeys(plan.lambdas, 1.0), base, args.out, options)
    lambdas, said, records = {}, [], []
    with trusting(args.trust_checkpoint), missing_files_explained(args.config):
        report_data(cfg, ('train',))
        if plan.share:
            chosen, record = by_share(args, cfg, goal, console)
            lambdas[WEIGHTS['guide']] = chosen.lambda_
            said.append(f'lambda {chosen.lambda_:g} has a share of {chosen.share:.3f} (wanted {goal.share:g})')
            records.append(record)
        if plan.wanted:
            rows, record = by_gradients(args, cfg, plan, lambdas.get(WEIGHTS['guide']), console)
            found = {WEIGHTS[row['branch']]: row for row in rows if 'lambda' in row}
            lambdas.update({name: row['lambda'] for name, row in found.items()})
            said += [
                f'{name} {row["lambda"]:g} has a gradient ratio of {row["wanted"]:g}' for name, row in found.items()
            ]
            records.append(record)
    text = ', '.join(said)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text(override_text(cfg, lambdas, base, args.out, options, f'{text}: {args.command}'))
    say(console, f'{text}; wrote {args.out} and {" and ".join(map(str, records))}')
    return 0


def build(cfg):
    """The Runner of a training that is calibrated."""
    return build_runner(cfg, checkpoint=cfg.get('load_from'), strict=False)


def by_share(args: argparse.Namespace, cfg, goal: Goal, console: Console) -> tuple[Trial, Path]:
    """The trial with the wanted share, and the search's record."""
    about = dict(config=args.config, command=args.command)
    search = Calibration(cfg, goal, args.iterations, args.seed, args.out.with_suffix('.json'), about)
    if search.trials:
        say(console, f'{len(search.trials)} trainings are known from {search.record}.')
    with CalibrationView(console, goal, args.iterations, search.trials) as view:
        return search.run(build, view), search.record


def by_gradients(
    args: argparse.Namespace, cfg, plan: Plan, lambda_: float | None, console: Console
) -> tuple[list[dict], Path]:
    """What was measured of every branch's gradient, with the lambda of those that were asked for, and its record."""
    start = args.start_iterations
    if start is None:
        start = 0 if cfg.get('load_from') else 200
    began, weights = provenance.now(), plan.measured_with(lambda_)
    with measuring(console, start, args.batches) as tell:
        found = measure_ratios(cfg, weights, start, args.batches, args.seed, build=build, tell=tell)
    console.print(ratio_table(found, plan.wanted).to_rich())
    rows, record = as_record(found, plan.wanted), args.out.with_suffix('.gradients.json')
    about = dict(config=args.config, command=args.command, start_iterations=start, batches=args.batches, seed=args.seed)
    about |= {**provenance.commit(), 'started': began, 'machine': provenance.machine()}
    write_record(record, {**about, 'versions': provenance.versions(), 'branches': rows})
    return rows, record

"""Does a training that is killed end where it would have ended?  Trainings killed at random, resumed, and compared.

Each case is a training of a tiny detector without a seed in its config, with random augmentation and sampling, that
SIGKILL ends with its workers; it is called again with --resume until it is through.  Then one with the seed that it
had drawn trains in one go.  Equal means bit by bit: all weights (of student and teacher), the optimizer's state, the
schedulers', and every value that was logged after each iteration of the resumed part, but for times.

moment      killed at a random time
save        before the new checkpoint is on the disk, before it has its name, or before the old one goes
validation  in a random batch of a validation

Controls, which must differ: resumed with sssd's exact resume switched off, and in one go with another seed.

    make campaign
    python benchmarks/reliability_campaign.py --number 20 --seed 1
"""

import argparse
import collections
import contextlib
import gc
import importlib.util
import itertools
import json
import os
import random
import shlex
import signal
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import mmdet.evaluation  # noqa: F401  (loaded once: trainings are forked)
import mmdet.models  # noqa: F401
import mmdet.visualization  # noqa: F401
import torch
import torch._dynamo  # noqa: F401
from mmengine.config import Config
from mmengine.runner import ValLoop, runner

from sssd import provenance
from sssd.checkpoints import keeping, saving
from sssd.cli import train
from sssd.errors import UserError, run_cli
from sssd.progress import tracked

ROOT = Path(__file__).resolve().parents[1]
ITERATIONS = 6
KINDS = ('moment', 'moment', 'moment', 'save', 'validation')
#: In place of what the tests' configs have of evaluation.
NONE = ('val_cfg = val_dataloader = val_evaluator = None\n', 'test_cfg = test_dataloader = test_evaluator = None\n')
VALIDATED = """
train_cfg['val_interval'] = 2
val_dataloader, val_evaluator, val_cfg = test_dataloader, test_evaluator, dict(type='ValLoop')
default_hooks['logger']['log_metric_by_epoch'] = False
"""
#: What is logged of an iteration and is no part of its course.
TIMES = ('time', 'data_time', 'memory')


@dataclass(frozen=True)
class Case:
    """One training and how it is killed."""

    name: str
    workers: int
    kind: str


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--number', type=int, default=100, help='of cases (default: %(default)s)')
    parser.add_argument('--seed', type=int, default=0, help='of the moments (default: %(default)s)')
    parser.add_argument(
        '--only', nargs='+', choices=('sed', 'sssd', 'both', 'faster_rcnn', 'faster_rcnn_sed'), help='these trainings'
    )
    parser.add_argument('--note', default='', help='what else is to be known, such as other work on the machine')
    parser.add_argument(
        '--out', default='benchmarks/results/reliability_campaign.json', help='result file (default: %(default)s)'
    )
    return parser.parse_args(argv)


def helper(path: str):
    """A module of the tests, by its file."""
    spec = importlib.util.spec_from_file_location(path.replace('/', '_').removesuffix('.py'), ROOT / 'tests' / path)
    sys.path.append(str(ROOT / 'tests/helpers'))
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Trainings:
    """Trains cases in a folder, each in a process that is forked from this one, which has all loaded."""

    def __init__(self, folder: Path, draw: random.Random) -> None:
        self.folder, self.draw, self.numbers = folder, draw, itertools.count()
        self.runs, self.write_job = helper('helpers/random_runs.py'), helper('cli/conftest.py').write_job
        self.coco = helper('conftest.py').write_tiny_coco(folder / 'coco')

    def job(self, case: Case):
        """A config of a case and a work directory that is not there yet."""
        extra = self.runs.extra(case.name, case.workers)
        if case.kind == 'validation':
            extra = extra.replace(NONE[0], '').replace(NONE[1], '') + VALIDATED
        extra += f"default_hooks['checkpoint'].update(interval={self.draw.choice((1, 2))}, max_keep_ckpts=1)\n"
        return self.write_job(self.folder / f'job{next(self.numbers)}', self.coco, extra=extra)

    def run(self, job, *words: str, kill=None, exact: bool = True) -> int:
        """Train; the status with which the process ended, -9 after SIGKILL.

        Args:
            job: Config and work directory.
            words: Words after the config.
            kill: Called in the process before it trains, or, with its id and work directory, in this one: kills it.
            exact: False leaves out what makes a resume exact.
        """
        child = os.fork()
        if child == 0:
            try:
                os.setsid()
                out = os.open(job.config.with_suffix('.out'), os.O_WRONLY | os.O_CREAT | os.O_APPEND)
                os.dup2(out, 1), os.dup2(out, 2)
                prepare(exact)
                if isinstance(kill, Inside):
                    kill()
                words = [str(job.config), '--work-dir', str(job.work_dir), *words]
                os._exit(run_cli(train.main, words))
            except BaseException:
                import traceback

                traceback.print_exc()
                os._exit(99)
        if kill is not None and not isinstance(kill, Inside):
            kill(child, job.work_dir)
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def prepare(exact: bool) -> None:
    """In a training's process: leave out what a Runner does for its log alone; and, for a control, exact resume."""
    Config.pretty_text, runner.collect_env = '', dict
    os.environ['LOCAL_RANK'] = '0'
    if not exact:
        train.make_exact, train.keep_seed = (lambda *args: None), (lambda *args: None)


class Moment:
    """Kills a training from outside, some time after it has logged some iterations."""

    def __init__(self, draw: random.Random) -> None:
        self.lines, self.wait = draw.randrange(ITERATIONS), draw.uniform(0, 0.4)

    def __call__(self, child: int, work_dir: Path) -> None:
        """Wait for the moment, then kill the process with its workers."""
        end = os.pidfd_open(child)
        try:
            while len(rows(work_dir)) < self.lines and not ended(end):
                time.sleep(0.005)
            time.sleep(self.wait)
            with contextlib.suppress(ProcessLookupError):  # it is through, or not yet a group of its own
                os.killpg(child, signal.SIGKILL)
        finally:
            os.close(end)


def ended(pidfd: int) -> bool:
    """Whether a process has ended."""
    return os.waitid(os.P_PIDFD, pidfd, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


class Inside:
    """Has a training kill itself, with its workers, where it is about to do something for the n-th time."""

    def __init__(self, kind: str, draw: random.Random) -> None:
        places = [(saving.os, 'fsync'), (saving.os, 'replace'), (keeping, 'write_file')]
        self.owner, self.name = draw.choice(places) if kind == 'save' else (ValLoop, 'run_iter')
        # A save is two fsyncs for the file and two for the hint; a validation has six batches.
        self.count = draw.randint(1, {'fsync': 12, 'replace': 6, 'write_file': 3, 'run_iter': 18}[self.name])

    def __call__(self) -> None:
        """Put it in place, in the process that is to be killed."""
        original, count = getattr(self.owner, self.name), itertools.count(1)

        def counted(*args, **kwargs):
            if next(count) == self.count:
                os.killpg(0, signal.SIGKILL)
            return original(*args, **kwargs)

        setattr(self.owner, self.name, counted)


def rows(work_dir: Path) -> list[dict]:
    """What was logged of iterations in a work directory, the oldest first; a line that is cut off is left out."""
    found = []
    for path in sorted(work_dir.glob('*/vis_data/scalars.json')):
        for line in path.read_text().splitlines():
            with contextlib.suppress(json.JSONDecodeError):
                found.append(json.loads(line))
    return [row for row in found if 'loss' in row]


def losses(work_dir: Path) -> dict[int, dict]:
    """What was logged of each iteration, times left out; of one that was trained twice what came last."""
    return {row['iter']: {key: value for key, value in row.items() if key not in TIMES} for row in rows(work_dir)}


def end_of(job) -> dict:
    """The last checkpoint of a training."""
    return torch.load(job.work_dir / f'iter_{ITERATIONS}.pth', weights_only=False)


def same(one, other) -> bool:
    """Whether two values are equal, tensors bit by bit and NaN in the same places."""
    if isinstance(one, torch.Tensor):
        return (
            isinstance(other, torch.Tensor)
            and one.dtype == other.dtype
            and one.numpy().tobytes() == (other.numpy().tobytes())
        )
    if isinstance(one, Mapping):
        return one.keys() == other.keys() and all(same(value, other[key]) for key, value in one.items())
    if isinstance(one, (list, tuple)):
        return len(one) == len(other) and all(map(same, one, other))
    return one == other


def differences(one, other) -> list[str]:
    """Parts in which two finished trainings differ."""
    first, second = end_of(one), end_of(other)
    parts = [part for part in ('state_dict', 'optimizer', 'param_schedulers') if not same(first[part], second[part])]
    return parts + ['losses'] * (losses(one.work_dir) != losses(other.work_dir))


def killed_and_resumed(trainings: Trainings, case: Case, exact: bool = True):
    """Train a case with one kill; the job, and the iteration from which it went on."""
    while True:
        job = trainings.job(case)
        kill = Moment(trainings.draw) if case.kind == 'moment' else Inside(case.kind, trainings.draw)
        if trainings.run(job, kill=kill) == -signal.SIGKILL:  # else it was through before
            break
    status = trainings.run(job, '--resume', exact=exact)
    if status:
        raise UserError(f'{case} ended with status {status} on resume:\n{job.config.with_suffix(".out").read_text()}')
    logs = sorted(job.work_dir.glob('*/vis_data/scalars.json'))
    last = [json.loads(line) for line in logs[-1].read_text().splitlines()]
    return job, min((row['iter'] for row in last if 'loss' in row), default=ITERATIONS + 1) - 1


def compared(trainings: Trainings, case: Case, exact: bool = True, shift: int = 0) -> dict:
    """One case: how it was killed, from where it went on, and in what it differs from a training in one go."""
    began = time.monotonic()
    job, went_on = killed_and_resumed(trainings, case, exact)
    whole = trainings.write_job(job.config.parent / 'whole', trainings.coco)
    whole.config.write_text(job.config.read_text())
    seed = end_of(job)['meta']['seed'] + shift
    if trainings.run(whole, '--cfg-options', f'randomness.seed={seed}'):
        raise UserError(f'{case} does not train: {whole.config.with_suffix(".out").read_text()}')
    found = differences(job, whole)
    took = round(time.monotonic() - began, 2)
    return dict(vars(case), resumed_from=went_on, differs=found, seconds=took)


def controls(trainings: Trainings, names: Sequence[str]) -> list[dict]:
    """What must differ: resumed with exact resume off, after at least one iteration; another seed."""
    found = []
    for name in names:
        case = Case(name, 2, 'moment')
        found.append(dict(compared(trainings, case, shift=1), control='another seed'))
        for _ in range(20):
            off = dict(compared(trainings, case, exact=False), control='exact resume off')
            if 0 < off['resumed_from'] < ITERATIONS:
                break
        found.append(off)
    return found


def cases_of(names: Sequence[str], number: int, draw: random.Random) -> list[Case]:
    """So many cases, all combinations as often as can be."""
    every = [Case(*words) for words in itertools.product(names, (0, 2), KINDS)]
    found = []
    while len(found) < number:
        found += draw.sample(every, len(every))
    return found[:number]


def counts(results: Sequence[Mapping], key: str) -> dict:
    """How many of the results with each value of a key are equal: ``'20 of 20'``."""
    groups = collections.defaultdict(list)
    for result in results:
        groups[str(result[key])].append(not result['differs'])
    return {value: f'{sum(group)} of {len(group)}' for value, group in sorted(groups.items())}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the campaign, print and write what came of it; 1 if a case differs or a control does not."""
    args = parse_args(argv)
    if args.number < 1:
        raise UserError(f'--number is {args.number}, but a campaign needs at least 1.')
    torch.set_num_threads(1)
    gc.collect()
    gc.freeze()
    draw = random.Random(args.seed)
    with tempfile.TemporaryDirectory(prefix='campaign') as folder:
        trainings = Trainings(Path(folder), draw)
        names = args.only or list(trainings.runs.RUNS)
        cases = cases_of(names, args.number, draw)
        results = [compared(trainings, case) for case in tracked(cases, 'killed and resumed', len(cases))]
        against = controls(trainings, names)
    equal = sum(not result['differs'] for result in results)
    different = sum(bool(control['differs']) for control in against)
    content = dict(
        command=shlex.join(['python', 'benchmarks/reliability_campaign.py', *(sys.argv[1:] if argv is None else argv)]),
        written=provenance.now(),
        **provenance.commit(),
        machine=provenance.machine(),
        versions=provenance.versions(),
        note=args.note,
        seed=args.seed,
        number=args.number,
        equal=equal,
        controls=len(against),
        controls_that_differ=different,
        by={key: counts(results, key) for key in ('name', 'workers', 'kind', 'resumed_from')},
        cases=results,
        control_cases=against,
    )
    Path(args.out).parent.mkdir(parents=True, exist_ok=True)
    Path(args.out).write_text(json.dumps(content, indent=1) + '\n')
    print(f'{equal} of {args.number} end bit by bit as in one go; {different} of {len(against)} controls differ')
    return int(equal < args.number or different < len(against))


if __name__ == '__main__':
    sys.exit(run_cli(main))

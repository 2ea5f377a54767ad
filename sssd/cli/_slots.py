"""From command-line arguments to where the runs of a study run; what is said before they do."""

import argparse
import shlex
import sys
from collections.abc import Sequence

from rich.console import Console

from sssd.cli._loggers import require_logger
from sssd.errors import UserError
from sssd.progress import say
from sssd.studies.cluster import MINUTES, cluster_slots, require_submitit
from sssd.studies.hours import Reckoning, reckon
from sssd.studies.job import UNKNOWN, Job
from sssd.studies.runner import StudyRunner
from sssd.studies.slots import GPUS, Slot, launched, local_slots, visible_gpus

#: Jobs that are sent to a cluster at once, unless --jobs says otherwise.
AT_ONCE = 100


def slots_of(args: argparse.Namespace) -> list:
    """Where the runs run.

    Raises:
        UserError: If the machine has not enough GPUs, or an argument needs ``--cluster``.
    """
    if args.cluster is not None:
        if not args.dry_run:
            require_submitit()
        jobs = AT_ONCE if args.jobs is None and args.cluster == 'slurm' else args.jobs or 1
        return cluster_slots(args.cluster, jobs, args.gpus_per_run, args.partition, args.cluster_options or {})
    for key in ('partition', 'cluster_options'):
        if getattr(args, key):
            raise UserError(f'--{key.replace("_", "-")} is for a cluster: add --cluster slurm, or leave it out.')
    if args.dry_run and args.gpus_per_run and not visible_gpus():  # a plan for another machine
        return [Slot(args.gpus_per_run, {GPUS: '...'})] * (args.jobs or 1)
    return local_slots(args.jobs, args.gpus_per_run)


def flags_of(args: argparse.Namespace) -> list[str]:
    """More arguments of every training.

    Raises:
        UserError: If the package of the logger is not installed.
    """
    require_logger(args.logger)
    return [] if args.logger is None else ['--logger', args.logger]


def tell(
    runner: StudyRunner, args: argparse.Namespace, seeds: Sequence[int] | None, runs: Sequence[str] | None
) -> bool:
    """Say what the runs to do will take, where several run at once; all of them with ``--dry-run``.

    Returns:
        Whether that was all that was asked for.
    """
    if not (args.dry_run or len(runner.slots) > 1 or args.cluster or args.gpus_per_run):
        return False
    jobs = runner.jobs(seeds, runs)
    if not jobs and not args.dry_run:
        return False
    runner.learn(seeds, runs)
    gpus = gpus_of(runner, args)
    found = reckon(jobs, runner.reporter.forecast, gpus, min(len(runner.slots), max(1, len(jobs))), args.image_seconds)
    console = runner.reporter.console
    if args.dry_run:
        show(console, runner, found)
    say(console, found.sentence)
    return args.dry_run


def gpus_of(runner: StudyRunner, args: argparse.Namespace) -> int:
    """GPUs of a run, 0 where there is none."""
    slot = runner.slots[0]
    if args.cluster is not None:
        return slot.parameters.get('gpus_per_node', 0)
    return slot.processes if args.gpus_per_run or visible_gpus() else 0


def show(console: Console, runner: StudyRunner, found: Reckoning) -> None:
    """Print every run with its command and its hours, and what a cluster is told."""
    for job, (title, hours) in zip(found.jobs, found.lines()):
        trains = not job.is_finished()
        say(console, f'{title}: {hours}' if trains else f'{title}: trained already')
        if job.has_other():
            say(console, f'  what {job.work_dir} holds is specified otherwise, and is moved away')
        say(console, f'  {command_of(runner, job)}' if trains else f'  {left_of(runner, job)}')
    parameters = getattr(runner.slots[0], 'parameters', None)
    if parameters is not None:
        told = ', '.join(f'{key}={value}' for key, value in parameters.items())
        say(console, f'each is a job with {told}')
        if parameters.get('time', MINUTES) == MINUTES:
            say(console, 'a job whose time is up saves, is queued again and goes on')


def left_of(runner: StudyRunner, job: Job) -> str:
    """What there is to do for a run that is trained, in words."""
    entry = runner.results.find(job.run.name, job.seed)
    held = entry if job.is_held(entry) else None
    tests = [trial.name for trial in job.untested(held or {})]
    words = [*['its results are read from its folder'] * (held is None), *[f'it is tested ({name})' for name in tests]]
    return ', '.join(words)


def command_of(runner: StudyRunner, job: Job) -> str:
    """The command of a training, as it would be typed."""
    resume = job.resume_point()
    arguments = job.arguments(None if resume is None else resume[1], UNKNOWN)
    python, *command = runner.train_command
    command = ['python' if python == sys.executable else python, *command]
    words = launched([*command, *arguments, *runner.flags], job.processes)
    variables = {**getattr(runner.slots[0], 'environment', {}), **job.run.environment_for(job.seed)}
    return ' '.join([*(f'{key}={shlex.quote(value)}' for key, value in variables.items()), shlex.join(words)])

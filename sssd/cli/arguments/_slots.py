"""Arguments of the commands that run several trainings."""

import argparse

from sssd.cli.arguments._shared import LOGGERS, CfgOptions


def add_slot_arguments(parser: argparse.ArgumentParser) -> None:
    """Where the runs run, and how they are told of before they do."""
    group = parser.add_argument_group('several runs at once')
    group.add_argument(
        '--jobs',
        type=int,
        metavar='N',
        help='runs at once: each has GPUs for itself, or without GPUs its part of the cores (default: 1, or as many as '
        '--gpus-per-run leaves room for; on Slurm 100)',
    )
    group.add_argument(
        '--gpus-per-run',
        type=int,
        metavar='N',
        help='GPUs of each run, one process each; the total batch grows with it',
    )
    group.add_argument(
        '--cluster',
        choices=('slurm', 'local'),
        help='send each run as a job to Slurm, through submitit; local: the same on this machine, to try it',
    )
    group.add_argument('--partition', help='partition of Slurm')
    group.add_argument(
        '--cluster-options',
        nargs='+',
        action=CfgOptions,
        metavar='KEY=VALUE',
        help="more of what submitit's executor takes for a job, such as time=2880 (minutes; default 1440) account=NAME "
        'cpus_per_task=40 mem=200GB constraint=NAME',
    )
    group.add_argument(
        '--dry-run', action='store_true', help='only say which runs would be run, by which commands, and the GPU hours'
    )
    group.add_argument(
        '--image-seconds',
        type=float,
        metavar='S',
        help='reckon the GPU hours from so many seconds for a labelled image in training on one GPU (default: from '
        'what runs of the study took, else from a published number)',
    )
    group.add_argument('--logger', choices=LOGGERS, help='passed to every training: also log to TensorBoard, ...')

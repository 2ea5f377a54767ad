"""What ``sssd study`` takes."""

import argparse

from sssd.cli.arguments._shared import add_cfg_options
from sssd.cli.arguments._slots import add_slot_arguments

HELP = 'run a set of configs and collect their results'
DESCRIPTION = (
    'Run every run of a study with every seed. What the results file holds already is skipped, and what was '
    'interrupted goes on from its last checkpoint.'
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add them."""
    parser.add_argument('spec', help="the study's specification, a config")
    parser.add_argument('--seeds', type=int, nargs='+', help='only these')
    parser.add_argument('--runs', nargs='+', help='only the runs so named')
    parser.add_argument('--results', help='results file (default: results.json in the work directory)')
    parser.add_argument('--work-dir', help='default: work_dirs/studies/<name>')
    parser.add_argument('--table', action='store_true', help='only print the results file')
    parser.add_argument('--markdown', action='store_true', help='the same in Markdown')
    parser.add_argument(
        '--quick', action='store_true', help="with the specification's quick options: checks that all works"
    )
    parser.add_argument(
        '--sweep',
        action='append',
        default=[],
        metavar='[RUN:]KEY=A,B,...',
        help='train a run once with each value of a config key, in its place; without RUN every run that has '
        'unlabelled images; given several times, a grid',
    )
    add_cfg_options(parser, 'config options for every run')
    add_slot_arguments(parser)

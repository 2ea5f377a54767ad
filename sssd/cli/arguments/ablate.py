"""What ``sssd ablate`` takes."""

import argparse

from sssd.cli.arguments._shared import add_cfg_options
from sssd.cli.arguments._slots import add_slot_arguments

HELP = 'train a table of the SED paper, published numbers beside ours'
DESCRIPTION = (
    'Train the rows of a table of the SED paper at a budget of choice on a data set of choice, from one supervised '
    'start, and show ours beside the published numbers. A second call goes on; a run that several tables share is '
    'trained once.'
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add them."""
    parser.add_argument('table', help='table4, table6, table7, table8, table9 or table10')
    parser.add_argument(
        '--data',
        default='toy',
        help='toy (the embedded data set; default), bccd or coco; or the path of a study with runs named sed and few',
    )
    parser.add_argument(
        '--iters',
        type=int,
        help='iterations of every run, the schedule in proportion, one evaluation '
        'at the end (default: as the configs say)',
    )
    parser.add_argument('--start-iters', type=int, help='iterations of the shared supervised start')
    parser.add_argument('--seeds', type=int, nargs='+', help="only these (default: those of the data set's study)")
    parser.add_argument('--only', nargs='+', metavar='ROW', help='only these rows, by the names of their runs')
    parser.add_argument('--amp', action='store_true', help='mixed precision in bfloat16, on CPUs too')
    parser.add_argument('--quick', action='store_true', help="with the study's quick options: checks that all works")
    add_cfg_options(parser, 'config options for every run, the start included')
    parser.add_argument('--out', help='results file (default: ablation_TABLE_DATA.json in the work directory)')
    parser.add_argument('--work-dir', help='default: work_dirs/ablations/DATA, shared by the tables')
    parser.add_argument('--table', action='store_true', dest='show', help='only show the results file')
    parser.add_argument('--markdown', action='store_true', help='the same in Markdown')
    add_slot_arguments(parser)

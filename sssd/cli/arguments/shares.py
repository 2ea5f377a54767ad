"""What ``sssd shares`` takes."""

import argparse

HELP = 'table the share of the distance over the phases of a run'
DESCRIPTION = (
    'Mean share of lambda L_distill in the loss, for each stretch of a run between two changes of lambda (SSSD, Table '
    '3), from what the run logged.'
)
NEEDS_STACK = False


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add them."""
    parser.add_argument('work_dirs', nargs='+', metavar='WORK_DIR', help='work directory of a run')
    parser.add_argument('--markdown', action='store_true', help='the table in Markdown')

"""What ``sssd recipe`` takes."""

import argparse

HELP = 'learning rate, iterations and batch of a config for the GPUs at hand'
DESCRIPTION = (
    'What to change in a config for the GPUs at hand, by the rule of docs/distributed.md. The memory is an estimate, '
    'counted on the CPU.'
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add them."""
    parser.add_argument('config', nargs='+', help='config file; several give one table of the memory that each needs')
    parser.add_argument('--gpus', type=int, help='number of GPUs; without it a table over 1, 2, 4, 8 is printed')
    parser.add_argument('--memory', type=float, metavar='GB', help='memory of one GPU; likewise 11, 24, 80')
    parser.add_argument('--markdown', action='store_true', help='the table in Markdown')

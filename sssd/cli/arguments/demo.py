"""What ``sssd demo`` takes."""

import argparse

HELP = 'train and compare on a toy data set, on the CPU'
DESCRIPTION = (
    'Train a supervised baseline and SED from the same start, on the same labelled images of a toy data set and for '
    'the same number of iterations; no label shows a large object. A second call shows what the first one made.'
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add them."""
    parser.add_argument('--quick', action='store_true', help='a few iterations only: checks that all works')
    parser.add_argument('--work-dir', help='default: work_dirs/demo, or work_dirs/demo_quick')
    parser.add_argument('--fresh', action='store_true', help='remove what is there and train')

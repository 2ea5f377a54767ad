"""What ``sssd contact-sheet`` takes."""

import argparse

HELP = 'show ground truth and the detections of some runs side by side'
DESCRIPTION = 'Show ground truth and detections side by side.'


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add them."""
    parser.add_argument('runs', nargs='+', metavar='NAME=WORK_DIR', help="a column's title and a run's work directory")
    parser.add_argument('--out', default='contact_sheet.png', help='the PNG to write')
    parser.add_argument('--num-images', type=int, default=6, help='default: %(default)s')
    parser.add_argument('--seed', type=int, default=0, help='chooses the images')
    parser.add_argument('--score-thr', type=float, default=0.3, help='default: %(default)s')
    parser.add_argument('--device', default='cpu', help='default: %(default)s')

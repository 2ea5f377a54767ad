"""What ``sssd doctor`` takes."""

import argparse

from sssd.cli.arguments._shared import add_cfg_options

HELP = 'tell all that is wrong with the data of a config'
DESCRIPTION = (
    'Look at all data that a config names, every annotation and the header of every image, and report what is wrong '
    '(errors), what is probably a mistake (warnings) and what is good to know (notes). Exit status: 0; 1 if there is '
    'an error; 2 if the config cannot be read.'
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add them."""
    parser.add_argument('config', help='config file')
    parser.add_argument('--json', action='store_true', help='print the report as JSON')
    parser.add_argument(
        '--decode', action='store_true', help='decode every image as well, in parallel, and look for near-duplicates'
    )
    parser.add_argument(
        '--workers', type=int, metavar='N', help='processes that decode (default: as many as there are cores)'
    )
    parser.add_argument(
        '--timeout',
        type=float,
        default=30.0,
        metavar='SECONDS',
        help='an image that takes longer to decode is reported (default: %(default)g)',
    )
    add_cfg_options(parser)

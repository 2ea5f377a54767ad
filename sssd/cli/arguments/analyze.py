"""What ``sssd analyze`` takes, for each of its analyses."""

import argparse

from sssd.cli.arguments._shared import add_data_arguments, add_detector_arguments

HELP = 'the analyses of the SED paper: score distances, pseudo-labels, object sizes, gradients'
DESCRIPTION = 'Analyses of the SED paper; docs/analysis.md.'
MEASURES = ('objectness', 'g')


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the analyses with theirs."""
    parser.set_defaults(work_dir=None, launcher='none', local_rank=0)
    commands = parser.add_subparsers(dest='what', required=True, metavar='WHAT')

    def add(name: str, text: str, detector: bool = True) -> argparse.ArgumentParser:
        """One analysis with the arguments that all have."""
        sub = commands.add_parser(name, help=text, description=text)
        sub.add_argument('config', help='config file')
        if detector:
            add_detector_arguments(sub)
        add_data_arguments(sub)
        sub.add_argument('--out', default='analysis', metavar='FOLDER', help='default: %(default)s')
        sub.add_argument('--name', help='of the two files in it (default: that of the analysis)')
        return sub

    sub = add('score-distance', 'score distance between sizes, foreground and background (Fig. 2b)')
    add_shift(sub)
    sub.add_argument('--measure', choices=MEASURES, default='objectness', help='default: %(default)s')
    sub.add_argument('--bins', type=int, default=20, help='default: %(default)s')
    sub = add('pseudo-labels', 'recall and precision of pseudo-labels against the threshold (Fig. 2c)')
    sub.add_argument(
        '--sizes',
        type=float,
        nargs='+',
        default=[],
        metavar='FACTOR',
        help='further sizes at which the teacher looks, as those of pseudo_labels in SED, such as 0.75 1.33',
    )
    sub.add_argument('--no-mirror', action='store_true', help='the further looks are not at mirror images')
    sub = add('gradients', 'gradient per bin of g under each re-weighting (Fig. 4)')
    add_shift(sub)
    sub.add_argument('--bins', type=int, default=30, help='M of Eq. 5 (default: %(default)s)')
    sub = add(
        'object-sizes',
        detector=False,
        text='sizes of objects, and those that label assignment allows for each s (Fig. 2a, 5)',
    )
    sub.add_argument('--max-shift', type=int, default=4, help='largest s (default: %(default)s)')
    sub.add_argument(
        '--scale',
        type=int,
        nargs=2,
        metavar=('WIDTH', 'HEIGHT'),
        help='size to which images are resized, in place of that of the test pipeline',
    )
    sub.add_argument('--pos-iou', type=float, help="IoU of a foreground anchor, in place of the assigner's")
    sub.add_argument(
        '--low-quality',
        action='store_true',
        help='count objects that no anchor fits, where the assigner gives them their best one',
    )


def add_shift(parser: argparse.ArgumentParser) -> None:
    """How much smaller X^ is."""
    parser.add_argument('--shift', type=int, default=1, help='s: X^ is 1/2**s of X (default: %(default)s)')

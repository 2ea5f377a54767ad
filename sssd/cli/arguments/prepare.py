"""What ``sssd prepare`` takes, for each of its data sets."""

import argparse

HELP = 'check a data set of the SED paper on the disk and make its splits'
DESCRIPTION = (
    'Check a data set of the SED paper on the disk, say what is missing and where it belongs, and make its splits. '
    'Nothing is downloaded.'
)
#: To each data set its folder, and what is told of it.
DATA_SETS = {
    'coco': ('data/coco', 'COCO 2017; writes the folds of 1, 2, 5 and 10 %%'),
    'coco35k': ('data/coco', 'COCO 2014; writes minival and the 35k labelled images where they are missing'),
    'voc': ('data/VOCdevkit', 'VOC 2007 labelled, VOC 2012 unlabelled; nothing has to be written'),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the data sets with theirs."""
    sets = parser.add_subparsers(dest='name', required=True, metavar='DATA_SET')
    for name, (root, text) in DATA_SETS.items():
        one = sets.add_parser(name, help=text)
        one.add_argument('--root', default=root, help='folder of the data set (default: %(default)s)')
        one.add_argument('--check', action='store_true', help='look only, write nothing')
        one.add_argument(
            '--any-count',
            action='store_true',
            help='accept other numbers than the published ones, for a part of the data set',
        )
        one.add_argument('--archives', metavar='FOLDER', help='compare the MD5 of the archives there; takes minutes')
        if name == 'coco':
            one.add_argument(
                '--percent',
                type=float,
                nargs='+',
                default=[1, 2, 5, 10],
                metavar='P',
                help='labelled shares in percent (default: 1 2 5 10)',
            )
            one.add_argument('--folds', type=int, default=5, help='default: %(default)s')

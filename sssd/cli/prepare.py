"""Command: check a data set of the paper on the disk, say what is missing, and make its splits."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.progress import track

from sssd.datasets.archives import check_archives
from sssd.datasets.parts import Finding
from sssd.datasets.published import DATA_SETS, Published
from sssd.errors import UserError

HELP = {
    'coco': 'COCO 2017; writes the folds of 1, 2, 5 and 10 %%',
    'coco35k': 'COCO 2014; writes minival and the 35k labelled images where they are missing',
    'voc': 'VOC 2007 labelled, VOC 2012 unlabelled; nothing has to be written',
}


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """The arguments of ``python -m sssd prepare``."""
    parser = argparse.ArgumentParser(
        prog='sssd prepare',
        description='Check a data set of the SED paper on the disk, say what is missing and where '
        'it belongs, and make its splits. Nothing is downloaded.',
    )
    sets = parser.add_subparsers(dest='name', required=True, metavar='DATA_SET')
    for name, data_set in DATA_SETS.items():
        one = sets.add_parser(name, help=HELP[name])
        one.add_argument('--root', default=data_set.root, help='folder of the data set (default: %(default)s)')
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
    return parser.parse_args(argv)


def report(data_set: Published, findings: dict[str, Finding]) -> None:
    """Print one line a part: what is there and, where that is not right, what should be."""
    for part in data_set.parts:
        finding = findings[part.path]
        told = ': '.join(text for text in (finding.found, finding.problem) if text)
        if finding.problem:
            only = f'; for {part.rows} only' if part.rows else ''
            told += f' (published: {part.expected}, in {part.source}{only})'
        print(f'{part.path}: {told}')


def refuse(data_set: Published, root: Path, findings: dict[str, Finding]) -> None:
    """Refuse a data set with a part that everything needs and that is not right.

    Raises:
        UserError: Naming the parts and where to get them.
    """
    wrong = [part for part in data_set.parts if findings[part.path].problem and not part.rows]
    if not wrong:
        return
    note = ''.join(
        f' ({Path(part.path).name} is in no archive: prepare makes it from {part.made} when called without --check)'
        for part in wrong
        if part.made
    )
    told = ', '.join(f'{root / part.path} ({findings[part.path].problem})' for part in wrong)
    raise UserError(
        f'{told} come with {", ".join(dict.fromkeys(part.source for part in wrong))} of '
        f'{" and ".join(data_set.pages)}: unpack these so that the paths exist{note}, or '
        'accept a part of the data set by --any-count.'
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Look, tell, write; returns the exit status."""
    args = parse_args(argv)
    data_set, root = DATA_SETS[args.name], Path(args.root)
    written = []
    if not args.check:
        with Console().status('reading annotations'):
            written += data_set.make(root)
    findings = {
        part.path: part.look(root, exact=not args.any_count) for part in track(data_set.parts, description='looking')
    }
    report(data_set, findings)
    if args.archives is not None:
        same = check_archives(args.archives, data_set.md5)
        for name, is_same in same.items():
            print(f'{name}: {"MD5 as published" if is_same else "another MD5 than published"}')
        broken = [name for name, is_same in same.items() if not is_same]
        if broken:
            raise UserError(f'{", ".join(broken)} in {args.archives} differ from what was published; download again.')
    refuse(data_set, root, findings)
    if not args.check:
        written += data_set.split(root, getattr(args, 'percent', ()), getattr(args, 'folds', 0))
    for path in written:
        print(path)
    return 0

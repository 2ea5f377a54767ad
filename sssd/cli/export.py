"""Export a detector of a checkpoint as a folder that plain mmdet takes."""

import contextlib
import io
from collections.abc import Sequence

from sssd.checkpoints.loading import trusting
from sssd.cli._config import config_of, require_file
from sssd.cli._parser import parse
from sssd.deploy.export import export


def main(argv: Sequence[str] | None = None) -> int:
    """Write the folder; returns the exit status."""
    args = parse('export', argv)
    require_file(args.checkpoint, 'checkpoint')
    cfg = config_of(args.config) if args.config else None
    with trusting(args.trust_checkpoint), contextlib.redirect_stdout(io.StringIO()):
        choice = export(args.checkpoint, args.folder, cfg, args.part)
    print(f'took {choice.why}')
    print(f'wrote {args.folder}: model.pth, config.py, README.md, predict.py')
    return 0

"""Export a detector of a checkpoint as a folder that plain mmdet takes."""

import argparse
import contextlib
import io
from collections.abc import Sequence
from pathlib import Path

from sssd.checkpoints.files import newest_checkpoint
from sssd.checkpoints.loading import trusting
from sssd.cli._config import config_of, require_file
from sssd.cli._parser import parse
from sssd.deploy.export import FILES, export
from sssd.deploy.predict import load_exported
from sssd.deploy.to_onnx import GRAPH, GRAPH_SCRIPT, Difference, add_onnx, require_onnx
from sssd.errors import UserError


def main(argv: Sequence[str] | None = None) -> int:
    """Write the folder; returns the exit status."""
    args = parse('export', argv)
    if Path(args.checkpoint).is_dir():
        args.checkpoint = newest_of(args.checkpoint)
    require_file(args.checkpoint, 'checkpoint')
    cfg = config_of(args.config) if args.config else None
    if args.images and not args.onnx:
        raise UserError('--images are what --onnx is compared on: add --onnx, or leave them out.')
    if args.onnx:
        require_onnx()
    with trusting(args.trust_checkpoint), contextlib.redirect_stdout(io.StringIO()):
        choice = export(args.checkpoint, args.folder, cfg, args.part)
        difference = with_graph(args) if args.onnx else None
    print(f'took {choice.why}')
    if difference:
        print(f'ONNX and PyTorch find the same: {difference}')
    files = FILES + ((GRAPH, GRAPH_SCRIPT) if difference else ())
    print(f'wrote {args.folder}: {", ".join(files)}')
    return 0


def newest_of(work_dir: str) -> str:
    """The newest checkpoint of a work directory that can be read; it is told.

    Raises:
        UserError: If there is none.
    """
    found = newest_checkpoint(Path(work_dir), say=print)
    if found is None:
        raise UserError(
            f'{work_dir} has no checkpoint: name a checkpoint, or the work directory of a run that was trained.'
        )
    print(f'checkpoint: {found}')
    return str(found)


def with_graph(args: argparse.Namespace) -> Difference:
    """Add the ONNX graph to the folder that was just written; without it there is none."""
    try:
        return add_onnx(load_exported(args.folder), args.folder, args.images or ())
    except BaseException:
        for name in FILES:
            Path(args.folder, name).unlink(missing_ok=True)
        raise

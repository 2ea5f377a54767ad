"""Take the plain detector out of a checkpoint: teacher or student of a pair, or a detector without its guide."""

import os
from collections.abc import Sequence

from sssd.checkpoints.loading import read_checkpoint, trusting
from sssd.checkpoints.saving import write_checkpoint
from sssd.checks.checkpoint import weights_of
from sssd.cli._config import require_file
from sssd.cli._parser import parse
from sssd.deploy.parts import plain_part
from sssd.errors import UserError


def main(argv: Sequence[str] | None = None) -> int:
    """Write the file; returns the exit status."""
    args = parse('extract', argv)
    require_file(args.checkpoint, 'checkpoint')
    if os.path.exists(args.out):
        raise UserError(f'{args.out} exists: name another file for what is taken out, or remove it.')
    with trusting(args.trust_checkpoint):
        checkpoint = read_checkpoint(args.checkpoint)
    part, weights = plain_part(weights_of(checkpoint), args.part)
    if not weights:
        raise UserError(
            f'checkpoint {args.checkpoint} has no weights of a {part}: leave --part out if it is of a '
            'guided detector, and if it is of a plain one use it as it is.'
        )
    meta = {key: checkpoint['meta'][key] for key in ('dataset_meta',) if key in checkpoint.get('meta', {})}
    write_checkpoint(dict(meta=meta, state_dict=weights), args.out)
    print(f'wrote {args.out}: {len(weights)} tensors of the {part}')
    return 0

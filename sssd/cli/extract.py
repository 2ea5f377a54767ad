"""Take one detector, teacher or student, out of a checkpoint that holds both."""
import argparse
import os
from collections import OrderedDict
from typing import Optional, Sequence

import torch
from mmengine.runner import CheckpointLoader

from sssd.cli._checkpoint import weights_of
from sssd.cli._config import require_file
from sssd.errors import UserError


def parse_args(argv: Optional[Sequence[str]] = None) -> argparse.Namespace:
    """The arguments of ``python -m sssd extract``."""
    parser = argparse.ArgumentParser(
        prog='sssd extract', description='Write the weights of one part of a checkpoint, for a plain detector.')
    parser.add_argument('checkpoint', help='checkpoint of a student and a teacher')
    parser.add_argument('out', help='file to write')
    parser.add_argument('--part', choices=['teacher', 'student'], default='teacher')
    return parser.parse_args(argv)


def extract(weights: OrderedDict, part: str) -> OrderedDict:
    """The weights under ``part.``, their keys without it."""
    prefix = part + '.'
    return OrderedDict((key[len(prefix):], value) for key, value in weights.items() if key.startswith(prefix))


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Write the file; returns the exit status."""
    args = parse_args(argv)
    require_file(args.checkpoint, 'checkpoint')
    checkpoint = CheckpointLoader.load_checkpoint(args.checkpoint, map_location='cpu')
    weights = extract(weights_of(checkpoint), args.part)
    if not weights:
        raise UserError(f'checkpoint {args.checkpoint} has no weights of a {args.part}: it is not of a model with '
                        'a student and a teacher, so use it as it is.')
    meta = {key: checkpoint['meta'][key] for key in ('dataset_meta',) if key in checkpoint.get('meta', {})}
    os.makedirs(os.path.dirname(os.path.abspath(args.out)), exist_ok=True)
    torch.save(dict(meta=meta, state_dict=weights), args.out)
    print(f'wrote {args.out}: {len(weights)} tensors of the {args.part}')
    return 0

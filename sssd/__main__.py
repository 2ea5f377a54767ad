"""``python -m sssd <command>``: one thin command per module of ``sssd.cli``."""

import sys
from collections.abc import Sequence
from importlib import import_module

from sssd.errors import EXIT_USER_ERROR, run_cli
from sssd.places import BROUGHT

COMMANDS = {
    'init': 'write configs for your own labelled and unlabelled images',
    'train': 'train a detector from a config',
    'test': 'evaluate a checkpoint',
    'calibrate': 'find the lambda at which the distance has a wanted share of the loss',
    'shares': 'table the share of the distance over the phases of a run',
    'analyze': 'the analyses of the SED paper: score distances, pseudo-labels, object sizes, gradients',
    'views': "draw what training sees of unlabelled images: views, teacher's scores, paired cells",
    'extract': 'take the plain detector out of a checkpoint',
    'prepare': 'check a data set of the SED paper on the disk and make its splits',
    'split': 'split a COCO data set into labelled and unlabelled images',
    'features': 'get ImageNet features for the studies on photographs',
    'toy': 'draw the toy data set; nothing is downloaded',
    'recapture': 'write a data set as other cameras see it',
    'demo': 'train and compare on a toy data set, on the CPU',
    'recipe': 'learning rate, iterations and batch of a config for the GPUs at hand',
    'ablate': 'train a table of the SED paper, published numbers beside ours',
    'study': 'run a set of configs and collect their results',
}


def usage() -> str:
    """What the commands are, one per line."""
    lines = [f'  {name:9s} {text}' for name, text in COMMANDS.items()]
    return '\n'.join(
        [
            'usage: python -m sssd <command> [arguments]',
            '',
            *lines,
            '',
            'python -m sssd <command> --help lists the arguments of one. A config that is not in the present folder is',
            f'looked for among those that come with sssd; they and the launchers are in {BROUGHT}.',
        ]
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status."""
    argv = list(sys.argv[1:] if argv is None else argv)
    if not argv or argv[0] in ('-h', '--help'):
        print(usage())
        return 0 if argv else EXIT_USER_ERROR
    if argv[0] not in COMMANDS:
        print(f'sssd: error: there is no command {argv[0]!r}, only {", ".join(COMMANDS)}.', file=sys.stderr)
        return EXIT_USER_ERROR
    command = import_module(f'sssd.cli.{argv[0]}')
    return run_cli(command.main, argv[1:])


if __name__ == '__main__':
    sys.exit(main())

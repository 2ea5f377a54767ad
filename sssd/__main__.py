"""The command ``sssd``, which ``python -m sssd`` starts as well."""

import sys
from collections.abc import Sequence
from importlib import import_module

import sssd
from sssd.cli._parser import arguments_of, build_parser, module_of, require_command
from sssd.errors import EXIT_USER_ERROR, UserError, run_cli


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status."""
    return run_cli(run, list(sys.argv[1:] if argv is None else argv))


def run(argv: Sequence[str]) -> int | None:
    """Parse the words, which tells help and mistakes at once; then import what the command needs, and run it.

    The command parses its words again, as it does where ``tools/`` calls it.

    Raises:
        UserError: For a mistake that is told in one sentence; argparse's own end the process with status 2.
    """
    parser, commands = build_parser()
    if not argv:
        parser.print_help()
        return EXIT_USER_ERROR
    require_command(argv[0])
    if argv[0] not in commands:
        parser.parse_args(argv)  # --help, --version and the like end here
        parser.error('name a command first')
    commands[argv[0]].parse_args(argv[1:])
    name = f'sssd.cli.{module_of(argv[0])}'
    if getattr(arguments_of(argv[0]), 'NEEDS_STACK', True):
        from sssd.progress import waiting  # rich would be a third of a light start

        with waiting('loading torch and MMDetection'):
            prepare()
            import_module(name)
    return import_module(name).main(argv[1:])


def prepare() -> None:
    """Check the MM stack and register all that sssd has, which a light start has put off.

    Raises:
        UserError: If a part of the stack is missing or another one than it should be.
    """
    try:
        sssd.check_installation()
    except ImportError as error:
        raise UserError(str(error)) from error
    sssd.register_all_modules()


if __name__ == '__main__':
    sys.exit(main())

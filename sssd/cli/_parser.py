"""One parser for all commands. Nothing heavy is imported here: words are parsed first, what uses them comes later."""

import argparse
from collections.abc import Sequence
from difflib import get_close_matches
from importlib import import_module

from sssd import __version__
from sssd.errors import UserError
from sssd.places import BROUGHT

#: In the order of a user's way through them.
COMMANDS = (
    'init',
    'doctor',
    'train',
    'test',
    'calibrate',
    'shares',
    'report',
    'compare',
    'curves',
    'contact-sheet',
    'analyze',
    'views',
    'extract',
    'export',
    'predict',
    'prepare',
    'split',
    'features',
    'toy',
    'recapture',
    'demo',
    'recipe',
    'ablate',
    'study',
)
EPILOG = f"""\
`sssd COMMAND --help` lists the arguments of one; `python -m sssd` is the same as `sssd`. A config that is not in the
present folder is looked for among those that come with sssd; they and the launchers are in
{BROUGHT}.
"""


def module_of(command: str) -> str:
    """The name of the module of a command in ``sssd.cli``, and in ``sssd.cli.arguments``."""
    return command.replace('-', '_')


def arguments_of(command: str):
    """The module that says what a command takes."""
    return import_module(f'sssd.cli.arguments.{module_of(command)}')


def build_parser() -> tuple[argparse.ArgumentParser, dict[str, argparse.ArgumentParser]]:
    """The parser of ``sssd``, and those of its commands by their names."""
    parser = argparse.ArgumentParser(
        prog='sssd',
        description='Semi-supervised object detection (SED) and self-distillation from labels (SSSD) on MMDetection.',
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument('--version', action='version', version=f'%(prog)s {__version__}')
    parser.add_argument(
        '--print-completion',
        action=Completion,
        choices=('bash', 'zsh', 'tcsh'),
        help='print the script by which a shell completes words of sssd',
    )
    commands = parser.add_subparsers(title='commands', dest='command', required=True, metavar='COMMAND')
    for name in COMMANDS:
        told = arguments_of(name)
        told.add_arguments(commands.add_parser(name, help=told.HELP, description=told.DESCRIPTION))
    return parser, commands.choices


class Completion(argparse.Action):
    """Prints what ``shtab`` makes of the parser; every word that may be a path is completed as one."""

    def __call__(self, parser, namespace, values, option_string=None):
        import shtab  # imported for this alone

        for each in _with_commands(parser):
            for action in each._actions:
                if action.nargs != 0 and action.type is None and action.choices is None:
                    action.complete = shtab.FILE
        print(shtab.complete(parser, values))
        parser.exit()


def _with_commands(parser):
    """A parser and the parsers of its commands, theirs included."""
    yield parser
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for inner in action.choices.values():
                yield from _with_commands(inner)


def require_command(word: str) -> None:
    """Refuse a word in the place of a command that is none.

    Raises:
        UserError: With the command whose name is like it, else with all of them.
    """
    if word.startswith('-') or word in COMMANDS:
        return
    near = get_close_matches(word, COMMANDS, n=1, cutoff=0.5)
    meant = f'did you mean {near[0]}?' if near else f'there are {", ".join(COMMANDS)}.'
    raise UserError(f'there is no command {word!r}; {meant}')


def parse(command: str, argv: Sequence[str] | None = None) -> argparse.Namespace:
    """The arguments of a command, config options as a dict.

    Args:
        command: Its name.
        argv: Its words; None takes those of the process.

    Raises:
        UserError: If a config option is malformed; other mistakes end the process with status 2, as argparse does.
    """
    args = build_parser()[1][command].parse_args(argv)
    for key in ('cfg_options', 'cluster_options'):
        if getattr(args, key, None) is not None:
            from sssd.cli._config import options_of  # imports MMEngine

            setattr(args, key, options_of(getattr(args, key)))
    return args

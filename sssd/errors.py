"""Errors that are a user's to mend, told in one sentence.

Library code raises :class:`UserError`; the command line prints it without a
traceback and leaves with exit status :data:`EXIT_USER_ERROR`.
"""

import os
import sys
from collections.abc import Callable, Sequence

EXIT_USER_ERROR = 2
#: After Ctrl-C, as shells have it.
EXIT_INTERRUPTED = 130
#: How the sentence begins that a command prints.
PREFIX = 'sssd: error: '


class UserError(ValueError):
    """A mistake in what the user gave: a file, a config key, an argument.

    The message is one sentence that names the file or the key and says what
    to do about it.  It is a :class:`ValueError`, so callers of the library
    that know nothing of this project can still catch it.
    """


class LocalError(UserError):
    """A :class:`UserError` that one of several processes may meet alone, such as an image that cannot be decoded."""


def shorten(names: Sequence[str], limit: int = 6) -> str:
    """Names in quotes for a sentence, the first few of them if they are many, with their number."""
    shown = ', '.join(repr(name) for name in names[:limit])
    return f'{shown}, ... ({len(names)})' if len(names) > limit else shown or 'none'


def first_line(error: BaseException) -> str:
    """The first line of what an error says, without a full stop at its end, for a sentence; its type if it is mute."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip('. ')


def require_weights(owner: str, **weights) -> None:
    """Refuse weights that are no numbers from 0 on.

    Args:
        owner: What has them, for the sentence.
        **weights: The weights by name.

    Raises:
        UserError: Naming the first such weight.
    """
    for name, value in weights.items():
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < float('inf'):
            raise UserError(f'{owner}: {name} is {value!r}, but a weight is a number from 0 on, and 0 turns it off.')


def refuse_all(what: str, sentences: Sequence[str], limit: int = 20) -> None:
    """Raise all mistakes at once; nothing without any.

    Args:
        what: What has them, for the first line: a file.
        sentences: A sentence on each.
        limit: So many are told, and how many there are more.

    Raises:
        UserError: The one sentence, or a list of them.
    """
    if len(sentences) == 1:
        raise UserError(sentences[0])
    if sentences:
        told = [f'{number}. {sentence}' for number, sentence in enumerate(sentences[:limit], 1)]
        told += [f'and {len(sentences) - limit} more'] * (len(sentences) > limit)
        raise UserError('\n  '.join([f'{what} has {len(sentences)} mistakes:', *told]))


def run_cli(main: Callable[[Sequence[str] | None], int | None], argv: Sequence[str] | None = None) -> int:
    """Run a command and turn a :class:`UserError` into one printed sentence.

    Args:
        main: A command's entry point; it takes the list of arguments (None
            means ``sys.argv[1:]``) and returns an exit status or None.
        argv: The arguments handed to ``main``.

    Returns:
        The exit status: that of ``main``, 2 after a :class:`UserError`, which only
        the first of the processes of a launcher prints, unless it is a
        :class:`LocalError`, and 130 after Ctrl-C.
    """
    try:
        return main(argv) or 0
    except UserError as error:
        if is_first(sys.argv[1:] if argv is None else argv) or isinstance(error, LocalError):
            text = str(error).encode(errors='backslashreplace').decode()  # names of files may be no text
            print(f'{PREFIX}{text}', file=sys.stderr, flush=True)
        return EXIT_USER_ERROR
    except KeyboardInterrupt:
        print('sssd: interrupted', file=sys.stderr, flush=True)
        return EXIT_INTERRUPTED


def is_first(argv: Sequence[str]) -> bool:
    """Whether this is the first of the processes that a launcher has started together, or one by itself.

    The environment of a job may have a rank where a command without ``--launcher`` runs alone.
    """
    together = 'TORCHELASTIC_RUN_ID' in os.environ or any(word.partition('=')[0] == '--launcher' for word in argv)
    return not together or os.environ.get('RANK', os.environ.get('SLURM_PROCID', '0')) == '0'

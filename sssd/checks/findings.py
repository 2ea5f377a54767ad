"""What checks find: findings of three levels, gathered until all checks have run."""

import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field

from sssd.errors import UserError

#: The first stops a training; the second is probably a mistake; the third is good to know.
LEVELS = ('error', 'warning', 'note')
#: So large a part of a data set has to be wrong for an error where a few strays are no reason to stop a training.
STRAY = 0.001
#: So many examples a finding keeps.
EXAMPLES = 5
_SURROGATE = re.compile('[\ud800-\udfff]')  # what Python makes of bytes that are no UTF-8


@dataclass(frozen=True)
class Finding:
    """One thing that was found.

    Attributes:
        level: One of :data:`LEVELS`.
        kind: A short name of the kind, for programs.
        where: The file or the key of the config.
        text: One sentence that names both, and what to do.
        count: How many entries or files it is about.
        examples: Some of them: ids, names or positions.
    """

    level: str
    kind: str
    where: str
    text: str
    count: int = 1
    examples: tuple = ()


@dataclass
class Findings:
    """All that was found, in the order of the checks, and a line on each data set."""

    found: list[Finding] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)

    def add(self, level: str, kind: str, where: str, text: str, count: int = 1, examples: Sequence = ()) -> None:
        """Add one, unless the same sentence is there: one file may be asked about as several data sets."""
        finding = Finding(level, kind, where, text, int(count), tuple(plain(item) for item in examples[:EXAMPLES]))
        if all(finding.text != other.text for other in self.found):
            self.found.append(finding)

    def error(self, kind: str, where: str, text: str, count: int = 1, examples: Sequence = ()) -> None:
        """Add what stops a training."""
        self.add('error', kind, where, text, count, examples)

    def warning(self, kind: str, where: str, text: str, count: int = 1, examples: Sequence = ()) -> None:
        """Add what is probably a mistake."""
        self.add('warning', kind, where, text, count, examples)

    def note(self, kind: str, where: str, text: str, count: int = 1, examples: Sequence = ()) -> None:
        """Add what is good to know."""
        self.add('note', kind, where, text, count, examples)

    def of(self, level: str) -> list[Finding]:
        """Those of a level."""
        return [finding for finding in self.found if finding.level == level]

    def told(self) -> list[str]:
        """Warnings and notes, a line each."""
        return [f'{level}: {shown(finding.text)}' for level in LEVELS[1:] for finding in self.of(level)]

    def require_none(self) -> None:
        """Raise all errors at once.

        Raises:
            UserError: The sentence of the one error, or a list of all.
        """
        errors = self.of('error')
        if len(errors) == 1:
            raise UserError(errors[0].text)
        if errors:
            sentences = ''.join(f'\n  {number}. {error.text}' for number, error in enumerate(errors, 1))
            raise UserError(f'the data have {len(errors)} mistakes:{sentences}')

    def as_dict(self) -> dict:
        """All of it, for JSON."""
        counts = {level: len(self.of(level)) for level in LEVELS}
        return dict(counts=counts, data=[shown(line) for line in self.lines], findings=[_plain(f) for f in self.found])


def _plain(finding: Finding) -> dict:
    return {
        key: shown(value) if isinstance(value, str) else list(value) if isinstance(value, tuple) else value
        for key, value in asdict(finding).items()
    }


def level_of(count: int, total: int) -> str:
    """An error, unless so few of ``total`` are concerned that they are strays: then a warning."""
    return 'error' if count >= max(1.0, STRAY * total) else 'warning'


def plain(value):
    """A value as JSON has it."""
    if hasattr(value, 'item'):
        value = value.item()
    return shown(value) if isinstance(value, str) else value


def shown(text: str) -> str:
    r"""A name or sentence that every terminal can print: bytes of file names that are not UTF-8 become ``\xff``."""
    return _SURROGATE.sub(lambda found: f'\\x{ord(found[0]) & 0xFF:02x}', text)


def some(items: Sequence, limit: int = 3) -> str:
    """The first few of some names or numbers for a sentence."""
    text = ', '.join(shown(item) if isinstance(item, str) else str(plain(item)) for item in items[:limit])
    return f'{text} and {len(items) - limit} more' if len(items) > limit else text


def number_of(count: int, word: str) -> str:
    """``1 image``, ``2 images``."""
    if count == 1:
        return f'1 {word}'
    return (
        f'{count} {word[:-1]}ies' if word.endswith('y') else f'{count} {word}{"es" * word.endswith(("x", "ss")) or "s"}'
    )


def part_of(count: int, total: int, word: str) -> str:
    """``1 of 3 images``, ``1 of 1 image``."""
    return f'{count} of {number_of(total, word)}'


def either(count: int, one: str, many: str) -> str:
    """The form of a word that goes with a number: ``is`` or ``are``."""
    return one if count == 1 else many

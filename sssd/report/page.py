"""An HTML page in one file: its style and its pictures are in it, nothing is loaded from elsewhere."""

import base64
import html
import io
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from PIL import Image

from sssd.whole_files import write_file

#: Bytes of a PNG from which on it is no drawing.
LARGE = 400_000
#: Letters of a cell from which on it may take several lines.
LONG = 30
#: Letters of a word from which on it is broken in the first column of a narrow screen.
WORD = 14
#: What begins as a figure, or stands for none; and a figure with its interval.
FIGURE, INTERVAL = re.compile(r'[-+–]?\d|[-–]?$'), re.compile(r'\S+ \(\S+ to \S+\)')
CODE = re.compile('`([^`]+)`')
NO_BREAK = '\N{NO-BREAK SPACE}'
MARK = '<meta name="made-of" content="'
STYLE = """
:root { color-scheme: light dark; --ink: #1c1c1c; --paper: #fff; --rule: #d8d8d8; --soft: #666; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e6e6; --paper: #16181a; --rule: #3a3d40; --soft: #a0a0a0; } }
body { font: 16px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper); max-width: 68rem;
  margin: 0 auto; padding: 1rem; }
h1 { font-size: 1.6rem; overflow-wrap: anywhere; } h2 { font-size: 1.2rem; margin-top: 2.2rem; }
.scroll { overflow-x: auto; }
table { border-collapse: separate; border-spacing: 0; font-variant-numeric: tabular-nums; }
th, td { padding: .25rem .7rem; border-bottom: 1px solid var(--rule); text-align: right; white-space: nowrap; }
.left { text-align: left; } td.interval { white-space: normal; }
td.long { white-space: normal; overflow-wrap: anywhere; min-width: 10rem; max-width: 24rem; text-align: left; }
th:first-child, td:first-child { text-align: left; position: sticky; left: 0; background: var(--paper); }
th { color: var(--soft); font-weight: 600; white-space: normal; max-width: 11rem; vertical-align: bottom; }
.scroll { margin: 1rem 0; }
figure { margin: 1rem 0; overflow-x: auto; }
img { min-width: 38rem; max-width: 100%; height: auto; background: #fff; border-radius: 4px; }
figcaption, .about { color: var(--soft); font-size: .92rem; } pre { overflow-x: auto; font-size: .85rem; }
summary { cursor: pointer; } ul { padding-left: 1.2rem; overflow-wrap: anywhere; }
@media (max-width: 40rem) {
  th, td { padding: .2rem .35rem; font-size: .85rem; } td.long { min-width: 8rem; }
  td:first-child { white-space: normal; } td.key:first-child { overflow-wrap: anywhere; min-width: 6rem; }
}
"""


class Page:
    """Sections of text, tables and pictures, in order.

    Args:
        title: What the page is of.
        about: A line below it.
        mark: What :func:`mark_of` reads again: what the page was made of.
    """

    def __init__(self, title: str, about: str = '', mark: str = '') -> None:
        self.title, self.mark, self.parts = title, mark, [f'<h1>{html.escape(title)}</h1>']
        self.text(about)

    def section(self, name: str, about: str = '') -> None:
        """Begin a section, with a sentence on what it shows."""
        self.parts.append(f'<h2>{html.escape(name)}</h2>')
        self.text(about)

    def text(self, words: str) -> None:
        """A paragraph."""
        if words:
            self.parts.append(f'<p class="about">{_marked(words)}</p>')

    def items(self, lines: Iterable[str]) -> None:
        """A list."""
        self.parts.append(f'<ul>{"".join(f"<li>{_marked(line)}</li>" for line in lines)}</ul>')

    def table(self, head: Sequence[str], rows: Iterable[Sequence]) -> None:
        """A table; None is shown as a dash, a float with one digit, figures at the right."""
        rows = [[shown(value) for value in row] for row in rows]
        left = [not all(FIGURE.match(row[number]) for row in rows) for number in range(len(head))]
        lines = [_row('th', head, left), *(_row('td', row, left) for row in rows)]
        self.parts.append(f'<div class="scroll"><table>{"".join(lines)}</table></div>')

    def picture(self, path: str | Path, caption: str) -> None:
        """A PNG, copied into the page; a large one, of photographs, as JPEG."""
        data, kind = Path(path).read_bytes(), 'png'
        if len(data) > LARGE:
            with Image.open(path) as image, io.BytesIO() as file:
                image.convert('RGB').save(file, 'JPEG', quality=85)
                data, kind = file.getvalue(), 'jpeg'
        data, alt = base64.b64encode(data).decode(), html.escape(caption, quote=True)
        self.parts.append(
            f'<figure><img alt="{alt}" src="data:image/{kind};base64,{data}"/>'
            f'<figcaption>{html.escape(caption)}</figcaption></figure>'
        )

    def folded(self, name: str, text: str) -> None:
        """Long text, shown when it is asked for."""
        self.parts.append(f'<details><summary>{html.escape(name)}</summary><pre>{html.escape(text)}</pre></details>')

    def write(self, path: str | Path) -> Path:
        """Write the page; a reader never sees half of it."""
        head = (
            '<meta charset="utf-8"/><meta name="viewport" content="width=device-width, initial-scale=1"/>'
            f'{MARK}{html.escape(self.mark, quote=True)}"/>'
            f'<title>{html.escape(self.title)}</title><style>{STYLE}</style>'
        )
        body = '\n'.join(self.parts)
        write_file(path, f'<!DOCTYPE html>\n<html lang="en"><head>{head}</head><body>\n{body}\n</body></html>\n')
        return Path(path)


def mark_of(path: str | Path) -> str | None:
    """What the page at ``path`` was marked with, empty if with nothing; None if there is no page of ours."""
    try:
        with open(path, encoding='utf-8') as file:
            begin = file.read(4096)
    except (OSError, UnicodeDecodeError):
        return None
    _, found, rest = begin.partition(MARK)
    return html.unescape(rest.partition('"')[0]) if found else None


def shown(value) -> str:
    """A value as a table shows it."""
    if value is None or value != value:
        return '–'
    return f'{value:.1f}' if isinstance(value, float) else str(value)


def _marked(words: str) -> str:
    """Words of a sentence, what stands between backticks as code."""
    return CODE.sub(r'<code>\1</code>', html.escape(words))


def _row(cell: str, values: Sequence, left: Sequence[bool]) -> str:
    return f'<tr>{"".join(_cell(cell, str(value), words) for value, words in zip(values, left))}</tr>'


def _cell(cell: str, text: str, left: bool) -> str:
    """A cell; numbers and names stay in one line, a figure may stand above its interval, long text is broken."""
    kinds = ['left'] * left + ['key'] * (max(map(len, text.split()), default=0) > WORD)
    if cell == 'td' and INTERVAL.fullmatch(text):
        figure, _, bracket = text.partition(' ')
        kinds, text = [*kinds, 'interval'], f'{figure} {bracket.replace(" ", NO_BREAK)}'
    elif cell == 'td' and len(text) > LONG:
        kinds = [*kinds, 'long']
    kind = f' class="{" ".join(kinds)}"' if kinds else ''
    return f'<{cell}{kind}>{html.escape(text)}</{cell}>'

"""Letters of any script in figures: the machine's other fonts take over where the common one has no such letter."""

import sys
from collections.abc import Sequence
from functools import cache

from matplotlib import font_manager, get_cachedir

#: The font of all figures, which matplotlib brings along: Latin, Greek, Cyrillic, some Arabic and Hebrew.
FONT = 'DejaVu Sans'
#: Fonts with other scripts, as Linux distributions, macOS and Windows call theirs; those that are there are used.
OTHERS = (
    'Noto Sans CJK SC',
    'Noto Sans CJK JP',
    'Noto Sans CJK KR',
    'Noto Sans SC',
    'Source Han Sans SC',
    'WenQuanYi Zen Hei',
    'WenQuanYi Micro Hei',
    'Microsoft YaHei',
    'SimHei',
    'PingFang SC',
    'Hiragino Sans GB',
    'Heiti TC',
    'Hiragino Sans',
    'IPAexGothic',
    'Yu Gothic',
    'MS Gothic',
    'Apple SD Gothic Neo',
    'Malgun Gothic',
    'NanumGothic',
    'Noto Sans Devanagari',
    'Noto Sans Thai',
    'Noto Sans Arabic',
    'Noto Sans Bengali',
    'Noto Sans Tamil',
    'Nirmala UI',
    'Arial Unicode MS',
)
_told: set[str] = set()


@cache
def families() -> tuple[str, ...]:
    """The common font, then those of :data:`OTHERS` that matplotlib finds on this machine."""
    installed = {font.name for font in font_manager.fontManager.ttflist}
    return (FONT, *(name for name in OTHERS if name in installed))


def missing(text: str, names: Sequence[str] | None = None) -> str:
    """The letters of a text that none of the fonts has, each once.

    Args:
        text: Any.
        names: Of fonts; by default those of figures.
    """
    letters = dict.fromkeys(letter for letter in text if not letter.isascii() and letter.isprintable())
    if not letters:
        return ''
    files = [font_manager.findfont(font_manager.FontProperties(family=[name])) for name in names or families()]
    fonts = [font_manager.get_font(file) for file in files]
    return ''.join(letter for letter in letters if not any(font.get_char_index(ord(letter)) for font in fonts))


def tell_missing(text: str) -> None:
    """Say once of each letter that figures cannot show it, and how they can."""
    new = ''.join(letter for letter in missing(text) if letter not in _told)
    if new:
        _told.update(new)
        print(
            f'warning: figures show boxes in place of {new}, as no font that matplotlib knows has it: install one that '
            f'has, such as Noto Sans CJK (fonts-noto-cjk), and remove {get_cachedir()}.',
            file=sys.stderr,
        )

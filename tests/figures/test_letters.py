"""Letters of any script in figures."""

import warnings

import pytest
from matplotlib import font_manager

from sssd.figures import letters
from sssd.figures.style import new_figure, plain, plt, styled


@pytest.fixture(autouse=True)
def _nothing_told(monkeypatch):
    monkeypatch.setattr(letters, '_told', set())
    letters.families.cache_clear()
    yield
    letters.families.cache_clear()


def without_others(monkeypatch):
    monkeypatch.setattr(letters, 'OTHERS', ())


def test_letters_that_no_font_has_are_told_once_with_the_remedy(monkeypatch, capsys, tmp_path):
    without_others(monkeypatch)
    assert plain('größe ∑ $x$') == r'größe ∑ \$x\$' and capsys.readouterr().err == ''
    plain('红细胞 血小板 红')
    plain('血红')
    said = capsys.readouterr().err
    assert said.count('warning:') == 1 and 'in place of 红细胞血小板,' in said and 'fonts-noto-cjk' in said
    with warnings.catch_warnings(record=True) as caught, styled():
        warnings.filterwarnings('ignore', r'Glyph \d+ .*missing from')  # pytest has taken away that of style.py
        figure = new_figure(2)
        figure.text(0.5, 0.5, '红')
        figure.savefig(tmp_path / 'figure.png')
        plt.close(figure)
    assert [str(each.message) for each in caught if 'Glyph' in str(each.message)] == []


def test_another_font_of_the_machine_takes_over(monkeypatch, tmp_path):
    """A letter of mathematics that the common font lacks and one of matplotlib's own has."""
    other = 'STIXGeneral'  # matplotlib's own, as the common one
    known = font_manager.get_font(font_manager.findfont(font_manager.FontProperties(family=[other]))).get_charmap()
    letter = next(chr(code) for code in known if code > 127 and letters.missing(chr(code), [letters.FONT]))
    monkeypatch.setattr(letters, 'OTHERS', ('A Font That Nobody Has',))
    assert letters.families() == (letters.FONT,) and letters.missing(letter) == letter
    letters.families.cache_clear()
    monkeypatch.setattr(letters, 'OTHERS', ('A Font That Nobody Has', other))
    assert letters.families() == (letters.FONT, other) and letters.missing(letter) == ''
    pictures = []
    for text in (letter, ''):
        with styled():
            figure = new_figure(2)
            assert plt.rcParams['font.family'] == [letters.FONT, other]
            figure.text(0.5, 0.5, text, fontsize=40)
            with warnings.catch_warnings():
                warnings.simplefilter('error')
                figure.savefig(tmp_path / 'figure.png')
            plt.close(figure)
        pictures.append((tmp_path / 'figure.png').read_bytes())
    assert pictures[0] != pictures[1]

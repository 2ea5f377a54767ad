"""Progress of long work, and which images it is about."""

import io

from rich.console import Console

from sssd import progress
from sssd.figures.passes import choose


def test_lines_with_the_time_left_where_there_is_no_terminal(monkeypatch):
    monkeypatch.setattr(progress, 'QUIET', -1.0)
    console = Console(file=io.StringIO(), force_terminal=False, width=200)
    assert list(progress.tracked('abc', 'letters', 3, console)) == ['a', 'b', 'c']
    lines = console.file.getvalue().splitlines()
    assert [line.split(',')[0] for line in lines] == ['letters: 1 of 3', 'letters: 2 of 3']
    assert all(line.endswith(' left') for line in lines)


def test_short_work_is_quiet():
    console = Console(file=io.StringIO(), force_terminal=False)
    assert list(progress.tracked(iter(()), 'nothing', 0, console)) == []
    assert list(progress.tracked([1], 'one', 1, console)) == [1] and console.file.getvalue() == ''


def test_a_bar_on_a_terminal():
    console = Console(file=io.StringIO(), force_terminal=True, width=100)
    assert list(progress.tracked(range(3), 'numbers', 3, console)) == [0, 1, 2]
    assert 'numbers' in console.file.getvalue() and '3/3' in console.file.getvalue()


def test_images_are_chosen_by_seed():
    assert choose(range(5), None, 0) == choose(range(5), 9, 0) == [0, 1, 2, 3, 4]
    assert choose(range(100), 7, 3) == choose(range(100), 7, 3) != choose(range(100), 7, 4)
    assert len(set(choose(range(100), 7, 3))) == 7

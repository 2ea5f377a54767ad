"""Progress of long work, and which images it is about."""

import io

import pytest
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


@pytest.mark.parametrize('terminal', [True, False])
def test_names_with_brackets_or_colons_stand_as_they_are(monkeypatch, terminal):
    monkeypatch.setattr(progress, 'QUIET', -1.0)
    console = Console(file=io.StringIO(), force_terminal=terminal, width=100)
    assert list(progress.tracked('ab', 'images [/x] of :cat:', 2, console)) == ['a', 'b']
    progress.say(console, 'wrote [1]/[/2].json')
    said = console.file.getvalue()
    assert 'images [/x] of :cat:' in said and 'wrote [1]/[/2].json' in said
    if terminal:
        with progress.waiting('for [/y]', console):
            pass
        assert 'for [/y]' in console.file.getvalue()


def test_work_within_work_has_its_bar_in_the_same_display_while_it_lasts():
    console = Console(file=io.StringIO(), force_terminal=True, width=100)
    for _ in progress.tracked(range(2), 'pages', 2, console):
        for _ in progress.tracked('abc', 'images', 3):  # its own console would draw over the other's lines
            (display,) = progress._displays
            texts = [task.description for task in display.tasks]
            assert texts == ['pages', 'images']
        assert [task.description for task in display.tasks] == ['pages']
    assert progress._displays == []
    assert 'images' in console.file.getvalue()


def test_work_that_breaks_leaves_no_display():
    console = Console(file=io.StringIO(), force_terminal=True, width=100)
    with pytest.raises(ZeroDivisionError):
        for item in progress.tracked([0], 'dividing', 1, console):
            for each in progress.tracked([item], 'parts', 1):
                1 / each
    assert [*progress.tracked('ab', 'more', 2, console)] == ['a', 'b'] and progress._displays == []


def test_lines_within_lines_where_there_is_no_terminal(monkeypatch):
    monkeypatch.setattr(progress, 'QUIET', -1.0)
    console = Console(file=io.StringIO(), force_terminal=False, width=200)
    for _ in progress.tracked('ab', 'pages', 2, console):
        list(progress.tracked('xyz', 'images', 3, console))
    told = [line.split(',')[0] for line in console.file.getvalue().splitlines()]
    assert told == ['images: 1 of 3', 'images: 2 of 3', 'pages: 1 of 2', 'images: 1 of 3', 'images: 2 of 3']


@pytest.mark.parametrize('terminal, rank, told', [(True, '0', True), (False, '0', False), (True, '3', False)])
def test_waiting_is_told_on_a_terminal_once(terminal, rank, told, monkeypatch):
    monkeypatch.setenv('RANK', rank)
    console = Console(file=io.StringIO(), force_terminal=terminal, width=100)
    with progress.waiting('loading', console):
        pass
    assert ('loading' in console.file.getvalue()) is told


def test_images_are_chosen_by_seed():
    assert choose(range(5), None, 0) == choose(range(5), 9, 0) == [0, 1, 2, 3, 4]
    assert choose(range(100), 7, 3) == choose(range(100), 7, 3) != choose(range(100), 7, 4)
    assert len(set(choose(range(100), 7, 3))) == 7

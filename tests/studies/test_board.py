"""What is shown of several runs at once."""

import io

import pytest
from rich.console import Console

from sssd.studies.board import Board
from sssd.studies.cost import Taken, Work, end_of
from sssd.studies.follow import Status
from sssd.studies.pool import Stopped
from sssd.studies.watch import Reporter


class Clock:
    """Seconds that go on when they are told to."""

    now = 0.0

    def __call__(self):
        return self.now


def make(places, *costs, terminal=False):
    clock, output = Clock(), io.StringIO()
    reporter = Reporter(Console(file=output, width=200, force_terminal=terminal), clock)
    return Board(reporter, [[Work('few', cost, 0)] for cost in costs], places), clock, output


def test_the_end_of_several_is_that_of_the_last():
    assert end_of([50, 10], [20, 20, 100], 2) == 150  # 10 + 20 + 20, then the long one beside nothing
    assert end_of([5], [7], 3) == 7
    assert end_of([], [10] * 35, 35) == 10


def test_every_run_has_a_line_and_all_one_eta():
    board, clock, output = make(2, 100, 100, 100)
    with board:
        first, second = board.lane(0), board.lane(1)
        first.begin('few, seed 0')
        second.begin('few, seed 1')
        clock.now = 31
        second.tick(Status('iteration 1/9', 50.0, Taken(0.0, 100.0, None)))
        text = output.getvalue()
        assert '[1/3] few, seed 0' in text and '[2/3] few, seed 1' in text
        # The first is expected to take as long, 100 s, of which 31 are gone; the third begins where the second ends.
        assert 'few, seed 0: starting; few, seed 1: iteration 1/9; study ETA 0:02:30' in text
        second.process_ended(Taken(0.0, 81.0, None))
        second.end('AP 3')
        assert 'few, seed 1: AP 3' in output.getvalue() and board.ended == 1
        assert board.left() == pytest.approx(81)  # the third has not begun; the first still takes 50


def test_a_terminal_shows_all_runs_under_way():
    board, clock, output = make(2, 100, 100, terminal=True)
    with board:
        lanes = [board.lane(0), board.lane(1)]
        for number, lane in enumerate(lanes):
            lane.begin(f'few, seed {number}')
            lane.tick(Status(f'iteration {number + 3}/9', 40.0))
    text = output.getvalue()
    assert '0 of 2 runs' in text and 'iteration 3/9' in text and 'iteration 4/9' in text and 'ETA 0:00:40' in text


def test_a_run_hears_that_the_study_ends():
    board, _, _ = make(1, 100)
    lane = board.lane(0)
    lane.begin('few')
    lane.tick(Status('on'))
    board.stop.set()
    with pytest.raises(Stopped):
        lane.tick(Status('on'))

"""What a study shows of its progress."""

import io
import json
from pathlib import Path

import pytest
from rich.console import Console

from sssd.studies.cost import Cost, Extent, Taken, Work
from sssd.studies.follow import Follower, Status
from sssd.studies.watch import Reporter

#: A start, its baseline and SED of the quick start with 60, 120 and 120 iterations on a busy CPU: for each line of
#: scalars.json the second at which it was there.
RECORDED = json.loads(Path(__file__).with_name('recorded_study.json').read_text())
COST = dict(start=4, few=4, sed=10.4)


class Clock:
    """Seconds that go on when they are told to."""

    now = 0.0

    def __call__(self):
        return self.now


class Watched:
    """A reporter with its output and its clock."""

    def __init__(self, *runs, terminal=False):
        self.clock, self.output = Clock(), io.StringIO()
        console = Console(file=self.output, width=200, force_terminal=terminal)
        self.reporter = Reporter(console, self.clock)
        self.reporter.plan([[work] for work in runs])

    def tick(self, now, *status):
        """The process says something at a time; returns what is printed."""
        self.clock.now = now
        before = len(self.output.getvalue())
        self.reporter.tick(Status(*status))
        return self.output.getvalue()[before:].strip()


def test_lines_are_printed_only_when_something_changed():
    watched = Watched(Work('few', 100, 1))
    watched.reporter.begin('few, seed 0')
    assert watched.tick(29, 'iteration 1/9', 80.0) == '', 'not before half a minute'
    assert watched.tick(31, 'iteration 1/9', 78.0) == 'iteration 1/9; ETA 0:01:18; study ETA 0:01:18'
    assert watched.tick(100, 'iteration 1/9', 9.0) == '', 'time alone is no news'
    assert watched.tick(101, 'iteration 2/9', 60.0) == 'iteration 2/9; ETA 0:01:00; study ETA 0:01:00'
    assert watched.tick(130, 'iteration 3/9', 30.0) == '', 'nor more often than every half minute'
    assert watched.tick(131, 'iteration 3/9', None) == 'iteration 3/9', 'what is not known is not told'


def test_a_terminal_shows_the_run_and_the_study():
    watched = Watched(Work('few', 100, 1), Work('sed', 260, 1), terminal=True)
    watched.reporter.begin('few, seed 0')
    watched.tick(60, 'iteration 5/9', 40.0, Taken(0.0, 100.0, None))
    watched.reporter.end('done')
    text = watched.output.getvalue()
    assert '[1/2] few, seed 0' in text and '0 of 2 runs' in text and 'iteration 5/9' in text
    assert 'ETA 0:00:40' in text and 'study ETA 0:05:00' in text


def replay(folder):
    """Second by second of the recorded study: the run, what it told, the study's ETA, and the true time left."""
    extents = {run['run']: Extent(60 if run['run'] == 'start' else 120, False, 60) for run in RECORDED}
    works = [Work(name, COST[name] * extent.length, extent.evaluations()) for name, extent in extents.items()]
    watched = Watched(*works)
    reporter, clock = watched.reporter, watched.clock
    for i, run in enumerate(RECORDED):
        clock.now = run['began']
        reporter.begin(run['run'])
        follower = Follower(
            folder,
            extents[run['run']],
            Cost(COST[run['run']], COST[run['run']], 0),
            0,
            reporter.forecast.evaluation,
            clock,
        )
        lines = list(run['lines'])
        while clock.now + 1 < run['ended']:
            clock.now += 1
            while lines and lines[0][0] <= clock.now:
                follower.add(lines.pop(0)[1])
            status = follower.look()
            left = reporter.forecast.left(works[i:], clock.now - run['began'], status.left, status.taken)
            yield run, status, left, clock.now
        clock.now = run['ended']
        reporter.process_ended(follower.look().taken)
        reporter.end('')


def test_the_study_s_eta_does_not_jump(tmp_path):
    end = RECORDED[-1]['ended']
    seen = [(left, now) for _, _, left, now in replay(tmp_path) if left is not None]
    assert seen[0][1] < 28, 'known from the first line on, 18 seconds after the start'
    # The whole was 172 seconds. SED took 1.9 times as long as its baseline, and was expected to take 2.6 times.
    assert all(left == pytest.approx(end - now, abs=28) for left, now in seen)
    changes = sorted(abs((left - before) + (now - then)) for (before, then), (left, now) in zip(seen, seen[1:]))
    assert changes[-1] < 30 and changes[-2] < 7, 'once, where the first line of SED tells how long it takes'


def test_the_eta_of_a_run_is_its_own(tmp_path):
    told = [(status.left, run['ended'] - now) for run, status, _, now in replay(tmp_path) if status.left is not None]
    assert len(told) > 110
    assert all(left == pytest.approx(true, abs=10) for left, true in told)

"""The search for a lambda, against shares that are known functions of it."""

import math

import pytest

from sssd.calibration.search import EXPANSIONS, GROWTH, Goal, Trial, find_lambda, rounded, runs_left
from sssd.errors import UserError


class Known:
    """The share of a distance that weighs as much as all else at ``half``; keeps what it was asked."""

    def __init__(self, half, most=1.0):
        self.half, self.most, self.asked = half, most, []

    def __call__(self, lambda_):
        self.asked.append(lambda_)
        return self.most * lambda_ / (lambda_ + self.half)


@pytest.mark.parametrize('half', [0.02, 0.9, 5.0, 92.0, 700.0, 20000.0])
@pytest.mark.parametrize('share', [0.1, 0.45, 0.8])
def test_a_monotone_share_is_reached_inside_the_bracket_and_beyond_it(half, share):
    known, goal = Known(half), Goal(share=share, tolerance=0.005)
    found = find_lambda(known, goal)
    assert found.share == known(found.lambda_) and abs(found.share - share) <= 0.005
    exact = half * share / (1 - share)
    assert abs(math.log(found.lambda_ / exact)) <= 0.005 / (0.09 - 0.005)  # the slope is share * (1 - share)
    assert len(known.asked) <= 16 and len(set(known.asked[:-1])) == len(known.asked) - 1
    assert all(rounded(lambda_) == lambda_ for lambda_ in known.asked)


def test_the_ends_come_first_and_then_the_geometric_mean():
    known = Known(100.0)
    find_lambda(known, Goal(share=0.5, tolerance=0.01, low=1.0, high=400.0))
    assert known.asked[:3] == [1.0, 400.0, 20.0]


def test_an_end_that_is_good_enough_ends_the_search():
    known = Known(100.0)
    assert find_lambda(known, Goal(share=0.5, low=100.0, high=400.0)) == Trial(100.0, 0.5)
    assert known.asked == [100.0]


def test_a_share_that_is_never_reached_is_told_after_a_few_expansions():
    known = Known(10.0, most=0.3)
    with pytest.raises(UserError, match=r'a share of 0.45 is out of reach: it is still 0.300 at lambda 200000') as told:
        find_lambda(known, Goal())
    assert len(known.asked) == 2 + EXPANSIONS and max(known.asked) == 200 * GROWTH**EXPANSIONS
    assert '\n' not in str(told.value)


def test_a_share_that_is_always_exceeded_is_told():
    known = Known(1e-9)
    with pytest.raises(UserError, match='a share of 0.45 is out of reach: it is still 1.000 at lambda 0.001'):
        find_lambda(known, Goal())
    assert min(known.asked) == 1e-3


def test_a_jump_over_the_share_is_told():
    with pytest.raises(UserError, match=r'no lambda has a share of 0.45 .*: it is 0.200 at 49\.\S+ and 0.900 at 50'):
        find_lambda(lambda lambda_: 0.2 if lambda_ < 50 else 0.9, Goal())


@pytest.mark.parametrize(
    'numbers, said',
    [
        (dict(share=0.0), '--share is 0,'),
        (dict(share=1.0), '--share is 1,'),
        (dict(share=math.nan), '--share is nan'),
        (dict(tolerance=0.0), '--tolerance is 0'),
        (dict(low=0.0), '--low 0 and --high 200'),
        (dict(low=9.0, high=3.0), 'no bracket'),
        (dict(high=float('inf')), 'no bracket'),
    ],
)
def test_numbers_out_of_range(numbers, said):
    with pytest.raises(UserError, match=said):
        Goal(**numbers)


def test_the_estimate_of_runs_falls_to_nothing():
    goal, trials, left = Goal(tolerance=0.01), [], []
    known = Known(90.0)

    def measure(lambda_):
        left.append(runs_left(goal, trials))
        trials.append(Trial(lambda_, known(lambda_)))
        return trials[-1].share

    find_lambda(measure, goal)
    assert runs_left(goal, trials) == 0
    assert left[0] == max(left) and left[-1] >= 1 and abs(left[0] - len(left)) <= 4

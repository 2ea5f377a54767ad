"""The share of the distance between changes of lambda."""

from sssd.report.phases import phase_table, phases
from sssd.report.scalars import Curve


def curves(lambdas, shares):
    steps = [50 * (i + 1) for i in range(len(shares))]
    found = dict(distill_share=Curve(steps, list(shares)))
    return {**found, 'lambda_': Curve(steps, list(lambdas))} if lambdas else found


def test_a_step_of_lambda_begins_a_phase():
    found = phases(curves([0, 0, 75, 75, 75, 100], [0, 0, 0.2, 0.3, 0.4, 0.5]))
    assert [(phase.begin, phase.end, phase.lambdas, round(phase.share, 6)) for phase in found] == [
        (50, 100, (0, 0), 0),
        (150, 250, (75, 75), 0.3),
        (300, 300, (100, 100), 0.5),
    ]


def test_a_ramp_is_one_phase():
    found = phases(curves([0, 0, 10, 30, 50, 75, 75], [0, 0, 0.1, 0.2, 0.3, 0.4, 0.5]))
    assert [(phase.lambdas, phase.shares) for phase in found] == [
        ((0, 0), (0, 0)),
        ((10, 50), (0.1, 0.2, 0.3)),
        ((75, 75), (0.4, 0.5)),
    ]


def test_a_value_that_comes_back_is_a_phase_of_its_own():
    assert [phase.lambdas for phase in phases(curves([5, 5, 9, 9, 5, 5], [0.1] * 6))] == [(5, 5), (9, 9), (5, 5)]


def test_a_run_that_logs_no_lambda_is_one_phase():
    (found,) = phases(curves([], [0.1, 0.3]))
    assert found.lambdas is None and found.share == 0.2 and (found.begin, found.end) == (50, 100)


def test_a_run_without_shares_has_no_phase():
    assert phases(dict(loss=Curve([50], [1.0]))) == []


def test_the_table():
    text = phase_table(phases(curves([0, 0, 10, 30, 75, 75], [0, 0, 0.1, 0.2, 0.4, 0.5])), 'run').to_markdown()
    assert '| 150 to 200 | 10 to 30 | 0.150 | 0.100 | 0.200 | 2 |' in text
    assert '| 250 to 300 | 75 | 0.450 | 0.400 | 0.500 | 2 |' in text


def test_the_shares_of_a_guided_sed():
    found = curves([75, 75], [0.2, 0.4])
    found['sup_distill_share'] = found.pop('distill_share')
    assert [phase.shares for phase in phases(found)] == [(0.2, 0.4)]

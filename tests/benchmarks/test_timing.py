"""The helper of the benchmarks: it refuses what does not agree, takes turns, and sees memory within operations."""

import json

import pytest
import torch

from sssd.errors import UserError


@pytest.fixture(scope='module')
def timing(load_benchmark):
    """The helper as a module."""
    return load_benchmark('_timing')


def args_of(timing, *more):
    return timing.parser('', 'made_up').parse_args(['--quick', *more])


def test_calls_that_do_not_agree_are_not_timed(timing):
    count = []

    def wrong():
        count.append(1)
        return dict(out=torch.tensor([1.0, 2.1]))

    case = timing.Case('sum', dict(right=lambda: dict(out=torch.tensor([1.0, 2.0])), wrong=wrong))
    with pytest.raises(UserError, match='sum: the results of wrong are 0.05 away from those of right'):
        timing.measured(case, args_of(timing))
    assert len(count) == 1
    for other in (dict(other=torch.ones(2)), dict(out=torch.ones(3)), dict(out=torch.tensor([1.0, float('nan')]))):
        case = timing.Case('sum', dict(right=lambda: dict(out=torch.ones(2)), wrong=lambda other=other: other))
        with pytest.raises(UserError, match='sum: '):
            timing.agreed(case)


def test_a_row_has_ratios_to_the_first_call(timing, tmp_path, capsys):
    x = torch.randn(400, 400)
    case = timing.Case(
        'products',
        dict(once=lambda: dict(out=x @ x), thrice=lambda: dict(out=(x @ x, x @ x, x @ x)[0])),
        facts=dict(n=9),
    )
    args = args_of(timing, '--out', str(tmp_path / 'deep/out.json'), '--note', 'busy')
    row = timing.measured(case, args)
    assert row['n'] == 9 and row['baseline'] == 'once' and row['calls']['once']['cpu']['over_baseline'] == 1
    assert 1.5 < row['calls']['thrice']['cpu']['over_baseline'] < 6
    assert row['calls']['thrice']['largest_difference'] == 0 and 'thrice' in capsys.readouterr().out
    timing.write(args, 'made_up', [row], ['--quick'])
    found = json.loads((tmp_path / 'deep/out.json').read_text())
    assert found['note'] == 'busy' and found['command'] == 'python benchmarks/made_up.py --quick'
    assert {'commit', 'machine', 'versions', 'device'} <= set(found) and found['rows'] == [row]


def test_the_peak_holds_what_lives_within_a_call(timing):
    x = torch.randn(2**18)  # one MiB

    def call():
        y = x * 2
        z = (y + 1).exp()  # y, the sum and the exponential at once
        return dict(out=(z + x).sum())

    assert timing.peak_memory(call, 'cpu') / 2**20 == pytest.approx(3, abs=0.01)

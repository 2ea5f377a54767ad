"""The campaign of kills sees what differs, and that nothing does after a kill."""

import json

import pytest
import torch


@pytest.fixture(scope='module')
def campaign(load_benchmark):
    return load_benchmark('reliability_campaign')


def test_equal_is_bit_by_bit(campaign):
    nan, state = torch.tensor([float('nan'), 1.0]), dict(a=[torch.ones(2)], b=3)
    assert campaign.same(nan, nan.clone()) and campaign.same(state, dict(a=[torch.ones(2)], b=3))
    for other in (dict(a=[torch.ones(2).nextafter(torch.zeros(2))], b=3), dict(a=[torch.ones(2)]), dict(a=[], b=3)):
        assert not campaign.same(state, other)
    assert not campaign.same(torch.zeros(1), -torch.zeros(1))


def test_killed_trainings_end_as_in_one_go_and_without_exact_resume_they_do_not(campaign, tmp_path):
    out = tmp_path / 'result.json'
    assert campaign.main(['--number', '2', '--seed', '3', '--only', 'sed', '--out', str(out)]) == 0
    result = json.loads(out.read_text())
    assert (result['number'], result['equal'], result['controls'], result['controls_that_differ']) == (2, 2, 2, 2)
    assert {'command', 'commit', 'seed', 'machine', 'by'} <= set(result)

"""Two ranks with half the batch each step as one rank with the whole batch does."""

import os
import subprocess
from pathlib import Path

import pytest
import torch
import two_ranks

SCRIPT = Path(two_ranks.__file__)
TOLERANCE = 1e-5


@pytest.fixture(scope='module')
def ranks(tmp_path_factory, repo_root, forked_python):
    """What each of two processes found."""
    folder = tmp_path_factory.mktemp('ranks')
    paths = os.pathsep.join([str(repo_root), str(SCRIPT.parent)])
    env = dict(os.environ, PYTHONPATH=paths, OMP_NUM_THREADS='1', GLOO_SOCKET_IFNAME='lo')
    processes = [
        subprocess.Popen(
            [forked_python, str(SCRIPT), str(folder / 'meet'), str(rank), '2', str(folder / f'{rank}.pt')],
            env=env,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    try:
        errors = [process.communicate(timeout=600)[1] for process in processes]
        assert [process.returncode for process in processes] == [0, 0], '\n'.join(errors)
    finally:
        for process in processes:
            process.kill()
    return [torch.load(folder / f'{rank}.pt') for rank in range(2)]


def largest_gap(first, second):
    return max((first[name] - second[name]).abs().max().item() for name in first)


def update_and_gap(case, ranks, key=None, **options):
    """How far one rank moves the weights, and how far two ranks end from there."""
    torch.manual_seed(0)
    before = two_ranks.trained(two_ranks.build(case))
    alone = two_ranks.step(case, 0, 1, **options)
    return largest_gap(before, alone), largest_gap(alone, ranks[0][key or case])


@pytest.mark.parametrize(
    'case',
    [
        'retinanet',
        'fcos',
        'faster_rcnn',
        'retinanet_foreground',
        'retinanet_balanced',
        'retinanet_floored',
        'retinanet_guided',
        'fcos_guided',
        'faster_rcnn_guided',
        'retinanet_sssd',
        'fcos_sssd',
        'faster_rcnn_sssd',
        'detr',
        'faster_rcnn_c4',
        'faster_rcnn_dc5',
    ],
)
def test_half_the_batch_twice_is_the_whole_batch(case, ranks):
    update, gap = update_and_gap(case, ranks)
    assert update > 100 * TOLERANCE
    assert gap < TOLERANCE


@pytest.mark.parametrize('case', two_ranks.ACCUMULATED)
def test_accumulated_gradients_are_those_of_one_rank_too(case, ranks):
    key = 'accumulated', case
    update, gap = update_and_gap(case, ranks, key, accumulate=2)
    assert update > 100 * TOLERANCE
    assert gap < TOLERANCE and largest_gap(ranks[0][key], ranks[1][key]) == 0


@pytest.mark.parametrize('case', two_ranks.ACCUMULATED)
def test_a_search_for_unused_parameters_finds_none(case, ranks):
    """Those whose gradients are computed before the backward pass of DistributedDataParallel are in its graph."""
    assert largest_gap(ranks[0]['unused', case], ranks[0]['accumulated', case]) < 1e-7
    assert largest_gap(ranks[0]['unused', case], ranks[1]['unused', case]) == 0


@pytest.mark.parametrize('case', two_ranks.JOINT)
def test_branch_by_branch_is_all_at_once(case, ranks):
    assert largest_gap(ranks[0]['joint', case], ranks[0][case]) < 1e-6


def test_the_floor_of_a_count_is_that_of_the_whole_batch(ranks):
    for found in ranks:
        torch.testing.assert_close(found['floored'], torch.tensor([0.6, 0.5]))


def test_the_score_of_a_pseudo_label_is_that_of_the_whole_batch(ranks):
    whole = [tuple(first + second for first, second in zip(*step)) for step in two_ranks.COUNTED]
    for found in ranks:
        assert found['sure'] == pytest.approx(two_ranks.sure_scores(whole), abs=1e-6)
        assert len(set(found['sure'])) == 3


def test_batch_norm_that_trains_has_the_same_statistics_on_every_rank(ranks):
    first, second = (found['batch_norm'] for found in ranks)
    assert largest_gap(first['after'], second['after']) == 0
    moved = {name for name, value in first['before'].items() if not torch.equal(value, second['before'][name])}
    assert moved and all(name.startswith('student.') for name in moved)
    for name in moved:
        mean = (first['before'][name] + second['before'][name]) / 2
        torch.testing.assert_close(first['after'][name], mean)
        old, new = (first[when][name.replace('student.', 'teacher.')] for when in ('before', 'after'))
        torch.testing.assert_close(new, (old + mean) / 2)
    frozen = {name for name in first['before'] if 'layer1' in name or '.bn1.' in name and 'layer' not in name}
    assert frozen and not frozen & moved
    assert all(torch.equal(first['before'][name], first['after'][name]) for name in frozen)


def test_synchronised_batch_norm_is_refused_on_cpus(ranks):
    """Why the table has no SyncBN of two ranks."""
    assert all(found['sync_bn'].startswith('SyncBatchNorm expected input tensor to be on GPU') for found in ranks)


@pytest.mark.parametrize('case', ['plain_head', 'own_counts', 'detr_plain'])
def test_counts_of_each_rank_give_another_step(case, ranks):
    _, gap = update_and_gap(case, ranks)
    assert gap > 5 * TOLERANCE


@pytest.mark.parametrize('case', sorted(two_ranks.CASES))
def test_ranks_agree_after_the_step(case, ranks):
    assert largest_gap(ranks[0][case], ranks[1][case]) == 0


@pytest.mark.parametrize('case, lacks', two_ranks.MEASURED)
def test_gradient_ratios_are_those_of_the_whole_batch_and_leave_training_alone(case, lacks, ranks):
    first, second = (found['measured', case, lacks] for found in ranks)
    assert first[True]['rows'] == second[True]['rows'] and first[False]['rows'] == [{}, {}]
    for found in (first, second):
        assert largest_gap(found[False]['state'], found[True]['state']) == 0
    names = {'scale_grad_ratio', 'distill_grad_ratio', 'guide_grad_ratio'}
    assert all(set(row) == names and min(row.values()) > 0 for row in first[True]['rows'])
    if lacks == 'nothing':
        (alone, _), (row, _) = two_ranks.measured(case, lacks, 0, 1)[True]['rows'], first[True]['rows']
        assert row == pytest.approx(alone, rel=1e-3)


def test_ranks_draw_the_same_s_though_their_seeds_differ(ranks):
    first, second = (found['s'] for found in ranks)
    assert first['draws'] == second['draws'] and len(set(first['draws'])) == 3
    assert first['seed'] != second['seed']


@pytest.mark.parametrize('case', two_ranks.LACKING, ids='-'.join)
def test_every_parameter_has_a_gradient_though_one_rank_lacks_something(case, ranks):
    first, second = (found[case] for found in ranks)
    assert first['missing'] == second['missing'] == []
    assert largest_gap(first['state'], second['state']) == 0
    assert all(value.isfinite().all() for value in first['state'].values())

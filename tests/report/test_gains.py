"""Gains and shares with their intervals, against numbers worked by hand, and the tables of them."""

import json

import numpy as np
import pytest
from rich.console import Console

from sssd.report.bootstrap import Estimate
from sssd.report.final_tables import final_tables, tables_of
from sssd.report.gains import gains, refusal
from sssd.report.tables import study_tables

#: What the images of a draw do to every AP, in 41 draws.
COMMON = np.linspace(-4, 4, 41)
MODELS = [(role, which) for role in ('teacher', 'student') for which in ('best', 'last')]


def estimate(value, own=0.0):
    """An AP that moves with the images as all do, and ``own`` times as much the other way round."""
    return Estimate(value, value + COMMON - own * COMMON)


def study(few=20.0, sed=25.0, everything=40.0, seeds=(0,), own=0.0):
    """A study whose models all have the same AP, one more with each seed."""
    values = {'few': few, 'sed': sed, 'all': everything}
    return {
        run: {seed: {model: estimate(value + seed, own if run == 'all' else 0.0) for model in MODELS} for seed in seeds}
        for run, value in values.items()
    }


def test_gain_and_share_with_intervals():
    found = gains(study(own=1.0))['sed']['teacher best']
    assert found['AP'] == {'value': 25.0, 'interval': [21.2, 28.8], 'seeds': [0]}
    assert found['gain'] == {'value': 5.0, 'interval': [5.0, 5.0], 'seeds': [0]}
    # The headroom is 20 and goes from 16 to 24 with the images: 5/23.8, 5/20, 5/16.2
    assert found['share']['value'] == 0.25
    assert found['share']['interval'] == pytest.approx([5 / 23.8, 5 / 16.2], abs=2e-4)
    assert set(gains(study())['sed']) == {f'{role} {which}' for role, which in MODELS}


def test_few_gains_nothing_and_all_has_no_share():
    found = gains(study())
    assert set(found['few']['student last']) == {'AP', 'by_seed'}
    assert set(found['all']['student last']) == {'AP', 'gain', 'by_seed'}
    assert found['all']['student last']['gain']['value'] == 20


def test_seeds_are_drawn_together_and_their_spread_is_told_apart():
    runs = study(seeds=(0, 1, 2))
    runs['sed'][2] = {model: estimate(33.0) for model in MODELS}
    found = gains(runs)['sed']['teacher last']
    # 25, 26 and 33; gains 5, 5 and 11, of headrooms of 20
    assert found['AP'] == {'value': 28.0, 'interval': [24.2, 31.8], 'seeds': [0, 1, 2], 'spread': 4.36}
    assert found['gain']['value'] == 7.0 and found['gain']['interval'] == [7.0, 7.0]
    assert found['share']['value'] == 0.35
    assert found['by_seed']['2']['share']['value'] == 0.55 and 'spread' not in found['by_seed']['2']['share']
    assert list(found['by_seed']) == ['0', '1', '2']


def test_only_seeds_that_all_runs_in_question_have_are_compared():
    runs = study(seeds=(0, 1))
    del runs['all'][1]
    found = gains(runs)['sed']['teacher best']
    assert (found['AP']['seeds'], found['gain']['seeds'], found['share']['seeds']) == ([0, 1], [0, 1], [0])
    assert 'share' not in found['by_seed']['1']
    del runs['few'][1]
    assert gains(runs)['sed']['teacher best']['gain']['seeds'] == [0]


def test_a_share_is_refused_where_all_labels_do_not_beat_few_by_more_than_the_interval():
    found = gains(study(everything=21.2, own=1.0))['sed']['teacher best']
    sentence = 'no share: all labels beat few by 1.2 AP (-2.6 to 5.0), which the interval does not tell from 0'
    assert 'share' not in found and found['refused'] == sentence
    assert found['by_seed']['0']['refused'] == sentence
    assert 'share' in gains(study(everything=24.0, own=1.0))['sed']['teacher best']
    assert refusal(estimate(5.0)) == '' and refusal(estimate(3.7))


def test_a_run_with_one_model_compares_it_with_both_and_other_names_are_looked_for():
    runs = study()
    runs['baseline'] = runs.pop('few')
    runs['plain'] = {0: {('model', 'best'): estimate(30.0), ('model', 'last'): estimate(10.0)}}
    assert 'gain' not in gains(runs)['sed']['teacher best']
    found = gains(runs, {'few': 'baseline'})['plain']
    assert {model: of['gain']['value'] for model, of in found.items()} == {
        'teacher best': 10,
        'teacher last': -10,
        'student best': 10,
        'student last': -10,
    }
    alone = {run: {0: {('model', 'best'): estimate(value)}} for run, value in (('few', 1.0), ('lgd', 3.0))}
    assert set(gains(alone)['lgd']) == {'model best', 'model last'}


def test_what_no_draw_has_is_none_in_the_file():
    runs = {'few': {0: {('model', 'best'): Estimate(float('nan'), np.full(3, np.nan))}}}
    assert gains(runs)['few']['model best']['AP'] == {'value': None, 'interval': [None, None], 'seeds': [0]}


def entry(run, seed, ap, roles=('student', 'teacher')):
    models = {
        role: {which: {'iter': 5, 'AP': ap + i + 2 * j, 'AP50': 2 * ap} for j, which in enumerate(('last', 'best'))}
        for i, role in enumerate(roles)
    }
    return {
        'run': run,
        'seed': seed,
        'seconds': 10.0,
        'metrics': {},
        'trials': {'test': {'hash': 'x', 'models': models}},
    }


def summary(estimates):
    return dict(images=41, resamples=41, level=0.95, gains=gains(estimates))


def test_the_table_of_the_models():
    plain = entry('plain', 0, 7.0, roles=('model',))
    (grid,) = final_tables([entry('few', 0, 20.0), entry('few', 1, 22.0), plain])
    assert grid.columns[2:6] == ('student last', 'student best', 'teacher last', 'teacher best')
    assert grid.rows[0] == ('few', '2', '21.0 ± 1.4', '23.0 ± 1.4', '22.0 ± 1.4', '24.0 ± 1.4', '42.0 ± 2.8', '10 ± 0')
    assert grid.rows[1] == ('plain', '1', '7.0', '9.0', '-', '-', '14.0', '10')


def test_the_table_of_gains_is_that_of_the_results_file():
    entries = [entry('few', 0, 20.0)]
    _, grid = final_tables(entries, json.loads(json.dumps(summary(study(own=1.0)))), {'sed': 'SED'})
    rows = {tuple(row[:2]): row[2:] for row in grid.rows}
    assert len(rows) == 12
    assert rows['SED', 'teacher best'] == ('25.0 (21.2 to 28.8)', '5.0 (5.0 to 5.0)', '25% (21% to 31%)')
    assert rows['few', 'teacher best'][1:] == ('-', '-')
    assert '41 draws of the 41 test images' in grid.note and 'no share' not in grid.note


def test_a_refused_share_is_told_once_for_the_models_that_it_holds_for():
    _, grid = final_tables([entry('few', 0, 20.0)], summary(study(everything=21.2, own=1.0)))
    assert {row[-1] for row in grid.rows} == {'-'}
    assert grid.note.count('no share: all labels beat few by 1.2 AP (-2.6 to 5.0)') == 1
    assert 'teacher best, teacher last, student best, student last: no share' in grid.note
    console = Console(width=150, record=True, file=open('/dev/null', 'w'))
    console.print(grid.to_rich())
    assert 'does not tell from 0' in ' '.join(console.export_text().split())


def test_files_without_a_test_have_no_such_table():
    assert final_tables([{'run': 'few', 'seed': 0, 'trials': {'480': {'AP': 3.0}}}], None) == []
    assert final_tables([{'run': 'few', 'seed': 0}]) == []


@pytest.mark.parametrize('name', ['sizes_toy', 'bccd_retinanet_5p', 'bccd_guided', 'ablation_table10_toy'])
def test_a_results_file_without_tests_prints_as_before(name, repo_root):
    entries = json.loads((repo_root / f'benchmarks/results/{name}.json').read_text())['runs']
    found = [grid.to_markdown() for grid in tables_of(entries, name)]
    assert found == [grid.to_markdown() for grid in study_tables(entries, name)] and len(found) > 0


def test_a_tested_study_tells_no_share_of_its_validation():
    entries = [entry(run, 0, ap) for run, ap in (('few', 20.0), ('sed', 22.0), ('all', 30.0))]
    for one in entries:
        one['metrics'] = {'teacher': {'AP': 50.0, 'AP50': 60.0, 'iter': 3}}
    tables = tables_of(entries, 'name', summary=summary(study()))
    assert [grid.title for grid in tables] == [
        'name: the last validation',
        'On the test part',
        'Gain over few labels and share of the headroom, on the test part',
    ]

"""A specification says what it must, and options reach the command line whole."""

import argparse
import dataclasses
import os
from pathlib import Path

import pytest
from mmengine.config import DictAction

from sssd.errors import UserError
from sssd.studies.datasets import make_data
from sssd.studies.job import make_job
from sssd.studies.spec import RunSpec, fingerprint, load_config, load_spec, option_arguments


def parsed(words):
    parser = argparse.ArgumentParser()
    parser.add_argument('--cfg-options', nargs='+', action=DictAction)
    return parser.parse_args(['--cfg-options', *words]).cfg_options


def test_options_survive_the_command_line():
    options = {
        'a.b': 1,
        'c': 2.5e-05,
        'd': True,
        'e': None,
        'f': 'text/x.py',
        'g': [1, 2],
        'h': [(1.0, 2), (3, 4)],
        'i.0.j': -1,
    }
    assert parsed(option_arguments(options)) == options


@pytest.mark.parametrize('value', [{'a': 1}, [{'a': 1}], 'one, two', "it's"])
def test_value_that_a_command_line_cannot_carry(value):
    with pytest.raises(UserError, match='dotted keys'):
        option_arguments({'key': value})


def test_seed_is_filled_in():
    run = RunSpec('few', 'c.py', {'a': 'fold{seed}.json', 'b': ['x{seed}', 1]})
    assert run.options_for(3) == {'randomness.seed': 3, 'a': 'fold3.json', 'b': ['x3', 1]}


def test_the_environment_of_a_run_is_there_while_its_config_is_read_and_is_told(study, tmp_path, monkeypatch):
    monkeypatch.setenv('STUB_KEPT', 'outside')
    (tmp_path / 'config.py').write_text(
        "fold = '{{$STUB_FOLD:1}}'\nkept = '{{$STUB_KEPT:1}}'\ntrain_cfg = dict(max_iters=3)\n"
    )
    (tmp_path / 'spec.py').write_text(
        "name = 'stub'\nruns = dict(few=dict(config='config.py', env=dict(STUB_FOLD='{seed}', STUB_KEPT='inside')))\n"
    )
    run = study.load().runs['few']
    assert run.environment_for(4) == dict(STUB_FOLD='4', STUB_KEPT='inside')
    config = load_config(run, 4)
    assert (config.fold, config.kept) == ('4', 'inside')
    assert os.environ['STUB_KEPT'] == 'outside' and 'STUB_FOLD' not in os.environ
    assert fingerprint(run, 4) != fingerprint(RunSpec('few', 'config.py'), 4)
    job = make_job(run, 4, Path('work'), data=None, start=None)
    assert job.shown_command().startswith('STUB_FOLD=4 STUB_KEPT=inside python -m sssd train config.py ')


def test_quick_options_are_over_the_run_s_and_below_the_command_line(study):
    spec = study.load(quick=True, cfg_options={'stub.bonus': 1})
    assert spec.name == 'stub_quick'
    assert spec.runs['sed'].cfg_options == {'stub.bonus': 1, 'train_cfg.max_iters': 1}
    assert spec.start.cfg_options['train_cfg.max_iters'] == 1


def test_quick_options_of_a_run_are_over_those_of_the_study(study, tmp_path):
    path = tmp_path / 'spec.py'
    path.write_text(path.read_text() + "runs['sed']['quick'] = {'train_cfg.max_iters': 2, 'stub.bonus': 7}\n")
    runs = study.load(quick=True).runs
    assert runs['sed'].cfg_options == {'stub.bonus': 7, 'train_cfg.max_iters': 2}
    assert runs['few'].cfg_options == {'train_cfg.max_iters': 1}
    assert study.load(quick=True, cfg_options={'stub.bonus': 1}).runs['sed'].cfg_options['stub.bonus'] == 1
    assert study.load().runs['sed'].cfg_options == {'stub.bonus': 5}


def test_fingerprint_changes_with_what_matters_only(study):
    spec = study.load()
    few, start = spec.runs['few'], spec.start
    same = fingerprint(few, 0, start)
    assert fingerprint(study.load().runs['few'], 0, start) == same
    assert fingerprint(few, 1, start) != same
    assert fingerprint(few, 0) != same
    assert fingerprint(few, 0, start, {'type': 'toy'}) != same
    start.cfg_options['stub.bonus'] = 7
    assert fingerprint(few, 0, start) != same


def test_keys_of_a_config_may_be_of_several_kinds(study):
    runs = [study.load().runs['few'] for _ in range(3)]
    for run, mapping in zip(runs, ({1: 'a', 'b': 2}, {'b': 2, 1: 'a'}, {'1': 'a', 'b': 2})):
        run.cfg_options['stub.map'] = mapping
    said = [fingerprint(run, 0) for run in runs]
    assert said[0] == said[1] != said[2]


@pytest.mark.parametrize(
    'line, match',
    [
        ('runs = {}', 'names no runs'),
        ('speed = 3', "unknown key 'speed'"),
        ('runs = dict(few=dict(cfg_options={}))', "lacks the key 'config'"),
        ("runs = dict(few=dict(config='config.py', options={}))", "unknown key 'options'"),
        ("runs = dict(start=dict(config='config.py'))", 'rename that run'),
        ('model = {}\ntrain_cfg = {}', 'is the config of a training and no study'),
        ('name = 3', 'name is 3: write a word in quotes'),
        ("runs = [dict(config='config.py')]", r'runs is \[.*write dict\(NAME=dict\('),
        ("runs = dict(few='config.py')", r"run 'few', is 'config.py': write dict\(config='...'\)"),
        ("runs = {'..': dict(config='config.py')}", r"calls a run '\.\.', which its folder would be called too"),
        ("runs = {'a/b': dict(config='config.py')}", "calls a run 'a/b'"),
        ("runs = dict(few=dict(config='config.py', env=['x']))", r"has env=\['x'\]: write env=dict"),
        ('runs = dict(few=dict(config=3))', "has config=3: write a config file's path"),
        ("runs = dict(few=dict(config='config.py', iterations_times='2'))", "iterations_times='2': write a number"),
        ("runs['few']['cfg_options'] = {'randomness.seed': 5}", 'randomness.seed=5, with which every seed'),
        ('seeds = 3', 'seeds is 3: write a list of whole numbers'),
        ("seeds = ['x']", r"seeds is \['x'\]"),
        ("data = 'toy'", "data has 'toy'"),
        ("data = dict(root='x')", 'data has .*write dict'),
        ("compare = ['few', 'all']", r'compare is .*: write compare=dict\(\.\.\.\)'),
        ("compare = dict(few='fewe')", "few is the run 'fewe', but there are few, sed, all"),
        ("compare = dict(baseline='few')", "unknown key 'baseline'; known are all, few"),
        ("test = dict(ann_file='a', img_prefix='b', resamples=0)", 'resamples=0: write a whole number, 1 or more'),
    ],
)
def test_mistakes_in_a_specification(study, tmp_path, line, match):
    path = tmp_path / 'wrong.py'
    path.write_text((tmp_path / 'spec.py').read_text() + line + '\n')
    with pytest.raises(UserError, match=match):
        load_spec(str(path))


def test_a_seed_among_the_options_would_make_all_seeds_one(study):
    with pytest.raises(UserError, match=r'--cfg-options has randomness\.seed=5.*--seeds'):
        study.load(cfg_options={'randomness.seed': 5})
    assert study.load(cfg_options={'randomness.seed': '1{seed}'}).runs['few'].options_for(2) == {
        'randomness.seed': '12'
    }


def test_a_seed_named_twice_is_one(study, tmp_path):
    path = tmp_path / 'spec.py'
    path.write_text(path.read_text() + 'seeds = [1, 1, 0]\n')
    spec = study.load()
    assert spec.seeds == [1, 0]
    assert [job.seed for job in study.runner(spec).jobs([2, 2], ['all'])] == [2]


@pytest.mark.parametrize(
    'data, match',
    [
        (dict(type='toys', root='x'), "of the type 'toys': those that can be made here are toy, recapture, splits"),
        (dict(type='toy'), "data of the type 'toy' lack the key 'root'"),
        (
            dict(type='toy', root='x', images=3),
            "data of the type 'toy' have an argument that is not known or lack one .*'images'",
        ),
    ],
)
def test_data_that_cannot_be_made(study, data, match):
    with pytest.raises(UserError, match=match):
        make_data(dataclasses.replace(study.load(), data=data))


def test_missing_specification_and_config(study):
    with pytest.raises(UserError, match=r'nowhere\.py'):
        load_spec('nowhere.py')
    with pytest.raises(UserError, match=r'missing\.py.*few'):
        fingerprint(RunSpec('few', 'missing.py'), 0)

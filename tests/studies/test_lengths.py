"""A run so many times as long: its schedule in proportion, as many evaluations, their checkpoints kept."""

from pathlib import Path

import pytest
from mmengine.config import Config

from sssd.errors import UserError
from sssd.studies.lengths import kept, longer
from sssd.studies.spec import load_config, load_spec


def config(max_iters=500, val_interval=250, **changes):
    schedule = [
        dict(type='LinearLR', begin=0, end=33),
        dict(type='MultiStepLR', begin=0, end=max_iters, milestones=[333]),
    ]
    return Config(
        dict(train_cfg=dict(max_iters=max_iters, val_interval=val_interval), param_scheduler=schedule, **changes)
    )


def test_everything_that_counts_iterations_goes_along():
    found = longer(config(custom_hooks=[dict(type='sssd.LambdaScheduleHook', burn_in=100)]), 2.6)
    assert found == {
        'train_cfg.max_iters': 1300,
        'train_cfg.val_interval': 650,
        'param_scheduler.0.begin': 0,
        'param_scheduler.0.end': 86,
        'param_scheduler.1.begin': 0,
        'param_scheduler.1.end': 1300,
        'param_scheduler.1.milestones': [866],
        'custom_hooks.0.burn_in': 260,
    }


@pytest.mark.parametrize(
    'iters, interval, times', [(500, 250, 2.511), (800, 400, 1.333), (1001, 500, 0.5), (3, 1, 1.7)]
)
def test_evaluations_stay_as_many_and_the_last_one_is_at_the_end(iters, interval, times):
    found = longer(config(iters, interval), times)
    new, step = found['train_cfg.max_iters'], found['train_cfg.val_interval']
    assert new == round(iters * times) and -(-new // step) == -(-iters // interval)


def test_a_warm_up_stays_long_enough_to_end():
    assert longer(config(), 0.01)['param_scheduler.0.end'] == 2


def test_mistakes():
    with pytest.raises(UserError, match='iterations_times is 0'):
        longer(config(), 0)
    with pytest.raises(UserError, match='does not count its training in iterations'):
        kept(Config(dict(train_cfg=dict(max_epochs=3))))


def test_checkpoints_of_all_evaluations_stay_and_bear_their_iterations():
    hooks = dict(checkpoint=dict(type='CheckpointHook', interval=100), logger=dict(type='LoggerHook'))
    found = kept(config(default_hooks=hooks))
    assert found == {
        'default_hooks.checkpoint.by_epoch': False,
        'default_hooks.checkpoint.interval': 250,
        'default_hooks.checkpoint.max_keep_ckpts': -1,
        'default_hooks.logger.log_metric_by_epoch': False,
    }
    bare = config()
    bare.merge_from_dict(kept(bare))
    assert bare.default_hooks.checkpoint.type == 'CheckpointHook' and bare.default_hooks.logger.type == 'LoggerHook'


def test_in_a_specification(study):
    text = (
        Path('spec.py')
        .read_text()
        .replace("sed=dict(config='config.py', ", "sed=dict(config='config.py', iterations_times=2.4, ")
    )
    Path('spec.py').write_text(text)
    runs = study.load().runs
    assert load_config(runs['sed'], 0).train_cfg == dict(max_iters=7, val_interval=7)
    assert load_config(runs['few'], 0).train_cfg == dict(max_iters=3)
    assert runs['sed'].cfg_options['stub.bonus'] == 5
    assert load_config(study.load(quick=True).runs['sed'], 0).train_cfg.max_iters == 2  # 2.4 times one iteration
    assert 'default_hooks' not in load_config(runs['sed'], 0)


def test_a_study_with_a_test_part_keeps_the_checkpoints_that_it_tests(study):
    with open('spec.py', 'a') as handle:
        handle.write("test = dict(ann_file='a.json', img_prefix='images/', resamples=10)\n")
    spec = study.load()
    assert spec.test == dict(ann_file='a.json', img_prefix='images/', resamples=10)
    hook = load_config(spec.runs['all'], 1).default_hooks.checkpoint
    assert (hook.interval, hook.max_keep_ckpts) == (3, -1)
    assert 'default_hooks' not in load_config(spec.start, 1)


@pytest.mark.parametrize(
    'line, match',
    [
        ("test = dict(ann_file='a.json')", "test, lacks the key 'img_prefix'"),
        ("test = dict(ann_file='a.json', img_prefix='b', draws=3)", "test, has an unknown key 'draws'"),
    ],
)
def test_mistakes_in_a_test_part(study, line, match):
    Path('spec.py').write_text(Path('spec.py').read_text() + line + '\n')
    with pytest.raises(UserError, match=match):
        load_spec('spec.py')

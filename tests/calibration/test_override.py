"""A found lambda in a config: schedules keep their shape, the rest of the base stays."""

import pytest
from mmengine.config import Config

from sssd.calibration.override import calibrated_hooks, override_text, scaled, without_weight
from sssd.errors import UserError
from sssd.schedules import Progress, build_schedule

STEP = dict(type='StepAtDecay', start=75.0, end=100.0)
BASE = """
a = dict(b=1, c=[dict(d=2)])
train_cfg = dict(max_iters=10, val_interval=5)
custom_hooks = [
    dict(type='sssd.LambdaScheduleHook', student_grad=1.0, lambda_=dict(type='Ramp', begin=100, length=200, after=dict(
        type='StepAtDecay', start=75.0, end=100.0))),
    dict(type='sssd.FreezeBackboneHook', until=5)]
"""


@pytest.mark.parametrize(
    'schedule',
    [
        75.0,
        dict(type='Constant', value=2),
        STEP,
        dict(type='Ramp', begin=100, length=200, after=STEP),
        dict(type='Cosine', start=0.0, end=8.0),
        dict(type='sssd.StepAtDecay', start=0, end=4),
    ],
    ids=str,
)
def test_a_scaled_schedule_is_the_same_times_a_factor(schedule):
    before, after = build_schedule(schedule), build_schedule(scaled(schedule, 30.0))
    places = [Progress(iteration, 1000, lr, 1.0) for iteration, lr in ((0, 1.0), (150, 1.0), (500, 1.0), (1000, 0.1))]
    factors = [after(place) / before(place) for place in places if before(place)]
    assert factors and all(factor == pytest.approx(factors[0], rel=1e-3) for factor in factors)
    assert [after(place) == 0 for place in places] == [before(place) == 0 for place in places]


def test_the_first_value_that_is_not_zero_becomes_the_lambda():
    assert scaled(dict(type='Ramp', begin=9, after=STEP), 30.0) == dict(
        type='Ramp', begin=9, after=dict(type='StepAtDecay', start=30.0, end=40.0)
    )
    assert scaled(dict(type='StepAtDecay', start=0, end=4), 30.0)['end'] == 30.0
    assert scaled(dict(type='Ramp', begin=9, after=0), 30.0) == 30.0


@pytest.mark.parametrize('schedule', [dict(type='Zigzag', value=1), 'fast', None, True], ids=str)
def test_a_schedule_of_another_kind_is_refused(schedule):
    with pytest.raises(UserError, match='which cannot be scaled: write it as a number or one of Constant'):
        scaled(schedule, 1.0)


def test_a_hook_keeps_its_other_weights():
    hook = dict(type='sssd.LambdaScheduleHook', burn_in=3, lambda_=1.0, student_grad=1.0, lambda_s=2.0)
    assert without_weight(hook, 'lambda_', 'student_grad') == dict(
        type='sssd.LambdaScheduleHook', burn_in=3, lambda_s=2.0
    )
    assert without_weight({**hook, 'lambda_s': 2.0}, 'lambda_', 'student_grad', 'lambda_s') is None
    other = dict(type='EMAHook', lambda_=1.0)
    assert without_weight(other, 'lambda_') is other


def test_a_config_without_a_schedule_gets_a_hook():
    assert calibrated_hooks(Config(dict(model=dict(lambda_=3.0))), dict(lambda_=30.0)) == [
        dict(type='sssd.LambdaScheduleHook', lambda_=30.0)
    ]


def written(tmp_path, options=()):
    """The override of the base with some options, read again, and the base with them."""
    base, out = tmp_path / 'base.py', tmp_path / 'deep' / 'out.py'
    base.write_text(BASE)
    out.parent.mkdir()
    cfg = Config.fromfile(str(base))
    cfg.merge_from_dict(dict(options))
    out.write_text(override_text(cfg, dict(lambda_=30.0), str(base), out, dict(options), 'a note'))
    assert out.read_text().startswith("# a note\n_base_ = ['../base.py']\n")
    return Config.fromfile(str(out)), cfg


def test_the_file_changes_the_schedule_alone(tmp_path):
    found, cfg = written(tmp_path)
    assert found.custom_hooks[0].lambda_ == dict(
        type='Ramp', begin=100, length=200, after=dict(type='StepAtDecay', start=30.0, end=40.0)
    )
    assert found.custom_hooks[0].student_grad == 1.0 and found.custom_hooks[1] == cfg.custom_hooks[1]
    assert (found.a, found.train_cfg) == (cfg.a, cfg.train_cfg)


def test_options_are_part_of_the_file(tmp_path):
    options = {
        'train_cfg.max_iters': 7,
        'a.c.0.d': 3,
        'new.key': 'x',
        'custom_hooks.1.until': 6,
        'custom_hooks.0.lambda_.begin': 50,
    }
    found, cfg = written(tmp_path, options.items())
    for key in ('a', 'train_cfg', 'new'):
        assert found[key] == cfg[key] and '_delete_' not in found[key]
    assert found.custom_hooks[1].until == 6 and found.custom_hooks[0].lambda_.begin == 50
    assert found.custom_hooks[0].lambda_.after.start == 30.0


def test_a_config_that_imports_its_parts_is_refused(tmp_path):
    base = tmp_path / 'lazy.py'
    base.write_text('from mmengine.config import read_base\nwith read_base():\n    pass\n')
    with pytest.raises(UserError, match='lazy.py is a config of the kind that imports its parts'):
        override_text(Config(dict()), dict(lambda_=1.0), str(base), tmp_path / 'out.py')


def test_several_lambdas_wherever_their_schedules_are():
    cfg = Config(
        dict(
            custom_hooks=[
                dict(type='sssd.LambdaScheduleHook', lambda_s=4.0, burn_in=7),
                dict(type='sssd.LambdaScheduleHook', lambda_=dict(type='Ramp', begin=9, after=2.0)),
            ]
        )
    )
    assert calibrated_hooks(cfg, dict(lambda_s=0.5, lambda_d=0.25, lambda_=30.0)) == [
        dict(type='sssd.LambdaScheduleHook', lambda_s=0.5, burn_in=7),
        dict(type='sssd.LambdaScheduleHook', lambda_=dict(type='Ramp', begin=9, after=30.0)),
        dict(type='sssd.LambdaScheduleHook', lambda_d=0.25),
    ]

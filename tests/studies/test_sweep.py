"""A run becomes several, one a value."""

from pathlib import Path

import pytest
from mmengine.config import Config

from sssd.errors import UserError
from sssd.studies.sweep import Sweep, variants

SEED = Config(
    dict(
        alpha=0.9,
        model=dict(type='SED'),
        train_dataloader=dict(batch_size=4, dataset=dict(pipeline=[dict(branch=dict(unsup_student=[]))])),
        custom_hooks=[dict(type='sssd.EMATeacherHook', alpha=0.9), dict(type='sssd.ScaleDrawHook')],
    )
)
FEW = Config(dict(model=dict(type='RetinaNet'), train_dataloader=dict(batch_size=2)))


def made(*words, runs=None):
    found = variants(runs or dict(few=FEW, sed=SEED), [Sweep.of(word) for word in words], 'small')
    return {name: options for group in found.values() for name, options in group}


def test_values_are_typed_and_may_have_commas_in_brackets():
    assert Sweep.of('sed:a.b=1,0.5,x,True') == Sweep('a.b', (1, 0.5, 'x', True), 'sed')
    assert Sweep.of('a=[1,2],(3,4)').values == ([1, 2], (3, 4))


def test_without_a_run_those_with_unlabelled_images_are_swept():
    assert made('train_dataloader.batch_size=2,4') == {
        'few': {},
        'sed@batch_size=2': {'train_dataloader.batch_size': 2},
        'sed@batch_size=4': {'train_dataloader.batch_size': 4},
    }


def test_several_keys_are_a_grid():
    names = list(made('sed:custom_hooks.0.alpha=0.9,0.99', 'sed:train_dataloader.batch_size=2,4', 'few:model.type=A,B'))
    assert names[:2] == ['few@type=A', 'few@type=B']
    assert names[2:] == [f'sed@alpha={alpha},batch_size={size}' for alpha in ('0.9', '0.99') for size in (2, 4)]


def test_names_tell_keys_of_the_same_end_apart():
    assert list(made('sed:custom_hooks.0.type=A,B', 'sed:model.type=C'))[1:] == [
        'sed@0.type=A,model.type=C',
        'sed@0.type=B,model.type=C',
    ]


def test_an_argument_that_the_config_leaves_at_its_default_is_known():
    assert list(made('custom_hooks.1.max_shift=1,2'))[1:] == ['sed@max_shift=1', 'sed@max_shift=2']


@pytest.mark.parametrize(
    'word, said',
    [
        ('lambda_d', 'is not of the form'),
        (':a=1', 'is not of the form'),
        ('a=1,,2', 'a value is empty'),
        ('a=[1,2', 'a bracket is not closed'),
        ('a=1],[2', 'a bracket is not closed'),
        ('k={x:1,y:2}', 'a dict is meant'),
        ('a=1,1', 'names a value twice'),
        ('sde:model.type=1', "'sde', but the study small has few, sed"),
        ('custom_hooks.0.alhpa=1', r"custom_hooks.0 of the run 'sed' has no 'alhpa'; did you mean 'alpha'"),
        ('custom_hooks.2.alpha=1', r"custom_hooks of the run 'sed' has no '2'; it has 0, 1"),
        ('few:model.lr.x=1', r"model of the run 'few' has no 'lr'"),
        ('sed:alpha=0.9,0.99', "'alpha' is a variable of the config"),
    ],
)
def test_mistakes_are_told(word, said):
    with pytest.raises(UserError, match=said):
        made(word)


def test_a_study_without_unlabelled_images_has_to_name_the_run():
    with pytest.raises(UserError, match='no run of the study small has unlabelled images: name the run'):
        made('model.type=A', runs=dict(few=FEW))
    with pytest.raises(UserError, match='twice'):
        made('few:model.type=A', 'few:model.type=B')


def test_a_swept_study_goes_on_and_its_runs_stand_in_the_place_of_theirs(study):
    sweeps = ['sed:train_cfg.max_iters=1,2', 'sed:randomness.seed=3']
    spec = study.load(sweeps=sweeps)
    assert list(spec.runs) == ['few', 'sed@max_iters=1,seed=3', 'sed@max_iters=2,seed=3', 'all']
    first, second = list(spec.runs)[1:3]
    study.runner(spec).run(seeds=[0], runs=[first])
    jobs = study.runner(study.load(sweeps=sweeps)).run(seeds=[0], runs=['sed'])
    assert [job.run.name for job in jobs] == [second], 'the name of the run stands for all its values'
    found = {entry['run']: len(entry['history']['student']) for entry in study.runner().results.entries()}
    assert found == {'start': 3, first: 1, second: 2}
    assert Path(f'work/seed0/{second}/iter_2.pth').is_file()

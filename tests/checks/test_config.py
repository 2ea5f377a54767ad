"""Configs that would train late, for ever, or otherwise than they say, told before anything is built."""

import config_files
import pytest
from mmengine.config import Config

from sssd.checks.config import check_loop, check_training
from sssd.checks.semi import check_role
from sssd.cli._building import sentence_of
from sssd.errors import UserError


def base(**changes):
    """A config of SED that trains."""
    pack = dict(type='PackDetInputs')
    pipeline = [
        dict(type='RandomFlip', prob=0.5),
        dict(
            type='mmcv.MultiBranch',
            branch_field=['sup', 'unsup_teacher', 'unsup_student'],
            unsup_teacher=[pack],
            unsup_student=[dict(type='sssd.ColorJitter'), pack],
        ),
    ]
    source = dict(type='CocoDataset', pipeline=pipeline)
    config = dict(
        model=dict(type='sssd.SED', detector=dict(type='RetinaNet'), lambda_s=1.0),
        train_dataloader=dict(
            sampler=dict(type='sssd.MixedSourceSampler'), dataset=dict(type='ConcatDataset', datasets=[source, source])
        ),
        train_cfg=dict(type='IterBasedTrainLoop', max_iters=10, val_interval=5),
        optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.01)),
        param_scheduler=[dict(type='MultiStepLR', by_epoch=False, milestones=[5])],
        custom_hooks=[dict(type='sssd.EMATeacherHook')],
        randomness=dict(seed=0),
        test_pipeline=[],
    )
    return Config({**config, **changes})


def changed(place, value):
    """The config with one value changed, by its dotted place."""
    config = base()
    config.merge_from_dict({place: value})
    return config


def test_the_guide_is_evaluated_by_test_and_not_while_it_trains():
    config = base(model=dict(type='sssd.SED', guidance=dict(), semi_test_cfg=dict(predict_on='guide')))
    check_role(config, 'c.py')
    with pytest.raises(UserError, match=r"predict_on is 'guide'; use teacher \(the default\) or student\."):
        check_training(config, 'c.py')
    config.model.guidance = None
    with pytest.raises(UserError, match="predict_on is 'guide'"):
        check_role(config, 'c.py')


def test_a_sound_config_passes():
    check_training(base(), 'c.py')


@pytest.mark.parametrize('folder', ['ablations', 'bccd', 'camera', 'photos', 'quickstart', 'sed', 'sizes', 'sssd'])
def test_the_configs_of_the_repository_pass(folder):
    paths = sorted((config_files.CONFIGS / folder).glob('*.py'))
    configs = {path.name: config_files.read(f'{folder}/{path.name}') for path in paths}
    trained = [name for name, config in configs.items() if 'model' in config]
    for name in trained:
        check_training(configs[name], name)
    assert trained or folder == 'ablations'


BROKEN = {
    'train_cfg.max_iters': (0, 'train_cfg.max_iters is 0'),
    'train_cfg.val_interval': (-1, 'train_cfg.val_interval is -1'),
    'optim_wrapper.optimizer.lr': ('1e-3', "lr is '1e-3', but a learning rate is a number"),
    'model.lambda_s': (-1.0, 'model.lambda_s is -1.0'),
    'model.lambda_d': (float('nan'), 'model.lambda_d is NaN'),
    'randomness.seed': (2**32, 'randomness.seed is 4294967296'),
    'param_scheduler.0.by_epoch': (True, r'param_scheduler\[0\] \(MultiStepLR\) counts epochs'),
    'train_cfg.type': ('EpochBasedTrainLoop', 'MixedSourceSampler, which never ends an epoch'),
    'model.semi_test_cfg': (dict(predict_on='techer'), "predict_on is 'techer'; use teacher .* or student"),
    'custom_hooks': ([], 'no hook moves its teacher'),
    'train_dataloader.dataset.datasets.1.pipeline.1.unsup_student.0.type': (
        'RandomCrop',
        'RandomCrop stands in the branch',
    ),
    'randomness.seeds': (3, "randomness has a key 'seeds', which nothing reads: write 'seed'"),
    'env_cfg': (dict(cudnn_benchmarks=True), "write 'cudnn_benchmark'"),
    'optim_wrapper.clip_grad': (dict(max_nrm=1), "write 'max_norm'"),
    'default_hooks': (dict(checkpoints=dict(interval=5)), "write 'checkpoint'"),
    'default_hooks.checkpoint': (dict(type='CheckpointHook', interval=5), 'nothing would be saved before its end'),
    'default_hooks.logger': (dict(interval=0), 'at least 1'),
    'model.test_cfg': (dict(scor_thr=0.5), "write 'score_thr'"),
    'train_dataloader.dataset.datasets.1.pipeline.1.unsup_studnt': ([], "write 'unsup_student'"),
    'custom_hooks.0.lambda_s': (dict(type='StepAtDecay', start=-1.0), 'must be at least 0'),
    'custom_hooks.0.lambda_p': (dict(type='Ramp', after=-1.0), 'must be at least 0'),
    'train_dataloader.num_workers': (-1, 'at least 0'),
    'train_dataloader.sampler': (None, 'has no sampler'),
    'train_dataloader.dataset.ann_file': ('a.json', 'has no pipeline'),
    'optim_wrapper.optimizer': (dict(type='SGDD', lr=0.1), "is it 'SGD'"),
    'param_scheduler.0.milestones': (['5'], "is the text '5'"),
    'val_evaluator': (dict(type='CocoMetric'), 'has val_evaluator but not val_dataloader, val_cfg'),
    'train_dataloder': (dict(batch_size=4), "write 'train_dataloader'"),
    'optim_wraper': (dict(a=1), None),
    'custom_hook': ([1], None),
    'train_dataloader': (None, 'lacks train_dataloader'),
}


@pytest.mark.parametrize('place', BROKEN)
def test_a_broken_config_is_told(place):
    value, sentence = BROKEN[place]
    if sentence is None:  # a slip: the right name is missing
        near = dict(optim_wraper='optim_wrapper', custom_hook='custom_hooks')[place]
        config = base(**{place: value})
        config.pop(near)
        sentence = f"a key '{place}', which nothing reads: write '{near}'"
    elif place == 'train_dataloader':
        config = base(train_dataloader=value)
    else:
        config = changed(place, value)
    with pytest.raises(UserError, match=sentence):
        check_training(config, 'c.py')


@pytest.mark.parametrize(
    'text, sentence',
    [
        (
            "'RetinaNett is not in the mmdet::model registry. Please check",
            "no model of the type 'RetinaNett': is it 'RetinaNet'",
        ),
        ("EMATeacherHook.__init__() got an unexpected keyword argument 'alfa'", "no argument 'alfa': write 'alpha'"),
        (
            "class `SED` in sssd/x.py: SED.__init__() missing 1 required positional argument: 'detector'",
            "needs 'detector'",
        ),
    ],
)
def test_unknown_names_are_told_with_the_nearest(text, sentence):
    assert sentence in sentence_of(text)


def test_other_errors_are_left_alone():
    assert sentence_of("'loss'") is None


def test_a_training_by_epochs_saves_by_epochs():
    loops = dict(type='EpochBasedTrainLoop', max_epochs=2)
    config = base(train_cfg=loops, default_hooks=dict(checkpoint=dict(by_epoch=False, interval=3)))
    config.train_dataloader.sampler.type = 'DefaultSampler'
    with pytest.raises(UserError, match='would do a part of one twice'):
        check_loop(config, 'c.py')
    config.default_hooks.checkpoint.by_epoch = True
    check_loop(config, 'c.py')

"""A run that is interrupted and resumed ends where one in one go does."""

import pytest
import tiny
import torch
from mmengine.hooks import Hook

PACK = dict(type='PackDetInputs', meta_keys=('img_id', 'img_shape', 'ori_shape'))
BRANCHES = ['sup', 'unsup_teacher', 'unsup_student']


class PowerCut(Exception):
    """What ends a run in the middle."""


class Interrupt(Hook):
    """Cuts the power after an iteration, its checkpoint written; keeps what hooks set and the loss scale until then."""

    priority = 'LOWEST'

    def __init__(self, after=None):
        self.after, self.seen = after, []

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        alpha = runner.message_hub.get_scalar('train/alpha').current()
        ids = [sample.img_id for branch in data_batch['data_samples'].values() for sample in branch]
        scaler = getattr(runner.optim_wrapper, 'loss_scaler', None)
        self.seen.append((runner.model.lambda_s, runner.model.shift, alpha, ids, scaler and scaler.get_scale()))
        if runner.iter + 1 == self.after:
            raise PowerCut


def dataloader(coco):
    """The project's own sampler over labelled and unlabelled images."""

    def source(pipeline):
        return dict(
            type='CocoDataset',
            ann_file=str(coco.ann_file),
            data_prefix=dict(img=str(coco.img_dir)),
            metainfo=coco.metainfo,
            pipeline=[dict(type='LoadImageFromFile'), *pipeline],
        )

    labelled = source(
        [dict(type='LoadAnnotations', with_bbox=True), dict(type='MultiBranch', branch_field=BRANCHES, sup=[PACK])]
    )
    unlabelled = source(
        [
            dict(type='LoadEmptyAnnotations'),
            dict(type='MultiBranch', branch_field=BRANCHES, unsup_teacher=[PACK], unsup_student=[PACK]),
        ]
    )
    return dict(
        batch_size=2,
        num_workers=0,
        collate_fn=dict(type='pseudo_collate'),
        sampler=dict(type='sssd.MixedSourceSampler', batch_size=2, source_ratio=[1, 1]),
        dataset=dict(type='ConcatDataset', datasets=[labelled, unlabelled]),
    )


def run(coco, work_dir, detector, stop=None, resume=False, precision=None):
    """Four iterations with a drop of the rate after three; student, teacher and what the hooks set."""
    watch = Interrupt(stop)
    hooks = [
        dict(type='sssd.LambdaScheduleHook', lambda_s=dict(type='Ramp', after=1.0, length=4), lambda_d=1.0),
        dict(type='sssd.ScaleDrawHook', max_shift=2),
        dict(type='sssd.EMATeacherHook', alpha=dict(type='StepAtDecay', start=0.8, end=0.3)),
        watch,
    ]
    runner = tiny.make_runner(
        tiny.sed_config(detector()),
        dataloader(coco),
        work_dir,
        4,
        hooks=hooks,
        resume=resume,
        precision=precision,
        param_scheduler=[
            dict(type='LinearLR', start_factor=0.1, by_epoch=False, begin=0, end=2),
            dict(type='MultiStepLR', by_epoch=False, milestones=[3], gamma=0.1),
        ],
        default_hooks=dict(checkpoint=dict(type='CheckpointHook', by_epoch=False, interval=1, save_last=False)),
    )
    if stop:
        with pytest.raises(PowerCut):
            runner.train()
    else:
        runner.train()
    return tiny.state_of(runner.model), watch.seen


@pytest.mark.parametrize('detector, stop', [(tiny.retinanet, 2), (tiny.retinanet, 3), (tiny.detr, 2)])
def test_interrupted_and_resumed(detector, stop, tiny_coco, tmp_path):
    """Stopped before the drop of the rate, and right at it: only the stored peak tells that it has dropped."""
    whole, seen = run(tiny_coco, tmp_path / 'whole', detector)
    half, before = run(tiny_coco, tmp_path / 'parts', detector, stop=stop)
    resumed, after = run(tiny_coco, tmp_path / 'parts', detector, resume=True)
    assert before + after == seen and len(before) == stop
    assert [alpha for _, _, alpha, *_ in seen] == [0.8, 0.8, 0.8, 0.3]
    assert any(not torch.equal(half[name], whole[name]) for name in whole)
    for name, value in whole.items():
        torch.testing.assert_close(resumed[name], value, rtol=0, atol=1e-7, msg=name)


def test_the_loss_scale_of_float16_goes_on(tiny_coco, tmp_path):
    """It is doubled after every step here."""
    half = dict(type='sssd.Float16OptimWrapper', loss_scale=dict(init_scale=64.0, growth_interval=1))
    _, before = run(tiny_coco, tmp_path, tiny.retinanet, stop=2, precision=half)
    _, after = run(tiny_coco, tmp_path, tiny.retinanet, resume=True, precision=half)
    assert [scale for *_, scale in before + after] == [128.0, 256.0, 512.0, 1024.0]

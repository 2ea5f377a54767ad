"""LabelEnc's two steps through real Runners on the three detectors."""

import guided
import pytest
import tiny
import torch
from mmengine.hooks import Hook

from sssd.cli import extract
from sssd.errors import UserError

NAMES = sorted(tiny.DETECTORS)
MSE = dict(type='FeatureDistance', kind='mse')
BATCHES = ((*tiny.BOXES, ()), ((), ()))


class Watch(Hook):
    """The losses of every iteration, and the parameters that train but had no gradient."""

    priority = 'LOWEST'

    def __init__(self):
        self.losses, self.used, self.without = [], set(), []

    def before_train(self, runner):
        self.start = tiny.state_of(runner.model)
        for name, value in runner.model.named_parameters():
            if value.requires_grad:
                value.register_post_accumulate_grad_hook(lambda _, name=name: self.used.add(name))

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        wanted = {name for name, value in runner.model.named_parameters() if value.requires_grad}
        self.without += sorted(wanted - self.used)
        self.used.clear()
        self.losses.append(outputs)


def train(name, work_dir, guide, **options):
    """Two iterations of AdamW under strong weight decay, one without any box; the model and what was seen."""
    watch = Watch()
    runner = tiny.make_runner(
        guided.config(tiny.DETECTORS[name](), guide=dict(type='LabelEnc', **guide), distance=MSE, **options),
        [guided.batch(boxes, seed=index) for index, boxes in enumerate(BATCHES)],
        work_dir,
        len(BATCHES),
        hooks=[watch],
        default_hooks=dict(checkpoint=dict(type='CheckpointHook', by_epoch=False, interval=len(BATCHES))),
    )
    runner.optim_wrapper = runner.build_optim_wrapper(
        dict(type='OptimWrapper', optimizer=dict(type='AdamW', lr=1e-3, weight_decay=0.5))
    )
    runner.train()
    assert watch.without == []
    assert all(torch.isfinite(value).all() for losses in watch.losses for value in losses.values())
    return runner.model, watch


def pretrained(path):
    return dict(type='Pretrained', checkpoint=str(path), prefix='guidance.guide.')


def changed(before, after, prefix):
    return [name for name in before if name.startswith(prefix) and not torch.equal(before[name], after[name])]


@pytest.mark.parametrize('name', NAMES)
def test_both_steps(name, tmp_path):
    first, seen = train(name, tmp_path / 'step1', {}, lambda_=0.0)
    assert all(losses['loss_distill'] == 0 and losses['guide_loss_cls'] > 0 for losses in seen.losses)
    after = first.state_dict()
    guides = [key for key in after if key.startswith('guidance.guide.')]
    assert guides and changed(seen.start, after, 'guidance.guide.') == guides
    assert changed(seen.start, after, 'detector.backbone')

    step1 = tmp_path / 'step1' / 'iter_2.pth'
    second, seen = train(
        name, tmp_path / 'step2', dict(frozen=True, init_cfg=pretrained(step1)), guide_loss=False, lambda_=1.0
    )
    trained, after = torch.load(step1, weights_only=False)['state_dict'], second.state_dict()
    for key in guides:
        assert torch.equal(seen.start[key], trained[key]) and torch.equal(after[key], trained[key])
    assert not any(key.startswith('guide_') for losses in seen.losses for key in losses)
    assert all(losses['loss_distill'] > 0 for losses in seen.losses)
    assert changed(seen.start, after, 'detector.neck') and changed(seen.start, after, 'guidance.adapter')
    assert not second.guidance.guide.training and second.detector.training

    out = tmp_path / 'plain.pth'
    assert extract.main([str(tmp_path / 'step2' / 'iter_2.pth'), str(out)]) == 0
    weights = torch.load(out, weights_only=True)['state_dict']
    assert set(weights) == set(second.detector.state_dict())
    assert all(torch.equal(weights[key], value) for key, value in second.detector.state_dict().items())


def test_the_frozen_function_still_teaches_the_features():
    """The distance alone moves backbone and neck, and nothing of the guide."""
    model = guided.build(tiny.retinanet(), guide=dict(type='LabelEnc'), distance=MSE, lambda_=1.0)
    model.guidance.guide.requires_grad_(False)
    model.guidance.guide_loss = False
    losses = tiny.losses_of(model, guided.batch())
    losses['loss_distill'].backward()
    moved = {'.'.join(name.split('.')[:2]) for name, value in model.named_parameters() if value.grad is not None}
    assert moved == {'detector.backbone', 'detector.neck', 'guidance.adapter'}


def test_a_missing_step_1_is_told_before_training(tmp_path):
    with pytest.raises(UserError, match='iter_2.pth does not exist; run step 1 .* init_cfg of the guide'):
        train('fcos', tmp_path, dict(frozen=True, init_cfg=pretrained(tmp_path / 'iter_2.pth')), guide_loss=False)


def test_the_encoder_can_teach_the_labelled_branch_of_sed(tmp_path):
    source = guided.build(tiny.fcos(), guide=dict(type='LabelEnc'))
    torch.save(dict(state_dict=source.state_dict()), tmp_path / 'step1.pth')
    model = tiny.build_sed(
        tiny.fcos(),
        guidance=dict(
            guide=dict(type='LabelEnc', frozen=True, init_cfg=pretrained(tmp_path / 'step1.pth')),
            distance=MSE,
            guide_loss=False,
            lambda_=1.0,
        ),
    )
    before = tiny.state_of(model)
    losses = model.train_step(tiny.make_batch(), tiny.sgd(model, lr=0.01))
    assert losses['sup_loss_distill'] > 0 and 'sup_guide_loss_cls' not in losses
    assert changed(before, model.state_dict(), 'guidance.guide.') == []
    assert changed(before, model.state_dict(), 'student.backbone')
    expected = source.guidance.guide.state_dict()
    assert all(torch.equal(model.guidance.guide.state_dict()[key], value) for key, value in expected.items())

"""Features of training x {SED, SSSD, both}: the table of docs/distributed.md."""

from functools import partial
from types import SimpleNamespace

import guided
import pytest
import tiny
import torch
import two_ranks
from mmengine.hooks import Hook
from mmengine.model import convert_sync_batchnorm
from mmengine.runner import turn_on_activation_checkpointing
from torch import nn

from sssd.errors import UserError
from sssd.hooks import CompilePartsHook, RecomputeHook
from sssd.optim import BFloat16OptimWrapper, Float16OptimWrapper

KINDS = ['sed', 'sssd', 'both']
kinds = pytest.mark.parametrize('kind', KINDS)
detectors = pytest.mark.parametrize('detector', sorted(tiny.DETECTORS))


def config(kind, detector):
    """Config of a model of a kind over a detector's config."""
    if kind == 'sssd':
        return guided.config(detector, lambda_=10.0)
    return tiny.sed_config(detector, **(dict(guidance=dict(lambda_=10.0)) if kind == 'both' else {}))


def build(kind, detector):
    """A model of a kind, in training mode, always with the same weights."""
    if kind == 'sssd':
        return guided.build(detector, lambda_=10.0)
    return tiny.build_sed(detector, **(dict(guidance=dict(lambda_=10.0)) if kind == 'both' else {}))


def batch(kind, seed=0):
    return guided.batch(seed=seed) if kind == 'sssd' else tiny.make_batch(seed=seed)


def gradients(model, data, seed=0):
    """The gradients of one batch and its loss; the same seed draws the same samples."""
    torch.manual_seed(seed)
    total, _ = model.parse_losses(tiny.losses_of(model, data))
    total.backward()
    return {name: value.grad for name, value in model.named_parameters() if value.requires_grad}, total.item()


def assert_same(found, expected):
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value, rtol=1e-4, atol=1e-6, msg=name)


@kinds
@detectors
def test_accumulated_gradients_make_one_step_of_their_mean(kind, detector, tmp_path):
    """Two iterations, one step; the moving average follows at the step alone. Nothing is sampled at random."""
    make = tiny.DETECTORS[detector]
    config = partial(two_ranks.settled, make) if detector == 'faster_rcnn' else make
    reference, rate = build(kind, config()), 0.05
    total = sum(reference.parse_losses(tiny.losses_of(reference, batch(kind, seed)))[0] for seed in range(2)) / 2
    total.backward()
    torch.optim.SGD([value for value in reference.parameters() if value.requires_grad], lr=rate).step()
    hooks = [] if kind == 'sssd' else [dict(type='sssd.EMATeacherHook', alpha=0.0)]
    runner = tiny.make_runner(
        build(kind, config()), [batch(kind, seed) for seed in range(2)], tmp_path, 2, hooks=hooks, accumulate=2, lr=rate
    )
    runner.train()
    found = tiny.state_of(runner.model)
    for name, value in reference.named_parameters():
        if value.requires_grad:
            torch.testing.assert_close(found[name], value.detach(), rtol=1e-4, atol=1e-6, msg=name)
            if name.startswith('student.'):
                assert torch.equal(found[name.replace('student', 'teacher', 1)], found[name])


@pytest.mark.parametrize('half', [torch.bfloat16, torch.float16])
@kinds
@detectors
def test_half_precision_steps_nearly_as_float32_does(kind, detector, half):
    """On the CPU: every loss is float32, so are the weights, and the update points the same way."""
    updates, wrappers = (
        [],
        {torch.bfloat16: BFloat16OptimWrapper, torch.float16: partial(Float16OptimWrapper, loss_scale=1024)},
    )
    for wrapper_type in (wrappers[half], None):
        model = build(kind, tiny.DETECTORS[detector]())
        wrapper = tiny.sgd(model, lr=0.01)
        if wrapper_type is not None:
            wrapper = wrapper_type(optimizer=wrapper.optimizer)
        before, halved = tiny.state_of(model), []
        handle = model.get_submodule('detector' if kind == 'sssd' else 'student').neck.register_forward_hook(
            lambda module, args, output, halved=halved: halved.append(output[0].dtype == half)
        )
        torch.manual_seed(0)
        losses = model.train_step(batch(kind), wrapper)
        handle.remove()
        assert all(value.dtype == torch.float32 for value in losses.values())
        assert all(value.dtype == torch.float32 for value in model.parameters())
        assert halved and all(halved) == any(halved) == (wrapper_type is not None)
        assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())
        updates.append(torch.cat([(value - before[name]).flatten() for name, value in tiny.state_of(model).items()]))
    assert torch.cosine_similarity(*updates, dim=0) > (0.9 if half == torch.bfloat16 else 0.99)
    assert updates[0].isfinite().all() and not torch.equal(*updates)


@pytest.mark.parametrize('wrapper', [BFloat16OptimWrapper, partial(Float16OptimWrapper, loss_scale=128.0)])
def test_the_heads_of_detr_are_float32(wrapper):
    """Coordinates from 0 to 1 would have 8 bits."""
    expected = tiny.losses_of(tiny.build_sed(tiny.detr()), tiny.make_batch())
    model, seen = tiny.build_sed(tiny.detr()), []
    head = model.student.bbox_head
    head.fc_reg.register_forward_hook(lambda module, args, output: seen.append(output.dtype))
    head.register_forward_hook(lambda module, args, output: seen.extend(part.dtype for part in output))
    with wrapper(optimizer=tiny.sgd(model).optimizer).optim_context(model):
        losses = tiny.losses_of(model, tiny.make_batch())
    assert seen and set(seen) == {torch.float32} and 'forward' not in vars(head)
    for name, value in losses.items():
        if 'loss' in name:
            assert value.dtype == torch.float32 and value.item() == pytest.approx(
                expected[name].item(), rel=0.05, abs=1e-2
            )


class Overflow(Hook):
    """Before the second of its iterations sets a loss scale that float16 gradients cannot bear; keeps all weights."""

    priority = 'LOWEST'

    def __init__(self):
        self.states, self.scales = [], []

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        if runner.iter == 1:
            runner.optim_wrapper.loss_scaler.update(2.0**60)
        self.scales.append(runner.optim_wrapper.loss_scaler.get_scale())

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        self.states.append(tiny.state_of(runner.model))


@kinds
@detectors
def test_a_step_that_overflows_is_left_out(kind, detector, tmp_path):
    """The second of three: neither weights nor teacher move, then the scale is lower and training goes on."""
    watch, alpha = Overflow(), [] if kind == 'sssd' else [dict(type='sssd.EMATeacherHook', alpha=0.5)]
    runner = tiny.make_runner(
        build(kind, tiny.DETECTORS[detector]()),
        [batch(kind, seed) for seed in range(3)],
        tmp_path,
        3,
        lr=0.01,
        hooks=[*alpha, watch],
        precision=dict(type='sssd.Float16OptimWrapper', loss_scale=dict(init_scale=1024.0, backoff_factor=2.0**-50)),
    )
    runner.train()
    assert watch.scales == [1024.0, 2.0**60, 1024.0]
    first, second, third = watch.states
    trained = {name for name, value in runner.model.named_parameters() if value.requires_grad}
    moving = trained if kind == 'sssd' else trained | {name for name in first if name.startswith('teacher.')}
    assert all(torch.equal(first[name], second[name]) for name in moving)
    assert all(value.isfinite().all() for value in third.values())
    assert sum(not torch.equal(second[name], third[name]) for name in moving) > len(moving) / 2
    if kind != 'sssd':
        assert any(
            not torch.equal(second[name], second[name.replace('student', 'teacher', 1)])
            for name in trained
            if name.startswith('student.')
        ), 'an average would have moved the teacher'
        assert len(runner.message_hub.get_scalar('train/alpha').data[0]) == 2


def test_a_loss_scale_is_dynamic_a_number_or_options():
    optimizer = tiny.sgd(nn.Linear(1, 1)).optimizer
    found = [
        Float16OptimWrapper(optimizer=optimizer, **words).loss_scaler.state_dict()
        for words in ({}, dict(loss_scale=512), dict(loss_scale=dict(init_scale=8.0, growth_interval=3)))
    ]
    assert [state['scale'] for state in found] == [65536.0, 512.0, 8.0] and found[2]['growth_interval'] == 3
    with pytest.raises(UserError, match="loss_scale is 'static'; use 'dynamic'"):
        Float16OptimWrapper(optimizer=optimizer, loss_scale='static')


@pytest.mark.gpu
@kinds
@detectors
def test_float16_steps_on_a_gpu(kind, detector):
    model = build(kind, tiny.DETECTORS[detector]()).cuda()
    before = tiny.state_of(model)
    losses = model.train_step(batch(kind), Float16OptimWrapper(optimizer=tiny.sgd(model).optimizer, loss_scale=128.0))
    assert all(value.isfinite().all() for value in losses.values())
    assert any(not torch.equal(value, before[name]) for name, value in tiny.state_of(model).items())


@kinds
@detectors
def test_checkpointed_activations_give_the_same_gradients(kind, detector):
    make = tiny.DETECTORS[detector]
    expected, loss = gradients(build(kind, make()), batch(kind))
    model, calls = build(kind, make()), []
    hook, runner = RecomputeHook(parts=['backbone', 'neck']), SimpleNamespace(model=model)
    hook.before_train(runner)
    detector = model.detector if kind == 'sssd' else model.student
    for module in (detector.backbone.layer4[-1].conv2, detector.neck.fpn_convs[0].conv):
        module.register_forward_hook(lambda *args: calls.append(torch.is_grad_enabled()))
    found, again = gradients(model, batch(kind))
    assert again == pytest.approx(loss, rel=1e-6)
    assert_same(found, expected)
    assert len(calls) == 2 * 2 * (1 if kind == 'sssd' else 3), 'every pass was run again by the backward pass'
    hook.after_train(runner)
    assert not any('forward' in vars(module) for module in model.modules())


@kinds
def test_batch_norm_counts_what_is_computed_again_once(kind):
    detector, statistics = tiny.retinanet(), []
    detector['backbone'].update(norm_cfg=dict(type='BN', requires_grad=True), norm_eval=False)
    for hooks in ([], [RecomputeHook()]):
        model = build(kind, detector)
        old = {name: value.clone() for name, value in model.named_buffers()}
        for hook in hooks:
            hook.before_train(SimpleNamespace(model=model))
        gradients(model, batch(kind))
        statistics.append({name: value for name, value in model.named_buffers() if not torch.equal(value, old[name])})
    expected, found = statistics
    assert {name.rpartition('.')[2] for name in expected} == {'running_mean', 'running_var', 'num_batches_tracked'}
    assert_same(found, expected)


@pytest.mark.parametrize('part', ['detector.backbone', 'detector.neck'])
def test_mmengine_s_checkpointing_loses_gradients(part):
    """Why the command refuses it: images need no gradient, and a pyramid's inputs come as a tuple."""
    model = build('sssd', tiny.retinanet())
    turn_on_activation_checkpointing(model, part)
    found, _ = gradients(model, batch('sssd'))
    assert all(value is None for name, value in found.items() if name.startswith(part))


@pytest.mark.slow
@pytest.mark.parametrize(
    'detector, kind', [*(('retinanet', kind) for kind in KINDS), ('fcos', 'both'), ('faster_rcnn', 'both')]
)
def test_compiled_parts_train_as_before(kind, detector, tmp_path):
    """The tracing of torch.compile without its code generation; the names of what is saved do not change."""
    torch._dynamo.reset()
    states, counters = [], torch._dynamo.utils.counters
    for hooks in ([], [dict(type='sssd.CompilePartsHook', options=dict(backend='eager', dynamic=True))]):
        counters.clear()
        hooks = [*hooks, *([] if kind == 'sssd' else [dict(type='sssd.EMATeacherHook')])]
        torch.manual_seed(0)
        model, folder = build(kind, tiny.DETECTORS[detector]()), tmp_path / str(len(states))
        runner = tiny.make_runner(model, [batch(kind)], folder, 1, hooks=hooks, lr=0.01)
        runner.train()
        states.append(tiny.state_of(runner.model))
    assert counters['stats']['unique_graphs'] > 0 and not counters['graph_break']
    assert_same(states[1], states[0])


def test_a_model_without_the_parts_is_refused(tmp_path):
    for hook in ('CompilePartsHook', 'RecomputeHook'):
        runner = tiny.make_runner(
            build('sed', tiny.retinanet()),
            [batch('sed')],
            tmp_path,
            1,
            hooks=[dict(type=f'sssd.{hook}', parts=['trunk'])],
        )
        with pytest.raises(UserError, match=f'{hook}: SED has no part named trunk'):
            runner.train()
    assert CompilePartsHook().options == dict(dynamic=True)
    runner = SimpleNamespace(model=tiny.build_sed(tiny.retinanet()), hooks=[RecomputeHook()])
    with pytest.raises(UserError, match='take one of the two out'):
        CompilePartsHook().before_train(runner)


@kinds
@detectors
def test_synchronised_batch_norm_is_converted(kind, detector):
    """What cfg.sync_bn does; on one process it then computes as before. Several need GPUs: see test_two_ranks.py."""
    detector = tiny.DETECTORS[detector]()
    detector['backbone']['norm_cfg'] = dict(type='BN', requires_grad=True)
    expected, loss = gradients(build(kind, detector), batch(kind))
    plain = build(kind, detector)
    names = {name for name, module in plain.named_modules() if isinstance(module, nn.BatchNorm2d)}
    model = convert_sync_batchnorm(plain, 'torch').train()  # as a training loop does before it starts
    assert names and names == {name for name, module in model.named_modules() if isinstance(module, nn.SyncBatchNorm)}
    found, again = gradients(model, batch(kind))
    assert again == pytest.approx(loss, rel=1e-6)
    assert_same(found, expected)

"""When ratios are measured, and what of them reaches the log."""

import guided
import pytest
import tiny
import torch
from mmengine.config import Config
from mmengine.hooks import Hook

from sssd.errors import UserError
from sssd.hooks import EMATeacherHook, GradientRatioHook
from sssd.report.scalars import read_curves

NAMES = ('scale_grad_ratio', 'distill_grad_ratio')


class Outputs(Hook):
    """Keeps what the model gave out in every iteration, and the optimizer's precision if it has a loss scale."""

    def __init__(self):
        self.kept, self.scales = [], []

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        self.kept.append({name: float(outputs[name]) for name in NAMES if name in outputs})
        self.scales.append(runner.model.gradient_scale)


def train(folder, hooks, iterations=6, repo_root=None, backward='branch', **options):
    """A short training of SED; its outputs and the runner. With ``repo_root`` it logs as the shipped configs do."""
    outputs = Outputs()
    if repo_root is not None:
        shipped = Config.fromfile(str(repo_root / 'configs/_base_/default_runtime.py'))
        options['log_processor'] = shipped.log_processor.to_dict()
        options['default_hooks'] = dict(
            logger=dict(type='LoggerHook', interval=2), gradient_ratio=shipped.default_hooks.gradient_ratio.to_dict()
        )
    data = [tiny.make_batch(seed=seed) for seed in range(iterations)]
    runner = tiny.make_runner(
        tiny.sed_config(tiny.retinanet(), backward=backward),
        data,
        folder,
        iterations,
        hooks=[EMATeacherHook(alpha=0.9), outputs, *hooks],
        lr=0.01,
        **options,
    )
    runner.train()
    return outputs, runner


def test_the_log_has_what_was_measured_in_the_iteration_that_is_logged(tmp_path, repo_root):
    """Not a mean over what was measured before, and nothing is measured in between."""
    outputs, runner = train(tmp_path, [], repo_root=repo_root)
    assert [sorted(row) for row in outputs.kept] == 3 * [[], sorted(NAMES)]
    curves = read_curves(tmp_path)
    for name in NAMES:
        measured = [row[name] for row in outputs.kept if row]
        assert curves[name].steps == [2, 4, 6] and len(set(measured)) == 3
        assert curves[name].values == pytest.approx(measured, rel=1e-4)
    assert not runner.model.measure_gradients


@pytest.mark.parametrize('backward', ['branch', 'joint'])
def test_weights_at_the_end_do_not_depend_on_measuring(tmp_path, backward):
    """With gradients accumulated over two iterations, so that some measurements fall between two steps.

    An iteration that is measured has one backward pass for all branches, so by branch they are the same up to rounding.
    """
    states = []
    for name, hooks in (('plain', []), ('measured', [GradientRatioHook(interval=1)])):
        outputs, runner = train(tmp_path / name, hooks, accumulate=2, backward=backward)
        states.append(tiny.state_of(runner.model))
    assert len(outputs.kept) == 6 and all(row['scale_grad_ratio'] > 0 for row in outputs.kept)
    for key, value in states[0].items():
        torch.testing.assert_close(value, states[1][key], rtol=0, atol=1e-6 if backward == 'branch' else 0, msg=key)


def test_accumulation_does_not_change_a_ratio(tmp_path):
    found = [
        train(tmp_path / str(count), [GradientRatioHook(interval=1)], 1, accumulate=count)[0].kept for count in (1, 4)
    ]
    assert found[0] == found[1]


def test_a_loss_scale_is_told_to_the_model(tmp_path):
    precision = dict(type='sssd.Float16OptimWrapper', loss_scale=256.0)
    outputs, _ = train(tmp_path / 'half', [GradientRatioHook(interval=1)], 1, precision=precision)
    expected, _ = train(tmp_path / 'full', [GradientRatioHook(interval=1)], 1)
    assert outputs.scales == [256.0] and expected.scales == [1.0]
    assert outputs.kept[0] == pytest.approx(expected.kept[0], rel=0.1)


def test_parts_are_told_to_the_model(tmp_path):
    nearest, _ = train(tmp_path / 'neck', [GradientRatioHook(interval=1)], 1)
    whole, runner = train(tmp_path / 'whole', [GradientRatioHook(interval=1, parts=['backbone', 'neck'])], 1)
    assert runner.model.measured_parts == ('backbone', 'neck') and whole.kept != nearest.kept


def test_a_part_that_is_none_is_told_when_training_starts(tmp_path):
    with pytest.raises(UserError, match='GradientRatioHook: RetinaNet has no part named trunk'):
        train(tmp_path, [GradientRatioHook(interval=1, parts=['backbone', 'trunk'])], 1)


def test_a_part_within_a_part_goes_by_its_whole_name(tmp_path):
    name = next(name for name, part in tiny.build_sed(tiny.retinanet()).student.backbone.named_children())
    with pytest.raises(UserError, match=f'RetinaNet has no part named {name}; name others in parts, by their whole'):
        train(tmp_path, [GradientRatioHook(interval=1, parts=[name])], 1)
    inside, _ = train(tmp_path / 'inside', [GradientRatioHook(interval=1, parts=[f'backbone.{name}'])], 1)
    whole, _ = train(tmp_path / 'whole', [GradientRatioHook(interval=1, parts=['backbone'])], 1)
    assert inside.kept[0].keys() == whole.kept[0].keys() and inside.kept != whole.kept


def test_nothing_is_measured_where_nothing_is_logged(tmp_path):
    outputs, _ = train(tmp_path, [GradientRatioHook()], 2)
    assert outputs.kept == [{}, {}]


def test_epochs_shorter_than_the_interval_are_measured_where_they_are_logged(tmp_path):
    due = []

    class Due(Hook):
        priority = 'LOWEST'

        def before_train_iter(self, runner, batch_idx, data_batch=None):
            due.extend([runner.iter] * runner.model.measure_gradients)

    train(tmp_path, [GradientRatioHook(interval=5), Due()], 3, train_cfg=dict(type='EpochBasedTrainLoop', max_epochs=2))
    assert due == [2, 5]


def test_other_models_are_left_alone(tmp_path):
    """Baselines have the hook too."""
    plain = dict(tiny.retinanet(), data_preprocessor=guided.PREPROCESSOR)
    runner = tiny.make_runner(plain, [guided.batch()], tmp_path, 1, hooks=[GradientRatioHook(interval=1)])
    runner.train()
    assert not hasattr(runner.model, 'measure_gradients')


@pytest.mark.parametrize('interval', [0, -5, 2.5, 'often'])
def test_an_interval_that_is_none_is_refused(interval):
    with pytest.raises(UserError, match='GradientRatioHook: interval is .* at least 1'):
        GradientRatioHook(interval=interval)

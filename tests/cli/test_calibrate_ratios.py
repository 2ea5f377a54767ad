"""Calibration of SED's lambdas by gradients from end to end: real trainings of a few iterations."""

import json
from pathlib import Path

import elastic
import pytest
from mmengine.config import Config

from sssd.calibration.plan import plan_of
from sssd.calibration.ratios import measure_ratios
from sssd.cli import calibrate, train
from sssd.errors import UserError
from sssd.report.scalars import read_curves

SED = elastic.SED.replace(", 'lose_a_process'", '').replace(", dict(type='LoseAProcess')", '') + (
    "default_hooks = dict(default_hooks, gradient_ratio=dict(type='sssd.GradientRatioHook'))\n"
)
BOTH = SED + (
    "model['guidance'] = dict(distance=dict(kind='js'))\ncustom_hooks[0].update(lambda_=75.0, student_grad=1.0)\n"
)
SHORT = ('--start-iterations', '2', '--batches', '2')


@pytest.fixture(autouse=True)
def _in_tmp_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv('LOCAL_RANK', '0')


def calibrated(job, *args):
    """Calibrate; the hooks of the config that was written, the record of its gradients by branch, and the config."""
    out = job.work_dir / 'found.py'
    assert calibrate.main([str(job.config), '--out', str(out), *args]) == 0
    record = out.with_suffix('.gradients.json')
    branches = {row['branch']: row for row in json.loads(record.read_text())['branches']} if record.exists() else {}
    return Config.fromfile(str(out)).custom_hooks, branches, out


@pytest.mark.slow
def test_a_calibrated_config_trains_with_the_wanted_ratios(make_job, capsys):
    """The first batch after the same start has just the wanted ratios: exactly what the training logs."""
    job = make_job(extra=SED)
    args = [
        '--scale-ratio',
        '0.3',
        '--distill-ratio',
        '0.8',
        '--start-iterations',
        '2',
        '--batches',
        '1',
        '--seed',
        '3',
    ]
    hooks, found, out = calibrated(job, *args)
    assert (found['scale']['wanted'], found['distill']['wanted']) == (0.3, 0.8)
    assert hooks[0].lambda_s == found['scale']['lambda'] and hooks[0].lambda_d == found['distill']['lambda']
    assert hooks[0].lambda_s == pytest.approx(0.3 / found['scale']['ratio'], rel=1e-3)
    shown = capsys.readouterr().out
    assert (
        f'lambda_s {hooks[0].lambda_s:g} has a gradient ratio of 0.3' in shown
        and f'{found["scale"]["ratio"]:.3g}' in shown
    )
    assert all(-1 <= row['cosine'] <= 1 and row['norm'] > 0 for row in found.values())
    options = ['randomness.seed=3', 'custom_hooks.0.burn_in=2']
    train.main([str(out), '--work-dir', str(job.work_dir / 'run'), '--cfg-options', *options])
    curves = read_curves(job.work_dir / 'run')
    for name, wanted in (('scale_grad_ratio', 0.3), ('distill_grad_ratio', 0.8)):
        assert curves[name].steps[0] == 3 and curves[name].values[0] == pytest.approx(wanted, rel=2e-3)


@pytest.mark.slow
def test_ratios_measured_again_with_what_was_found(make_job):
    """After the same start, over three times as many batches."""
    job = make_job(extra=SED + "train_cfg = dict(type='IterBasedTrainLoop', max_iters=30)\n")
    hooks, _, out = calibrated(job, '--ratio', '0.5', '--start-iterations', '2', '--batches', '8')
    weights = dict(lambda_s=hooks[0].lambda_s, lambda_d=hooks[0].lambda_d)
    again = measure_ratios(Config.fromfile(str(out)), weights, 2, 24, seed=0)
    assert {row.branch for row in again} == {'scale', 'distill'}
    assert all(row.ratio == pytest.approx(0.5, rel=0.25) and row.spread > 0 for row in again)
    assert {row.weight for row in again} == set(weights.values())


@pytest.mark.slow
def test_measuring_moves_nothing(make_job):
    """The same batches in the same state have the same gradients, whatever the weights and the rate."""
    cfg = Config.fromfile(str(make_job(extra=SED).config))
    strong = cfg.train_dataloader.dataset.datasets[1].pipeline[-1].unsup_student
    jitter = dict(type='sssd.ColorJitter', brightness=0.4, contrast=0.4, saturation=0.4, hue=0.05, prob=1.0)
    strong.insert(0, jitter)  # the teacher is the student yet: of one view their rows are equal
    seen = []
    one = measure_ratios(cfg, dict(lambda_s=1.0, lambda_d=1.0), 0, 3, 0, tell=seen.append)
    cfg.optim_wrapper.optimizer.lr = 1e6
    other = measure_ratios(cfg, dict(lambda_s=2.0, lambda_d=1.0), 0, 3, 0)
    assert seen == [1, 2, 3]
    assert other[0].ratio == pytest.approx(2 * one[0].ratio, rel=1e-5)
    assert other[1].ratio == pytest.approx(one[1].ratio, rel=1e-5) and other[0].supervised == one[0].supervised


@pytest.mark.slow
def test_sed_with_guidance_has_its_lambda_by_share_and_the_others_by_gradients(make_job):
    job = make_job(extra=BOTH)
    hooks, found, out = calibrated(job, '--iterations', '4', '--tolerance', '0.2', *SHORT)
    (chosen,) = [json.loads(out.with_suffix('.json').read_text())['chosen']]
    assert hooks[0].lambda_ == chosen['lambda'] == found['guide']['weight'] and 'wanted' not in found['guide']
    assert hooks[0].lambda_s == found['scale']['lambda'] and hooks[0].lambda_d == found['distill']['lambda']
    assert hooks[0].student_grad == 1.0 and out.read_text().startswith('# lambda ')


@pytest.mark.slow
def test_a_guidance_by_gradients(make_job, make_guided):
    hooks, found, out = calibrated(make_job(extra=BOTH), '--ratio', '0.4', '--guide-ratio', '0.2', *SHORT)
    assert found['guide']['weight'] == 75.0 and not out.with_suffix('.json').exists()
    assert hooks[0].lambda_ == found['guide']['lambda'] == pytest.approx(75 * 0.2 / found['guide']['ratio'], rel=1e-3)
    hooks, found, _ = calibrated(make_guided(), '--ratio', '0.4', *SHORT)
    assert set(found) == {'guide'} and hooks[0].lambda_.after.start == found['guide']['lambda']
    assert hooks[0].lambda_.after.end == pytest.approx(2 * hooks[0].lambda_.after.start, rel=1e-3)


@pytest.mark.slow
def test_a_branch_without_weight_stays_off(make_job):
    job = make_job(extra=SED + "custom_hooks[0]['lambda_d'] = 0.0\n")
    hooks, found, _ = calibrated(job, *SHORT)
    assert set(found) == {'scale'} and hooks[0].lambda_d == 0 and hooks[0].lambda_s == found['scale']['lambda']


def refused(job, *args):
    """The sentence that a call ends with."""
    with pytest.raises(UserError) as caught:
        calibrate.main([str(job.config), *args])
    assert '\n' not in str(caught.value)
    return str(caught.value)


def test_mistakes_are_told_before_training(make_job, make_guided):
    job = make_job(extra=SED)
    assert '--ratio is 0, but a ratio of gradient norms is above 0' in refused(job, '--ratio', '0')
    assert '--scale-ratio is -1' in refused(job, '--scale-ratio', '-1')
    assert '--guide-ratio is given, but the model of the config is sssd.SED' in refused(job, '--guide-ratio', '1')
    assert '--batches 0: give' in refused(job, '--batches', '0')
    assert 'are 220 iterations, but the training of the config has only 6' in refused(job)
    assert 'has to end in .py' in refused(job, '--out', 'found.json')
    assert 'is SED, which has no weight lambda_' in refused(job, '--share', '0.3', '--iterations', '4')
    assert 'give one of them' in refused(make_guided(), '--share', '0.3', '--ratio', '0.5')
    plain = make_job('plain', extra='train_cfg = dict(max_iters=6, by_epoch=False)\n')
    assert '--ratio is given, but the model of the config is RetinaNet' in refused(plain, '--ratio', '0.5')
    off = make_job('off', extra=SED + 'custom_hooks[0].update(lambda_s=0.0, lambda_d=0.0)\n')
    assert 'every lambda of the config is 0' in refused(off)
    own = make_job('own', extra=SED + "custom_hooks.append(dict(type='sssd.CalibrateLambdaHook', distill=0.5))\n")
    assert 'finds its lambdas while it trains, by CalibrateLambdaHook' in refused(own)
    odd = make_job('odd', extra=SED + "custom_hooks[0]['lambda_d'] = dict(type='Zigzag')\n")
    assert 'the schedule of lambda_d in custom_hooks is Zigzag' in refused(odd)


def test_pseudo_labels_of_a_teacher_that_is_sure_of_nothing_have_no_weight(make_job):
    job = make_job(extra=SED + "model['pseudo_labels'] = dict(score_thr=0.99)\n")
    assert 'the branch pseudo has no gradient over 2 batches' in refused(job, *SHORT, '--pseudo-ratio', '0.3')
    sure = make_job('sure', extra=SED + "model['pseudo_labels'] = dict(score_thr=1e-3)\n")
    hooks, found, _ = calibrated(sure, *SHORT, '--pseudo-ratio', '0.3')
    assert hooks[-1].lambda_p == found['pseudo']['lambda'] > 0


def test_what_cannot_be_measured_is_told(make_job):
    job = make_job(extra=SED)
    assert 'the loss is not finite after 2 iterations' in refused(
        job, *SHORT, '--cfg-options', 'optim_wrapper.optimizer.lr=1e30'
    )


def plan(config, share=False, ratio=None, **named):
    return plan_of(Config(config), share, ratio, named)


def test_what_is_calibrated_how():
    """By default a guidance's lambda by its share and SED's by gradients; what is asked for goes first."""
    sed, guided = dict(model=dict(type='sssd.SED')), dict(model=dict(type='sssd.GuidedDetector'))
    both = dict(model=dict(type='sssd.SED', guidance=dict(lambda_=3.0)))
    halves = dict(scale=0.5, distill=0.5)
    assert (plan(sed).share, plan(sed).wanted) == (False, halves)
    assert (plan(guided).share, plan(guided).wanted) == (True, {})
    assert (plan(both).share, plan(both).wanted) == (True, halves)
    assert plan(both, ratio=0.3).wanted == dict(scale=0.3, distill=0.3, guide=0.3) and not plan(both, ratio=0.3).share
    found = plan(both, share=True, ratio=0.3)
    assert (found.share, found.wanted) == (True, dict(scale=0.3, distill=0.3))
    assert plan(both, guide=0.2).wanted == dict(halves, guide=0.2) and not plan(both, guide=0.2).share
    assert plan(both, scale=0.2).wanted == dict(scale=0.2, distill=0.5) and plan(both, scale=0.2).share
    assert plan(sed).lambdas == ['lambda_s', 'lambda_d'] and plan(both).lambdas == ['lambda_', 'lambda_s', 'lambda_d']
    assert plan(both).measured_with(9.0) == dict(lambda_s=1.0, lambda_d=1.0, lambda_=9.0)
    assert plan(both, ratio=1.0).measured_with(None) == dict(lambda_s=1.0, lambda_d=1.0, lambda_=3.0)
    sure = dict(model=dict(type='sssd.SED', pseudo_labels=dict()))
    assert plan(sure).wanted == plan(sure, ratio=0.5).wanted == halves
    assert plan(sure, pseudo=0.2).wanted == dict(halves, pseudo=0.2)
    assert plan(sure).measured_with(None) == dict(lambda_s=1.0, lambda_d=1.0, lambda_p=0.0)
    assert plan(sure, pseudo=0.2).measured_with(None) == dict(lambda_s=1.0, lambda_d=1.0, lambda_p=1.0)
    with pytest.raises(UserError, match='no such branch'):
        plan(sed, pseudo=0.2)
    ranged = dict(model=dict(type='sssd.SED', pseudo_labels=dict(score_thr=(0.4, 0.95))))
    with pytest.raises(UserError, match=r'--pseudo-ratio is given, but score_thr .* is the range \[0\.4, 0\.95\]'):
        plan(ranged, pseudo=0.2)
    assert plan(ranged).wanted == halves
    off = dict(model=dict(type='sssd.SED', lambda_s=0.0))
    assert plan(off).wanted == dict(distill=0.5)
    assert plan(off).measured_with(None) == dict(lambda_s=0.0, lambda_d=1.0)
    assert plan(off, scale=0.1).wanted == dict(scale=0.1, distill=0.5)
    assert plan(off, scale=0.1).measured_with(None) == dict(lambda_s=1.0, lambda_d=1.0)


def test_it_is_written_beside_the_folder_of_the_run_whose_config_stays_the_only_one(make_job):
    job = make_job(extra=SED)
    words = [str(job.config), '--work-dir', 'runs/one/', *SHORT, '--ratio', '0.5']
    assert calibrate.main(words) == 0
    assert Path('runs/one_calibrated.py').is_file() and Path('runs/one_calibrated.gradients.json').is_file()
    assert not list(Path('runs/one').glob('*.py'))

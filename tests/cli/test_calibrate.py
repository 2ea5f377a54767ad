"""Calibration of lambda from end to end: short real trainings of a tiny guided detector."""

import json

import pytest
from mmengine.config import Config

from sssd.calibration.measure import LAST, calibration_config, measure_share
from sssd.cli import calibrate, train
from sssd.errors import UserError
from sssd.report.scalars import read_curves

ITERATIONS = 6
#: No schedule, so that a calibrated config trains just as the calibration did.
CONSTANT = "custom_hooks = [dict(type='sssd.LambdaScheduleHook', lambda_=75.0, student_grad=1.0)]\n"
FROZEN = "custom_hooks.append(dict(type='sssd.FreezeBackboneHook', until=4))\n"


@pytest.fixture(autouse=True)
def _in_tmp_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv('LOCAL_RANK', '0')


def calibrated(job, *args, share=0.3):
    """Calibrate with a few iterations; the config and the record that were written."""
    out = job.work_dir / 'found.py'
    status = calibrate.main(
        [
            str(job.config),
            '--iterations',
            str(ITERATIONS),
            '--share',
            str(share),
            '--tolerance',
            '0.06',
            '--out',
            str(out),
            *args,
        ]
    )
    assert status == 0
    return out, json.loads(out.with_suffix('.json').read_text())


@pytest.mark.slow
def test_a_calibrated_config_trains_with_the_wanted_share(make_guided, capsys):
    job = make_guided(extra=CONSTANT)
    out, record = calibrated(job, '--seed', '3', '--cfg-options', 'optim_wrapper.optimizer.lr=0.002')
    chosen = record['chosen']
    assert abs(chosen['share'] - 0.3) <= 0.06 and 2 <= len(record['trials']) <= 12
    assert {'lambda': chosen['lambda'], 'share': chosen['share']}.items() <= record['trials'][-1].items()
    assert record['seed'] == 3 and record['iterations'] == ITERATIONS and '--seed 3' in record['command']
    shown = capsys.readouterr().out
    assert f'{chosen["lambda"]:g}' in shown and f'{chosen["share"]:.3f}' in shown and 'wanted: 0.3' in shown
    cfg = Config.fromfile(str(out))
    assert cfg.custom_hooks[0].lambda_ == chosen['lambda'] and cfg.optim_wrapper.optimizer.lr == 0.002
    train.main([str(out), '--work-dir', str(job.work_dir / 'run'), '--cfg-options', 'randomness.seed=3'])
    curves = read_curves(job.work_dir / 'run')
    assert curves['lambda_'].values == [chosen['lambda']] * ITERATIONS
    last = curves['distill_share'].values[-round(LAST * ITERATIONS) :]
    assert sum(last) / len(last) == pytest.approx(chosen['share'], rel=1e-3)


@pytest.mark.slow
def test_a_second_call_trains_only_what_is_new_and_gives_the_same(make_guided):
    job = make_guided(extra=CONSTANT)
    _, first = calibrated(job)
    out, again = calibrated(job)
    assert again['trials'] == first['trials'] and again['chosen'] == first['chosen']
    _, other = calibrated(job, share=0.6)
    assert other['trials'][: len(first['trials'])] == first['trials'] and len(other['trials']) > len(first['trials'])
    cfg = calibration_config(Config.fromfile(str(job.config)), seed=0)
    row = first['trials'][0]
    assert measure_share(cfg, row['lambda'], ITERATIONS) == row['share']
    kept = out.with_suffix('.json').read_text()
    with pytest.raises(UserError, match='found.json is the record of another config, seed or number of iterations'):
        calibrated(job, '--seed', '8')
    assert out.with_suffix('.json').read_text() == kept
    out.with_suffix('.json').rename(job.work_dir / 'first.json')
    _, reseeded = calibrated(job, '--seed', '8')
    assert reseeded['trials'][0]['lambda'] == row['lambda'] and reseeded['trials'][0]['share'] != row['share']


def test_no_schedule_and_no_freeze_holds_the_distance_back(make_guided):
    job = make_guided(extra=FROZEN)
    cfg = Config.fromfile(str(job.config))
    plain = calibration_config(cfg, seed=0)
    assert plain.custom_hooks == [] and len(cfg.custom_hooks) == 2
    seen = []
    share = measure_share(plain, 50.0, ITERATIONS, tell=seen.append)
    assert seen == list(range(1, ITERATIONS + 1)) and 0.05 < share < 0.95
    constant = calibration_config(Config.fromfile(str(make_guided('constant', extra=CONSTANT).config)), seed=0)
    assert measure_share(constant, 50.0, ITERATIONS) == share


def refused(job, *args):
    """The sentence that a call ends with."""
    with pytest.raises(UserError) as caught:
        calibrate.main([str(job.config), '--iterations', str(ITERATIONS), *args])
    assert '\n' not in str(caught.value)
    return str(caught.value)


def test_mistakes_are_told_before_training(make_guided, make_job, tmp_path):
    job = make_guided()
    assert '--share is 1.2' in refused(job, '--share', '1.2')
    assert 'no bracket' in refused(job, '--low', '9', '--high', '3')
    assert '--iterations is 1' in refused(job, '--iterations', '1')
    assert 'has to end in .py' in refused(job, '--out', 'found.json')
    assert 'is the config itself' in refused(job, '--out', str(job.config))
    mine = tmp_path / 'mine.py'
    mine.write_text('model = dict()\n')
    assert 'was not written by a calibration' in refused(job, '--out', str(mine))
    assert mine.read_text() == 'model = dict()\n'
    for content in (
        '[]',
        '{"hash": "1"}',
        '{"hash": "1", "trials": [{"share": 1}]}',
        '{"hash": "1", "trials": [{"lambda": "x", "share": 1}]}',
    ):
        (tmp_path / 'other.json').write_text(content)
        assert 'other.json is no record of a calibration' in refused(job, '--out', 'other.py')
    odd = make_guided('odd', extra="custom_hooks[0]['lambda_'] = dict(type='Zigzag')\n")
    assert 'lambda_ in custom_hooks is Zigzag' in refused(odd)
    assert 'only 6: give fewer' in refused(job, '--iterations', '7')
    plain = make_job('plain', extra='train_cfg = dict(max_iters=6, by_epoch=False)\n')
    assert 'is RetinaNet, which has no weight lambda_' in refused(plain)


def test_missing_labels_are_told_before_training(make_guided, tiny_coco):
    unloaded = make_guided('unloaded', extra="train_dataloader['dataset']['pipeline'].remove(load[1])\n")
    assert 'train_dataloader.dataset.pipeline loads no labels' in refused(unloaded)
    coco = json.loads(tiny_coco.ann_file.read_text())
    (tiny_coco.root / 'empty.json').write_text(json.dumps(dict(coco, annotations=[])))
    assert 'empty.json' in refused(make_guided(), '--cfg-options', 'train_dataloader.dataset.ann_file=empty.json')


def test_a_training_that_diverges_is_told(make_guided):
    assert 'with lambda 1 is not finite' in refused(make_guided(), '--cfg-options', 'optim_wrapper.optimizer.lr=1e30')

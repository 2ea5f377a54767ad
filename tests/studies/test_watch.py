"""Progress is read from the log as MMEngine writes it."""

import pytest

from sssd.studies.watch import ChildStatus, remaining_seconds

TRAIN = (
    '2026/01/01 10:00:00 - mmengine - INFO - Iter(train) [ 20/200]  base_lr: 1.0000e-02 '
    'lr: 4.0e-03  eta: 0:01:30  time: 0.5  data_time: 0.01  loss: 1.2345  loss_cls: 0.9\n'
)
VAL = '2026/01/01 10:00:10 - mmengine - INFO - Iter(val) [10/50]    eta: 0:00:04  time: 0.1\n'
AP = (
    '2026/01/01 10:00:20 - mmengine - INFO - Iter(val) [50/50]    teacher/coco/bbox_mAP: 0.1230'
    '  teacher/coco/bbox_mAP_50: 0.3000  student/coco/bbox_mAP: 0.1010\n'
)


def test_training():
    status = ChildStatus(TRAIN)
    assert status.fraction == pytest.approx(0.1)
    assert str(status) == 'iteration 20/200, ETA 0:01:30, loss 1.2345'


def test_evaluation():
    assert 'evaluating 10/50' in str(ChildStatus(TRAIN + VAL))


def test_ap_stays_while_training_goes_on():
    text = str(ChildStatus(TRAIN + VAL + AP + TRAIN.replace(' 20/', ' 40/')))
    assert text == 'iteration 40/200, ETA 0:01:30, loss 1.2345, student AP 10.1, teacher AP 12.3'


def test_epochs_have_no_fraction():
    status = ChildStatus(TRAIN.replace('Iter(train) [', 'Epoch(train)  [3]['))
    assert status.fraction is None
    assert str(status).startswith('epoch 3, iteration 20/200')


def test_nothing_yet():
    assert str(ChildStatus('Loading ...')) == 'starting'


def test_log_of_an_earlier_attempt_does_not_count(tmp_path):
    log = tmp_path / 'log'
    log.write_text(TRAIN)
    assert ChildStatus.read(log).step == 20
    assert str(ChildStatus.read(log, log.stat().st_size)) == 'starting'


@pytest.mark.parametrize(
    'names, done, elapsed, fraction, expected',
    [
        (['few', 'sed'], {}, 10, None, None),
        (['few', 'sed'], {}, 10, 0.25, 30 + 40),  # this run: 40 s; the next the same
        (['few', 'sed'], {'sed': [100, 120]}, 10, 0.25, 30 + 110),
        (['sed', 'few'], {'sed': [100], 'few': [50]}, 20, None, 80 + 50),
        (['sed'], {'sed': [10]}, 30, None, 0),  # late, but not less than nothing
    ],
)
def test_remaining_time(names, done, elapsed, fraction, expected):
    assert remaining_seconds(names, done, elapsed, fraction) == expected

"""How far a training is, by MMEngine's scalars.json."""

import json
from pathlib import Path

import pytest

from sssd.studies.cost import Cost, Extent, Taken
from sssd.studies.follow import Follower

PLAIN = Cost(4.0, 4.0, 0)


class Clock:
    """Seconds that go on when they are told to."""

    now = 0.0

    def __call__(self):
        return self.now


class Run:
    """A training that is followed in its work directory."""

    def __init__(
        self, work_dir, length=200, val_interval=100, *, by_epoch=False, resumed=0, evaluation=None, cost=PLAIN
    ):
        self.clock = Clock()
        extent = Extent(length, by_epoch, val_interval)
        self.follower = Follower(work_dir, extent, cost, resumed, evaluation, self.clock)
        self.log = work_dir / '20260101_000000' / 'vis_data' / 'scalars.json'

    def at(self, now, *records, end='\n'):
        """What it tells at a time, after some lines more."""
        self.clock.now = now
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open('a') as handle:
            handle.write('\n'.join(map(json.dumps, records)) + (end if records else ''))
        return self.follower.look()


def trained(step, seconds=0.5, **more):
    return dict(loss=1.23456, time=seconds, iter=step, step=step, **more)


def evaluated(step, **metrics):
    return {**{name.replace('__', '/'): value for name, value in metrics.items()}, 'time': 0.1, 'step': step}


@pytest.fixture
def run(tmp_path):
    return Run(tmp_path)


def test_nothing_yet(run):
    assert run.at(3) == ('starting', None, None)


def test_the_time_left_is_that_of_its_own_iterations_and_counts_down(run):
    assert run.at(20, trained(20)) == ('iteration 20/200, loss 1.2346', 90.0, Taken(10.0, 100.0, None))
    assert run.at(24).left == 86
    assert run.at(29.5).left == 80.5
    assert run.at(45).left == 80, 'it stands still while a line is late'
    assert run.at(50, trained(40)).left == 80
    assert run.at(50, trained(60, 0.8)).left == pytest.approx(140 * 0.6)


def test_the_iterations_after_a_burn_in_take_longer(tmp_path):
    run = Run(tmp_path, val_interval=200, cost=Cost(10.0, 4.0, 100))
    assert run.at(20, trained(20)).left == pytest.approx(80 * 0.5 + 100 * 0.5 * 2.5), 'none was seen: by their cost'
    assert run.at(60, trained(100)).left == pytest.approx(100 * 0.5 * 2.5)
    status = run.at(100, trained(150, 2.0))
    assert status.left == pytest.approx(50 * 2) and status.taken.training == pytest.approx(100 * 0.5 + 100 * 2)


def test_a_line_with_iterations_of_both_kinds_tells_nothing(tmp_path):
    run = Run(tmp_path, length=500, val_interval=500, cost=Cost(10.0, 4.0, 375))
    assert run.at(175, trained(350)).left == pytest.approx(25 * 0.5 + 125 * 1.25)
    assert run.at(230, trained(400, 1.25)).left == pytest.approx(100 * 1.25), 'half of them were short'
    assert run.at(330, trained(450, 2.0)).left == pytest.approx(50 * 2.0)


def test_an_evaluation_is_told_measured_and_expected_again(run):
    run.at(60, trained(100))
    status = run.at(61)
    assert status.text == 'iteration 100/200, evaluating, loss 1.2346' and status.left == 50 + 1, 'one more to come'
    assert run.at(68).left == 50 + 8
    metrics = dict(teacher__coco__bbox_mAP=0.123, teacher__coco__bbox_mAP_50=0.3, student__coco__bbox_mAP=-1.0)
    status = run.at(72, evaluated(100, **metrics))
    assert status.text == 'iteration 100/200, loss 1.2346, student AP -, teacher AP 12.3'
    assert (status.left, status.taken.evaluation) == (50 + 12, 12)
    assert 'teacher AP 12.3' in run.at(82, trained(120)).text
    assert run.at(122, trained(200)).left == 12
    assert run.at(130).left == 4
    assert run.at(134, evaluated(200)).left == 0


def test_an_evaluation_elsewhere_tells_until_there_is_one(tmp_path):
    run = Run(tmp_path, evaluation=7.0)
    assert run.at(20, trained(20)).left == 90 + 2 * 7
    assert run.at(60, trained(100)).left == 50 + 14
    assert run.at(72, evaluated(0)).left == 50 + 12, "MMEngine's default gives evaluations the step 0"


def test_an_evaluation_between_two_lines_is_not_taken_for_longer(tmp_path):
    run = Run(tmp_path, val_interval=50)
    run.at(20, trained(40))
    assert run.at(35, evaluated(50)).taken.evaluation == 10  # 5 of the 15 seconds were 10 iterations more
    assert run.at(35).left == 75 + 3 * 10


def test_more_evaluations_than_planned_do_no_harm(tmp_path):
    run = Run(tmp_path, val_interval=200)
    run.at(20, trained(40))
    assert run.at(25, evaluated(40)).left == 80 + 5
    assert run.at(35, trained(60)).left == 70 + 5, 'the planned one is still to come'


def test_a_detector_on_voc_and_one_without_a_teacher(run):
    run.at(60, trained(100))
    assert run.at(61, evaluated(100, pascal_voc__AP50=0.25)).text.endswith(', AP50 25.0')


def test_a_resumed_training_counts_from_where_it_goes_on_and_earlier_logs_do_not_count(tmp_path):
    earlier = Run(tmp_path)
    earlier.log = tmp_path / '20250101_000000' / 'vis_data' / 'scalars.json'
    earlier.at(5, trained(100, 9.0), evaluated(100))
    run = Run(tmp_path, resumed=100)
    assert run.at(1).text == 'starting'
    assert run.at(16, trained(120)) == ('iteration 120/200, loss 1.2346', 40.0, Taken(6.0, 50.0, None))
    assert run.at(30, trained(160)).left == 20
    run.at(50, trained(200))
    assert run.at(54, evaluated(200)).left == 0


def test_a_line_that_is_being_written_is_read_when_it_is_whole(run):
    line = json.dumps(trained(20))
    assert run.at(20).text == 'starting'
    run.log.write_text(line[:15])
    assert run.at(21).text == 'starting'
    run.log.write_text(line + '\n')
    assert run.at(22).text.startswith('iteration 20/200')


def test_epochs_tell_when_one_is_over(tmp_path):
    run = Run(tmp_path, length=4, val_interval=1, by_epoch=True)
    status = run.at(30, trained(50, epoch=1))
    assert status == ('epoch 1/4, iteration 50, loss 1.2346', None, None)
    run.at(55, trained(100, epoch=1))
    assert run.at(58, evaluated(1)).left is None
    status = run.at(83, trained(150, epoch=2))
    assert status.left == pytest.approx(250 * 0.5 + 3 * 3) and status.taken == (5, 200, 3)


def test_a_training_without_times_has_no_time_left(run):
    status = run.at(20, dict(loss=float('nan'), iter=20, step=20))
    assert status == ('iteration 20/200, loss nan', None, None)


def test_no_work_directory_yet(tmp_path):
    Follower(Path(tmp_path / 'none'), Extent(1, False, 1), PLAIN)


def test_a_training_that_was_queued_again_is_followed_in_its_new_log(run):
    run.at(60, trained(100))
    run.at(72, evaluated(100, coco__bbox_mAP=0.1))
    run.at(90, trained(140))
    run.clock.now = 5000  # it was queued again: an hour that is none of an evaluation
    run.follower.begin(100)
    run.log = run.log.parents[2] / '20260101_020000' / 'vis_data' / 'scalars.json'
    status = run.at(5015, trained(110))
    assert (status.text, status.left) == ('iteration 110/200, loss 1.2346, AP 10.0', 90 * 0.5 + 12)
    assert status.taken == Taken(10.0, 100.0, 12.0), 'of the whole training'
    run.at(5060, trained(200))
    assert run.at(5072, evaluated(200, coco__bbox_mAP=0.2)).left == 0


def test_a_new_log_is_read_from_its_beginning(run):
    run.at(60, trained(100), trained(120))
    run.log = run.log.parents[2] / '20260101_020000' / 'vis_data' / 'scalars.json'
    assert run.at(70, trained(110)).text.startswith('iteration 110/200')

"""What a run logged becomes curves, over restarts as well."""

import pytest

from sssd.errors import UserError
from sssd.report.scalars import history, loss_terms, metric_of, read_curves


def train(step, loss):
    return {'loss': loss, 'sup_loss_cls': loss / 2, 'lr': 0.01, 'iter': step, 'step': step}


def evaluation(step, student, teacher):
    return {
        'student/coco/bbox_mAP': student,
        'teacher/coco/bbox_mAP': teacher,
        'teacher/coco/bbox_mAP_50': 2 * teacher,
        'teacher/coco/bbox_mAP_s': -1.0,
        'step': step,
    }


def test_one_start(tmp_path, write_log):
    write_log(tmp_path, '20260101_000000', [train(10, 2.0), train(20, 1.0), evaluation(20, 0.1, 0.123)])
    curves = read_curves(tmp_path)
    assert curves['loss'] == ([10, 20], [2.0, 1.0])
    assert curves['lr'].values == [0.01, 0.01]
    assert 'iter' not in curves and 'step' not in curves
    assert history(curves) == {
        'student': [{'iter': 20, 'AP': 10.0}],
        'teacher': [{'iter': 20, 'AP': 12.3, 'AP50': 24.6, 'APs': None}],
    }


def test_resumed_run_takes_the_later_start_s_lines(tmp_path, write_log):
    write_log(tmp_path, '20260101_000000', [train(10, 5.0), train(20, 4.0), train(30, 3.0)])
    write_log(tmp_path, '20260102_000000', [train(20, 2.0), train(40, 1.0)])
    # Iteration 30 belongs to what was thrown away by resuming from 10.
    assert read_curves(tmp_path)['loss'] == ([10, 20, 40], [5.0, 2.0, 1.0])


def test_evaluation_that_logs_its_epoch_belongs_to_the_iteration_before(tmp_path, write_log):
    write_log(
        tmp_path, '20260101_000000', [train(50, 2.0), evaluation(0, 0.1, 0.2), train(100, 1.0), evaluation(0, 0.3, 0.4)]
    )
    assert [row['iter'] for row in history(read_curves(tmp_path))['teacher']] == [50, 100]


@pytest.mark.parametrize('names', [('coco/segm_mAP',), ('teacher/coco/segm_mAP', 'student/coco/segm_mAP')])
def test_an_evaluation_by_another_metric_has_no_ap_of_boxes(names, tmp_path, write_log):
    write_log(tmp_path, '20260101_000000', [train(10, 2.0), dict.fromkeys(names, 0.3) | {'step': 10}])
    assert history(read_curves(tmp_path)) == {}


def test_evaluation_that_a_resumed_run_begins_with_belongs_to_where_it_goes_on(tmp_path, write_log):
    """It takes nothing from the curves, but for what was trained beyond that iteration."""
    write_log(tmp_path, '20260101_000000', [train(50, 2.0), train(100, 1.5), train(150, 1.0)])
    marker = {'iter': 100, 'step': 100}
    write_log(tmp_path, '20260101_000001', [marker, evaluation(0, 0.1, 0.2)])
    assert read_curves(tmp_path)['loss'] == ([50, 100, 150], [2.0, 1.5, 1.0])
    assert read_curves(tmp_path)['student/coco/bbox_mAP'] == ([100], [0.1])
    write_log(tmp_path, '20260101_000002', [marker, evaluation(0, 0.3, 0.4), train(120, 0.5)])
    assert read_curves(tmp_path)['loss'] == ([50, 100, 120], [2.0, 1.5, 0.5])
    assert read_curves(tmp_path)['student/coco/bbox_mAP'] == ([100], [0.3])


def test_evaluation_without_any_detection_counts_as_zero(tmp_path, write_log):
    # What mmdet logs then: the times only, or the other role's metrics only.
    write_log(
        tmp_path,
        '20260101_000000',
        [
            train(50, 2.0),
            evaluation(50, 0.1, 0.2),
            train(100, 1.0),
            {'teacher/coco/bbox_mAP': 0.25, 'time': 0.1, 'step': 100},
            train(150, 9.0),
            {'data_time': 0.1, 'time': 0.1, 'step': 150},
        ],
    )
    found = history(read_curves(tmp_path))
    assert [(row['iter'], row['AP']) for row in found['student']] == [(50, 10), (100, 0), (150, 0)]
    assert [(row['iter'], row['AP']) for row in found['teacher']] == [(50, 20), (100, 25), (150, 0)]


def test_teacher_that_never_detected_anything_beside_its_student_has_an_ap_of_0(tmp_path, write_log):
    write_log(tmp_path, '20260101_000000', [train(50, 2.0), {'student/coco/bbox_mAP': 0.2, 'step': 50}])
    assert history(read_curves(tmp_path)) == {
        'student': [{'iter': 50, 'AP': 20.0}],
        'teacher': [{'iter': 50, 'AP': 0.0, 'AP50': 0.0}],
    }


def test_a_test_in_the_folder_of_a_run_is_no_evaluation_of_it(tmp_path, write_log):
    write_log(tmp_path, '20260101_000000', [train(50, 2.0), evaluation(50, 0.1, 0.2)])
    before = history(read_curves(tmp_path))
    folder = tmp_path / '20260102_000000'
    folder.mkdir()
    (folder / f'{folder.name}.json').write_text('{"coco/bbox_mAP": 0.9, "time": 0.1}\n')  # as MMEngine writes it
    assert history(read_curves(tmp_path)) == before


def test_run_that_never_detected_anything(tmp_path, write_log):
    write_log(tmp_path, '20260101_000000', [train(50, 2.0), {'time': 0.1, 'step': 0}])
    assert history(read_curves(tmp_path)) == {'model': [{'iter': 50, 'AP': 0.0, 'AP50': 0.0}]}


def test_files_with_the_start_s_name(tmp_path, write_log):
    write_log(tmp_path, '20260101_000000', [train(10, 2.0)], name='vis_data/20260101_000000.json')
    assert read_curves(tmp_path)['loss'] == ([10], [2.0])


def test_plain_detector_half_line_and_values_that_are_no_numbers(tmp_path, write_log):
    path = write_log(tmp_path, '20260101_000000', [train(10, float('nan')), {'coco/bbox_mAP': 0.5, 'step': 10}])
    path.write_text(path.read_text() + '{"loss": 1.0, "st')
    curves = read_curves(tmp_path)
    assert 'loss' not in curves
    assert history(curves) == {'model': [{'iter': 10, 'AP': 50.0}]}


def test_loss_terms_begin_with_the_total(tmp_path, write_log):
    write_log(tmp_path, '20260101_000000', [train(10, 2.0)])
    assert loss_terms(read_curves(tmp_path)) == ['loss', 'sup_loss_cls']


@pytest.mark.parametrize(
    'name, expected',
    [
        ('teacher/coco/bbox_mAP_75', ('teacher', 'AP75')),
        ('coco/bbox_mAP_l', ('model', 'APl')),
        ('student/pascal_voc/AP50', ('student', 'AP50')),
        ('teacher/coco/bbox_mAP_copypaste', None),
        ('loss', None),
    ],
)
def test_names_of_metrics(name, expected):
    assert metric_of(name) == expected


def test_missing_directory(tmp_path):
    with pytest.raises(UserError, match='no work directory'):
        read_curves(tmp_path / 'missing')

"""A trained run is tested once: each model, last and best, on images that it has not seen."""

import json
import sys
from functools import partial
from pathlib import Path

import pytest
from mmengine.config import Config

from sssd.errors import UserError
from sssd.studies.final_test import FinalTest, best_of
from sssd.studies.job import make_job
from sssd.studies.spec import RunSpec
from sssd.studies.testing import run_test

STUB = [sys.executable, str(Path(__file__).with_name('stub_detections.py'))]
CONFIG = """
train_cfg = dict(max_iters=3)
stub = dict(bonus=0)
model = dict(semi_test_cfg=dict(predict_on='teacher', other=1))
data = dict(type='CocoDataset', metainfo=dict(classes=('disc', 'bar')), pipeline=[])
train_dataloader = dict(dataset=dict(type='RepeatDataset', dataset=dict(
    data, data_root='train', ann_file='annotations.json', data_prefix=dict(img='images'))))
val_dataloader = dict(dataset=dict(data, ann_file='val/annotations.json', data_prefix=dict(img='val/images')))
test_dataloader = dict(dataset=dict(
    data, data_root='val', ann_file='annotations.json', data_prefix=dict(img='images'), indices=2))
test_evaluator = dict(type='CocoMetric', ann_file='val/annotations.json')
"""
TEST = FinalTest('test/annotations.json', 'test/images')


def trained(seed=0, roles=('teacher', 'student'), best=(2, 3), checkpoints=(1, 2, 3)):
    """A finished run of 3 iterations, each evaluated, whose roles are best in these iterations."""
    job = make_job(RunSpec('sed', 'config.py'), seed, Path('work'), data=None, start=None)
    log = job.work_dir / 'start' / 'vis_data' / 'scalars.json'
    log.parent.mkdir(parents=True)
    with log.open('w') as handle:
        for step in (1, 2, 3):
            handle.write(json.dumps({'loss': 0.5, 'iter': step, 'step': step}) + '\n')
            aps = {
                f'{role}/coco/bbox_mAP'.removeprefix('model/'): 0.4 - 0.1 * abs(step - peak)
                for role, peak in zip(roles, best)
            }
            handle.write(json.dumps({**aps, 'step': step}) + '\n')
    for step in checkpoints:
        (job.work_dir / f'iter_{step}.pth').write_text('weights')
    (job.work_dir / 'last_checkpoint').write_text(f'iter_{max(checkpoints)}.pth')
    return job


@pytest.fixture
def parts(tmp_path, monkeypatch, make_tiny_coco):
    """Images to train, validate and test with, and a config, in the current directory."""
    monkeypatch.chdir(tmp_path)
    for seed, part in enumerate(('train', 'val', 'test')):
        make_tiny_coco(tmp_path / part, seed=seed)
    Path('config.py').write_text(CONFIG)


def test_each_model_is_tested_at_its_last_and_best_checkpoint(parts):
    found = TEST.run(trained(), partial(run_test, STUB, lambda what: None))
    assert found['classes'] == ['disc', 'bar']
    teacher, student = found['models']['teacher'], found['models']['student']
    assert teacher['last'] == {'AP': 28.0, 'APs': None, 'iter': 3, 'predictions': 'final_test/teacher_last.bbox.json'}
    assert (teacher['best']['iter'], teacher['best']['AP']) == (2, 26.0)
    assert student['last']['AP'] == 26.0 and student['best'] == student['last']  # the same checkpoint, tested once
    where = 'test/annotations.json test/images'
    assert Path('tests.txt').read_text().splitlines() == [
        f'work/seed0/sed/iter_3.pth student {where}',
        f'work/seed0/sed/iter_3.pth teacher {where}',
        f'work/seed0/sed/iter_2.pth teacher {where}',
    ]
    detections = json.loads(Path('work/seed0/sed/final_test/teacher_best.bbox.json').read_text())
    assert detections and set(detections[0]) == {'image_id', 'category_id', 'bbox', 'score'}


def test_checkpoints_that_are_neither_best_nor_last_go(parts):
    job = trained(best=(2, 2))
    TEST.run(job, partial(run_test, STUB, lambda what: None))
    assert sorted(path.name for path in job.work_dir.glob('*.pth')) == ['iter_2.pth', 'iter_3.pth']


def test_a_run_with_one_model_is_tested_twice(parts):
    found = TEST.run(trained(roles=('model',), best=(1,)), partial(run_test, STUB, lambda what: None))
    assert {role: [test['iter'] for test in models.values()] for role, models in found['models'].items()} == {
        'model': [3, 1]
    }


def test_the_config_of_a_test_is_the_run_s_own_but_for_the_data(parts):
    config = TEST.config_of(Config.fromfile('config.py'), 'student', Path('there'))
    dataset = config.test_dataloader.dataset
    assert (dataset.data_root, dataset.ann_file, dataset.data_prefix.img) == ('', TEST.ann_file, TEST.img_prefix)
    assert 'indices' not in dataset and dataset.test_mode and dataset.metainfo.classes == ('disc', 'bar')
    assert config.model.semi_test_cfg == dict(predict_on='student', other=1)
    assert config.test_evaluator.outfile_prefix == 'there' and config.test_evaluator.ann_file == TEST.ann_file
    plain = TEST.config_of(Config.fromfile('config.py'), 'model', Path('there'))
    assert plain.model == Config.fromfile('config.py').model


def test_a_lost_best_checkpoint_and_a_failing_test_are_told(parts):
    job = trained(checkpoints=(3,))
    with pytest.raises(UserError, match=r'no checkpoint iter_2\.pth, the best one of sed, seed 0'):
        TEST.run(job, partial(run_test, STUB, lambda what: None))
    Path('break').touch()
    with pytest.raises(UserError, match='the test of the last student of sed, seed 0 failed with exit status 1'):
        TEST.run(job, partial(run_test, STUB, lambda what: None))
    assert (job.work_dir / 'iter_3.pth').is_file()


def test_images_that_were_trained_or_validated_with_are_refused(parts):
    config = Config.fromfile('config.py')
    TEST.check(config)
    with pytest.raises(UserError, match=r'6 of the test images are in the val_dataloader of .*config\.py too, such as'):
        FinalTest('val/annotations.json', 'val/images').check(config)
    with pytest.raises(UserError, match='train_dataloader'):
        FinalTest('train/annotations.json', 'train/images').check(config)
    config.train_dataloader = dict(
        dataset=dict(type='ConcatDataset', datasets=[dict(type='sssd.ImageFolder', data_prefix=dict(img='test'))])
    )
    with pytest.raises(UserError, match='6 of the test images are in the train_dataloader'):
        TEST.check(config)
    with pytest.raises(UserError, match=r'nowhere\.json does not exist'):
        FinalTest('nowhere.json', 'test/images').check(config)


def no_area(coco):
    del coco['annotations'][0]['area']


def other_order(coco):
    coco['categories'].reverse()


def no_picture(coco):
    coco['images'][0]['file_name'] = 'nowhere.png'


@pytest.mark.parametrize(
    'spoil, words',
    [
        (no_area, "test/annotations.json has annotations without 'area'"),
        (
            other_order,
            r"test/annotations.json .* lists its categories as 'bar', 'disc', but the classes are 'disc', 'b",
        ),
        (no_picture, r'1 of 6 images looked for .*is missing, such as test/images/nowhere\.png'),
    ],
)
def test_mistakes_in_the_test_part_are_refused_before_a_run_trains(parts, spoil, words):
    content = json.loads(Path(TEST.ann_file).read_text())
    spoil(content)
    Path(TEST.ann_file).write_text(json.dumps(content))
    with pytest.raises(UserError, match=f'(?s)the test part of the study, as .*config.py would test on it.*{words}'):
        TEST.check(Config.fromfile('config.py'))


@pytest.mark.parametrize('dataset', [{}, dict(type='VOCDataset')])
def test_a_config_without_a_coco_data_set_to_test_on(parts, dataset):
    config = Config.fromfile('config.py')
    config.test_dataloader = dict(dataset=dataset)
    with pytest.raises(UserError, match='no test_dataloader with a CocoDataset'):
        TEST.check(config)


def test_an_entry_has_the_test_of_these_files_only():
    entry = {'trials': {'test': {'hash': TEST.hash}}}
    assert TEST.is_in(entry) and not TEST.is_in({}) and not TEST.is_in({'trials': {'480': {}}})
    assert not FinalTest('other.json', 'test/images').is_in(entry)
    assert FinalTest('test/annotations.json', 'test/images', resamples=9).is_in(entry)


def test_the_best_evaluation_is_the_first_of_equal_ones():
    rows = [dict(iter=1, AP=None), dict(iter=2, AP=7.0), dict(iter=3, AP=7.0), dict(iter=4, AP=6.0)]
    assert best_of(rows) == 2
    assert best_of(rows[:1]) == 1 and best_of([dict(iter=5), dict(iter=6, AP=0.0)]) == 6

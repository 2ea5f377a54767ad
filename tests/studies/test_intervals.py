"""From the detections of a study's runs to the intervals in its results file."""

import json
from pathlib import Path

import numpy as np
import pytest

from sssd.errors import UserError
from sssd.report.final_tables import final_tables
from sssd.studies.final_test import FinalTest
from sssd.studies.intervals import summarise
from sssd.studies.job import make_job
from sssd.studies.results import ResultsFile
from sssd.studies.spec import RunSpec

TEST = FinalTest('test/annotations.json', 'test/images', resamples=200, seed=1)
#: Which part of the objects each run finds.
FOUND = dict(few=0.3, sed=0.5, all=0.9)


def detections(share, seed):
    """This part of the objects, drawn by seed, with a score each."""
    rng = np.random.default_rng(seed)
    found = []
    for thing in json.loads(Path(TEST.ann_file).read_text())['annotations']:
        chance, score = rng.random(2)
        if chance < share:
            found.append(
                dict(image_id=thing['image_id'], category_id=thing['category_id'], bbox=thing['bbox'], score=score)
            )
    return found


@pytest.fixture
def folders(tmp_path, monkeypatch, make_tiny_coco):
    """Tested runs of two seeds, student and teacher alike, best and last from one file."""
    monkeypatch.chdir(tmp_path)
    make_tiny_coco(tmp_path / 'test', num_images=40)
    Path('config.py').write_text('train_cfg = dict(max_iters=3)\n')
    found = {}
    for run, share in FOUND.items():
        for seed in (0, 1):
            job = make_job(RunSpec(run, 'config.py'), seed, Path('work'), data=None, start=None)
            place = job.work_dir / 'final_test' / 'one.bbox.json'
            place.parent.mkdir(parents=True)
            place.write_text(json.dumps(detections(share, seed)))
            model = dict(AP=1.0, iter=3, predictions='final_test/one.bbox.json')
            models = {role: dict(last=model, best=model) for role in ('student', 'teacher')}
            test = dict(hash=TEST.hash, classes=['disc', 'bar'], models=models)
            entry = dict(run=run, seed=seed, hash=job.hash, seconds=1.0, trials=dict(test=test))
            ResultsFile('results.json', 'stub').put(entry)
            found[job.key] = job.work_dir
    return found


def described():
    return ResultsFile('results.json').described('test')


def test_intervals_are_written_beside_the_runs(folders):
    results = ResultsFile('results.json', 'stub')
    assert summarise(TEST, folders, results) == ''
    found = described()
    assert (found['images'], found['resamples'], found['seed']) == (40, 200, 1)
    sed = found['gains']['sed']['teacher best']
    few = found['gains']['few']['teacher best']
    assert sed['AP']['seeds'] == [0, 1] and 20 < few['AP']['value'] < sed['AP']['value'] < 70
    assert sed['gain']['value'] == pytest.approx(sed['AP']['value'] - few['AP']['value'], abs=0.011)
    low, high = sed['share']['interval']
    assert 0 < low < sed['share']['value'] < high < 1
    tables = final_tables(results.entries(), found)
    assert len(tables) == 2 and len(tables[1].rows) == 12


@pytest.mark.parametrize('id_of', [lambda number: number - 1, lambda number: f'box {number}'], ids=['from 0', 'text'])
def test_a_test_part_whose_annotations_are_numbered_otherwise_gives_the_same(folders, id_of):
    summarise(TEST, folders, ResultsFile('results.json'))
    first = described()['gains']
    content = json.loads(Path(TEST.ann_file).read_text())
    for thing in content['annotations']:
        thing['id'] = id_of(thing['id'])
    Path(TEST.ann_file).write_text(json.dumps(content))
    summarise(TEST, folders, ResultsFile('results.json'))
    assert described()['gains'] == first


def test_they_are_the_same_for_the_same_seed_and_computed_once(folders, monkeypatch):
    results = ResultsFile('results.json')
    summarise(TEST, folders, results)
    first = described()
    results.describe('test', None)
    summarise(TEST, folders, results)
    assert described() == first
    monkeypatch.setattr('sssd.studies.intervals.Truth', None)
    summarise(TEST, folders, results)  # nothing is new, so nothing is computed
    with pytest.raises(TypeError):
        summarise(FinalTest(TEST.ann_file, TEST.img_prefix, resamples=201), folders, results)


def test_other_detections_give_other_intervals(folders):
    results = ResultsFile('results.json')
    summarise(TEST, folders, results)
    first = described()
    (folders['sed', 0] / 'final_test' / 'one.bbox.json').write_text(json.dumps(detections(0.8, 5)))
    summarise(TEST, folders, results)
    assert described()['gains']['sed'] != first['gains']['sed'] and described()['gains']['few'] == first['gains']['few']


def test_lost_detections_leave_what_was_computed(folders):
    results = ResultsFile('results.json')
    summarise(TEST, folders, results)
    first = described()
    (folders['few', 0] / 'final_test' / 'one.bbox.json').unlink()
    assert 'the detections work/seed0/few/final_test/one.bbox.json are gone' in summarise(TEST, folders, results)
    assert described() == first


def test_runs_that_were_not_tested_or_do_not_count_are_left_out(folders):
    results = ResultsFile('results.json')
    results.put({**results.find('sed', 1), 'trials': {}})
    del folders['all', 0]
    summarise(TEST, folders, results)
    found = described()['gains']
    assert found['sed']['teacher best']['AP']['seeds'] == [0] and 'share' not in found['sed']['teacher best']
    assert found['all']['teacher best']['gain']['seeds'] == [1]
    assert summarise(FinalTest('other.json', 'images'), folders, results) == ''


def test_runs_of_other_classes(folders):
    results = ResultsFile('results.json', 'stub')
    entry = results.find('sed', 1)
    entry['trials']['test']['classes'] = ['disc']
    results.put(entry)
    with pytest.raises(UserError, match='the runs of stub know different classes'):
        summarise(TEST, folders, results)

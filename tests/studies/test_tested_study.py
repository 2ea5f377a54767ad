"""A study with a test part, from its specification to its tables."""

import json
import sys
from pathlib import Path

import pytest
from rich.console import Console

from sssd.cli import study as command
from sssd.errors import UserError
from sssd.studies.runner import RunsFailed

STUB = [sys.executable, str(Path(__file__).with_name('stub_detections.py'))]
DATA = """
model = dict(semi_test_cfg=dict(predict_on='teacher'))
data = dict(type='CocoDataset', metainfo=dict(classes=('disc', 'bar')), pipeline=[])
train_dataloader = dict(dataset=dict(data, ann_file='train/annotations.json', data_prefix=dict(img='train/images')))
val_dataloader = dict(dataset=dict(data, ann_file='val/annotations.json', data_prefix=dict(img='val/images')))
test_dataloader = val_dataloader
"""
TEST = "test = dict(ann_file='test/annotations.json', img_prefix='test/images', resamples=50)\n"


@pytest.fixture
def tested(study, tmp_path, make_tiny_coco):
    """The study of stubs with data of its own, and how it is run."""
    for seed, part in enumerate(('train', 'val', 'test')):
        make_tiny_coco(tmp_path / part, num_images=12, seed=seed)
    with open('config.py', 'a') as handle:
        handle.write(DATA)
    with open('spec.py', 'a') as handle:
        handle.write(TEST)

    def run(spec=None, **selected):
        runner = study.runner(spec)
        runner.test_command = STUB
        return runner, runner.run(**selected)

    return run


def printed(runner):
    console = Console(width=200, record=True, file=open('/dev/null', 'w'))
    command.show(console, command.final_tables(runner.spec, runner.results))
    return console.export_text()


def test_runs_are_tested_once_their_intervals_told_and_a_further_seed_joins_them(tested):
    runner, jobs = tested(seeds=[0])
    assert len(jobs) == 4
    lines = Path('tests.txt').read_text().splitlines()
    # AP grows in these runs, so the last checkpoint is the best one, and start is not tested.
    assert len(lines) == 2 * 3 and not any('start' in line for line in lines)
    found = runner.results.described('test')
    assert found['images'] == 12 and found['resamples'] == 50
    share = found['gains']['sed']['teacher best']['share']
    assert 0 < share['interval'][0] < share['value'] < share['interval'][1] < 1
    written = Path('results.json').read_bytes()
    assert tested(seeds=[0])[1] == [] and Path('results.json').read_bytes() == written
    assert len(Path('tests.txt').read_text().splitlines()) == 6
    text = printed(runner)
    assert 'stub: the last validation' in text and 'On the test part' in text
    assert 'student last' in text and '50 draws of the 12 test images' in ' '.join(text.split())
    assert 'headroom recovered' not in text

    runner, jobs = tested(seeds=[1], runs=['few', 'sed'])
    found = runner.results.described('test')['gains']['sed']['student last']
    assert (found['AP']['seeds'], found['gain']['seeds'], found['share']['seeds']) == ([0, 1], [0, 1], [0])
    assert set(found['by_seed']) == {'0', '1'} and 'share' not in found['by_seed']['1']


def test_another_test_part_is_tested_without_training(tested, study, tmp_path, make_tiny_coco):
    tested(seeds=[0], runs=['few'])
    make_tiny_coco(tmp_path / 'other', num_images=9, seed=7)
    Path('spec.py').write_text(Path('spec.py').read_text().replace("'test/", "'other/"))
    runner, jobs = tested(seeds=[0], runs=['few'])
    assert [job.run.name for job in jobs] == ['few'] and len(study.starts('few')) == 1
    assert runner.results.described('test')['images'] == 9


def test_a_test_part_whose_content_has_changed_is_tested_anew(tested, study):
    runner, _ = tested(seeds=[0], runs=['few'])
    path = Path('test/annotations.json')
    content = json.loads(path.read_text())
    content['annotations'] = content['annotations'][::2]
    path.write_text(json.dumps(content))
    before = runner.results.described('test')['gains']
    runner, jobs = tested(seeds=[0], runs=['few'])
    assert [job.run.name for job in jobs] == ['few'] and len(study.starts('few')) == 1
    assert len(Path('tests.txt').read_text().splitlines()) == 4
    assert runner.results.described('test')['gains'] != before


def test_gains_follow_what_was_trained_anew_though_another_run_fails(tested):
    runner, _ = tested(seeds=[0])
    before = runner.results.described('test')['gains']['sed']
    spec = Path('spec.py').read_text()
    changed = spec.replace("'stub.bonus': 5", "'stub.bonus': 3").replace("'stub.bonus': 12", "'stub.fail_at': 2")
    Path('spec.py').write_text(changed)
    with pytest.raises(RunsFailed):
        tested(seeds=[0])
    assert runner.results.described('test')['gains']['sed'] != before


def test_gains_of_an_earlier_sweep_are_kept(tested, study):
    for value in (2, 3):
        spec = study.load(sweeps=[f'sed:train_cfg.max_iters={value}'])
        runner, _ = tested(spec=spec, seeds=[0])
    assert set(runner.results.described('test')['gains']) == {'few', 'sed@max_iters=2', 'sed@max_iters=3', 'all'}


def test_gains_that_are_of_earlier_entries_are_not_told(tested):
    runner, _ = tested(seeds=[0])
    assert 'draws of the 12 test images' in ' '.join(printed(runner).split())
    runner.results.put({**runner.results.find('sed', 0), 'hash': 'other'})
    runner.spec.runs.clear()  # so that all entries count
    assert 'draws of the 12 test images' not in ' '.join(printed(runner).split())


def test_a_test_part_that_is_trained_with_is_refused_before_anything_is_trained(tested):
    Path('spec.py').write_text(Path('spec.py').read_text().replace("'test/", "'train/"))
    with pytest.raises(UserError, match='test images are in the train_dataloader'):
        tested()
    assert not Path('work').exists() or not list(Path('work').glob('*/*/iter_*.pth'))


def test_a_test_that_fails_is_made_up_for_without_training_again(tested, study):
    Path('break').touch()
    with pytest.raises(UserError, match='the test of the last student of few, seed 0 failed'):
        tested(seeds=[0], runs=['few'])
    Path('break').unlink()
    runner, _ = tested(seeds=[0], runs=['few'])
    assert len(study.starts('few')) == 1 and 'test' in runner.results.find('few', 0)['trials']

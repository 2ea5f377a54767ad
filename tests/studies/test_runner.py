"""A study runs what is missing, keeps what is done, goes on where it stopped."""

import json
import os
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest
from rich.console import Console
from study_runs import ends

from sssd.datasets.toy import make_toy
from sssd.errors import UserError
from sssd.locks import training_lock
from sssd.studies.datasets import make_data
from sssd.studies.results import ResultsFile
from sssd.studies.watch import Reporter


def entries():
    return {(e['run'], e['seed']): e for e in ResultsFile('results.json').entries()}


def test_every_run_and_seed_is_recorded(study):
    jobs = study.runner().run()
    assert len(jobs) == 8
    found = entries()
    assert set(found) == {(run, seed) for run in ('start', 'few', 'sed', 'all') for seed in (0, 1)}
    sed = found['sed', 1]
    # 3 iterations + seed 1 + bonus 5 = 9 % for the student, 1 more for the teacher
    assert sed['metrics']['student']['AP'] == pytest.approx(9)
    assert sed['metrics']['teacher']['AP'] == pytest.approx(10)
    assert sed['metrics']['teacher']['AP50'] == pytest.approx(29)
    assert sed['metrics']['student']['APs'] is None
    assert [row['iter'] for row in sed['history']['teacher']] == [1, 2, 3]
    assert sed['seconds'] > 0
    assert sed['versions']['torch']
    assert sed['machine']['cores'] >= 1


def test_runs_begin_with_the_start_of_their_seed(study):
    study.runner().run()
    assert study.starts('sed', 1) == ['resume=None load_from=work/seed1/start/iter_3.pth']
    assert study.starts('all', 1) == ['resume=None load_from=None']


def test_recorded_command_can_be_typed_and_names_no_absolute_path(study):
    study.runner().run(seeds=[0], runs=['sed'])
    assert entries()['sed', 0]['command'] == (
        'python -m sssd train config.py --work-dir work/seed0/sed --cfg-options '
        'randomness.seed=0 stub.bonus=5 load_from=work/seed0/start/iter_3.pth'
    )


def test_absolute_work_dir_is_hidden(study, tmp_path):
    runner = study.runner()
    runner.work_dir = tmp_path / 'elsewhere'
    runner.run(seeds=[0], runs=['sed'])
    assert str(tmp_path) not in Path('results.json').read_text()


def test_done_runs_are_skipped(study):
    study.runner().run(seeds=[0], runs=['few'])
    before = entries()
    jobs = study.runner().run(seeds=[0], runs=['few', 'sed'])
    assert [job.run.name for job in jobs] == ['sed']
    assert study.starts('start') == ['resume=None load_from=None']  # once only
    assert entries()['few', 0] == before['few', 0]
    assert study.runner().run(seeds=[0], runs=['few', 'sed']) == []


def test_changed_config_runs_again_and_old_files_stay(study):
    study.runner().run(seeds=[0], runs=['all'])
    config = Path('config.py')
    config.write_text(config.read_text().replace('max_iters=3', 'max_iters=2'))
    study.runner().run(seeds=[0], runs=['all'])
    assert [row['iter'] for row in entries()['all', 0]['history']['student']] == [1, 2]
    assert Path('work/seed0/all.old1/iter_3.pth').is_file()
    assert not Path('work/seed0/all/iter_3.pth').exists()


def test_failed_run_is_told_in_one_sentence_and_loses_nothing(study):
    spec = study.load()
    spec.runs['sed'].cfg_options['stub.fail_at'] = 2
    with pytest.raises(UserError) as caught:
        study.runner(spec).run(seeds=[0])
    message = str(caught.value)
    assert 'sed, seed 0 failed with exit status 1 (RuntimeError: the stub fails as asked): see' in message
    assert 'work/seed0/sed/study_run.log' in message and '\n' not in message
    assert 'fails as asked' in Path('work/seed0/sed/study_run.log').read_text()
    assert ('few', 0) in entries() and ('sed', 0) not in entries()


def test_interrupted_run_goes_on_from_its_last_checkpoint(study):
    spec = study.load()
    spec.runs['sed'].cfg_options['stub.fail_at'] = 3
    with pytest.raises(UserError):
        study.runner(spec).run(seeds=[0])
    Path('work/seed0/sed/iter_3.pth').write_text('half written')
    study.runner(spec).run(seeds=[0])
    assert study.starts('sed') == [
        'resume=None load_from=work/seed0/start/iter_3.pth',
        'resume=iter_2.pth load_from=None',
    ]
    entry = entries()['sed', 0]
    assert entry['attempts'] == 2
    assert [row['iter'] for row in entry['history']['student']] == [1, 2, 3]


def test_run_stopped_before_its_last_evaluation_is_not_taken_for_finished(study):
    study.runner().run(seeds=[0], runs=['all'])
    state = Path('work/seed0/all/study_run.json')
    state.write_text(json.dumps(dict(json.loads(state.read_text()), finished=False)))
    Path('results.json').unlink()
    study.runner().run(seeds=[0], runs=['all'])
    assert study.starts('all')[-1] == 'resume=iter_3.pth load_from=None'


def test_lost_start_is_trained_again_for_a_missing_run(study):
    study.runner().run(seeds=[0], runs=['few'])
    for path in Path('work/seed0/start').glob('*.pth'):
        path.unlink()
    jobs = study.runner().run(seeds=[0], runs=['few', 'sed'])
    assert [job.run.name for job in jobs] == ['start', 'sed']


def test_start_of_another_specification_is_not_begun_with(study):
    """Two results files over one work directory, as two tables of ablations have: the start is that of the second."""
    study.runner().run(seeds=[0], runs=['few'])
    other = study.load()
    other.start.cfg_options['train_cfg.max_iters'] = other.runs['few'].cfg_options['train_cfg.max_iters'] = 2
    runner = study.runner(other)
    runner.results = ResultsFile('others.json')
    runner.run(seeds=[0], runs=['few'])
    jobs = study.runner().run(seeds=[0], runs=['sed'])
    assert [job.run.name for job in jobs] == ['start', 'sed']
    assert study.starts('sed') == ['resume=None load_from=work/seed0/start/iter_3.pth']


class Waits(Reporter):
    """Waits for a training of this process, which saves and ends when it was looked at twice."""

    def tick(self, status):
        self.ticks.append(status.text)
        if len(self.ticks) == 2:
            Path('saved.pth').rename('work/seed0/all/iter_3.pth')
            self.held.close()


def test_a_start_that_another_study_takes_away_is_missed(study):
    """Between the end of a start and the beginning of a run: that is not trained from nothing, nor another start."""

    class TakesAway(Reporter):
        def begin(self, title):
            super().begin(title)
            if title.startswith('few'):
                runner = study.runner(other)
                runner.results = ResultsFile('others.json')
                runner.run(seeds=[0], runs=['sed'])

    other = study.load()
    other.start.cfg_options['train_cfg.max_iters'] = 2
    runner = study.runner()
    runner.reporter = TakesAway(Console(file=study.output, width=200))
    with pytest.raises(
        UserError, match='few, seed 0 begins with start, seed 0, but work/seed0/start has no checkpoint'
    ):
        runner.run(seeds=[0], runs=['few'])
    assert not Path('work/seed0/few/arguments.txt').exists()


def test_a_training_that_outlives_its_study_is_waited_for(study):
    """It holds its folder; what it has saved by then is gone on from, and nothing is moved away from under it."""
    study.runner().run(seeds=[0], runs=['all'])
    state = Path('work/seed0/all/study_run.json')
    state.write_text(json.dumps(dict(json.loads(state.read_text()), finished=False)))
    Path('results.json').unlink()
    Path('work/seed0/all/iter_3.pth').rename('saved.pth')
    other = study.load()
    other.runs['all'].cfg_options['stub.bonus'] = 13
    with training_lock('work/seed0/all'):
        with pytest.raises(UserError) as caught:
            study.runner(other).run(seeds=[0], runs=['all'])
        assert f'work/seed0/all, where process {os.getpid()} still trains: wait until it has ended, or end it' in str(
            caught.value
        )

    runner = study.runner()
    runner.reporter = Waits(Console(file=study.output, width=200))
    runner.reporter.ticks, runner.reporter.held = [], ExitStack()
    runner.reporter.held.enter_context(training_lock('work/seed0/all'))
    runner.run(seeds=[0], runs=['all'])
    assert runner.reporter.ticks[0] == f'process {os.getpid()} trains in its folder; waiting for it'
    assert (
        f'process {os.getpid()} still trains in work/seed0/all; waiting for it (end it with' in study.output.getvalue()
    )
    assert study.starts('all')[-1] == 'resume=iter_3.pth load_from=None'


def test_run_without_evaluation_is_an_error(study):
    spec = study.load()
    spec.runs['few'].cfg_options['stub.evaluates'] = False
    with pytest.raises(UserError, match='val_interval'):
        study.runner(spec).run(seeds=[0], runs=['few'])


def test_unknown_run_is_named(study):
    with pytest.raises(UserError, match=r"'sde'.*few, sed, all"):
        study.runner().run(runs=['sde'])


def test_progress_says_which_run_of_how_many(study):
    study.runner().run(seeds=[0], runs=['few'])
    text = study.output.getvalue()
    assert '[1/2] start, seed 0' in text and '[2/2] few, seed 0' in text
    assert 'teacher AP 4.0, ' in text


def test_data_of_an_unknown_type_is_an_error(study):
    spec = study.load()
    spec.data = {'type': 'imagenet', 'root': 'data'}
    with pytest.raises(UserError, match='imagenet'):
        study.runner(spec).run(seeds=[0])


def test_a_study_may_have_several_data_sets(study, tmp_path):
    spec = study.load()
    sizes = dict(type='toy', num_train=3, num_val=1, num_labeled=1, progress=False)
    spec.data = [dict(sizes, root=str(tmp_path / 'plain')), dict(sizes, root=str(tmp_path / 'varied'), camera='varied')]
    make_data(spec)
    infos = [json.loads((tmp_path / name / 'train.json').read_text())['info'] for name in ('plain', 'varied')]
    assert [info.get('camera') for info in infos] == [None, 'varied']
    assert 'type' in spec.data[0]  # what the specification says is left as it is


def test_a_data_set_may_be_made_of_another(study, tmp_path):
    make_toy(tmp_path / 'toy', 6, 1, 2, progress=False)
    spec = study.load()
    spec.data = [
        dict(type='recapture', ann_file='toy/train.json', img_dir='toy/images/train', out_dir='seen', progress=False),
        dict(type='splits', ann_file='seen/train.json', out_dir='splits', percents=[50], folds=1, progress=False),
    ]
    make_data(spec)
    parts = [json.loads(path.read_text())['images'] for path in sorted((tmp_path / 'splits').iterdir())]
    assert [len(part) for part in parts] == [3, 3]
    assert all((tmp_path / 'seen/images' / image['file_name']).is_file() for part in parts for image in part)


class Impatient(Reporter):
    """Somebody who presses Ctrl-C as soon as the run is under way."""

    def tick(self, status):
        pids = Path('work/seed0/all/pids')
        if pids.is_file() and pids.read_text():
            raise KeyboardInterrupt


def test_interruption_ends_the_processes_and_keeps_its_time(study):
    spec = study.load()
    spec.runs['all'].cfg_options['stub.sleep'] = 60
    runner = study.runner(spec)
    runner.train_command[0] = sys.executable  # signals go to a real process
    runner.reporter = Impatient(Console(file=study.output))
    with pytest.raises(KeyboardInterrupt):
        runner.run(seeds=[0], runs=['all'])
    for pid in Path('work/seed0/all/pids').read_text().split():
        assert ends(int(pid))
    state = json.loads(Path('work/seed0/all/study_run.json').read_text())
    assert 0 < state['attempts'][0]['seconds'] < 30 and not state['finished']


def test_a_config_that_is_changed_before_its_run_begins_is_told(study):
    runner = study.runner()
    text = Path('config.py').read_text()

    def train_and_edit(job, *args):
        Path('config.py').write_text(text.replace('bonus=0', 'bonus=50'))
        return trained(job, *args)

    trained, runner._train = runner._train, train_and_edit
    with pytest.raises(
        UserError, match=r'config\.py \(or what it is based on\) was changed .* before few, seed 0 began'
    ):
        runner.run(seeds=[0], runs=['few'])
    assert set(entries()) == {('start', 0)}


@pytest.fixture
def reading(study):
    """A study whose runs read annotations and a folder of images."""
    Path('images').mkdir()
    for name, text in (('train.json', '{}'), ('images/a.jpg', '')):
        Path(name).write_text(text)
    with open('config.py', 'a') as handle:
        handle.write(
            "train_dataloader = dict(dataset=dict(datasets=[dict(ann_file='train.json'), "
            "dict(type='sssd.ImageFolder', data_prefix=dict(img='images'))]))\n"
        )
    return study


@pytest.mark.parametrize('changed', ['train.json', 'images/b.jpg'])
def test_runs_whose_data_have_changed_are_trained_anew_and_nothing_is_lost(reading, changed):
    assert len(reading.runner().run(seeds=[0], runs=['few'])) == 2
    assert reading.runner().run(seeds=[0], runs=['few']) == []
    Path('train.json').touch()
    assert reading.runner().run(seeds=[0], runs=['few']) == [], 'the same bytes'
    Path(changed).write_text('{"images": []}')
    assert len(reading.runner().run(seeds=[0], runs=['few'])) == 2
    assert Path('work/seed0/few.old1/iter_3.pth').is_file()
    assert reading.output.getvalue().count('with other data, is now in work/seed0/') == 2


def test_entries_without_a_word_on_their_data_and_data_that_are_not_here_count_as_they_are(reading):
    runner = reading.runner()
    runner.run(seeds=[0], runs=['few'])
    few = runner.results.find('few', 0)
    assert few['data']
    runner.results.put({key: value for key, value in few.items() if key != 'data'})
    Path('train.json').write_text('[]')
    assert [job.key for job in runner.jobs([0], ['few'])] == []
    runner.results.put(few)
    assert [job.key for job in runner.jobs([0], ['few'])] == [('start', 0), ('few', 0)]
    Path('train.json').unlink()
    assert [job.key for job in runner.jobs([0], ['few'])] == []

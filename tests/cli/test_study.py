"""The command `study`: tables from a results file, exit statuses."""

import json
import shutil
import signal
from pathlib import Path

import pytest

from sssd.cli import study as command
from sssd.errors import run_cli
from sssd.studies import runner

STUB = Path(__file__).parents[1] / 'studies' / 'stub_train.py'
CONFIG = """
train_cfg = dict(max_iters=2)
stub = dict(bonus=0, fail_at=0, evaluates=True)
randomness = dict(seed=0)
load_from = None
"""
SPEC = """
name = 'small'
runs = dict(
    few=dict(config='config.py', cfg_options={'stub.bonus': 10}),
    sed=dict(config='config.py', cfg_options={'stub.bonus': 15}),
    all=dict(config='config.py', cfg_options={'stub.bonus': 20}))
"""


@pytest.fixture(autouse=True)
def small_study(tmp_path, monkeypatch, forked_python):
    """A study of stub runs in an empty current directory."""
    monkeypatch.chdir(tmp_path)
    Path('config.py').write_text(CONFIG)
    Path('spec.py').write_text(SPEC)
    defaults = dict(runner.StudyRunner.__init__.__kwdefaults__, train_command=[forked_python, str(STUB)])
    monkeypatch.setattr(runner.StudyRunner.__init__, '__kwdefaults__', defaults)


def test_study_ends_with_tables_and_a_results_file(capsys):
    before = signal.getsignal(signal.SIGTERM)
    assert run_cli(command.main, ['spec.py']) == 0
    out = capsys.readouterr().out
    # few: 13 (teacher); all: 23; sed: 18
    assert 'Share of the headroom recovered' in out and '50%' in out
    results = json.loads(Path('work_dirs/studies/small/results.json').read_text())
    assert [entry['run'] for entry in results['runs']] == ['few', 'sed', 'all']
    assert Path('work_dirs/studies/small/seed0/sed/iter_2.pth').is_file()
    assert run_cli(command.main, ['spec.py']) == 0
    assert 'Nothing to run' in capsys.readouterr().out
    assert signal.getsignal(signal.SIGTERM) is before  # or forked processes would not end by it


def test_study_without_few_and_all_has_the_table_of_means_alone(capsys):
    Path('spec.py').write_text(SPEC.replace('few=', 'baseline=').replace('all=', 'lgd='))
    assert run_cli(command.main, ['spec.py', '--seeds', '0', '2']) == 0
    capsys.readouterr()
    assert run_cli(command.main, ['spec.py', '--markdown']) == 0
    out = capsys.readouterr().out
    # Students of seeds 0 and 2: 12 and 14; 22 and 24
    assert '| baseline | 2 | 13.0 ± 1.4 |' in out and '| lgd | 2 | 23.0 ± 1.4 |' in out
    assert out.count('**') == 2 and 'headroom' not in out


def test_table_reads_the_results_file_only(capsys):
    run_cli(command.main, ['spec.py', '--runs', 'few', 'sed'])
    Path('config.py').unlink()
    capsys.readouterr()
    assert run_cli(command.main, ['spec.py', '--table']) == 0
    out = capsys.readouterr().out
    assert 'few' in out and '13.0' in out and 'Share' not in out
    assert run_cli(command.main, ['spec.py', '--markdown']) == 0
    assert '| few | 1 | 12.0 | 13.0 | 32.0 |' in capsys.readouterr().out


def test_a_table_is_of_the_seeds_and_runs_that_are_asked_for(capsys):
    run_cli(command.main, ['spec.py', '--seeds', '0', '2', '--runs', 'few', 'all'])

    def printed(*words):
        capsys.readouterr()
        status = run_cli(command.main, ['spec.py', '--markdown', *words])
        return status, ''.join(capsys.readouterr())

    _, every = printed()
    assert '| few | 2 | 13.0 ± 1.4 |' in every and '| all | 2 |' in every
    status, few = printed('--runs', 'few', '--seeds', '2', '1')
    assert status == 0 and '| few | 1 | 14.0 |' in few and '| all |' not in few
    status, said = printed('--runs', 'fwe')
    assert status == 2 and "--runs names 'fwe', but the study small has few, sed, all" in said
    for words in (['--runs', 'sed'], ['--seeds', '7']):
        status, said = printed(*words)
        assert status == 2 and 'holds no results yet of the runs and seeds that are asked for' in said


def test_what_is_of_another_specification_is_left_out_of_the_tables_and_named(capsys):
    run_cli(command.main, ['spec.py', '--seeds', '0', '1'])
    Path('spec.py').write_text(SPEC.replace("'stub.bonus': 15", "'stub.bonus': 40"))
    capsys.readouterr()
    assert run_cli(command.main, ['spec.py', '--seeds', '0']) == 0
    out = ' '.join(capsys.readouterr().out.split())
    assert 'changed since they were trained: sed, seed 1' in out and '27.0' not in out
    assert run_cli(command.main, ['spec.py', '--markdown']) == 0
    out = capsys.readouterr().out
    assert '| sed | 1 | 42.0 | 43.0 |' in out and '| few | 2 |' in out and 'since they were trained: sed, seed 1' in out
    assert run_cli(command.main, ['spec.py', '--table', '--runs', 'sed', '--seeds', '1']) == 2
    assert 'sed, seed 1; call the study' in capsys.readouterr().err
    Path('config.py').write_text(CONFIG + 'other = 1\n')  # of this, the file has nothing: it is older as a whole
    assert run_cli(command.main, ['spec.py', '--markdown']) == 0
    out = capsys.readouterr().out
    assert '| sed | 2 |' in out and 'since they were trained' not in out


def test_what_is_said_of_the_test_part_is_of_the_runs_that_are_asked_for():
    """Gains are of all seeds: where only some of them are asked for, none are told."""
    whole = [dict(run=run, seed=seed, hash='0') for run in ('few', 'sed') for seed in (0, 1)]
    summary = dict(images=3, gains=dict(few={}, sed={}))
    assert command.summary_of(summary, whole, whole) == summary
    assert command.summary_of(summary, whole[2:], whole) == dict(summary, gains=dict(sed={}))
    assert command.summary_of(summary, whole[::2], whole) is None
    assert command.summary_of(None, whole, whole) is None


@pytest.mark.parametrize('option, place', [('--work-dir', '{}'), ('--results', '{}/results.json')])
@pytest.mark.parametrize('folder', ['spec.py', '/proc/none'])
def test_a_folder_that_cannot_be_made_is_told_before_anything_is_trained(capsys, option, place, folder):
    assert run_cli(command.main, ['spec.py', '--runs', 'few', option, place.format(folder)]) == 2
    said = capsys.readouterr().err
    assert said.startswith(f'sssd: error: {folder} cannot be written (') and said.count('\n') == 1
    assert not list(Path('.').glob('**/iter_*.pth'))


def test_table_without_results_says_what_to_do(capsys):
    assert run_cli(command.main, ['spec.py', '--table']) == 2
    assert 'no results yet' in capsys.readouterr().err


def test_failed_run_ends_with_a_sentence_and_a_status(capsys):
    status = run_cli(command.main, ['spec.py', '--cfg-options', 'stub.fail_at=1'])
    assert status == 2
    err = capsys.readouterr().err
    assert (
        'few, seed 0 failed' in err
        and 'RuntimeError: the stub fails as asked' in err
        and 'study_run.log' in err
        and 'Traceback' not in err
    )


def test_options_and_seeds_of_the_command_line(capsys):
    run_cli(
        command.main,
        ['spec.py', '--runs', 'few', '--seeds', '3', '--results', 'r.json', '--cfg-options', 'train_cfg.max_iters=1'],
    )
    (entry,) = json.loads(Path('r.json').read_text())['runs']
    assert entry['seed'] == 3 and entry['metrics']['student']['iter'] == 1
    assert not Path('work_dirs/studies/small/results.json').exists() and not Path('benchmarks').exists()


def test_results_lie_beside_the_runs_and_are_made_again_from_them(capsys):
    words = ['spec.py', '--runs', 'few', '--work-dir', 'here']
    assert run_cli(command.main, words) == 0
    results, state = Path('here/results.json'), Path('here/seed0/few/study_run.json')
    before, attempts = json.loads(results.read_text())['runs'], state.read_text()
    results.unlink()
    assert run_cli(command.main, words) == 0
    assert json.loads(results.read_text())['runs'] == before and state.read_text() == attempts, 'nothing is trained'


def test_the_data_of_all_runs_are_checked_before_the_first(capsys):
    data = "train_dataloader = dict(dataset=dict(type='CocoDataset', ann_file='nowhere.json'))\n"
    Path('other.py').write_text(CONFIG + data)
    Path('spec.py').write_text(SPEC.replace("all=dict(config='config.py'", "all=dict(config='other.py'"))
    assert run_cli(command.main, ['spec.py']) == 2
    said = capsys.readouterr().err
    assert "the run 'all', other.py: annotation file nowhere.json of train_dataloader.dataset does not exist" in said
    assert not Path('work_dirs/studies/small/seed0').exists()
    assert run_cli(command.main, ['spec.py', '--runs', 'few', 'sed']) == 0


def test_several_runs_at_once_and_a_sweep(capsys, monkeypatch):
    words = ['spec.py', '--sweep', 'sed:train_cfg.max_iters=1,2', '--runs', 'few', 'sed', '--jobs', '2']
    assert run_cli(command.main, [*words, '--dry-run']) == 0
    out = capsys.readouterr().out
    assert (
        'sed@max_iters=1, seed 0, 1 iterations: not known' in out and '3 runs; how long they take is not known' in out
    )
    assert '--cfg-options randomness.seed=0 stub.bonus=15 train_cfg.max_iters=1' in out
    assert not Path('work_dirs').exists(), 'nothing was run'
    assert run_cli(command.main, [*words, '--logger', 'tensorboard']) == 0
    out = capsys.readouterr().out
    assert 'sed@max_iters=1' in out and 'sed@max_iters=2' in out
    results = json.loads(Path('work_dirs/studies/small/results.json').read_text())['runs']
    assert [entry['run'] for entry in results] == ['few', 'sed@max_iters=1', 'sed@max_iters=2']
    assert run_cli(command.main, words) == 0
    assert 'Nothing to run' in capsys.readouterr().out


def test_a_plan_says_what_would_be_done_with_what_is_there(capsys):
    """To go on is for what is there of the very same runs; what is trained is not trained again."""
    Path('spec.py').write_text(SPEC.replace('runs =', "start = dict(config='config.py')\nruns ="))
    words = ['spec.py', '--runs', 'few', '--work-dir', 'here']
    assert run_cli(command.main, words) == 0
    state = Path('here/seed0/few/study_run.json')
    state.write_text(state.read_text().replace('"finished": true', '"finished": false'))
    Path('here/results.json').unlink()

    def planned(*more):
        capsys.readouterr()
        assert run_cli(command.main, [*words, *more, '--dry-run']) == 0
        return capsys.readouterr().out

    out = planned()
    assert 'start, seed 0, 2 iterations: trained already\n  its results are read from its folder\n' in out
    assert '--work-dir here/seed0/few --resume here/seed0/few/iter_2.pth' in out
    out = planned('--cfg-options', 'train_cfg.max_iters=1')
    assert '--resume' not in out and 'load_from=LAST_CHECKPOINT_OF_THE_START' in out
    assert 'what here/seed0/start holds is specified otherwise, and is moved away' in out
    assert run_cli(command.main, [*words, '--cfg-options', 'train_cfg.max_iters=1']) == 0
    assert Path('here/seed0/few.old1/iter_2.pth').is_file() and not Path('here/seed0/few/iter_2.pth').exists()


def test_the_table_of_the_others_is_printed_where_a_run_failed(capsys):
    Path('spec.py').write_text(SPEC.replace("{'stub.bonus': 15}", "{'stub.bonus': 15, 'stub.fail_at': 1}"))
    assert run_cli(command.main, ['spec.py']) == 2
    said = capsys.readouterr()
    assert 'the run sed, seed 0 failed with exit status 1' in said.err and 'all' in said.out and '23.0' in said.out


def test_what_a_study_cannot_read_or_write_is_told(capsys):
    assert run_cli(command.main, ['spec.py', '--runs', 'few', '--work-dir', 'spec.py/here']) == 2
    assert 'spec.py/here' in (said := capsys.readouterr().err) and 'cannot be written (Not a directory)' in said
    assert run_cli(command.main, ['spec.py', '--runs', 'few', '--work-dir', 'here']) == 0
    Path('here/seed0/few/study_run.json').write_text('')
    Path('here/results.json').unlink()
    assert run_cli(command.main, ['spec.py', '--runs', 'few', '--work-dir', 'here']) == 2
    said = capsys.readouterr().err
    assert 'here/seed0/few/study_run.json does not say what was trained there, it is damaged: move its folder' in said
    assert 'Traceback' not in said and said.count('\n') == 1


def test_the_page_names_the_run_that_failed_and_why(capsys, monkeypatch):
    monkeypatch.setenv('SSSD_REPORT', '1')
    failing = SPEC.replace("{'stub.bonus': 15}", "{'stub.bonus': 15, 'stub.fail_at': 1}")
    Path('spec.py').write_text(failing)
    assert run_cli(command.main, ['spec.py']) == 2
    out, page = capsys.readouterr().out, Path('work_dirs/studies/small/report.html')
    assert f'report:     {page}\n' in out
    text = page.read_text()
    assert '<td class="left">sed</td>' in text and '1 missing, see below' in text and '23.0' in text
    assert 'not finished; its log ends with: RuntimeError: the stub fails as asked' in text
    assert 'the run sed, seed 0 failed with exit status 1' in text
    Path('spec.py').write_text(SPEC)
    assert run_cli(command.main, ['spec.py', '--runs', 'few']) == 0
    assert 'missing' not in page.read_text(), 'of what was asked for nothing is'
    assert run_cli(command.main, ['spec.py']) == 0
    assert 'missing' not in page.read_text() and 'Share of the headroom recovered' in page.read_text()
    shutil.rmtree('work_dirs/studies/small/seed0/all')
    assert run_cli(command.main, ['spec.py']) == 0
    assert 'done, but work_dirs/studies/small/seed0/all is gone' in page.read_text()


@pytest.mark.parametrize(
    'words, said',
    [
        (('--partition', 'gpu'), '--partition is for a cluster: add --cluster slurm'),
        (('--gpus-per-run', '2'), 'there is no GPU here'),
        (('--sweep', 'sed:train_cfg.max_iter=1'), "did you mean 'max_iters'"),
        (('--logger', 'mlflow'), 'pip install mlflow'),
    ],
)
def test_what_cannot_be_is_told_before_anything_runs(words, said, capsys, monkeypatch):
    monkeypatch.setattr('sssd.studies.slots.visible_gpus', lambda: [])
    monkeypatch.setattr('sssd.cli._loggers.find_spec', lambda name: None)
    assert run_cli(command.main, ['spec.py', *words]) == 2
    assert said in capsys.readouterr().err and not Path('work_dirs').exists()


def test_a_plan_for_a_cluster_needs_no_cluster(capsys):
    words = ['--cluster', 'slurm', '--partition', 'gpu', '--gpus-per-run', '8', '--image-seconds', '3600', '--dry-run']
    assert run_cli(command.main, ['spec.py', *words]) == 0
    out = capsys.readouterr().out
    assert '3 runs on 8 GPUs each: about 48 GPU hours, done after 2.0 hours with 3 at once' in out
    assert '-m torch.distributed.run --standalone --nproc-per-node=8' in out and 'partition=gpu' in out

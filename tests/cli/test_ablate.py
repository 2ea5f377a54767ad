"""The command `ablate`: trains what a table lacks and shows it beside the published numbers."""

import json
import shutil
from pathlib import Path

import pytest

from sssd.cli import ablate as command
from sssd.errors import run_cli
from sssd.studies import runner

STUB = Path(__file__).parents[1] / 'studies' / 'stub_train.py'
#: A data set of the user's own: its base is the toy set's, the runs are stubs.
BASE = (
    "_base_ = 'ablations/toy_{kind}.py'\nstub = dict(bonus={bonus}, fail_at=0, evaluates=True)\nload_from = None\n"
    'randomness = dict(seed=0)\n'
)
STUB_TEST = STUB.with_name('stub_trial.py')
STUDY = """
name = 'mine'
start = dict(config='few.py', cfg_options={'train_cfg.max_iters': 1})
runs = dict(few=dict(config='few.py'), sed=dict(config='sed.py'))
"""


@pytest.fixture
def stubs(tmp_path, monkeypatch, forked_python):
    """A study of stub runs in an empty present folder."""
    monkeypatch.chdir(tmp_path)
    Path('mine.py').write_text(STUDY)
    Path('sed.py').write_text(BASE.format(kind='sed', bonus=9))
    Path('few.py').write_text(BASE.format(kind='supervised', bonus=0))
    defaults = dict(
        runner.StudyRunner.__init__.__kwdefaults__,
        train_command=[forked_python, str(STUB)],
        test_command=[forked_python, str(STUB_TEST)],
    )
    monkeypatch.setattr(runner.StudyRunner.__init__, '__kwdefaults__', defaults)
    monkeypatch.setattr('sssd.cli.study.check_data', lambda cfg: [])  # these runs read no data


def ablate(*words):
    return run_cli(command.main, [words[0], '--data', 'mine.py', '--iters', '2', '--seeds', '0', *words[1:]])


def results(table):
    return json.loads(Path(f'work_dirs/ablations/mine/ablation_{table}_mine.json').read_text())


def told(run):
    """What each start of a run was told."""
    return Path(f'work_dirs/ablations/mine/seed0/{run}/arguments.txt').read_text().splitlines()


@pytest.mark.slow
def test_a_table_is_trained_row_by_row_goes_on_and_shares_its_runs(stubs, capsys, monkeypatch):
    assert ablate('table9', '--only', 'alpha_constant') == 0
    assert '[2/2] alpha_constant, seed 0' in capsys.readouterr().out
    assert ablate('table9', '--only', 'alpha_constant', 'sed') == 0
    assert '[1/1] sed, seed 0' in capsys.readouterr().out
    entries = {entry['run']: entry for entry in results('table9')['runs']}
    assert list(entries) == ['start', 'alpha_constant', 'sed']
    words = entries['alpha_constant']['command']
    assert words.startswith('SED_BASE=') and 'sssd train configs/ablations/alpha_constant.py' in words
    assert len(told('start')) == 1 and told('sed') == told('alpha_constant')
    assert results('table9')['table']['rows'][1] == dict(
        run='sed', label='Step, 0.99 to 0.9', published=34.1, skipped=''
    )
    assert ablate('table10', '--only', 'sed') == 0  # the same run, in another table
    assert len(told('sed')) == 1 and [entry['run'] for entry in results('table10')['runs']] == ['start', 'sed']
    capsys.readouterr()
    monkeypatch.setenv('SSSD_REPORT', '1')
    assert ablate('table9', '--only', 'sed') == 0
    out, page = capsys.readouterr().out, Path('work_dirs/ablations/mine/ablation_table9_mine.html')
    assert 'Nothing to run' in out and f'report:     {page}\n' in out
    text = page.read_text()
    assert (
        '<td>34.1</td>' in text
        and '<td class="left">alpha_cosine</td>' in text
        and '<td class="left">not run</td>' in text
    )
    assert ablate('table9', '--markdown') == 0
    out = capsys.readouterr().out
    # 2 iterations + bonus 9: 11 for the student, 1 more for the teacher
    assert '| Step, 0.99 to 0.9 | sed | 34.1 | 12.0 | 11.0 |' in out and '| alpha_cosine | 33.0 | not run |' in out


@pytest.mark.slow
def test_a_run_whose_checkpoints_are_gone_is_trained_and_tested_anew(stubs, capsys):
    Path('break').touch()
    assert ablate('table7', '--only', 'few') == 2
    Path('break').unlink()
    path = Path('work_dirs/ablations/mine/ablation_table7_mine.json')
    content = results('table7')
    content['runs'][-1].update(seconds=-7, trials={'480': dict(AP=99.0)})
    path.write_text(json.dumps(content))
    shutil.rmtree('work_dirs/ablations/mine/seed0/few')
    assert ablate('table7', '--only', 'few') == 0
    entry = results('table7')['runs'][-1]
    assert entry['seconds'] >= 0 and entry['trials']['480']['AP'] == 11.15, 'one entry is of one training'


@pytest.mark.slow
def test_results_of_another_budget_are_not_replaced(stubs, capsys):
    assert ablate('table9', '--only', 'sed') == 0
    before = results('table9')
    assert ablate('table9', '--iters', '3') == 2
    err = capsys.readouterr().err
    assert 'ablation_table9_mine.json holds sed, seed 0, of another budget' in err and err.count('\n') == 1
    assert results('table9') == before and len(told('sed')) == 1
    assert ablate('table9', '--only', 'alpha_constant', '--start-iters', '2') == 2
    assert 'seed 0, of another budget' in capsys.readouterr().err and results('table9') == before


@pytest.mark.slow
def test_rows_that_cannot_be_trained_are_told_and_the_others_are_trained(stubs, capsys):
    assert ablate('table8', '--only', 'rate4', 'rate16', '--out', 'r.json') == 0
    assert [entry['run'] for entry in json.loads(Path('r.json').read_text())['runs']] == ['start', 'rate4']
    assert 'Row 16 is skipped: Scale pair' in ' '.join(capsys.readouterr().out.split())


@pytest.mark.slow
def test_runs_of_table_7_are_tested_at_three_sizes_and_what_is_tested_is_kept(stubs, capsys, monkeypatch):
    monkeypatch.setenv('SSSD_REPORT', '1')
    assert ablate('table9', '--only', 'sed') == 0  # the same training as Table 7's
    Path('break').touch()
    assert ablate('table7') == 2
    assert 'the test 480 of few, seed 0 failed with exit status 1' in capsys.readouterr().err
    page = Path('work_dirs/ablations/mine/ablation_table7_mine.html').read_text()
    assert 'trained, but not tested (480, 800, 1200, ensemble)' in page
    assert 'the first because the test 480 of few, seed 0 failed with exit status 1' in page
    Path('break').unlink()
    assert ablate('table7') == 0
    out = capsys.readouterr().out
    assert "Row SUP 100% is skipped: mine.py has no run 'all'" in ' '.join(out.split())
    assert len(told('few')) == len(told('sed')) == len(told('start')) == 1
    tested = [line.split(' ') for line in Path('tests.txt').read_text().splitlines()]
    assert [(Path(checkpoint).parent.name, trial) for checkpoint, trial in tested] == [
        (run, trial) for run in ('few', 'sed') for trial in ('480', '800', '1200', 'ensemble')
    ]
    entries = {entry['run']: entry for entry in results('table7')['runs']}
    assert entries['sed']['trials'] == {
        '480': dict(AP=11.15, APs=None),
        '800': dict(AP=11.92, APs=None),
        '1200': dict(AP=12.88, APs=None),
        'ensemble': dict(AP=22.88, APs=None),
    }
    assert 'trials' not in entries['start']
    assert ablate('table7') == 0
    assert 'Nothing to run' in capsys.readouterr().out
    assert ablate('table7', '--markdown') == 0
    assert '| Ours 10% | sed | ours | 11.2 | 11.9 | 12.9 | 22.9 | 11.0 | 1 | 2 |' in capsys.readouterr().out


@pytest.mark.parametrize(
    'words, said',
    [
        (['table5'], "no table of ablations 'table5'"),
        (['table9', '--only', 'scr'], "no row 'scr'"),
        (['table9', '--data', 'voc'], "no data set for ablations 'voc'"),
        (['table9', '--iters', '0'], '--iters is 0'),
        (['table9', '--seeds', '-1'], 'the seed -1, but a seed is at least 0'),
        (['table9', '--out', '.'], 'the results file . is a folder'),
        (['table9', '--cfg-options', 'foo'], "got 'foo', which is not of the form key=value"),
        (['table9', '--cfg-options', 'train_dataloader.dataset.datasets.7.x=3'], 'do not fit configs/'),
    ],
)
def test_mistakes_are_one_sentence(words, said, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert run_cli(command.main, words) == 2
    err = capsys.readouterr().err
    assert said in err and err.count('\n') == 1 and not list(tmp_path.iterdir())


@pytest.mark.slow
def test_two_rows_train_for_real(tmp_path, monkeypatch, capsys, forked_python):
    monkeypatch.chdir(tmp_path)
    train = dict(runner.StudyRunner.__init__.__kwdefaults__, train_command=[forked_python, '-m', 'sssd', 'train'])
    monkeypatch.setattr(runner.StudyRunner.__init__, '__kwdefaults__', train)
    Path('tiny.py').write_text(
        "_base_ = 'ablations/toy_study.py'\nname = 'tiny'\ndata = dict(num_train=8, num_val=2, num_labeled=4)\n"
    )
    words = [
        'table8',
        '--data',
        'tiny.py',
        '--quick',
        '--iters',
        '2',
        '--start-iters',
        '1',
        '--seeds',
        '0',
        '--amp',
        '--cfg-options',
        'train_dataloader.num_workers=0',
        'train_dataloader.persistent_workers=False',
        'val_dataloader.num_workers=0',
        'val_dataloader.persistent_workers=False',
        '--out',
        'r.json',
        '--only',
    ]
    assert run_cli(command.main, [*words, 'rate4']) == 0
    assert run_cli(command.main, [*words, 'rate4', 'distill']) == 0
    entries = json.loads(Path('r.json').read_text())['runs']
    assert [entry['run'] for entry in entries] == ['start', 'rate4', 'distill']
    assert all(entry['attempts'] == 1 and set(entry['metrics']) == {'student', 'teacher'} for entry in entries)
    assert '[1/1] distill, seed 0' in capsys.readouterr().out

"""Several runs of a study at once end with what they end with one after the other."""

import json
import sys
import threading
from pathlib import Path

import pytest
import torch
from study_runs import ends, entries, interrupt_when

from sssd.errors import UserError
from sssd.studies.runner import RunsFailed
from sssd.studies.slots import Slot


def left():
    """What the runs left, by their files: checkpoints and scalars."""
    return {
        str(path): torch.load(path, weights_only=False) if path.suffix == '.pth' else path.read_text()
        for path in sorted(Path('work').rglob('*'))
        if path.suffix == '.pth' or path.name == 'scalars.json'
    }


def test_results_and_their_order_are_those_of_one_run_after_the_other(study, tmp_path, monkeypatch):
    study.runner().run(runs=['few', 'sed'])
    before, files = entries(), left()
    for name in ('parallel', 'parallel/config.py', 'parallel/spec.py'):
        place = tmp_path / name
        place.mkdir() if place.suffix == '' else place.write_text((tmp_path / place.name).read_text())
    monkeypatch.chdir(tmp_path / 'parallel')
    spec = study.load()
    spec.runs['few'].cfg_options['stub.sleep'] = 1  # ends after the other
    jobs = study.runner(spec, slots=[Slot()] * 4).run(runs=['few', 'sed'])
    assert [job.title for job in jobs][:3] == ['start, seed 0', 'few, seed 0', 'sed, seed 0']
    after = entries()
    for entry in before + after:
        entry.pop('hash'), entry.pop('command')  # of another option in `few`
    assert after == before and [entry['run'] for entry in after] == ['start', 'few', 'sed'] * 2
    assert str(left()) == str(files)
    text = study.output.getvalue()
    assert text.index('sed, seed 0: student AP') < text.index('few, seed 0: student AP'), 'they did run at once'


def test_a_failed_run_leaves_the_others_alone_and_is_told(study):
    spec = study.load()
    spec.runs['few'].cfg_options['stub.fail_at'] = 2
    spec.runs['sed'].cfg_options['stub.fail_at'] = 1
    with pytest.raises(RunsFailed, match=r'2 of 4 runs failed \(few, seed 0; sed, seed 0\)') as caught:
        study.runner(spec, slots=[Slot()] * 2).run(seeds=[0])
    assert '\n' not in str(caught.value)
    assert [entry['run'] for entry in entries()] == ['start', 'all']
    text = study.output.getvalue()
    assert text.count('failed with exit status 1 (RuntimeError: the stub fails as asked)') == 2
    study.runner(spec, slots=[Slot()] * 2).run(seeds=[0], runs=['few'])  # it goes on where it has a checkpoint
    assert study.starts('few')[-1] == 'resume=iter_1.pth load_from=None'


@pytest.mark.parametrize('slots', [1, 3])
def test_runs_that_begin_with_a_failed_start_are_left_out(study, slots):
    spec = study.load()
    spec.start.cfg_options['stub.fail_at'] = 1
    with pytest.raises(UserError, match='the run start, seed 0 failed'):
        study.runner(spec, slots=[Slot()] * slots).run(seeds=[0])
    assert [entry['run'] for entry in entries()] == ['all']
    text = study.output.getvalue()
    assert '2 runs that begin with it are left out' in text and '/4] all, seed 0' in text


def test_ctrl_c_ends_all_runs_and_the_study_goes_on(study):
    spec = study.load()
    runs = {name: Path(f'work/seed{seed}/all/pids') for seed, name in enumerate('ab')}
    spec.runs['all'].cfg_options['stub.sleep'] = 60
    runner = study.runner(spec, slots=[Slot()] * 2)
    runner.train_command[0] = sys.executable  # signals go to real processes
    with interrupt_when(lambda: all(path.is_file() and path.read_text() for path in runs.values())):
        runner.run(runs=['all'])
    assert all(ends(pid) for path in runs.values() for pid in path.read_text().split())
    for seed in (0, 1):
        state = json.loads(Path(f'work/seed{seed}/all/study_run.json').read_text())
        assert not state['finished'] and state['attempts'][0]['seconds'] > 0
    assert len(study.runner(slots=[Slot()] * 2).run(runs=['all'])) == 2
    assert [entry['seed'] for entry in entries()] == [0, 1]


def test_another_study_s_run_is_waited_for_and_not_run_again(study):
    from sssd.locks import directory_lock

    held, done = threading.Event(), threading.Event()

    def hold():
        with directory_lock(Path('work/seed0/.all.lock')):
            held.set()
            done.wait(30)

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait(30)
    threading.Timer(2, done.set).start()
    study.runner(slots=[Slot()] * 2).run(runs=['all'])
    thread.join()
    assert study.output.getvalue().count('another process has it; waiting for it') >= 1
    assert [entry['seed'] for entry in entries()] == [0, 1]

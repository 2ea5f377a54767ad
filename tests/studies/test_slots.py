"""What of a machine each of several runs has."""

import json
import sys
from pathlib import Path

import pytest

from sssd.errors import UserError
from sssd.studies.slots import GPUS, THREADS, Slot, launched, local_slots


@pytest.mark.parametrize(
    'jobs, each, handed_out',
    [
        (None, 1, ['0', '3', '5', '6']),
        (None, 2, ['0,3', '5,6']),
        (None, 3, ['0,3,5']),
        (2, None, ['0', '3']),
        (1, 4, ['0,3,5,6']),
    ],
)
def test_gpus_are_handed_out(jobs, each, handed_out):
    slots = local_slots(jobs, each, ['0', '3', '5', '6'])
    assert [slot.environment[GPUS] for slot in slots] == handed_out
    assert {slot.processes for slot in slots} == {each or 1}


def test_one_run_at_a_time_has_all_there_is():
    assert local_slots(None, None, ['0', '1']) == local_slots(1, None, []) == [Slot()]


@pytest.mark.parametrize(
    'jobs, each, gpus, said',
    [
        (3, 2, '0123', '3 runs at once with 2 GPUs each need 6 GPUs, but there are 4'),
        (None, 8, '0123', '1 runs at once with 8 GPUs each need 8 GPUs'),
        (None, 1, '', '--gpus-per-run was given, but there is no GPU here'),
        (0, None, '', '--jobs is 0, but has to be at least 1'),
    ],
)
def test_what_a_machine_does_not_have_is_refused(jobs, each, gpus, said):
    with pytest.raises(UserError, match=said):
        local_slots(jobs, each, list(gpus))


def test_cores_are_divided_unless_the_environment_says_how_many(monkeypatch):
    monkeypatch.setattr('os.sched_getaffinity', lambda pid: range(8))
    for name in THREADS:
        monkeypatch.delenv(name, raising=False)
    assert [dict(slot.environment) for slot in local_slots(3, None, [])] == [dict.fromkeys(THREADS, '2')] * 3
    monkeypatch.setenv('OMP_NUM_THREADS', '5')
    assert local_slots(3, None, []) == [Slot()] * 3


def test_a_run_has_a_minute_to_end_its_step_and_save(tmp_path):
    """Also one of a single process: a step of Faster R-CNN on a busy CPU takes more than ten seconds."""
    assert [Slot(count).start(['x'], tmp_path / 'log', {}, 'a run').grace for count in (1, 2)] == [60, 60]


def test_a_module_is_launched_as_a_script_is():
    words = ['python', '-m', 'sssd', 'train', 'c.py', '--cfg-options', 'a=1']
    assert launched(words, 1) == words
    assert launched(words, 8) == [
        'python', '-m', 'torch.distributed.run', '--standalone', '--nproc-per-node=8', '-m', 'sssd', 'train', 'c.py',
        '--cfg-options', 'a=1', '--launcher', 'pytorch',
    ]  # fmt: skip


@pytest.mark.slow
def test_a_run_on_two_gpus_is_two_processes(study):
    runner = study.runner(slots=[Slot(2, {GPUS: '4,7'})])
    runner.train_command[0] = sys.executable  # torchrun's own
    runner.run(seeds=[0], runs=['all'])
    place = json.loads(Path('work/seed0/all/place.json').read_text())
    assert place[GPUS] == '4,7' and place['WORLD_SIZE'] == '2'
    (entry,) = runner.results.entries()
    assert entry['gpus'] == 2
    assert 'python -m torch.distributed.run --standalone --nproc-per-node=2 -m sssd train' in entry['command']
    again = study.runner().all_jobs([0], ['all'])[0]
    assert again.hash != entry['hash'], 'another total batch is another run'

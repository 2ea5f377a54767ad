"""A file is whole under its name, or it is not there."""

import os
import time

import pytest

from sssd import whole_files
from sssd.whole_files import replacing, write_file


def names(folder):
    return sorted(os.listdir(folder))


def test_a_text_and_bytes_replace_what_is_there(tmp_path):
    path = tmp_path / 'new' / 'page.html'
    write_file(path, b'bytes')
    write_file(path, 'Größe 3 µm')
    assert path.read_bytes() == 'Größe 3 µm'.encode() and names(path.parent) == ['page.html']


@pytest.mark.parametrize('to_disk', [True, False])
def test_an_error_within_leaves_the_old_file(tmp_path, to_disk):
    path = tmp_path / 'iter_2.pth'
    path.write_bytes(b'old')
    with pytest.raises(ValueError, match='half'), replacing(path, to_disk) as part:
        part.write_bytes(b'half')
        raise ValueError('half')
    assert path.read_bytes() == b'old' and names(tmp_path) == ['iter_2.pth']


def test_an_interruption_by_hand_leaves_nothing(tmp_path, monkeypatch):
    def interrupt(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, 'fsync', interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_file(tmp_path / 'iter_2.pth', b'new')
    assert names(tmp_path) == []


def left_by(folder, name, machine=None, pid=None, age=0.0):
    """A file that a process has not finished: one that has ended, if no other is named."""
    if pid is None:
        pid = os.fork()
        if pid == 0:
            os._exit(0)
        os.waitpid(pid, 0)
    path = folder / f'.{name}.{pid}@{machine or whole_files._machine()}.part'
    path.write_bytes(b'half')
    os.utime(path, (time.time() - age,) * 2)
    return path.name


def test_what_a_killed_process_left_goes_with_the_next_file(tmp_path):
    left_by(tmp_path, 'iter_2.pth')
    left_by(tmp_path, 'last_checkpoint')
    left_by(tmp_path, 'iter_2.pth', 'elsewhere', 1, whole_files.PATIENCE + 60)
    write_file(tmp_path / 'iter_4.pth', b'whole')
    assert names(tmp_path) == ['iter_4.pth']


@pytest.mark.parametrize('name', ['iter_4.pth', 'last_validation'])
def test_what_another_process_is_writing_stays(tmp_path, name):
    """Of this machine, of another user, and of a machine whose processes are not to be seen; files of others, too."""
    mine = [left_by(tmp_path, other, pid=os.getppid()) for other in (name, 'iter_2.pth', 'last_checkpoint')]
    mine += [left_by(tmp_path, 'iter_3.pth', pid=1), left_by(tmp_path, 'iter_2.pth', 'elsewhere', 2**22)]
    (tmp_path / '.video.part').write_bytes(b'half')
    write_file(tmp_path / name, b'whole')
    assert names(tmp_path) == sorted([*mine, '.video.part', name])

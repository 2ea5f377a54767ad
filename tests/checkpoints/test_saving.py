"""A checkpoint is whole under its name, or it is not there."""

import errno
import os

import pytest
import torch
from mmengine.runner import save_checkpoint

from sssd.checkpoints.loading import read_checkpoint
from sssd.checkpoints.saving import write_checkpoint
from sssd.errors import UserError
from sssd.whole_files import write_file

STATE = dict(meta={}, state_dict=dict(weight=torch.arange(3.0)))


def names(folder):
    return sorted(os.listdir(folder))


def test_what_is_written_is_read(tmp_path):
    for write in (write_checkpoint, lambda state, path: save_checkpoint(state, str(path))):
        path = tmp_path / 'new' / 'iter_2.pth'
        write(STATE, path)
        assert torch.equal(read_checkpoint(path)['state_dict']['weight'], torch.arange(3.0))
        assert names(path.parent) == ['iter_2.pth']
        path.unlink()


def test_the_disk_has_it_before_it_has_its_name(tmp_path, monkeypatch):
    path, order = tmp_path / 'iter_2.pth', []
    for name in ('fsync', 'replace'):
        original = getattr(os, name)

        def noted(*args, name=name, original=original):
            order.append((name, path.exists()))
            return original(*args)

        monkeypatch.setattr(os, name, noted)
    write_checkpoint(STATE, path)
    assert order == [('fsync', False), ('replace', False), ('fsync', True)]  # the last one is of the folder


@pytest.mark.parametrize('place', ['fsync', 'replace'])
@pytest.mark.parametrize('number', [errno.ENOSPC, errno.EDQUOT, errno.EIO])
def test_a_disk_that_fails_leaves_what_was_there(tmp_path, monkeypatch, place, number):
    path = tmp_path / 'iter_2.pth'
    path.write_bytes(b'old')

    def fail(*args):
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patch:
        patch.setattr(os, place, fail)
        with pytest.raises(
            UserError, match=rf'^checkpoint {path} of \d{{3,}} bytes cannot be written \(.*bytes are fr'
        ):
            write_checkpoint(STATE, path)
    assert path.read_bytes() == b'old' and names(tmp_path) == ['iter_2.pth']
    write_checkpoint(STATE, path)
    read_checkpoint(path)


def test_a_file_that_is_extracted_does_not_harm_a_training_that_is_saving(tmp_path, monkeypatch):
    """Another process writes into the folder just before the checkpoint gets its name."""
    replace = os.replace

    def meanwhile(*args):
        child = os.fork()
        if child == 0:
            monkeypatch.setattr(os, 'replace', replace)
            try:
                write_checkpoint(STATE, tmp_path / 'student.pth')
                write_file(tmp_path / 'last_validation', b'2')
            finally:
                os._exit(0)
        os.waitpid(child, 0)
        replace(*args)

    with monkeypatch.context() as patch:
        patch.setattr(os, 'replace', meanwhile)
        write_checkpoint(STATE, tmp_path / 'iter_2.pth')
    assert names(tmp_path) == ['iter_2.pth', 'last_validation', 'student.pth']


def test_a_folder_that_is_not_to_be_written_in(tmp_path):
    """In another process, which is nobody's: nothing is forbidden to root."""
    tmp_path.chmod(0o555)
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        if os.getuid() == 0:
            os.setuid(65534)
        try:
            write_checkpoint(STATE, tmp_path / 'iter_2.pth')
        except BaseException as error:
            os.write(write, str(error).encode())
        os._exit(0)
    os.waitpid(child, 0)
    said = os.read(read, 4096).decode()
    assert f'checkpoint {tmp_path}/iter_2.pth of ' in said and 'bytes cannot be written (Permission denied' in said


def test_a_backend_of_elsewhere_is_left_to_mmengine(tmp_path, monkeypatch):
    from mmengine.runner import checkpoint

    put = {}

    class Elsewhere:
        def put(self, content, name):
            put[name] = content

    monkeypatch.setattr(checkpoint, 'get_file_backend', lambda *args, **kwargs: Elsewhere())
    monkeypatch.setattr(checkpoint.FileClient, 'infer_client', lambda *args, **kwargs: None)
    save_checkpoint(STATE, 's3://bucket/iter_2.pth')
    assert list(put) == ['s3://bucket/iter_2.pth']

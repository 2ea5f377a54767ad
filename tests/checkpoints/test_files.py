"""Which checkpoints a work directory has, the newest first, and the newest that can be read."""

import os

import pytest
import torch

from sssd.checkpoints.files import checkpoint_files, checkpoint_place, newest_checkpoint
from sssd.checkpoints.loading import trusting
from sssd.errors import UserError


def write(path, seconds=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    meta = dict(iter=2, epoch=0)
    torch.save(dict(meta=meta, message_hub={}, optimizer={}, state_dict=dict(weight=torch.zeros(1))), path)
    if seconds is not None:
        os.utime(path, (seconds, seconds))
    return path


def names(*args, **kwargs):
    return [path.name for path in checkpoint_files(*args, **kwargs)]


def test_numbers_count_and_not_times(tmp_path):
    for number, seconds in ((9, 5), (10, 1), (100, 3)):
        write(tmp_path / f'iter_{number}.pth', seconds)
    for other in (
        'best_coco_bbox_mAP_iter_200.pth',
        'iter_300-0123abcd.pth',
        '.iter_400.pth.part',
        'iter_x.pth',
        'net.pth',
    ):
        write(tmp_path / other)
    (tmp_path / 'iter_500.pth').mkdir()
    assert names(tmp_path) == ['iter_100.pth', 'iter_10.pth', 'iter_9.pth']
    assert names(tmp_path / 'nowhere') == []


def test_of_several_kinds_the_one_written_last_comes_first(tmp_path):
    for name, seconds in (('iter_100.pth', 1), ('iter_200.pth', 2), ('epoch_1.pth', 3), ('epoch_2.pth', 4)):
        write(tmp_path / name, seconds)
    assert names(tmp_path) == ['epoch_2.pth', 'epoch_1.pth', 'iter_200.pth', 'iter_100.pth']


def test_names_of_the_config_and_of_the_hint(tmp_path):
    for number in (2, 10):
        write(tmp_path / f'step-{number}.ckpt')
    assert names(tmp_path) == []
    assert names(tmp_path, 'step-{}.ckpt') == ['step-10.ckpt', 'step-2.ckpt']
    (tmp_path / 'last_checkpoint').write_text('/old/place/step-10.ckpt')
    assert names(tmp_path) == ['step-10.ckpt']


@pytest.mark.parametrize('template', ['no place', '{}{}', 'a{}b{}', '{}'])
def test_odd_templates_do_no_harm(tmp_path, template):
    write(tmp_path / 'iter_2.pth')
    assert names(tmp_path, template) == ['iter_2.pth']


def test_checkpoints_of_another_folder_are_found_by_the_hint(tmp_path):
    for number in (2, 4):
        write(tmp_path / 'out' / 'run' / f'iter_{number}.pth')
    work_dir = tmp_path / 'run'
    work_dir.mkdir()
    for hint in ('../out/run/iter_2.pth', f'{tmp_path}/out/run/iter_2.pth'):
        (work_dir / 'last_checkpoint').write_text(hint)
        assert names(work_dir) == ['iter_4.pth', 'iter_2.pth']
    write(work_dir / 'iter_1.pth')  # what is in the folder itself counts
    assert names(work_dir) == ['iter_1.pth']


def test_the_place_is_that_of_the_hook(tmp_path):
    hook = dict(out_dir=str(tmp_path / 'c'), filename_tmpl='s{}.pth')
    config = dict(work_dir='a/b/', default_hooks=dict(checkpoint=hook))
    assert checkpoint_place(config) == ('a/b/', 's{}.pth')  # as long as nothing is there
    best = write(tmp_path / 'c' / 'b' / 'best_coco_bbox_mAP_iter_1.pth')
    assert checkpoint_place(config) == (f'{tmp_path}/c/b', 's{}.pth')
    best.unlink()
    write(tmp_path / 'c' / 'b' / 's2.pth')
    assert checkpoint_place(config) == (f'{tmp_path}/c/b', 's{}.pth')
    assert checkpoint_place(dict(work_dir='a/b')) == ('a/b', None)
    assert checkpoint_place(dict(work_dir='a', default_hooks=dict(checkpoint=None))) == ('a', None)
    assert checkpoint_place(dict(work_dir='a', default_hooks=dict(checkpoint=dict(out_dir='s3://c')))) == ('a', None)


def test_what_is_passed_over_is_said(tmp_path):
    said = []
    assert newest_checkpoint(tmp_path) is None
    write(tmp_path / 'iter_2.pth')
    (tmp_path / 'iter_4.pth').touch()
    torch.save(dict(state_dict=dict(weight=torch.zeros(1))), tmp_path / 'iter_6.pth')
    assert newest_checkpoint(tmp_path, say=said.append) == tmp_path / 'iter_2.pth'
    assert len(said) == 2 and 'iter_6.pth holds weights alone' in said[0] and 'iter_4.pth is empty' in said[1]
    (tmp_path / 'iter_2.pth').unlink()
    with pytest.raises(
        UserError, match='no checkpoint in .* can be read, of 2, the newest because: .*iter_6.pth holds'
    ):
        newest_checkpoint(tmp_path)


def test_a_file_is_asked_again_when_it_has_changed_or_is_trusted(tmp_path):
    path = tmp_path / 'iter_2.pth'
    path.write_text('no checkpoint')
    for _ in range(2):
        with pytest.raises(UserError):
            newest_checkpoint(tmp_path)
    write(path)
    assert newest_checkpoint(tmp_path) == path
    meta = dict(iter=2, epoch=0, more=complex)
    torch.save(
        dict(meta=meta, message_hub={}, optimizer={}, state_dict=dict(weight=torch.zeros(1)), more=os.getcwd), path
    )
    with pytest.raises(UserError, match='asks for posix.getcwd'):
        newest_checkpoint(tmp_path)
    with trusting():
        assert newest_checkpoint(tmp_path) == path

"""What lies among unlabelled images and is no image."""

import os

import pytest

from sssd.checks import folder as module


@pytest.mark.parametrize('name', ['photo', 'photo.heic', 'photo.gif'])
def test_files_that_may_be_images_and_are_passed_over(sets, name):
    (sets.images('unlabeled') / name).write_bytes(b'?')
    found = sets.findings()['passed-over']
    assert (found.level, found.count) == ('warning', 1) and name in found.text


def test_other_files_are_a_note(sets):
    for name in ('list.txt', '.DS_Store'):
        (sets.images('unlabeled') / name).write_bytes(b'?')
    found = sets.findings()['passed-over']
    assert (found.level, found.count) == ('note', 2) and '1 with .txt, 1 hidden' in found.text


def test_links(sets):
    for name in ('one.png', 'two.png'):
        (sets.images('unlabeled') / name).symlink_to(sets.images('unlabeled') / '0000.png')
    found = sets.findings()
    assert found['symlinks'].count == 2
    assert found['linked-twice'].count == 1


def test_links_that_lead_nowhere(sets):
    (sets.images('unlabeled') / 'self.png').symlink_to('self.png')
    (sets.images('unlabeled') / 'gone.png').symlink_to('nowhere.png')
    sets.findings()
    told = ' '.join(finding.text for finding in sets.run.findings.found)
    assert 'self.png' in told and 'gone.png' in told


def test_folders_that_are_called_like_images(sets):
    (sets.images('unlabeled') / 'deep.jpg').mkdir()
    assert 'deep.jpg' in sets.findings()['folder-like-image'].text


def test_folders_that_may_not_be_looked_into(sets, monkeypatch):
    (sets.images('unlabeled') / 'closed').mkdir()
    real = os.scandir

    def scandir(path):
        if str(path).endswith('closed'):
            raise PermissionError(13, 'Permission denied', path)
        return real(path)

    monkeypatch.setattr(module.os, 'scandir', scandir)
    found = sets.findings()['folder-permission']
    assert found.level == 'error' and 'closed' in found.text


def test_a_pipe_is_found_wherever_it_is(sets, monkeypatch):
    monkeypatch.setattr('sssd.checks.files.SAMPLE', 1)
    os.mkfifo(sets.images('unlabeled') / '0003.jpg')
    sets.findings(thorough=False)
    assert any(
        '0003.jpg, which is no file but a pipe' in f.text or '0003.jpg is no file but a pipe' in f.text
        for f in sets.run.findings.found
    )

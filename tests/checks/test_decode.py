"""Images that break while they are decoded, each in a process of its own."""

import os
import signal
import time

import pytest
from PIL import Image

from sssd.checks import guarded
from sssd.checks.decode import decode_all


def decoded(sets, workers=2, timeout=20.0):
    """What is found by decoding, by the file's name; with the line on all."""
    sets.findings()
    decode_all(sets.run, workers, timeout)
    found = [finding for finding in sets.run.findings.found if finding.kind == 'decode']
    return {finding.where.rpartition('/')[2]: finding for finding in found}, sets.run.findings.lines[-1]


def test_sound_images(sets):
    assert decoded(sets) == ({}, '13 images decoded, 0 of them failed')


def test_files_that_are_damaged_after_their_header(sets):
    path = sets.images() / '0001.png'
    path.write_bytes(path.read_bytes()[:60])
    photo = sets.images() / '0002.png'
    Image.effect_noise((96, 72), 90).convert('RGB').save(photo, 'JPEG', quality=95)
    content = photo.read_bytes()
    photo.write_bytes(content[:2000] + b'\xff\xd5' + content[2000:])  # a restart marker; a hole may decode in silence
    found, line = decoded(sets)
    assert set(found) == {'0001.png', '0002.png'} and line == '13 images decoded, 1 of them failed'
    assert found['0001.png'].level == 'error' and 'cannot be decoded' in found['0001.png'].text
    assert found['0002.png'].level == 'warning' and 'is damaged and decoded in part (' in found['0002.png'].text


def test_a_damaged_file_whose_name_is_not_that_of_an_image(sets):
    path = sets.images() / '0001.png'
    path.write_bytes(path.read_bytes()[:60])
    path.rename(sets.images() / 'photo')
    sets.edit(lambda coco: coco['images'][1].update(file_name='photo'))
    found, line = decoded(sets)
    assert list(found) == ['photo'] and line == '13 images decoded, 1 of them failed'


@pytest.mark.parametrize(
    'spoil, words',
    [
        (lambda: os.kill(os.getpid(), signal.SIGSEGV), 'ends the process that decodes it (SIGSEGV)'),
        (lambda: os._exit(3), 'ends the process that decodes it (status 3)'),
        (lambda: time.sleep(60), 'takes more than 1 s to decode'),
        (lambda: bytearray(2**40), 'takes more memory than there is'),
    ],
)
def test_a_decoder_that_does_not_come_back(sets, monkeypatch, spoil, words):
    real = guarded.cv2.imdecode

    def imdecode(content, flags):
        if content.tobytes() == bad:
            spoil()
        return real(content, flags)

    bad = (sets.images() / '0003.png').read_bytes()
    monkeypatch.setattr(guarded.cv2, 'imdecode', imdecode)
    found, line = decoded(sets, timeout=1.0 if 'sleep' in words or 'takes more than' in words else 20.0)
    assert list(found) == ['0003.png'] and found['0003.png'].level == 'error' and words in found['0003.png'].text
    assert line == '13 images decoded, 1 of them failed'


def test_a_bomb_is_not_decoded(sets):
    Image.MAX_IMAGE_PIXELS, before = None, Image.MAX_IMAGE_PIXELS
    try:
        Image.new('1', (20000, 20000)).save(sets.images('unlabeled') / 'bomb.png')
    finally:
        Image.MAX_IMAGE_PIXELS = before
    found, line = decoded(sets)
    assert found == {} and line.startswith('13 images decoded')
    assert any(finding.kind == 'large' for finding in sets.run.findings.found)

"""Images in two sources that must not share any."""

import os
import shutil

import pytest
from PIL import Image

from sssd.checks.alike import alike

PAIRS = [('train', 'val'), ('unlabeled', 'val'), ('train', 'unlabeled')]


@pytest.mark.parametrize('first, second', PAIRS)
def test_copies(sets, first, second):
    shutil.copy(sets.images(first) / '0000.png', sets.images(second) / '0000.png')
    found = sets.findings()['same-content']
    assert (found.level, found.count, found.examples) == ('warning', 1, (str(sets.images(second) / '0000.png'),))


@pytest.mark.parametrize('thorough', [True, False])
@pytest.mark.parametrize('link', [os.symlink, os.link])
@pytest.mark.parametrize('first, second', PAIRS)
def test_links(sets, first, second, link, thorough):
    (sets.images(second) / '0000.png').unlink()
    link(sets.images(first) / '0000.png', sets.images(second) / '0000.png')
    found = sets.findings(thorough)
    assert found['same-file'].count == 1 and 'same-content' not in found


def test_one_folder_for_two_sources(sets):
    sets.unlabelled.data_prefix.img = f'{sets.images()}/'
    assert sets.findings(thorough=False)['same-file'].count == 6


def test_images_that_two_labelled_sources_have(sets):
    """Such as two annotators of the same images; the same file given twice is meant so."""
    second = dict(sets.train.to_dict(), ann_file='second.json')
    sets.cfg.train_dataloader.dataset.datasets.insert(1, second)
    sets.cfg.train_dataloader.sampler.update(batch_size=3, source_ratio=[1, 1, 1])
    sets.cfg.train_dataloader.batch_size = 3
    shutil.copy(sets.file(), sets.file().with_name('second.json'))
    found = sets.findings(thorough=False)
    assert list(found) == ['same-file'] and found['same-file'].count == 6
    assert 'so they count twice, and labels of one may contradict' in found['same-file'].text
    sets.train.ann_file = 'second.json'
    assert sets.findings() == {}


def test_copies_among_labelled_images_are_a_warning(sets):
    shutil.copy(sets.images() / '0000.png', sets.images() / '0001.png')
    found = sets.findings()
    assert found['copies'].level == 'warning' and 'may contradict' in found['copies'].text


def test_copies_in_one_source_are_a_note(sets):
    shutil.copy(sets.images('unlabeled') / '0000.png', sets.images('unlabeled') / 'again.png')
    found = sets.findings()['copies']
    assert (found.level, found.count) == ('note', 1)


def test_fingerprints_that_hardly_differ():
    bits = 0x0F0F_3C3C_5555_AAAA
    assert alike(dict(a=bits), dict(b=[bits ^ 0b101], c=[~bits & (2**64 - 1)])) == [('a', 'b', False)]
    assert alike(dict(a=bits), dict(b=[bits ^ 0x1001_0010_0100_1000])) == []
    assert alike(dict(a=0), dict(b=[0])) == [], 'of one colour'
    assert alike(dict(a=bits), dict(b=[bits], c=[bits])) == [('a', 'b', False), ('a', 'c', False)]
    assert alike(dict(b=bits, c=bits), dict(a=[bits])) == [('b', 'a', False)]


@pytest.mark.parametrize('several', [1, 9], ids=['few', 'many'])
def test_fingerprints_of_mirrored_images(several):
    """As it is goes before mirrored; whichever side is the longer one."""
    bits, other = 0x0F0F_3C3C_5555_AAAA, 0x1234_5678_9ABC_DEF0
    first = dict(a=bits, b=other, **{str(number): 0xFFFF << number for number in range(several)})
    assert alike(first, dict(c=[other, bits])) == [('b', 'c', False)]
    assert alike(first, dict(c=[0, bits])) == [('a', 'c', True)]


def photo(path, seed, size=(96, 72), **options):
    """A smooth picture."""
    import numpy as np

    coarse = np.random.default_rng(seed).integers(0, 255, (9, 12, 3), dtype=np.uint8)
    Image.fromarray(coarse).resize((96, 72), Image.BICUBIC).resize(size).save(path, **options)


def test_near_duplicates(sets):
    from sssd.checks.decode import decode_all

    photo(sets.images('unlabeled') / 'frame.jpg', 7, quality=60)
    photo(sets.images('val') / '0000.png', 7)
    photo(sets.images('unlabeled') / 'other.jpg', 8)
    assert 'same-content' not in sets.findings()
    decode_all(sets.run, workers=1)
    (found,) = [finding for finding in sets.run.findings.found if finding.kind == 'alike']
    # one of three images to evaluate on
    assert (found.level, found.count, found.examples) == ('warning', 1, (str(sets.images('val') / '0000.png'),))


@pytest.mark.parametrize(
    'turn', [Image.Transpose.FLIP_LEFT_RIGHT, Image.Transpose.ROTATE_90, Image.Transpose.TRANSVERSE]
)
def test_mirrored_copies(sets, turn):
    """As exports with augmentation have them, here compressed anew."""
    from sssd.checks.decode import decode_all

    photo(sets.images('unlabeled') / 'frame.png', 7)
    Image.open(sets.images('unlabeled') / 'frame.png').transpose(turn).save(sets.images('val') / '0000.png', 'JPEG')
    assert 'alike' not in sets.findings(), 'not before images are decoded'
    decode_all(sets.run, workers=1)
    (found,) = [finding for finding in sets.run.findings.found if finding.kind == 'alike']
    assert (
        found.count == 1 and '1 of them does mirrored or turned' in found.text and 'frame.png, mirrored' in found.text
    )

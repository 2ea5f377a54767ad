"""Unlabelled images of another kind than the labelled ones."""

import pytest
from PIL import Image


def spoilt(sets, part, change, names=('0001.png', '0003.png')):
    """Change some images of a set."""
    for name in names:
        path = sets.images(part) / name
        change(Image.open(path).convert('RGB')).save(path)


CHANGES = {
    'gray': (lambda image: image.convert('L'), 'gray, as no labelled one is, such as', 'masks or depth maps'),
    'palette': (lambda image: image.convert('P'), 'of a palette, as no labelled one is', 'masks or depth maps'),
    'small': (lambda image: image.reduce(5), 'far smaller than all labelled ones', 'thumbnails'),
}


@pytest.mark.parametrize('kind', CHANGES)
def test_masks_and_thumbnails_among_the_unlabelled_images(sets, kind):
    assert 'stranger' not in sets.findings()
    change, how, what = CHANGES[kind]
    spoilt(sets, 'unlabeled', change)
    for thorough in (True, False):
        found = sets.findings(thorough=thorough)['stranger']
        assert found.level == 'note' and found.count == 2 and how in found.text
        assert f'if these are {what}, take them out' in found.text
        assert found.examples[0].endswith('0001.png')


@pytest.mark.parametrize('kind', CHANGES)
def test_what_a_labelled_image_is_as_well_is_none(sets, kind):
    change = CHANGES[kind][0]
    spoilt(sets, 'unlabeled', change)
    spoilt(sets, 'train', change)
    assert 'stranger' not in sets.findings()


def test_validation_images_may_be_of_any_kind(sets):
    spoilt(sets, 'val', CHANGES['gray'][0], ['0001.png'])
    assert 'stranger' not in sets.findings()

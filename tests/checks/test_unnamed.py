"""Images beside the labelled ones that nothing names."""

import os
import shutil

import pytest


def more(sets, part='train'):
    """Two more images in a folder, one of them below it."""
    (sets.images(part) / 'later').mkdir()
    for number, name in enumerate(['new.png', 'later/new.png']):
        shutil.copy(sets.images('unlabeled') / f'000{number}.png', sets.images(part) / name)
        with open(sets.images(part) / name, 'ab') as file:
            file.write(b' ')


@pytest.mark.parametrize('part, total', [('train', 8), ('val', 5)])
def test_images_that_nothing_names(sets, part, total):
    assert 'unnamed' not in sets.findings()
    more(sets, part)
    (sets.images(part) / '.hidden.png').write_bytes(b'')
    (sets.images(part) / 'notes.txt').write_bytes(b'')
    found = sets.findings()['unnamed']
    assert found.level == 'note' and found.count == 2
    assert f'2 of {total} images below {sets.root}/{part}/images/, the folder of {sets.file(part)}, are' in found.text
    assert found.examples == (f'{sets.root}/{part}/images/new.png', f'{sets.root}/{part}/images/later/new.png')
    assert 'unnamed' not in sets.findings(thorough=False)


def test_a_source_that_takes_the_folder_whole(sets):
    more(sets)
    os.rename(sets.images(), sets.images('unlabeled') / 'labelled')
    os.symlink(sets.images('unlabeled') / 'labelled', sets.images())
    assert 'unnamed' not in sets.findings()


def test_nothing_is_said_where_a_source_cannot_be_looked_into(sets):
    more(sets)
    sets.file('val').write_text('{')
    assert 'unnamed' not in sets.findings()


def test_two_sources_of_one_folder(sets):
    for image in sets.images('val').iterdir():
        shutil.copy(image, sets.images() / f'val_{image.name}')
    sets.edit(lambda coco: [i.update(file_name=f'val_{i["file_name"]}') for i in coco['images']], 'val')
    sets.cfg.val_dataloader.dataset.data_prefix.img = f'{sets.images()}'
    assert 'unnamed' not in sets.findings()
    more(sets)
    assert sets.findings()['unnamed'].count == 2

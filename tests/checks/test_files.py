"""Files that are no images, or that lose something when they are loaded; sizes that are not those of the files."""

import json
import os
import shutil
import struct
import zlib

import cv2
import numpy as np
import pytest
from PIL import Image

from sssd.checks.headers import read_header
from sssd.data import LoadImage
from sssd.registry import DATASETS


def turn(path, orientation=6):
    """Save an image as JPEG with an EXIF turn, under the same name."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.open(path).convert('RGB').save(path, 'JPEG', exif=exif)


def png(width, height):
    """The beginning of a PNG that says it is so large."""
    head = b'IHDR' + struct.pack('>IIBBBBB', width, height, 8, 2, 0, 0, 0)
    return b'\x89PNG\r\n\x1a\n' + struct.pack('>I', 13) + head + struct.pack('>I', zlib.crc32(head)) + b'\0\0\0\0IDAT'


@pytest.mark.parametrize('part', ['train', 'val'])
def test_photos_with_an_exif_turn(sets, part):
    turn(sets.images(part) / '0000.png')
    found = sets.findings()['exif']
    assert (found.level, found.count, found.examples) == ('error', 1, ('0000.png',))
    assert found.where == str(sets.file(part)) and '96 x 72' in found.text
    assert "color_type='color_ignore_orientation'" in found.text, 'the boxes were drawn on the unturned one'


def test_a_loader_that_does_not_turn_has_the_unturned_size(sets):
    turn(sets.images() / '0000.png')
    sets.train.pipeline[0].color_type = 'color_ignore_orientation'
    assert sets.findings() == {}


def test_boxes_of_the_turned_photo(sets):
    turn(sets.images() / '0000.png')
    sets.edit(lambda coco: coco['annotations'][0].update(bbox=[5, 60, 30, 30]))  # in 72 x 96
    assert 'exchange width and height of these images' in sets.findings()['exif'].text


@pytest.mark.parametrize('orientation, told', [(1, False), (2, True), (3, True), (4, True)])
def test_a_turn_within_the_same_size(sets, orientation, told):
    turn(sets.images() / '0000.png', orientation)
    found = sets.findings()
    assert ('exif-moved' in found) == told
    if told:
        assert found['exif-moved'].level == 'note' and found['exif-moved'].examples == ('0000.png',)
    sets.train.pipeline[0].color_type = 'color_ignore_orientation'
    assert 'exif-moved' not in sets.findings()


def test_sizes_in_the_file_that_its_own_boxes_do_not_fit(sets):
    """Width and height exchanged, or 1 x 1: the boxes tell which is right."""
    sets.edit(lambda coco: [image.update(width=1, height=1) for image in coco['images']])
    found = sets.findings()['size']
    assert found.level == 'error' and 'all boxes fit the files, and not what is said of them' in found.text
    sets.edit(lambda coco: [image.update(width=960, height=720) for image in coco['images']])
    assert 'boxes belong to another size' in sets.findings()['size'].text


@pytest.mark.parametrize('there', ['0000.PNG', '0000.jpg', '0000.png ', '0000', '0000.png.jpg'])
def test_a_file_that_is_there_in_another_spelling(sets, there):
    (sets.images() / '0000.png').rename(sets.images() / there)
    found = sets.findings(thorough=False)['missing']
    assert f'there is {there!r} beside it' in found.text


@pytest.mark.parametrize('before', ['images/', 'https://host/bucket/', 'D:/photos/'])
def test_names_that_begin_in_another_folder(sets, before):
    sets.edit(lambda coco: [image.update(file_name=before + image['file_name']) for image in coco['images']])
    found = sets.findings(thorough=False)['missing']
    where = os.path.normpath(before)
    assert f"there is {sets.images() / '0000.png'}, so take '{where}' off the names, or check" in found.text


def test_files_that_are_no_images_by_their_first_bytes(sets):
    place = sets.images('unlabeled') / '0000.png'
    place.write_bytes(b'version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n')
    assert "'git lfs pull'" in sets.findings()['unreadable-image'].text
    place.write_bytes(b'\0\0\0\x18ftypheic' + bytes(40))
    assert 'is in HEIC' in sets.findings()['unreadable-image'].text
    Image.new('F', (96, 72)).save(place, 'TIFF')
    assert 'floating point' in sets.findings()['unreadable-image'].text


def test_sizes_that_are_not_those_of_the_files(sets):
    sets.edit(lambda coco: coco['images'][2].update(width=1920, height=1080))
    found = sets.findings()['size']
    assert (found.level, found.count) == ('error', 1)
    assert '1920 x 1080' in found.text and 'which is 96 x 72' in found.text


@pytest.mark.parametrize('part', ['train', 'unlabeled', 'val'])
@pytest.mark.parametrize(
    'spoil, words',
    [
        (lambda path: path.write_bytes(b''), 'cannot be decoded, the file is broken: it is empty'),
        (lambda path: path.write_bytes(b'no image'), 'cannot be decoded, the file is broken;'),
        (lambda path: (path.unlink(), os.mkfifo(path)), 'is no file but a pipe'),
        (lambda path: path.write_bytes(png(70000, 70000)), 'is 70000 x 70000 by its header'),
        (lambda path: path.write_bytes(png(20000, 20000)), 'takes 1.1 GiB in each worker'),
        (lambda path: path.write_bytes(png(4000, 1)), 'is 4000 x 1, of which a resize can leave nothing'),
    ],
)
def test_a_file_that_is_no_image(sets, part, spoil, words):
    path = sets.images(part) / '0001.png'
    spoil(path)
    sets.train.filter_cfg = None
    sets.findings()
    told = [finding for finding in sets.run.findings.found if words in finding.text]
    assert len(told) == 1 and str(path) in told[0].text


@pytest.mark.parametrize('part', ['train', 'val'])
def test_files_that_are_not_there(sets, part):
    path = sets.images(part) / '0001.png'
    path.unlink()
    assert f'such as {path}; check data_prefix' in sets.findings()['missing'].text
    path.symlink_to('nowhere.png')
    found = sets.findings()['missing']
    assert f'is a link to a file that does not exist, such as {path}, which leads to' in found.text
    assert (
        found.text.endswith('/nowhere.png; put that file there, or take the link out.') and 'beside' not in found.text
    )
    path.unlink()
    path.mkdir()
    assert f'image {path} is a folder' in sets.findings()['unreadable-image'].text


def test_links_to_nowhere_and_files_that_are_not_there_are_told_apart(sets):
    for name, target in (('0001.png', None), ('0002.png', 'nowhere.png'), ('0003.png', 'nowhere.png')):
        path = sets.images() / name
        path.unlink()
        if target:
            path.symlink_to(target)
    sets.findings()
    told = [finding for finding in sets.run.findings.found if finding.kind == 'missing']
    assert sorted(finding.count for finding in told) == [1, 2]
    assert all(('0001.png' in finding.text) == (finding.count == 1) for finding in told)


@pytest.mark.parametrize('name', ['photo.HEIC', 'photo', 'photo.jpg.part'])
@pytest.mark.parametrize(
    'content, words',
    [
        (b'\0\0\0\x18ftypheic' + bytes(40), 'is in HEIC, which OpenCV does not read: convert it'),
        (b'garbage', 'cannot be decoded, the file is broken'),
    ],
    ids=['HEIC', 'broken'],
)
def test_a_broken_image_whose_name_is_not_that_of_an_image(sets, name, content, words):
    path = sets.images() / name
    path.write_bytes(content)
    sets.edit(lambda coco: coco['images'][0].update(file_name=name))
    for thorough in (False, True):
        found = sets.findings(thorough)['unreadable-image']
        assert (found.level, found.where) == ('error', str(path)) and words in found.text
    sets.train.pipeline[0].type = 'LoadOurOwn'
    assert 'unreadable-image' not in sets.findings(), 'the loader of the config may read it'


def test_a_format_that_only_pillow_reads(sets):
    path = sets.images() / '0000.png'
    Image.open(path).save(path, 'TGA')
    found = sets.findings()['unreadable-image']
    assert found.level == 'error' and 'is in TGA, which OpenCV does not read: convert it to JPEG or PNG' in found.text
    sets.train.pipeline[0].imdecode_backend = 'pillow'
    assert 'unreadable-image' not in sets.findings()


def test_a_rare_format_in_a_file_whose_name_is_no_utf8(sets):
    path = os.fsdecode(os.fsencode(sets.images('unlabeled')) + b'/\xff.png')
    Image.new('RGB', (96, 72)).save(sets.images() / 'a.gif')
    (sets.images() / 'a.gif').rename(path)
    sets.edit(lambda coco: coco['images'][0].update(file_name=path))
    assert 'file-name' in sets.findings()


def test_an_image_without_an_extension_is_looked_at_like_any_other(sets):
    Image.new('RGBA', (96, 72)).save(sets.images() / 'photo', 'PNG')
    sets.edit(lambda coco: coco['images'][0].update(file_name='photo'))
    found = sets.findings()
    assert 'transparency' in found['mode'].text and 'unreadable-image' not in found


def test_names_with_backslashes(sets):
    sets.edit(lambda coco: [image.update(file_name='deep\\' + image['file_name']) for image in coco['images']])
    assert 'write / for \\ in file_name' in sets.findings()['missing'].text


def test_a_file_that_may_not_be_read(sets, monkeypatch):
    real = os.open

    def refuse(path, *args, **kwargs):
        if str(path).endswith('train/images/0002.png'):
            raise PermissionError(13, 'Permission denied')
        return real(path, *args, **kwargs)

    monkeypatch.setattr(os, 'open', refuse)
    assert 'may not be read by this user; change its permissions.' in sets.findings()['unreadable-image'].text


def test_names_that_are_no_utf8(sets):
    odd = os.fsencode(sets.images('unlabeled')) + b'/\xff\xfe.png'
    shutil.copy(sets.images('unlabeled') / '0000.png', odd)
    found = sets.findings()
    assert found['file-name'].level == 'warning' and found['file-name'].count == 1
    assert '\\xff\\xfe.png' in sets.run.findings.told()[0] and json.dumps(sets.run.findings.as_dict()).isascii()
    built = DATASETS.build(sets.unlabelled)
    assert f': {len(built)} images' in sets.run.findings.lines[1]
    assert LoadImage()(dict(img_path=os.fsdecode(odd)))['img'].shape == (72, 96, 3), 'it can be loaded'


def test_images_of_16_bits(sets):
    Image.fromarray(np.full((72, 96), 900, np.uint16)).save(sets.images() / '0000.png')
    found = sets.findings()['deep']
    assert (found.level, found.count) == ('warning', 1) and "type='sssd.LoadImage'" in found.text
    sets.train.pipeline[0].type = 'sssd.LoadImage'
    assert 'deep' not in sets.findings()


@pytest.mark.parametrize('mode, word', [('RGBA', 'transparency'), ('CMYK', 'CMYK')])
def test_images_that_are_not_of_three_channels(sets, mode, word):
    path = sets.images() / '0000.png'
    Image.new(mode, (96, 72)).save(path, 'PNG' if mode == 'RGBA' else 'JPEG')
    found = sets.findings()['mode']
    assert found.level == 'note' and word in found.text and found.examples == (str(path),)


@pytest.mark.parametrize('mode', ['L', 'P', 'RGB'])
def test_images_that_lose_nothing(sets, mode):
    Image.new(mode, (96, 72), 3).save(sets.images() / '0000.png')
    assert sets.findings() == {}


@pytest.mark.parametrize('kind', ['JPEG', 'PNG', 'BMP', 'TIFF', 'WEBP', 'PPM'])
@pytest.mark.parametrize('orientation', [None, 1, 3, 6, 8])
def test_headers_are_as_pillow_reads_them(tmp_path, kind, orientation):
    exif = Image.Exif()
    if orientation:
        exif[0x0112] = orientation
    options = dict(exif=exif) if orientation and kind in ('JPEG', 'PNG', 'TIFF', 'WEBP') else {}
    Image.new('RGB', (60, 40)).save(tmp_path / 'a', kind, **options)
    header = read_header(str(tmp_path / 'a'))
    turned = orientation in (6, 8) and kind in ('JPEG', 'PNG', 'TIFF')
    assert (header.trouble, header.kind, header.width, header.height) == ('', kind, 60, 40)
    assert header.turned == turned and header.size() == ((40, 60) if turned else (60, 40))


def test_before_a_training_a_sample_is_looked_at(sets, monkeypatch):
    monkeypatch.setattr('sssd.checks.files.SAMPLE', 2)
    (sets.images() / '0001.png').write_bytes(b'')
    assert 'unreadable-image' not in sets.findings(thorough=False)
    assert 'unreadable-image' in sets.findings()


@pytest.mark.parametrize('kind', ['JPEG', 'PNG'])
@pytest.mark.parametrize('left', [0.5, 0.99])
def test_an_image_whose_end_is_missing(sets, kind, left):
    path = sets.images() / '0000.png'
    Image.open(path).convert('RGB').save(path, kind)
    assert sets.findings() == {}
    content = path.read_bytes()
    path.write_bytes(content[: int(left * len(content))])
    found = sets.findings()['cut-off']
    assert (found.level, found.count, found.examples) == ('warning', 1, (str(path),))
    assert cv2.imread(str(path)) is None or cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_COLOR) is None


@pytest.mark.parametrize('film', [b'', b'\xff\xd9', b'\xff\xda'])
def test_a_film_behind_a_photo_is_no_missing_end(sets, film):
    path = sets.images() / '0000.png'
    Image.open(path).convert('RGB').save(path, 'JPEG')
    with path.open('ab') as file:
        file.write(bytes(100_000) + film + bytes(1000))
    assert sets.findings() == {}

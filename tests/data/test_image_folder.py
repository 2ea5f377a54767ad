"""Unlabelled images from a folder."""

import os

import mmcv
import numpy as np
import pytest
from mmdet.datasets import CocoDataset, ConcatDataset
from PIL import Image

from sssd.data.image_folder import ImageFolder, image_size
from sssd.errors import UserError
from sssd.registry import DATASETS, TRANSFORMS


def save(path, width=30, height=20, orientation=None, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(0).integers(0, 255, (height, width, 3), dtype=np.uint8)
    if orientation is not None:
        options['exif'] = Image.Exif()
        options['exif'][0x0112] = orientation
    Image.fromarray(pixels).save(path, **options)


def names(dataset, root):
    return [os.path.relpath(dataset.get_data_info(i)['img_path'], root) for i in range(len(dataset))]


def build(root, **options):
    return ImageFolder(data_root=str(root), pipeline=[], **options)


def test_nested_folders_any_case_natural_order(tmp_path):
    for name in ('img10.jpg', 'img2.JPG', 'b/1.PNG', 'a/x.Jpeg', 'img1.webp', 'a/y.bmp', 'z.TIFF'):
        save(tmp_path / name)
    for name in ('.hidden.jpg', '.cache/1.jpg', 'a/.thumbs/1.jpg'):
        save(tmp_path / name)
    (tmp_path / 'readme.txt').write_text('no image')
    dataset = build(tmp_path)
    assert names(dataset, tmp_path) == [
        'a/x.Jpeg',
        'a/y.bmp',
        'b/1.PNG',
        'img1.webp',
        'img2.JPG',
        'img10.jpg',
        'z.TIFF',
    ]
    info = dataset.get_data_info(5)
    assert (info['width'], info['height'], info['img_id'], info['instances']) == (30, 20, 5, [])


def test_digits_of_other_scripts_are_letters(tmp_path):
    for name in ('img10.png', 'img2.png', 'img².png', 'img１.png', '²1.png'):
        save(tmp_path / name)
    assert names(build(tmp_path), tmp_path) == ['img2.png', 'img10.png', 'img².png', 'img１.png', '²1.png']


def test_data_prefix_joins_data_root_as_in_mmdet(tmp_path):
    save(tmp_path / 'pool/1.jpg')
    save(tmp_path / 'other/2.jpg')
    assert names(build(tmp_path, data_prefix=dict(img='pool/')), tmp_path) == ['pool/1.jpg']
    alone = ImageFolder(data_prefix=dict(img=str(tmp_path / 'other')), pipeline=[])
    assert names(alone, tmp_path) == ['other/2.jpg']


def test_loops_of_links_end_and_linked_folders_count_once(tmp_path):
    save(tmp_path / 'pool/in/1.jpg')
    save(tmp_path / 'elsewhere/2.jpg')
    os.symlink(tmp_path / 'pool', tmp_path / 'pool/in/loop')
    os.symlink(tmp_path / 'elsewhere', tmp_path / 'pool/link')
    os.symlink(tmp_path / 'elsewhere', tmp_path / 'pool/link_again')
    assert names(build(tmp_path / 'pool'), tmp_path / 'pool') == ['in/1.jpg', 'link/2.jpg']


@pytest.mark.parametrize('extension', ['jpg', 'png', 'webp', 'tif'])
@pytest.mark.parametrize('orientation', [None, 1, 3, 6, 8])
def test_sizes_are_those_that_mmcv_decodes(tmp_path, extension, orientation):
    path = tmp_path / f'image.{extension}'
    save(path, 40, 24, orientation)
    height, width = mmcv.imread(str(path)).shape[:2]
    assert image_size(str(path)) == (width, height)


def test_an_orientation_tag_turns_a_jpeg(tmp_path):
    save(tmp_path / 'image.jpg', 40, 24, orientation=6)
    info = build(tmp_path).get_data_info(0)
    assert (info['width'], info['height']) == (24, 40)


def test_a_broken_header_is_named_or_left_out(tmp_path):
    save(tmp_path / '1.jpg')
    (tmp_path / '2.jpg').write_bytes(b'not an image at all')
    (tmp_path / '3.jpg').write_bytes(b'')
    save(tmp_path / '4.jpg')
    with pytest.raises(UserError, match=r'2\.jpg cannot be read .*skip_broken=True'):
        build(tmp_path)
    assert names(build(tmp_path, skip_broken=True), tmp_path) == ['1.jpg', '4.jpg']


def test_folders_without_images_are_named(tmp_path):
    with pytest.raises(UserError, match=f'{tmp_path}/none.* does not exist; check data_root'):
        build(tmp_path, data_prefix=dict(img='none'))
    (tmp_path / 'notes.txt').write_text('')
    with pytest.raises(UserError, match=f'{tmp_path}.* holds no image'):
        build(tmp_path)
    (tmp_path / '1.jpg').write_bytes(b'')
    with pytest.raises(UserError, match='no image of .* can be read'):
        build(tmp_path, skip_broken=True)


def test_small_images_can_be_left_out_in_training(tmp_path):
    save(tmp_path / '1.jpg', 30, 20)
    save(tmp_path / '2.jpg', 30, 31)
    filter_cfg = dict(min_size=25)
    assert names(build(tmp_path, filter_cfg=filter_cfg), tmp_path) == ['2.jpg']
    assert len(build(tmp_path, filter_cfg=filter_cfg, test_mode=True)) == 2


@pytest.mark.parametrize('metainfo', [None, dict(classes=('disc', 'bar'))])
def test_it_stands_beside_a_coco_data_set(tiny_coco, metainfo):
    labelled = dict(
        type='mmdet.CocoDataset',
        data_root=str(tiny_coco.root),
        metainfo=metainfo,
        ann_file='annotations.json',
        data_prefix=dict(img='images/'),
        pipeline=[],
    )
    folder = dict(
        type='sssd.ImageFolder',
        data_root=str(tiny_coco.root),
        metainfo=metainfo,
        data_prefix=dict(img='images/'),
        pipeline=[dict(type='sssd.LoadImage')],
    )
    both = ConcatDataset([DATASETS.build(labelled), DATASETS.build(folder)])
    assert isinstance(both.metainfo, dict) and both.cumulative_sizes == [6, 12]
    expected = metainfo['classes'] if metainfo else CocoDataset.METAINFO['classes']
    assert both.metainfo['classes'] == expected
    assert both.get_data_info(6)['instances'] == []
    assert both[6]['img'].shape[:2] == (both[6]['height'], both[6]['width'])


def test_an_unlabelled_json_stands_beside_it_too(tiny_coco):
    options = dict(
        data_root=str(tiny_coco.root), metainfo=tiny_coco.metainfo, pipeline=[], data_prefix=dict(img='images/')
    )
    folder = ImageFolder(**options)
    json_file = CocoDataset(ann_file='annotations.json', **options)
    assert isinstance(ConcatDataset([json_file, folder]).metainfo, dict)


@pytest.mark.parametrize('content', [b'', b'text', None], ids=['empty', 'text', 'cut'])
def test_a_broken_body_is_named_while_training(tmp_path, content):
    path = tmp_path / '1.jpg'
    save(path, 300, 200)
    path.write_bytes(path.read_bytes()[:3000] if content is None else content)
    with pytest.raises(UserError, match=f'image {path} cannot be decoded.*is broken'):
        TRANSFORMS.build(dict(type='sssd.LoadImage'))(dict(img_path=str(path)))


def test_a_vanished_image_is_named(tmp_path):
    path = tmp_path / 'gone.jpg'
    with pytest.raises(UserError, match=f'image {path} does not exist'):
        TRANSFORMS.build(dict(type='sssd.LoadImage'))(dict(img_path=str(path)))
    lenient = TRANSFORMS.build(dict(type='sssd.LoadImage', ignore_empty=True))
    assert lenient(dict(img_path=str(path))) is None


def test_load_image_loads(tmp_path):
    save(tmp_path / '1.png', 30, 20)
    results = TRANSFORMS.build(dict(type='sssd.LoadImage'))(dict(img_path=str(tmp_path / '1.png')))
    assert np.array_equal(results['img'], mmcv.imread(str(tmp_path / '1.png')))


@pytest.mark.parametrize('lines', ['a/x\nimg2.JPG\n', ' img2 \n\na/x.Jpeg'])
def test_a_list_names_the_images_to_take(tmp_path, lines):
    for name in ('img1.jpg', 'img2.JPG', 'a/x.Jpeg', 'a/y.bmp'):
        save(tmp_path / 'pool' / name)
    (tmp_path / 'list.txt').write_text(lines)
    dataset = build(tmp_path, data_prefix=dict(img='pool'), ann_file='list.txt')
    assert names(dataset, tmp_path / 'pool') == ['a/x.Jpeg', 'img2.JPG']


@pytest.mark.parametrize('name', [' begins.jpg', 'ends .jpg', 'two\u2028lines.jpg', 'form\x0cfeed.jpg', 'ümlaut.jpg'])
@pytest.mark.parametrize('end, mark', [('\n', ''), ('\r\n', ''), ('\n', '\ufeff')])
def test_a_list_names_images_as_they_are_called(tmp_path, name, end, mark):
    for each in (name, 'img1.jpg', 'img2.jpg'):
        save(tmp_path / 'pool' / each)
    (tmp_path / 'list.txt').write_bytes(f'{mark}{name}{end}img2.jpg{end}'.encode())
    dataset = build(tmp_path, data_prefix=dict(img='pool'), ann_file='list.txt')
    assert set(names(dataset, tmp_path / 'pool')) == {name, 'img2.jpg'}


@pytest.mark.parametrize('line', ['p.jpg', ' p.jpg '])
def test_a_name_without_extension_is_looked_for_only_if_no_file_is_called_so(tmp_path, line):
    for name in ('p.jpg', 'p.jpg.png', 'q.jpg.png'):
        save(tmp_path / 'pool' / name)
    (tmp_path / 'list.txt').write_text(f'{line}\nq.jpg\n')
    dataset = build(tmp_path, data_prefix=dict(img='pool'), ann_file='list.txt')
    assert names(dataset, tmp_path / 'pool') == ['p.jpg', 'q.jpg.png']


def test_a_list_that_is_no_utf8_is_named(tmp_path):
    save(tmp_path / 'pool/img1.jpg')
    (tmp_path / 'list.txt').write_bytes('ü\n'.encode('latin-1'))
    with pytest.raises(UserError, match=r'list\.txt is no text in UTF-8 .*: save it as UTF-8'):
        build(tmp_path, data_prefix=dict(img='pool'), ann_file='list.txt')


@pytest.mark.parametrize(
    'lines, words',
    [
        ('img1\nimg3\n', r'list.txt names 2 images, of which 1 are not in .*such as img3; check data_prefix'),
        ('\n', r'list.txt names 0 images'),
        (None, r'list of images .*list.txt does not exist'),
    ],
)
def test_lists_that_do_not_fit_are_named(tmp_path, lines, words):
    save(tmp_path / 'pool/img1.jpg')
    if lines is not None:
        (tmp_path / 'list.txt').write_text(lines)
    with pytest.raises(UserError, match=words):
        build(tmp_path, data_prefix=dict(img='pool'), ann_file='list.txt')

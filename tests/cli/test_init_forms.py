"""``sssd init`` and ``sssd split`` over labels in the forms that people have: what is written is right, and trains."""

import hashlib
import json
import os
import re
import shutil
from pathlib import Path

import label_forms
import pytest
import torch
from label_forms import boxes_of
from mmengine.registry import init_default_scope
from PIL import Image

from sssd.__main__ import main
from sssd.cli._config import config_of
from sssd.registry import DATASETS

NAMES = ['disc', 'bar']
YAML = 'train: ../train/images\nval: ../valid/images\nnc: 2\nnames: [disc, bar]\n'


@pytest.fixture
def data(tmp_path, make_tiny_coco, monkeypatch):
    """Ten labelled images and three to evaluate on, and four without labels in ``unlabeled``, the present folder's."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv('TORCH_HOME', str(tmp_path / 'torch'))
    sets = {
        name: make_tiny_coco(tmp_path / 'made' / name, num_images=count, seed=seed)
        for name, count, seed in (('train', 10, 0), ('val', 3, 1), ('rest', 4, 2))
    }
    sets['rest'].img_dir.rename(tmp_path / 'unlabeled')
    return sets


@pytest.fixture
def yolo(data):
    """Roboflow's layout."""
    for part, name in (('train', 'train'), ('valid', 'val')):
        label_forms.write_yolo_part(
            data[name], Path(f'export/{part}/images'), Path(f'export/{part}/labels'), NAMES, empty='file'
        )
    Path('export/data.yaml').write_text(YAML)
    return data


def content_of(folder):
    """Names and content of all files."""
    files = (path for path in sorted(Path(folder).rglob('*')) if path.is_file())
    return {str(path): hashlib.md5(path.read_bytes()).digest() for path in files}


def init(*words):
    return main(
        ['init', 'configs/mine', '--unlabeled', 'unlabeled', '--detector', 'retinanet_r18', '--no-trial', *words]
    )


def built():
    """The training set and the validation set of what was written, as mmdet builds them."""
    cfg = config_of('configs/mine/sed.py')
    init_default_scope('mmdet')
    return [DATASETS.build(loader.dataset) for loader in (cfg.train_dataloader, cfg.val_dataloader)]


def boxes_in(dataset):
    """{file name: sorted [(class, x, y, width, height)]} of a data set of mmdet's."""
    found = {}
    for index in range(len(dataset)):
        info = dataset.get_data_info(index)
        corners = [(dataset.metainfo['classes'][thing['bbox_label']], *thing['bbox']) for thing in info['instances']]
        found[Path(info['img_path']).name] = sorted((n, x, y, x2 - x, y2 - y) for n, x, y, x2, y2 in corners)
    return found


def same(found, truth):
    expected = boxes_of(truth)
    assert set(found) <= set(expected) and found
    for name, boxes in found.items():
        assert [box[0] for box in boxes] == [box[0] for box in expected[name]]
        assert [box[1:] for box in boxes] == [pytest.approx(box[1:], abs=2e-3) for box in expected[name]]


def train_one(name='sed'):
    """One iteration of what was written, and the validation after it."""
    small = [
        'model.detector.backbone.init_cfg=None',
        'train_dataloader.num_workers=0',
        'train_dataloader.persistent_workers=False',
        'val_dataloader.num_workers=0',
        'val_dataloader.persistent_workers=False',
        'val_dataloader.dataset.pipeline.1.scale=(96,64)',
        'train_dataloader.dataset.datasets.0.pipeline.2.scale=[(96,64),(96,64)]',
        'train_dataloader.dataset.datasets.1.pipeline.2.scale=[(96,64),(96,64)]',
    ]
    assert main(['train', f'configs/mine/{name}.py', '--work-dir', name, '--cfg-options', *small]) == 0
    state = torch.load(f'{name}/iter_1.pth', weights_only=False)['state_dict']
    assert all(value.isfinite().all() for value in state.values() if value.is_floating_point())


@pytest.mark.slow
def test_yolo_with_its_own_validation_part_trains(yolo, capsys):
    before = content_of('export')
    assert init('--labeled', 'export/data.yaml', '--iters', '1') == 0
    out = capsys.readouterr().out
    assert 'export/data.yaml (train): YOLO, images in export/train/images' in out
    assert 'wrote configs/mine/data/train.json' in out and 'wrote configs/mine/data/val.json' in out
    both, val = built()
    same(boxes_in(both.datasets[0]), json.loads(yolo['train'].ann_file.read_text()))
    same(boxes_in(val), json.loads(yolo['val'].ann_file.read_text()))
    assert [len(part) for part in both.datasets] == [10, 4] and len(val) == 3
    train_one()
    assert content_of('export') == before


@pytest.mark.slow
@pytest.mark.parametrize('flat', [True, False])
def test_voc_without_a_validation_set_trains(data, flat, capsys):
    truth = label_forms.write_voc(data['train'], 'voc', flat)
    before = content_of('voc')
    assert init('--labeled', 'voc', '--iters', '1') == 0
    out = capsys.readouterr().out
    assert (
        'note: 2 of the 10 labelled images are kept for validation, each class with its share (0.2); --val names' in out
    )
    both, val = built()
    train, held_out = boxes_in(both.datasets[0]), boxes_in(val)
    same(train, truth), same(held_out, truth)
    assert len(train) == 8 and len(held_out) == 2 and not set(train) & set(held_out)
    assert {box[0] for boxes in held_out.values() for box in boxes} == set(NAMES)
    if flat:
        train_one()
    assert content_of('voc') == before


def test_roboflows_coco_is_written_without_its_group(data, capsys):
    truth = label_forms.write_roboflow_coco(data['train'], Path('export/train'), name='disc')
    label_forms.write_roboflow_coco(data['val'], Path('export/valid'), name='disc')
    assert init('--labeled', 'export') == 0
    assert "note: _annotations.coco.json lists 'disc' as a category, which only groups" in capsys.readouterr().out
    both, val = built()
    same(boxes_in(both.datasets[0]), truth)
    assert both.metainfo['classes'] == tuple(NAMES) and len(val) == 3


def test_cvats_coco_is_taken_as_it_is(data):
    truth = label_forms.write_cvat(data['train'], Path('cvat'))
    truth_val = label_forms.write_cvat(data['val'], Path('cvat_val'))
    assert init('--labeled', 'cvat', '--val', 'cvat_val') == 0
    both, val = built()
    same(boxes_in(both.datasets[0]), truth), same(boxes_in(val), truth_val)
    assert both.datasets[0].ann_file == 'cvat/annotations/instances_default.json'
    assert not Path('configs/mine/data').exists()


def test_a_share_for_validation_and_its_seed(data):
    parts = set()
    for seed in (0, 0, 1):
        words = ['--labeled', str(data['train'].ann_file), '--val', '0.5', '--seed', str(seed), '--overwrite']
        assert init(*words) == 0
        both, val = built()
        assert [len(both.datasets[0]), len(val)] == [5, 5]
        parts.add(frozenset(boxes_in(val)))
    assert len(parts) == 2


def test_sets_in_two_forms_have_their_classes_in_one_order(data):
    label_forms.write_voc(data['val'], 'voc')  # bar, disc
    for path in Path('voc/Annotations').iterdir():
        path.write_text(path.read_text().replace('<name>disc</name>', '<name>bar</name>'))
    assert init('--labeled', str(data['train'].ann_file), '--val', 'voc') == 0
    both, val = built()
    assert both.metainfo['classes'] == val.metainfo['classes'] == tuple(NAMES)
    assert {box[0] for boxes in boxes_in(val).values() for box in boxes} == {'bar'}


@pytest.mark.parametrize(
    'words, told',
    [
        (['--labeled', 'nowhere'], '--labeled nowhere is no file and no folder'),
        (['--labeled', 'unlabeled'], '--labeled unlabeled holds no labels of a form that is known here; looked for'),
        (['--labeled', 'export', '--val', 'unlabeled'], '--val unlabeled holds no labels'),
        (['--labeled', 'export', '--val', '1.5'], 'the share of validation is 1.5, but must lie above 0 and below 1'),
        (['--labeled', 'export', '--val', '0.2', '--val-images', 'unlabeled'], '--val-images goes with a --val that'),
        (['--labeled', 'export', '--labeled-images', 'unlabeled'], 'data.yaml says itself where its images are'),
        (['--labeled', 'export/train', '--val', 'export'], '--labeled export/train holds no labels'),
        (
            ['--labeled', 'export', '--val', 'export/data.yaml', '--unlabeled', 'export/valid'],
            'are also in export/valid',
        ),
        (['--labeled', 'one'], 'no part of --labeled one can be kept for validation (--val): a set of 1 image(s)'),
        (['--labeled', 'broken'], 'broken/labels/0001.txt, line 1: it has 2 numbers'),
    ],
)
def test_mistakes_leave_nothing_behind(yolo, capsys, words, told):
    label_forms.write_yolo_part(yolo['train'], Path('broken/images'), Path('broken/labels'), NAMES)
    Path('broken/classes.txt').write_text('disc\nbar\n')
    Path('broken/labels/0001.txt').write_text('0 1\n')
    label_forms.write_yolo_part(yolo['train'], Path('one/images'), Path('one/labels'), NAMES)
    Path('one/classes.txt').write_text('disc\nbar\n')
    for path in [*sorted(Path('one/images').iterdir())[1:], *sorted(Path('one/labels').iterdir())[1:]]:
        path.unlink()
    before = content_of('.')
    assert init(*words) == 2
    err = capsys.readouterr().err
    assert told in err and err.count('\n') == 1
    assert content_of('.') == before and not Path('configs').exists()


def test_a_mistake_that_the_check_finds_takes_written_labels_away_again(yolo, capsys):
    next(Path('unlabeled').iterdir()).write_bytes(b'none')
    assert init('--labeled', 'export') == 2
    assert 'cannot be decoded' in capsys.readouterr().err
    assert not list(Path('.').glob('configs/**/*.json')) and not Path('configs/mine').exists()


def test_a_mistake_is_told_by_the_file_that_is_the_user_s(yolo, capsys):
    """Not by the one that was made of it, which does not stay."""
    for path in Path('export/train/labels').glob('*.txt'):
        path.write_text(''.join(f'{line.split()[0]} 0.9 0.9 0.9 0.9\n' for line in path.read_text().splitlines()))
    assert init('--labeled', 'export') == 2
    told = capsys.readouterr().err
    assert 'export/data.yaml (train): ' in told and ' reach far outside' in told and 'configs/mine' not in told


def test_label_files_of_no_image_and_of_two(yolo, capsys):
    labels, images = Path('export/train/labels'), sorted(Path('export/train/images').iterdir())
    (labels / f'{images[0].stem}.txt').rename(labels / 'other.txt')
    Image.open(images[1]).save(images[1].with_suffix('.bmp'))
    assert init('--labeled', 'export') == 0
    out = capsys.readouterr().out
    assert 'note: 1 label file of no image, such as ' in out and 'labels/other.txt: see whether' in out
    assert f'note: 1 label file of several images, such as {labels.absolute() / images[1].stem}.txt' in out


def test_an_xml_file_that_names_another_image(data, capsys):
    label_forms.write_voc(data['train'], 'voc', True)
    first, second = sorted(Path('voc').rglob('*.xml'))[:2]
    text = re.sub('<filename>.*</filename>', f'<filename>{second.stem}.png</filename>', first.read_text())
    first.write_text(text)
    assert init('--labeled', 'voc') == 0
    assert 'note: 1 XML file whose <filename> is another image' in capsys.readouterr().out


@pytest.mark.parametrize('shifted', [False, True])
def test_classes_without_a_box(data, capsys, shifted):
    def change(path):
        coco = json.loads(path.read_text())
        coco['categories'].insert(0 if shifted else 2, dict(id=0 if shifted else 9, name='ring'))
        path.write_text(json.dumps(coco))

    change(data['train'].ann_file), change(data['val'].ann_file)
    assert init('--labeled', str(data['train'].ann_file), '--val', str(data['val'].ann_file)) == 0
    out = capsys.readouterr().out
    assert "note: no labelled box is of 'ring', left out of the classes" in out
    assert ('see whether all category_ids are one too high' in out) == shifted


def test_the_labelled_images_as_unlabelled_ones(data, capsys):
    """Some of them are kept for validation, by a choice that the user did not make."""
    file = str(data['train'].ann_file)
    words = ['--labeled', file, '--unlabeled', file, '--unlabeled-images', str(data['train'].img_dir), '--no-trial']
    assert main(['init', 'configs/mine', *words, '--detector', 'retinanet_r18']) == 2
    assert f'all images of --unlabeled {file} are labelled ones: name others' in capsys.readouterr().err


def test_an_unlabelled_file_whose_labels_have_strays(data, capsys):
    """Boxes of no image and of no category: told by the check, no traceback."""
    coco = json.loads(data['train'].ann_file.read_text())
    half = {image['id'] for image in coco['images'][:5]}
    for name, kept in (('labeled', half), ('rest', {image['id'] for image in coco['images']} - half)):
        things = [thing for thing in coco['annotations'] if thing['image_id'] in kept]
        part = dict(coco, images=[image for image in coco['images'] if image['id'] in kept], annotations=things)
        part['annotations'].append(dict(things[0], id=990 if name == 'rest' else 991, image_id=777))
        part['annotations'].append(dict(things[0], id=992 if name == 'rest' else 993, category_id=55))
        (data['train'].img_dir.parent / f'{name}.json').write_text(json.dumps(part))
    root, val = data['train'].img_dir.parent, str(data['val'].ann_file)
    words = ['--labeled', str(root / 'labeled.json'), '--labeled-images', str(data['train'].img_dir), '--val', val]
    words = ['init', 'configs/mine', *words, '--detector', 'retinanet_r18', '--no-trial']
    assert main([*words, '--unlabeled', str(root / 'rest.json')]) == 2
    told = capsys.readouterr().err
    assert 'has the image_id of no entry' in told and 'has the category_id of no entry' in told


def test_split_writes_a_validation_part_of_any_form(yolo, capsys):
    label_forms.write_voc(yolo['train'], 'voc')
    before = content_of('export') | content_of('voc')
    for path, stem in (('export/data.yaml', 'data'), ('export', 'export'), ('voc', 'voc')):
        assert main(['split', path, '--val', '0.2', '--out-dir', 'out']) in (0, None)
        said = capsys.readouterr()
        assert said.out.splitlines() == [f'out/{stem}-train.json', f'out/{stem}-val.json']
        assert 'images in' in said.err
        train, val = (json.loads(Path(f'out/{stem}-{part}.json').read_text()) for part in ('train', 'val'))
        whole = boxes_of(json.loads(yolo['train'].ann_file.read_text()))
        assert [len(train['images']), len(val['images'])] == [8, 2]
        for coco in (train, val):
            same(boxes_of(coco), json.loads(yolo['train'].ann_file.read_text()))
        assert set(boxes_of(train)) | set(boxes_of(val)) == set(whole)
        assert val['info']['split'] == dict(seed=0, share=0.2, method='iterative stratification', part='val')
    assert content_of('export') | content_of('voc') == before
    assert init('--labeled', 'out/voc-train.json', '--val', 'out/voc-val.json') == 0, 'they say where their images are'
    both, val = built()
    assert both.datasets[0].ann_file == 'out/voc-train.json' and [len(both.datasets[0]), len(val)] == [8, 2]


def test_split_of_a_coco_file_and_of_what_is_left(data, capsys):
    source = data['train'].ann_file
    before = source.read_bytes()
    assert main(['split', str(source), '--val', '0.2', '--percent', '50', '--folds', '1']) in (0, None)
    names = [Path(line).name for line in capsys.readouterr().out.splitlines() if 'writing' not in line]
    assert names == [
        'annotations-train.json',
        'annotations-val.json',
        'annotations-train.1@50.json',
        'annotations-train.1@50-unlabeled.json',
    ]
    assert source.read_bytes() == before and len(list(source.parent.glob('*.json'))) == 5


def test_split_of_other_forms_in_labelled_and_unlabelled(yolo, capsys):
    assert main(['split', 'export', '--count', '4', '--folds', '1', '--out-dir', 'out']) in (0, None)
    names = [line for line in capsys.readouterr().out.splitlines() if 'writing' not in line]
    assert names == ['out/export.json', 'out/export.1@4images.json', 'out/export.1@4images-unlabeled.json']
    assert main(['split', 'export', '--count', '4']) == 2
    assert 'export is to be written as COCO files: say where with --out-dir' in capsys.readouterr().err


def test_split_refuses_labels_that_no_part_would_get(data, capsys):
    source = data['train'].ann_file
    coco = json.loads(source.read_text())
    for thing in coco['annotations']:
        thing['image_id'] = str(thing['image_id'])
    source.write_text(json.dumps(coco))
    for words in (['--val', '0.2'], ['--percent', '50', '--folds', '1']):
        assert main(['split', str(source), *words]) == 2
        assert f'{source}: ' in (said := capsys.readouterr().err) and 'write both as whole numbers' in said
    assert [path.name for path in source.parent.glob('*.json')] == [source.name]


@pytest.mark.parametrize('words', [[], ['--val', '0.2']])
def test_parts_that_are_not_there_hold_no_image(yolo, capsys, words):
    """As Roboflow's exports name them; the unlabelled images are those that a list of the labelled ones leaves."""
    names = sorted(os.listdir('export/train/images'))[:6]
    Path('export/train.txt').write_text(''.join(f'train/images/{name}\n' for name in names))
    Path('export/data.yaml').write_text(YAML.replace('../train/images', 'train.txt') + 'test: ../test/images\n')
    if words:
        shutil.rmtree('export/valid')
    assert main(['init', 'mine', '--labeled', 'export', '--detector', 'retinanet_r18', '--no-trial', *words]) == 0
    assert 'the 4 of the 10 images in export/train/images that have no labels' in capsys.readouterr().out


def test_classes_that_differ_in_form_alone(data, capsys):
    train, val = (json.loads(data[name].ann_file.read_text()) for name in ('train', 'val'))
    val['categories'][0]['name'] = 'Disc '
    data['val'].ann_file.write_text(json.dumps(val))
    words = ['--labeled', str(data['train'].ann_file), '--val', str(data['val'].ann_file)]
    assert init(*words) == 2
    assert "'disc' and 'Disc ' differ in spelling alone, so write one of them in all files" in capsys.readouterr().err
    for thing in train['annotations']:
        thing['category_id'] = str(thing['category_id'])
    data['train'].ann_file.write_text(json.dumps(train))
    assert init(*words) == 2
    assert "category_id is '1', '2', but categories have the id 1, 2: write both alike" in capsys.readouterr().err


def test_labelme_is_written_as_coco_and_its_parts_are_taken(data, capsys):
    truth = label_forms.write_labelme(data['train'], 'me/train')
    truth_val = label_forms.write_labelme(data['val'], 'me/val')
    before = content_of('me')
    assert init('--labeled', 'me') == 0
    out = capsys.readouterr().out
    assert 'me/train: LabelMe, images in me/train' in out and 'wrote configs/mine/data/train.json' in out
    both, val = built()
    same(boxes_in(both.datasets[0]), truth), same(boxes_in(val), truth_val)
    assert both.metainfo['classes'] == tuple(sorted(NAMES)) and content_of('me') == before
    assert main(['split', 'me', '--val', '0.2', '--out-dir', 'out']) in (0, None)
    assert len(json.loads(Path('out/me-train.json').read_text())['images']) == 8


def test_images_beside_labelmes_that_have_no_file_are_the_unlabelled_ones(data, capsys):
    label_forms.write_labelme(data['train'], 'me')
    for path in sorted(Path('me').glob('*.json'))[:3]:
        path.unlink()
    assert main(['init', 'configs/mine', '--labeled', 'me', '--detector', 'retinanet_r18', '--no-trial']) == 0
    out = capsys.readouterr().out
    assert 'note: 3 images without a JSON file: left out' in out
    assert 'the 3 of the 10 images in me that have no labels are the unlabelled ones' in out


def test_sizes_in_labelmes_files_that_are_not_those_of_the_images(data, capsys):
    """As if all photos were made smaller after their labels, or labelled by a tool that does not obey EXIF."""
    label_forms.write_labelme(data['train'], 'me'), label_forms.write_labelme(data['val'], 'you')
    whole = {path: path.read_text() for path in Path('me').glob('*.json')}
    for path, text in whole.items():
        path.write_text(json.dumps(json.loads(text) | dict(imageWidth=960, imageHeight=720)))
    assert init('--labeled', 'me', '--val', 'you') == 2
    said = capsys.readouterr().err
    assert 'me: width and height of 10 of 10 images looked at are not those of the file, such as 960 x 720' in said
    for path, text in whole.items():
        path.write_text(text)
        with Image.open(path.with_suffix('.png')) as image:
            tags = image.getexif()
            tags[0x0112] = 6
            image.save(path.with_suffix('.png'), exif=tags)
    assert init('--labeled', 'me', '--val', 'you') == 2
    assert '10 of 10 images looked at have an EXIF tag by which' in capsys.readouterr().err


def test_polygons_of_labelme_are_masks(data, capsys):
    label_forms.write_labelme(data['train'], 'me')
    words = ['--labeled', 'me', '--val', '0.3', '--detector', 'mmdet::mask_rcnn/mask-rcnn_r50_fpn_1x_coco.py']
    assert init(*words) == 2
    assert 'the labels have no masks' in capsys.readouterr().err
    for path in Path('me').glob('*.json'):
        content = json.loads(path.read_text())
        for thing in content['shapes']:
            (a, b), (c, d) = thing['points']
            thing.update(points=[[a, b], [c, b], [c, d], [a, d]], shape_type='polygon')
        path.write_text(json.dumps(content))
    assert init(*words, '--weights', 'none') == 0
    things = json.loads(Path('configs/mine/data/train.json').read_text())['annotations']
    assert all(len(thing['segmentation'][0]) == 8 for thing in things)


def test_cvats_yolo_with_its_parts(data, capsys):
    truth = label_forms.write_cvat_yolo(data['train'], Path('cvat'), NAMES)
    truth_val = label_forms.write_cvat_yolo(data['val'], Path('cvat'), NAMES, 'valid')
    assert init('--labeled', 'cvat') == 0
    assert 'cvat/obj.data (train): YOLO, images in cvat/obj_train_data' in capsys.readouterr().out
    both, val = built()
    same(boxes_in(both.datasets[0]), truth), same(boxes_in(val), truth_val)
    assert both.metainfo['classes'] == tuple(NAMES)

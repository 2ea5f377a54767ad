"""``sssd predict``: labels of a folder of images for an editor; broken images are named and passed over."""

import json
import shutil

import pytest
import shipped
from mmdet.apis import DetInferencer
from PIL import Image
from pycocotools.coco import COCO

from sssd.cli import export, predict
from sssd.datasets.labels import read_labels
from sssd.deploy.thresholds import Suggestion
from sssd.errors import UserError


@pytest.fixture(scope='module')
def detector(shipped_job, tmp_path_factory):
    """An exported folder."""
    folder = tmp_path_factory.mktemp('exported') / 'detector'
    export.main([str(shipped_job.work_dir / f'iter_{shipped.ITERATIONS}.pth'), str(folder), '--part', 'student'])
    return folder


@pytest.fixture
def images(make_tiny_coco, tmp_path, monkeypatch):
    """A folder of four images, one of them deep, an empty file and one that is cut off."""
    monkeypatch.chdir(tmp_path)
    folder = make_tiny_coco(tmp_path / 'new', num_images=4, seed=5).img_dir
    (folder / 'deep').mkdir()
    (folder / '0003.png').rename(folder / 'deep' / '0003.png')
    (folder / 'empty.jpg').touch()
    (folder / 'text.png').write_text('no image')
    (folder / 'notes.txt').write_text('no image either')
    return folder


def state(folder):
    """What lies in a folder, byte by byte."""
    return {str(path): path.read_bytes() if path.is_file() else None for path in sorted(folder.rglob('*'))}


@pytest.mark.parametrize('form', ['coco', 'yolo', 'voc', 'labelstudio'])
def test_a_folder_is_pre_annotated(detector, images, form, capsys):
    before = state(images)
    words = [str(detector), str(images), '--to', form, '--threshold', '0.05', '--out', 'out', '--batch-size', '3']
    assert predict.main([*words, '--device', 'cpu', *(['--draw'] if form == 'coco' else [])]) == 0
    said = capsys.readouterr()
    assert f'passed over {images}/empty.jpg: the file is empty' in said.err
    assert f'passed over {images}/text.png: it cannot be decoded' in said.err
    assert said.out.startswith('4 images, ') and '; 2 images passed over' in said.out
    assert state(images) == before
    found = DetInferencer(str(detector / 'config.py'), str(detector / 'model.pth'), device='cpu', show_progress=False)(
        str(images / '0000.png')
    )['predictions'][0]
    scores = [round(score, 4) for score in found['scores'] if score >= 0.05]
    assert scores  # of a detector that finds nothing, nothing could be seen
    if form == 'labelstudio':
        task = json.loads((images.parents[1] / 'out/tasks.json').read_text())[0]
        assert [region['score'] for region in task['predictions'][0]['result']] == scores
        assert task['predictions'][0]['model_version'] == 'detector, student, iteration 80'
        assert '<Label value="disc" />' in said.out
        return
    labels = read_labels('out')
    assert {image['file_name'].rsplit('/')[-1] for image in labels.coco['images']} == {f'000{i}.png' for i in range(4)}
    first = next(image for image in labels.coco['images'] if image['file_name'].endswith('0000.png'))
    assert sum(thing['image_id'] == first['id'] for thing in labels.coco['annotations']) == len(scores)
    if form == 'coco':
        own = [thing for thing in COCO('out/labels.json').anns.values() if thing['image_id'] == first['id']]
        assert [thing['score'] for thing in own] == scores
        with Image.open('out/drawn/deep/0003.png') as drawn:
            assert drawn.size == (72, 96)


@pytest.mark.parametrize(
    'places, names',
    [
        (['new'], ['images/deep/0003.png', 'images/deep/0004.png']),
        (['new/images'], ['deep/0003.png', 'deep/0004.png']),
        (['new/../new/images/deep/'], ['0003.png', '0004.png']),
        (['new/images/deep', 'new/other'], ['images/deep/0003.png', 'images/deep/0004.png', 'other/0000.png']),
        (['new/images/deep/0003.png'], ['0003.png']),
    ],
)
def test_images_are_named_from_the_folder_that_is_given(detector, images, places, names):
    """And not from one below it in which they all happen to be: an editor knows them by their names in the former."""
    (images.parent / 'other').mkdir()
    for name, other in (('0000.png', 'other/0000.png'), ('0001.png', 'images/deep/0004.png')):
        (images / name).rename(images.parent / other)
    for path in [*images.glob('*.*'), *([images.parent / 'other/0000.png'] if len(places) == 1 else [])]:
        path.unlink()
    for form in ('coco', 'labelstudio', 'yolo'):
        words = [str(detector), *places, '--to', form, '--out', form, '--threshold', '0.05', '--device', 'cpu']
        assert predict.main(words) == 0
    coco = json.loads(open('coco/labels.json').read())
    assert [image['file_name'] for image in coco['images']] == names
    tasks = [task['data']['image'] for task in json.loads(open('labelstudio/tasks.json').read())]
    assert [url.partition('?d=')[2] for url in tasks] == names
    for labels in (read_labels('coco'), read_labels('yolo')):
        assert len(labels.coco['annotations']) == len(coco['annotations']) > 0


def test_a_config_with_a_checkpoint_finds_the_same(detector, shipped_job, images, capsys):
    checkpoint = shipped_job.work_dir / f'iter_{shipped.ITERATIONS}.pth'
    config, part = str(shipped_job.config), ['--device', 'cpu', '--threshold', '0.05']
    assert predict.main([config, str(images), '--checkpoint', str(checkpoint), '--out', 'a', *part]) == 0
    taken = 'student' if 'took the student' in capsys.readouterr().out else 'teacher'
    export.main([str(checkpoint), 'same', '--part', taken])
    assert predict.main(['same', str(images), '--out', 'b', *part]) == 0
    one, other = (json.loads(open(f'{name}/labels.json').read()) for name in 'ab')
    assert one == other and one['annotations']


def test_the_part_that_is_asked_for_is_taken(detector, shipped_job, images, capsys):
    """As the sentence on the one that was taken says, where the two could not be compared."""
    checkpoint = shutil.copy(shipped_job.work_dir / f'iter_{shipped.ITERATIONS}.pth', 'alone.pth')
    words = [str(shipped_job.config), str(images), '--checkpoint', checkpoint, '--device', 'cpu', '--threshold', '0.05']
    assert predict.main([*words, '--out', 'a']) == 0
    assert 'took the teacher: no validation of both' in (said := capsys.readouterr().out)
    option = said.partition('(')[2].partition(' takes the other)')[0].split()
    assert predict.main([*words, '--out', 'b', *option]) == 0
    assert 'took the student, as was asked for' in capsys.readouterr().out
    assert predict.main([str(detector), str(images), '--out', 'c', '--device', 'cpu', '--threshold', '0.05']) == 0
    one, student, other = (json.loads(open(f'{name}/labels.json').read()) for name in 'abc')
    assert student == other != one


def test_remedies_are_options_of_this_command(detector, shipped_job, images):
    other = images.parent / 'other.py'
    other.write_text(shipped_job.config.read_text().replace('num_classes=2', 'num_classes=3'))
    checkpoint = str(shipped_job.work_dir / f'iter_{shipped.ITERATIONS}.pth')
    with pytest.raises(UserError, match='is not the detector of the config') as caught:
        predict.main([str(other), str(images), '--checkpoint', checkpoint, '--device', 'cpu'])
    assert '--config' not in str(caught.value) and 'as the first argument' in str(caught.value)
    lost = shutil.copy(images.parent / 'annotations.json', 'lost.json')
    words = [str(detector), str(images), '--device', 'cpu', '--threshold', 'auto', '--validation', lost]
    with pytest.raises(UserError, match=r'--validation the images of lost.json.*: name their folder') as caught:
        predict.main(words)
    assert str(caught.value).endswith('(--validation-images).')
    for image in ('0003.png',):  # the labels name it where it was
        shutil.copy(images / 'deep' / image, images / image)
    assert predict.main([*words, '--validation-images', str(images)]) == 0


@pytest.mark.parametrize('form', ['yolo', 'voc'])
def test_what_has_no_place_in_a_form_is_told_before_anything_is_detected(detector, images, form, capsys, monkeypatch):
    shutil.copy(images / '0000.png', images / '0000.jpg')
    (images / 'photo.HEIC').touch()
    monkeypatch.setattr(predict, 'detect', None)
    with pytest.raises(UserError, match="'0000\\.jpg', '0000\\.png' would have one file of labels in the form"):
        predict.main([str(detector), str(images), '--to', form, '--out', 'out', '--device', 'cpu'])
    assert f'passed over in {images}, as no images that can be read: .heic: 1, .txt: 1' in capsys.readouterr().err
    assert not list((images.parents[1] / 'out').iterdir())
    (images / '0000.jpg').unlink()
    monkeypatch.setattr('os.symlink', lambda *words, **more: (_ for _ in ()).throw(PermissionError(1, 'Not permitted')))
    with pytest.raises(UserError, match='cannot be made a link to its image .Not permitted.'):
        predict.main([str(detector), str(images), '--to', form, '--out', 'out', '--device', 'cpu'])


def test_where_nothing_can_be_written(detector, images):
    with pytest.raises(UserError, match=r'^lost.json/out cannot be written \(Not a directory\)'):
        shutil.copy(images.parent / 'annotations.json', 'lost.json')
        predict.main([str(detector), str(images), '--device', 'cpu', '--out', 'lost.json/out'])


def test_mistakes_are_told(detector, images, tmp_path):
    for words, said in (
        ([str(detector), 'nowhere'], 'nowhere is no file and no folder'),
        (['nowhere.py', str(images)], 'no folder that `sssd export` wrote'),
        ([str(images), str(images)], 'has no config.py and no model.pth'),
        ([str(detector), str(images), '--out', str(images / 'out')], 'lies in the folder of images'),
        ([str(detector), str(images), '--threshold', '30'], '--threshold is 30'),
        ([str(detector), str(images), '--checkpoint', 'x.pth'], 'leave --checkpoint out'),
        ([str(detector), str(images), '--part', 'student'], 'leave --part out'),
        ([str(detector), str(images), '--validation-images', 'x'], 'goes with --validation, which is not given'),
        ([str(detector), str(images), '--out', 'new'], 'new is not empty'),
        ([str(detector), str(images / 'empty.jpg')], 'none of the 1 image could be read'),
    ):
        with pytest.raises(UserError, match=said):
            predict.main([*words, '--device', 'cpu'])
    assert not (images / 'out').exists()


def test_a_config_that_would_run_code_is_refused(detector, images, tmp_path):
    shutil.copytree(detector, 'harmful')
    with open('harmful/config.py', 'a') as file:
        file.write('open("was_run", "w")\n')
    with pytest.raises(UserError, match='is not run'):
        predict.main(['harmful', str(images), '--device', 'cpu'])
    assert not (tmp_path / 'was_run').exists()


def test_thresholds_are_chosen_on_the_validation(detector, images, capsys):
    """Those of the training, which the weights name, or others; that of a class may be given by hand."""
    words = [str(detector), str(images), '--device', 'cpu', '--threshold']
    assert predict.main([*words, 'auto', '--out', 'a', '--draw']) == 0
    said = capsys.readouterr().out
    assert 'thresholds of the highest F1 on' in said and 'precision' in said and 'recall' in said
    by_hand = [f'{line.split()[0]}={line.split()[1]}' for line in said.splitlines() if ' (precision ' in line]
    assert predict.main([*words, *' --threshold '.join(by_hand).split(), '--out', 'typed']) == 0
    assert json.loads(open('a/labels.json').read()) == json.loads(open('typed/labels.json').read())
    capsys.readouterr()
    assert predict.main([*words, 'auto', '--threshold', 'disc=0.99', '--out', 'b']) == 0
    assert 'disc 0.99 (as was asked for)' in capsys.readouterr().out
    one, other = (json.loads(open(f'{name}/labels.json').read()) for name in 'ab')
    bars = [[thing for thing in each['annotations'] if thing['category_id'] == 2] for each in (one, other)]
    strip = [[(thing['bbox'], thing['score']) for thing in each] for each in bars]
    assert strip[0] == strip[1] and not any(thing['category_id'] == 1 for thing in other['annotations'])
    labels = str(images.parent / 'annotations.json')
    with pytest.raises(UserError, match='--validation is what --threshold auto'):
        predict.main([*words, '0.5', '--validation', labels])
    for image in ('0003.png',):  # the labels name it where it was
        shutil.copy(images / 'deep' / image, images / image)
    assert predict.main([*words, 'auto', '--validation', labels, '--out', 'c']) == 0
    assert '4 images of ' in capsys.readouterr().out


def test_a_threshold_is_printed_with_all_its_digits(detector, images, capsys, monkeypatch):
    chosen = dict(disc=Suggestion(0.1234, 1.0, 0.5), bar=Suggestion(0.3))
    monkeypatch.setattr(predict, 'suggest', lambda *args: (chosen, 3))
    assert predict.main([str(detector), str(images), '--device', 'cpu', '--threshold', 'auto']) == 0
    assert '  disc 0.1234 (precision 100 %, recall 50 %)\n  bar 0.3 (no detection' in capsys.readouterr().out
    words = [str(detector), str(images), '--device', 'cpu', '--threshold', '0.1234', '--out', 'other']
    assert predict.main(words) == 0 and ' of a score of 0.1234 or more' in capsys.readouterr().out


def test_every_kind_of_image_is_taken_as_it_is_seen(detector, images):
    """Grey ones, of 16 bits, with alpha, with a palette, turned by EXIF, of other sizes, with blanks in the name."""
    folder = images.parent / 'kinds'
    folder.mkdir()
    with Image.open(images / '0000.png') as source:
        width, height = source.size
        source.convert('L').save(folder / 'grey.png')
        source.convert('L').convert('I').point(lambda value: value * 256).convert('I;16').save(folder / 'deep.png')
        source.convert('RGBA').save(folder / 'alpha.png')
        source.convert('P').save(folder / 'palette.png')
        source.convert('CMYK').save(folder / 'cmyk.jpg')
        source.resize((333, 47)).save(folder / 'wide one.bmp')
        source.resize((9, 300)).save(folder / 'tall.webp')
        exif = Image.Exif()
        exif[0x0112] = 6
        source.save(folder / 'turned.jpg', exif=exif)
        source.save(folder / 'plain.tif')
    words = [str(detector), str(folder), '--device', 'cpu', '--threshold', '0.05', '--draw']
    assert predict.main([*words, '--out', 'kinds_out']) == 0
    coco = json.loads(open('kinds_out/labels.json').read())
    sizes = {image['file_name']: (image['width'], image['height']) for image in coco['images']}
    assert len(sizes) == 9 and sizes['turned.jpg'] == (height, width) and sizes['wide one.bmp'] == (333, 47)
    assert sizes['tall.webp'] == (9, 300) and sizes['grey.png'] == sizes['deep.png'] == (width, height)
    for image in coco['images']:
        for thing in coco['annotations']:
            x, y, w, h = thing['bbox']
            if thing['image_id'] == image['id']:
                assert 0 <= x and 0 <= y and x + w <= image['width'] + 1e-3 and y + h <= image['height'] + 1e-3
    boxes = {name: [] for name in sizes}
    for thing in coco['annotations']:
        boxes[next(each['file_name'] for each in coco['images'] if each['id'] == thing['image_id'])].append(
            thing['bbox']
        )
    assert boxes['alpha.png'] == boxes['plain.tif'] and boxes['plain.tif']
    with Image.open('kinds_out/drawn/turned.jpg') as drawn:
        assert drawn.size == (height, width)

"""What commands write replaces no file of the user's, and where nothing can be written one sentence says so."""

import json
import os
import re
import shutil
from dataclasses import replace
from pathlib import Path

import label_forms
import pytest

from sssd.__main__ import main
from sssd.datasets.labels import read_labels

MINE = '{"mine": true}'


@pytest.fixture
def data(tmp_path, make_tiny_coco, monkeypatch):
    """Ten labelled images, ``data/train.json`` and ``data/train/``, and four without labels in ``photos``."""
    monkeypatch.chdir(tmp_path)
    made = make_tiny_coco(tmp_path / 'made', num_images=10)
    Path('data').mkdir()
    shutil.move(made.img_dir, 'data/train')
    shutil.move(made.ann_file, 'data/train.json')
    shutil.move(make_tiny_coco(tmp_path / 'rest', num_images=4, seed=2).img_dir, 'photos')
    return replace(made, img_dir=Path('data/train').absolute(), ann_file=Path('data/train.json').absolute())


def init(folder='configs/mine', *words, labeled='data/train.json', unlabeled=('--unlabeled', 'photos')):
    usual = ['--detector', 'retinanet', '--preset', 'small', '--weights', 'none', '--no-trial']
    return main(['init', folder, '--labeled', labeled, *unlabeled, *usual, *words])


def error(capsys):
    """The one sentence that a command left with."""
    said = capsys.readouterr().err
    assert said.startswith('sssd: error: ') and said.count('\n') == 1
    return said


def contents(folder='.'):
    """Every file's content, and when it was written."""
    files = [path for path in sorted(Path(folder).rglob('*')) if path.is_file()]
    return {str(path): (path.read_bytes(), path.stat().st_mtime_ns) for path in files}


# --- init


@pytest.mark.parametrize('overwrite', [[], ['--overwrite']])
def test_init_does_not_replace_the_labels_that_it_read(data, capsys, overwrite):
    before = contents()
    assert init('.', *overwrite) == 2
    said = error(capsys)
    assert 'data/train.json is read here' in said and 'name another folder than . for the configs' in said
    assert '--overwrite' not in said and contents() == before


@pytest.mark.parametrize('option', ['--labeled', '--val', '--unlabeled', '--all-labels'])
@pytest.mark.parametrize('link', [os.symlink, os.link])
def test_init_does_not_replace_what_any_argument_leads_to(data, capsys, option, link):
    """Whatever names the file: a link in the place of what is written is the user's file, too."""
    whole = json.loads(Path('data/train.json').read_text())
    Path('data/few.json').write_text(json.dumps(dict(whole, images=whole['images'][:8])))
    Path('data/val.json').write_text(json.dumps(dict(whole, images=whole['images'][8:])))
    for name in ('few', 'val'):
        part = json.loads(Path(f'data/{name}.json').read_text())
        ids = {image['id'] for image in part['images']}
        part['annotations'] = [thing for thing in whole['annotations'] if thing['image_id'] in ids]
        Path(f'data/{name}.json').write_text(json.dumps(part))
    shutil.copytree('data/train', 'data/images')
    named = {'--labeled': 'data/few.json', '--val': 'data/val.json', '--unlabeled': 'data/few.json'}
    named['--all-labels'] = 'data/train.json'
    place = Path('configs/mine/data/all.json')
    place.parent.mkdir(parents=True)
    link(os.path.abspath(named[option]), place)
    before = contents('data')
    words = ['--val', named['--val'], '--val-images', 'data/images', '--labeled-images', 'data/images']
    words += ['--all-labels', named['--all-labels'], '--overwrite']
    assert init('configs/mine', *words, labeled=named['--labeled'], unlabeled=('--unlabeled', 'data/few.json')) == 2
    assert f'{named[option]}, which is {place}, is read here' in error(capsys) and contents('data') == before


def test_init_does_not_replace_what_an_earlier_one_made_and_is_read_now(data, capsys):
    assert init() == 0
    before = contents('configs')
    for labels in ('configs/mine/data/train.json', 'configs/mine/data'):
        Path('configs/mine/data/val.json').unlink(missing_ok=True)  # so that a share of the rest is kept once more
        assert init('configs/mine', '--overwrite', labeled=labels) == 2
        assert 'configs/mine/data/train.json is read here' in error(capsys)
    assert init('configs/mine', '--overwrite', '--detector', 'configs/mine/detector.py') == 2
    assert 'configs/mine/detector.py is read here' in error(capsys)
    assert contents('configs') == {path: held for path, held in before.items() if not path.endswith('val.json')}
    assert init('configs/mine', '--overwrite') == 0, 'the same once more is no trouble'


def test_init_writes_no_file_that_a_link_in_its_folder_leads_to(data):
    assert init() == 0
    shutil.move('configs/mine/data/train.json', 'other.json')
    Path('configs/mine/data/train.json').symlink_to(os.path.abspath('other.json'))
    before = contents()['other.json']
    assert init('configs/mine', '--overwrite', '--seed', '1') == 0
    assert contents()['other.json'] == before and not Path('configs/mine/data/train.json').is_symlink()


@pytest.mark.parametrize('content', [MINE, None])
def test_init_replaces_no_labels_that_it_did_not_write(data, capsys, content):
    """Whether they are read this time or not."""
    whole = Path('data/train.json').read_text()
    label_forms.write_voc(data, 'voc')
    for name in ('train', 'val'):
        Path(f'data/{name}.json').write_text(content or whole)
    before = contents()
    assert init('.', labeled='voc') == 2
    assert 'data/train.json, data/val.json exist: name another folder, or replace them with' in error(capsys)
    assert init('.', '--overwrite', labeled='voc') == 2
    assert 'data/train.json was not written by `sssd init`, and is not replaced: move it away' in error(capsys)
    assert contents() == before


@pytest.mark.parametrize(
    'folder, named', [('file', 'file/data'), ('/proc/none', '/proc/none/data'), ('configs/mine', 'supervised.py')]
)
def test_where_init_cannot_write(data, capsys, folder, named):
    Path('file').write_text(MINE)
    Path('configs/mine/supervised.py').mkdir(parents=True)
    before = contents()
    assert init(folder, '--overwrite') == 2
    assert f'{named} cannot be written (' in (said := error(capsys)) and 'name another folder' in said
    assert contents() == before and not Path('configs/mine/data').exists()


def test_images_that_are_labelled_already_are_no_further_ones_for_all_labels(data):
    """An ``--unlabeled`` that lists labelled ones too, with their boxes: `all.py` has each image and box once."""
    whole = json.loads(Path('data/train.json').read_text())
    parts = dict(few=whole['images'][:4], rest=whole['images'][2:8], val=whole['images'][8:])
    for name, images in parts.items():
        ids = {image['id'] for image in images}
        things = [thing for thing in whole['annotations'] if thing['image_id'] in ids]
        Path(f'data/{name}.json').write_text(json.dumps(dict(whole, images=images, annotations=things)))
    words = ['--labeled-images', 'data/train', '--val', 'data/val.json', '--val-images', 'data/train']

    def made(unlabeled):
        assert init('configs/mine', *words, '--overwrite', labeled='data/few.json', unlabeled=unlabeled) == 0
        return json.loads(Path('configs/mine/data/all.json').read_text())

    every = made(('--unlabeled', 'data/rest.json'))
    names = [image['file_name'] for image in whole['images'][:8]]
    assert [image['file_name'] for image in every['images']] == names
    assert label_forms.boxes_of(every) == {
        name: boxes for name, boxes in label_forms.boxes_of(whole).items() if name in names
    }
    shutil.rmtree('configs')
    assert init('configs/mine', *words, labeled='data/few.json', unlabeled=('--unlabeled', 'data/few.json')) == 0
    assert not Path('configs/mine/all.py').exists(), 'nothing is known of further images'


@pytest.mark.parametrize(
    'words, unlabeled, told',
    [
        (['--all-images', 'nowhere'], ('--unlabeled', 'photos'), '--all-images goes with --all-labels'),
        (['--unlabeled-images', 'nowhere'], (), '--unlabeled-images goes with --unlabeled'),
    ],
)
def test_no_folder_of_images_is_passed_over(data, capsys, words, unlabeled, told):
    assert init('configs/mine', *words, unlabeled=unlabeled) == 2
    assert f'{told}, which is not given' in error(capsys) and not Path('configs').exists()


def test_an_export_of_frames_that_are_still_to_be_labelled(data, capsys):
    """All images are in the file, and three have boxes: what is told is so, and lengths go by those three."""
    coco = json.loads(data.ann_file.read_text())
    kept = [thing['image_id'] for thing in coco['annotations']][0]
    coco['annotations'] = [thing for thing in coco['annotations'] if thing['image_id'] == kept]
    data.ann_file.write_text(json.dumps(coco))
    assert init(unlabeled=()) == 2
    said = error(capsys)
    assert (
        'all 10 images in data/train are named by the labels, 9 of them without a box: take those that nobody' in said
    )


def test_the_remedy_is_the_option_of_the_labels_that_are_meant(data, capsys):
    """Those of which the images are not found."""
    Path('lost/annotations').mkdir(parents=True)
    for place in ('lost/labels.json', 'lost/annotations/instances_default.json'):
        shutil.copy('data/train.json', place)
    told = 'the images of lost/labels.json, such as .*: name their folder '
    assert init(labeled='lost/labels.json') == 2
    assert re.search(rf'--labeled {told}\(--labeled-images\)\.$', error(capsys))
    assert init('configs/mine', '--all-labels', 'lost/labels.json') == 2
    assert re.search(rf'--all-labels {told}\(--all-images\)\.$', error(capsys))
    assert init('configs/mine', '--val', 'lost/annotations') == 2
    assert '(--val-images).' in error(capsys)
    assert split('lost', '--val', '0.3', '--out-dir', 'out') == 2
    assert '(--images).' in error(capsys)
    assert split('lost', '--val', '0.3', '--out-dir', 'out', '--images', 'data/train') == 0


# --- split


def split(*words):
    return main(['split', *words])


def written(capsys):
    """The files that `split` names."""
    return [line for line in capsys.readouterr().out.splitlines() if line.endswith('.json')]


def test_split_replaces_no_other_file(data, capsys):
    label_forms.write_voc(data, 'voc')
    for path in ('voc.json', 'data/train.1@10.json', 'data/train-val.json'):
        Path(path).write_text(MINE)
    before = contents()
    for words, named in (
        (['voc', '--percent', '50', '--folds', '1', '--out-dir', '.'], 'voc.json'),
        (['data/train.json', '--percent', '10', '--folds', '2'], 'data/train.1@10.json'),
        (['data/train.json', '--val', '0.2'], 'data/train-val.json'),
    ):
        assert split(*words) == 2
        said = error_after_notes(capsys)
        assert said.startswith(f'sssd: error: {named} is there with another content') and 'move it away, or' in said
        assert contents() == before


def error_after_notes(capsys):
    """The last line, as `split` tells what it reads before."""
    return capsys.readouterr().err.splitlines()[-1]


def test_split_names_every_file_and_may_be_repeated(data, capsys):
    label_forms.write_voc(data, 'voc')
    for words in (
        ['voc', '--percent', '50', '--folds', '2', '--out-dir', 'out'],
        ['data/train.json', '--val', '0.2', '--count', '4', '2', '--folds', '2', '--out-dir', 'parts'],
        ['data/train.json', '--percent', '20', '20.0', '--folds', '1', '--out-dir', 'twice'],
    ):
        assert split(*words) == 0
        files, out = written(capsys), words[-1]
        assert sorted(files) == sorted(contents(out))
        before = contents(out)
        assert split(*words) == 0 and written(capsys) == files and contents(out) == before


def test_a_split_that_differs_in_one_file_writes_none(data, capsys):
    words = ['data/train.json', '--percent', '20', '50', '--folds', '2', '--out-dir', 'out']
    assert split(*words) == 0
    Path('out/train.2@50-unlabeled.json').write_text(MINE)
    Path('out/train.1@20.json').unlink()
    before = contents('out')
    assert split(*words) == 2
    assert 'out/train.2@50-unlabeled.json is there' in error_after_notes(capsys) and contents('out') == before
    assert split(*words, '--seed', '1') == 2
    assert ' (and 6 more of these files) is there' in error_after_notes(capsys) and contents('out') == before
    Path('out/train.2@50-unlabeled.json').unlink()
    assert split(*words) == 0 and len(contents('out')) == 8


@pytest.mark.parametrize('out', ['file', 'file/deep', '/proc/none', '/proc/none/deep'])
@pytest.mark.parametrize('words', [['--percent', '20', '--folds', '1'], ['--val', '0.2']])
def test_where_split_cannot_write(data, capsys, out, words):
    Path('file').write_text(MINE)
    assert split('data/train.json', *words, '--out-dir', out) == 2
    assert re.match(
        rf'sssd: error: {out} cannot be written \(.*\): .* name another folder\.$', error_after_notes(capsys)
    )


def test_parts_in_another_folder_say_where_their_images_are(data, capsys):
    label_forms.write_voc(data, 'voc')
    images = Path('voc/JPEGImages').resolve()
    assert split('voc', '--val', '0.2', '--out-dir', 'parts') == 0
    assert split('parts/voc-train.json', '--val', '0.3', '--percent', '50', '--folds', '1', '--out-dir', 'deep/er') == 0
    assert split('parts/voc-train.json', '--percent', '40', '--folds', '1', '--out-dir', 'deep/er') == 0
    shutil.move('data/train', 'elsewhere')
    assert split('data/train.json', '--images', 'elsewhere', '--percent', '30', '--folds', '1', '--out-dir', 'far') == 0
    for path in written(capsys):
        found = Path(read_labels(path).images).resolve()
        assert found == (Path('elsewhere').resolve() if path.startswith('far') else images)
    assert (
        init(labeled='deep/er/voc-train.1@40.json', unlabeled=('--unlabeled', 'deep/er/voc-train.1@40-unlabeled.json'))
        == 0
    )


def test_split_passes_over_no_folder_of_images(data, capsys):
    assert split('data/train.json', '--percent', '30', '--images', 'nowhere', '--out-dir', 'out') == 2
    assert '--images nowhere is no folder' in error(capsys) and not Path('out').exists()


def test_split_without_an_amount_writes_nothing(data, capsys):
    label_forms.write_voc(data, 'voc')
    assert split('voc', '--out-dir', 'out') == 2
    assert 'name one with --percent or --count' in error(capsys) and not Path('out').exists()


# --- others


def test_features_replace_no_other_file(data, capsys):
    for path in ('data/train.json', 'data/train'):
        before = contents()
        assert main(['features', '--out', path, '--wheel', 'none.whl']) == 2
        assert f'--out {path} is there, and was not written by `sssd features`' in error(capsys)
        assert contents() == before
    assert main(['features', '--out', 'data/train.json/f.pth', '--wheel', 'none.whl']) == 2
    assert 'data/train.json/f.pth cannot be written (Not a directory)' in error(capsys)


def test_recapture_replaces_no_annotation_file_of_another_origin(data, capsys):
    assert main(['recapture', 'data/train.json', 'data/train', 'seen']) == 0
    before = contents('seen')
    assert main(['recapture', 'data/train.json', 'data/train', 'seen']) == 0 and contents('seen') == before
    Path('other').mkdir()
    coco = json.loads(Path('data/train.json').read_text())
    Path('other/train.json').write_text(json.dumps(dict(coco, images=coco['images'][:5])))
    assert main(['recapture', 'other/train.json', 'data/train', 'seen']) == 2
    assert 'seen/train.json is there with another content' in error_after_notes(capsys) and contents('seen') == before


@pytest.mark.parametrize('words', [['toy'], ['recapture', 'data/train.json', 'data/train']])
def test_where_a_data_set_cannot_be_made(data, capsys, words):
    assert main([*words, '/proc/none']) == 2
    assert '/proc/none cannot be written (' in error_after_notes(capsys)

"""The walk of docs/your_own_data.md from an empty folder, its very lines: COCO, VOC and YOLO."""

import json
import re
import shlex
import shutil
from pathlib import Path

import label_forms
import pytest

from sssd.__main__ import main
from sssd.cli._config import config_of

CLASSES = ('disc', 'bar')
#: Labelled images, and images without labels.
LABELED, UNLABELED = 10, 4


def write_coco(data, val, root):
    """A file beside its images; a fifth of them is kept to evaluate on."""
    shutil.copytree(data.img_dir, root / 'train')  # which makes data/mine
    shutil.copy(data.ann_file, root / 'train.json')


def write_voc(data, val, root):
    """``Annotations`` and ``JPEGImages``, without lists."""
    label_forms.write_voc(data, root)


def write_yolo(data, val, root):
    """Ultralytics' folders, with a part to evaluate on."""
    for part, images in (('train', data), ('val', val)):
        label_forms.write_yolo_part(images, root / 'images' / part, root / 'labels' / part, CLASSES)
    (root / 'data.yaml').write_text(f'train: images/train\nval: images/val\nnames: {list(CLASSES)}\n')


WRITERS = dict(COCO=write_coco, VOC=write_voc, YOLO=write_yolo)


@pytest.fixture
def made(tmp_path, make_tiny_coco, monkeypatch):
    """Labelled images and some to evaluate on; ``data/unlabeled`` in the present folder, which is empty else."""
    sets = [
        make_tiny_coco(tmp_path / f'made/{number}', num_images=count, classes=CLASSES, seed=number)
        for number, count in enumerate((LABELED, 3, UNLABELED))
    ]
    (tmp_path / 'empty').mkdir()
    monkeypatch.chdir(tmp_path / 'empty')
    monkeypatch.setenv('TORCH_HOME', str(tmp_path / 'torch'))
    monkeypatch.delenv('SSSD_FEATURES', raising=False)
    shutil.copytree(sets[2].img_dir, 'data/unlabeled')
    return sets[:2]


def walk(repo_root):
    """The blocks of the page's first section: lines of init by form, the commands after it, those of a first look."""
    text = (repo_root / 'docs/your_own_data.md').read_text()
    section = text.partition('\n## The whole walk\n')[2].partition('\n## ')[0]
    first, rest, look = re.findall(r'```bash\n(.*?)```', section, flags=re.S)
    lines = first.splitlines()
    inits = {form.removeprefix('# '): line for form, line in zip(lines[::2], lines[1::2])}
    return inits, rest.splitlines(), look.replace('\\\n', '').splitlines()


def words_of(line):
    """The words of a command after `sssd`."""
    words = shlex.split(line, comments=True)
    assert words[0] == 'sssd'
    return words[1:]


@pytest.mark.slow
@pytest.mark.parametrize('form', WRITERS)
def test_the_walk(made, repo_root, form, capsys):
    """Every command ends with 0, and leaves what the page says."""
    WRITERS[form](*made, Path('data/mine'))
    inits, rest, _ = walk(repo_root)
    assert set(inits) == set(WRITERS)
    assert main([*words_of(inits[form]), '--preset', 'small', '--no-trial', '--weights', 'none']) == 0
    for line in rest:
        line = line.replace('studies/mine/', 'studies/mine_quick/')  # where --quick puts its runs
        words = words_of(line)
        quick = ['--quick'] if form == 'COCO' else ['--quick', '--runs', 'sed']
        more = dict(study=quick, predict=['--threshold', '0', '--device', 'cpu']).get(words[0], [])
        assert main([*words, *more]) == 0, line
    out = capsys.readouterr().out
    assert 'mine_quick' in out and f'{UNLABELED} images, ' in out
    assert {path.name for path in Path('detector').iterdir()} >= {'config.py', 'model.pth', 'README.md', 'predict.py'}
    labels = json.loads(Path('labels/labels.json').read_text())
    assert sorted(kind['name'] for kind in labels['categories']) == sorted(CLASSES)
    assert len(labels['images']) == UNLABELED
    assert len(list(Path('labels/drawn').iterdir())) == UNLABELED


def test_a_first_look(made, repo_root, capsys):
    """Its lines are those of the walk, for fewer iterations and smaller images, in folders of their own."""
    write_coco(*made, Path('data/mine'))
    first, study, export, predict = map(words_of, walk(repo_root)[2])
    assert main([*first, '--preset', 'small', '--no-trial', '--weights', 'none']) == 0
    assert 'images: 160 pixels' in capsys.readouterr().out
    assert config_of('configs/look/sed.py').train_cfg.max_iters == 100
    assert main([*study, '--dry-run']) == 0
    run, folder = export[1:3]
    assert f'{run} ' in capsys.readouterr().out and (predict[1], predict[-1]) == (folder, f'{folder}/labels')

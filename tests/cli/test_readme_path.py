"""The path of README as it is written, from labelled photographs to labels for others, without a network."""

import json
import re
import shlex
import shutil
import socket
from pathlib import Path

import label_forms
import pytest
import torch
from PIL import Image

from sssd.__main__ import main
from sssd.cli._config import config_of

#: Photographs of the trial, of which so many are labelled.
COUNT, LABELED = 20, 10


@pytest.fixture
def photographs(tmp_path, make_tiny_coco, monkeypatch):
    """What a new user has, in the present folder: photographs of one class, half of them with an XML file of VOC."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv('TORCH_HOME', str(tmp_path / 'torch'))
    monkeypatch.delenv('SSSD_FEATURES', raising=False)

    def no_network(*args, **kwargs):
        raise socket.gaierror(-3, 'Temporary failure in name resolution')

    monkeypatch.setattr(socket, 'getaddrinfo', no_network)
    data = make_tiny_coco(tmp_path / 'made', num_images=COUNT, classes=('disc',))
    label_forms.write_voc(data, tmp_path / 'mine')
    for path in sorted(Path('mine/Annotations').iterdir())[LABELED:]:
        path.unlink()
    return Path('mine')


def commands(readme, name):
    """The words of README's commands `python -m sssd NAME`, or `sssd NAME`, without comments."""
    lines = re.findall(rf'(?:^ *|`)(?:python -m )?sssd ({name} [^`\n]*)', readme, flags=re.MULTILINE)
    return [shlex.split(line, comments=True) for line in lines]


@pytest.mark.slow
def test_from_photographs_to_labels(photographs, repo_root, capsys):
    """init, doctor, study, test, export and predict; of the study the two iterations of --quick."""
    readme = (repo_root / 'README.md').read_text()
    (words,) = commands(readme, 'init')
    shutil.copytree(photographs / 'JPEGImages', 'unlabeled')
    for path in sorted((photographs / 'Annotations').iterdir()):
        (Path('unlabeled') / path.with_suffix('.png').name).unlink()
    places = dict(EXPORT='mine', FOLDER='unlabeled')
    assert main([places.get(word, word) for word in words]) == 0
    said = capsys.readouterr().out
    assert 'chosen: preset: small' in said and re.search(r'estimate: \d.* in all \(few \d', said)
    assert main(commands(readme, 'doctor')[0]) == 0
    capsys.readouterr()
    assert main([*commands(readme, 'study')[0], '--quick']) == 0
    assert '[2/2] sed, seed 0' in (table := capsys.readouterr().out) and 'mine_quick' in table
    run = Path('work_dirs/studies/mine_quick/seed0/sed')
    assert main(['test', 'configs/mine/sed.py', str(run / 'iter_2.pth'), '--work-dir', 'tested']) == 0

    export, predict = commands(readme, 'export')[0], commands(readme, 'predict')[0]
    assert export[1] == 'work_dirs/studies/mine/seed0/sed'
    assert main(['export', str(run), *export[2:]]) == 0
    assert 'sssd' not in (Path('detector') / 'config.py').read_text()
    capsys.readouterr()
    places = dict(PHOTOS='unlabeled')
    assert main([*(places.get(word, word) for word in predict), '--device', 'cpu', '--threshold', '0.0']) == 0
    assert f'{COUNT - LABELED} images, ' in capsys.readouterr().out
    labels = Path('labels/labels.json')
    assert [name['name'] for name in json.loads(labels.read_text())['categories']] == ['disc']


def test_a_new_user_with_photographs_in_one_folder(photographs, capsys):
    """No --unlabeled and no --val: those without an XML file are the former, a fifth of the others the latter."""
    assert main(['init', 'configs/mine', '--labeled', 'mine', '--image-size', '64', '--iters', '1']) == 0
    said = capsys.readouterr().out
    assert f'the {COUNT - LABELED} of the {COUNT} images in mine/JPEGImages that have no labels' in said
    names = set(Path('configs/mine/data/unlabeled.txt').read_text().split())
    labelled = {path.with_suffix('.png').name for path in Path('mine/Annotations').iterdir()}
    assert len(names) == COUNT - LABELED and not names & labelled
    parts = [json.loads(Path(f'configs/mine/data/{part}.json').read_text()) for part in ('train', 'val')]
    assert [len(part['images']) for part in parts] == [8, 2]
    model = config_of('configs/mine/sed.py').model
    assert model.detector.roi_head.bbox_head.num_classes == 1
    assert model.detector.data_preprocessor.pad_size_divisor == 64

    # The same folder named as that of the unlabelled images: labelled ones do not count twice.
    words = ['init', 'configs/two', '--labeled', 'mine', '--unlabeled', 'mine/JPEGImages', '--no-trial']
    assert main(words) == 0
    assert f'{LABELED} of the images in mine/JPEGImages are labelled ones' in capsys.readouterr().out
    assert set(Path('configs/two/data/unlabeled.txt').read_text().split()) == names

    text = Path('mine/Annotations/0000.xml').read_text()
    for number in range(COUNT):  # all labelled: nothing is left
        Path(f'mine/Annotations/{number:04d}.xml').write_text(text.replace('0000.png', f'{number:04d}.png'))
    assert main(['init', 'configs/three', '--labeled', 'mine', '--no-trial']) == 2
    assert f'all {COUNT} images in mine/JPEGImages are named by the labels: name the folder' in capsys.readouterr().err
    assert not Path('configs/three').exists()


def test_features_of_imagenet_are_used_where_they_are(photographs, capsys):
    """MobileNetV2's file of `sssd features` in the present folder."""
    from mmdet.models.backbones import MobileNetV2

    Path('data/features').mkdir(parents=True)
    torch.save(dict(state_dict=MobileNetV2().state_dict()), 'data/features/mobilenet_v2_imagenet.pth')
    assert main(['init', 'configs/mine', '--labeled', 'mine', '--image-size', '64', '--iters', '2']) == 0
    assert 'weights: data/features/mobilenet_v2_imagenet.pth, MobileNetV2' in capsys.readouterr().out
    detector = config_of('configs/mine/sed.py').model.detector
    assert detector.backbone.type == 'MobileNetV2' and detector.backbone.init_cfg.checkpoint.endswith('imagenet.pth')
    fast = [
        f'{part}_dataloader.{key}' for part in ('train', 'val') for key in ('num_workers=0', 'persistent_workers=0')
    ]
    assert main(['train', 'configs/mine/sed.py', '--work-dir', 'run', '--cfg-options', *fast]) == 0
    state = torch.load('run/iter_2.pth', weights_only=False)['state_dict']
    wanted = torch.load('data/features/mobilenet_v2_imagenet.pth')['state_dict']
    assert torch.equal(state['teacher.backbone.conv1.conv.weight'], wanted['conv1.conv.weight'])


def test_all_labels_are_a_third_run(photographs, make_tiny_coco, tmp_path, capsys):
    """Labels of the unlabelled images as well: the images that are evaluated on are left out of them."""
    whole = tmp_path / 'made/annotations.json'
    words = ['init', 'configs/mine', '--labeled', 'mine', '--all-labels', str(whole), '--no-trial']
    assert main(words) == 0
    out = capsys.readouterr().out
    assert 'train configs/mine/all.py' in out and 'trains all of them, and writes a table' in out
    content = json.loads(Path('configs/mine/data/all.json').read_text())
    assert len(content['images']) == COUNT  # they are other files than those of the VOC set
    assert {run: config_of(f'configs/mine/{run}.py') for run in ('all',)}['all'].train_dataloader.dataset.ann_file == (
        'configs/mine/data/all.json'
    )
    assert 'all=dict(config=' in Path('configs/mine/study.py').read_text()
    with Image.open(tmp_path / 'made/images/0000.png') as image:
        assert image.size == (96, 72)

"""Damaged labels of every form: the doctor and the reader of ``init`` tell what is wrong, without a traceback."""

import io
import random
import re
import shutil
from pathlib import Path

import pytest
import tiny_voc
from mmengine.config import Config
from mmengine.registry import init_default_scope
from rich.console import Console

from sssd.checks.data import examine
from sssd.cli.doctor import show
from sssd.datasets.labels import own_validation, read_labels
from sssd.errors import UserError

WORDS = [
    *(
        'nan',
        'inf',
        '-1',
        '1e999',
        '9' * 5000,
        '0x1F',
        '1_000',
        '',
        '\0',
        'null',
        'true',
        '/dev/zero',
        '../..',
        '{',
        '[',
    ),
    *('<a>', '</object>', '<object/>', '<size/>', '<bndbox/>', '<name/>', '<difficult/>', '&amp;', '&#0;', '<![CDATA['),
    *('*a', '&a ', '- ', ': ', '? ', '<<: ', '--- ', '\t', '!!python/object:os.system '),
]


def mutated(content, chance):
    """Bytes with one to four changes."""
    for _ in range(chance.choice([1, 1, 2, 4])):
        start = chance.randrange(len(content) + 1)
        end = min(len(content), start + chance.choice([1, 3, 10, 40]))
        word = chance.choice(WORDS).encode()
        tokens = list(re.finditer(rb'[0-9.]+|[a-z]+', content)) or [re.match(b'', b'')]
        token = chance.choice(tokens)
        content = chance.choice(
            [
                content[:start] + content[end:],
                content[:start] + bytes([chance.randrange(256)]) + content[start:],
                content[:start] + word + content[end:],
                content[: token.start()] + word + content[token.end() :],
                content[:start] + content[start:end] * 40 + content[start:],
                content[:start],
                content.decode('latin1').encode('utf-16'),
            ]
        )
    return content


@pytest.fixture(scope='module')
def voc(tmp_path_factory):
    return tiny_voc.write_tiny_voc(tmp_path_factory.mktemp('voc') / 'VOCdevkit') / 'VOC2007'


@pytest.fixture(scope='module')
def yolo(tmp_path_factory, voc):
    root = tmp_path_factory.mktemp('yolo')
    for name in ('images', 'labels'):
        (root / name).mkdir()
    for image in sorted((voc / 'JPEGImages').iterdir())[:3]:
        shutil.copy(image, root / 'images')
        label = '0 0.5 0.5 0.2 0.2\n1 0.1 0.1 0.2 0.2 0.3 0.3\n'
        (root / 'labels' / image.with_suffix('.txt').name).write_text(label)
    names = 'nc: 2\nnames:\n  0: dog\n  1: car\n'
    (root / 'data.yaml').write_text(f'path: .\ntrain: images\nval: images\n{names}')
    return root


def doctor(voc):
    """The doctor's report on the set under XMLDataset."""
    init_default_scope('mmdet')
    dataset = dict(
        type='XMLDataset',
        data_root=f'{voc}/',
        ann_file='ImageSets/Main/trainval.txt',
        data_prefix=dict(sub_data_root=''),
        metainfo=dict(classes=('dog', 'car')),
        filter_cfg=dict(filter_empty_gt=True, min_size=32, bbox_min_size=3),
        pipeline=[dict(type='LoadImageFromFile'), dict(type='LoadAnnotations', with_bbox=True)],
    )
    findings = examine(Config(dict(model=dict(), train_dataloader=dict(dataset=dataset))), ('train',), True).findings
    show(Console(file=io.StringIO()), 'config.py', findings)
    return findings


def read(root):
    read_labels(root)
    own_validation(root)


@pytest.mark.parametrize('seed', range(4))
@pytest.mark.parametrize(
    'name, calls',
    [
        ('Annotations/000002.xml', [doctor, read]),
        ('ImageSets/Main/trainval.txt', [doctor, read]),
        ('labels/000001.txt', [read]),
        ('data.yaml', [read]),
    ],
)
def test_damage_is_told_or_borne(request, monkeypatch, name, calls, seed):
    root = request.getfixturevalue('yolo' if name.startswith(('labels', 'data')) else 'voc')
    monkeypatch.chdir(root.parent)
    path, chance = Path(root / name), random.Random(seed)
    content = path.read_bytes()
    try:
        for _ in range(15):
            path.write_bytes(mutated(content, chance))
            for call in calls:
                try:
                    call(root)
                except UserError as error:
                    assert str(error)
    finally:
        path.write_bytes(content)

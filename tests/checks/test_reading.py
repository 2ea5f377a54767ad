"""Whatever an annotation file holds: a sentence that names it, in each way to read it, or what it says is right."""

import copy
import json
import random

import pytest

from sssd.checks.data import check_data, examine
from sssd.datasets.json_io import read_coco
from sssd.datasets.splits import make_splits
from sssd.errors import UserError
from sssd.registry import DATASETS

VALUES = [
    None, True, 0, -1, 3.5, 10**400, float('nan'), float('inf'), '', '7', 'nul\0', [], [1], [[1]], {}, {'a': 1},
    [1, 2, 3], [1, 2, 3, 4, 5], ['1', '2', '3', '4'], [None] * 4, [[1], [2], [3], [4]], '../a.png', '/abs.png',
]  # fmt: skip
PLACES = [
    (),
    ('images',), ('annotations',), ('categories',),
    ('images', 1), ('annotations', 1), ('categories', 1),
    ('images', 1, 'id'), ('images', 1, 'file_name'), ('images', 1, 'width'), ('images', 1, 'height'),
    ('annotations', 1, 'id'), ('annotations', 1, 'image_id'), ('annotations', 1, 'category_id'),
    ('annotations', 1, 'bbox'), ('annotations', 1, 'area'), ('annotations', 1, 'iscrowd'),
    ('annotations', 1, 'bbox', 2), ('categories', 1, 'id'), ('categories', 1, 'name'),
]  # fmt: skip


def put(content, place, value):
    """The content with a value at a place."""
    if not place:
        return value
    content = copy.deepcopy(content)
    inner = content
    for key in place[:-1]:
        inner = inner[key]
    inner[place[-1]] = value
    return content


def told(sets, file):
    """What the doctor, the checks before a training and the reader say; each raises nothing but a UserError."""
    findings = examine(sets.cfg, thorough=True).findings
    for call in (lambda: check_data(sets.cfg), lambda: read_coco(file), lambda: make_splits(file, counts=[3], folds=1)):
        try:
            call()
        except UserError as error:
            assert '\n' not in str(error) or ' mistakes:\n  1. ' in str(error)
    for finding in findings.of('error'):
        assert '\n' not in finding.text and finding.text.endswith(('.', '`.')), finding.text
    return findings


@pytest.mark.parametrize('part', ['train', 'val'])
@pytest.mark.parametrize('place', PLACES, ids=lambda place: '.'.join(map(str, place)) or 'root')
def test_any_value_at_any_place(sets, part, place):
    sound = json.loads(sets.file(part).read_text())
    for value in VALUES:
        sets.file(part).write_text(json.dumps(put(sound, place, copy.deepcopy(value))))
        findings = told(sets, sets.file(part))
        errors = [finding for finding in findings.of('error') if str(sets.file(part)) in finding.text]
        if not errors:  # then it is something that mmdet reads as it is meant
            dataset = sets.train if part == 'train' else sets.cfg.val_dataloader.dataset
            assert len(DATASETS.build(dataset)) == (6 if part == 'train' else 3), (place, value)


def test_any_value_at_any_place_of_a_file_of_unlabelled_images(sets):
    from mmengine.config import ConfigDict

    content = json.loads(sets.file('val').read_text())
    listed = sets.root / 'listed.json'
    source = dict(sets.train.to_dict(), data_root=f'{sets.root}/val/', ann_file=str(listed), filter_cfg=None)
    source['pipeline'] = sets.unlabelled.pipeline
    sets.cfg.train_dataloader.dataset.datasets[1] = ConfigDict(source)
    for place in PLACES:
        for value in VALUES[:12]:
            listed.write_text(json.dumps(put(content, place, copy.deepcopy(value))))
            findings = told(sets, listed)
            if not any(str(listed) in finding.text for finding in findings.of('error')):
                assert len(DATASETS.build(source)) == 3, (place, value)


@pytest.mark.parametrize('key', ['id', 'file_name', 'width', 'image_id', 'category_id', 'bbox', 'area', 'name'])
def test_a_field_that_is_missing(sets, key):
    name = next(n for n in ('images', 'annotations', 'categories') if key in json.loads(sets.file().read_text())[n][1])
    sets.edit(lambda coco: coco[name][1].pop(key))
    errors = told(sets, sets.file()).of('error')
    assert any(f"'{key}'" in e.text or key == 'area' and 'without an area' in e.text for e in errors)


@pytest.mark.parametrize('encode', ['utf-8-sig', 'utf-16', 'utf-16-be', 'utf-32'])
@pytest.mark.parametrize('part', ['train', 'val'])
def test_encodings_that_pycocotools_does_not_read(sets, encode, part):
    sets.file(part).write_text(sets.file(part).read_text(), encode)
    found = sets.findings()['encoding']
    assert (
        found.level == 'error'
        and 'save it as UTF-8' in found.text
        and 'byte-order' in found.text
        or 'UTF' in found.text
    )
    assert len(read_coco(sets.file(part))['images']) == (6 if part == 'train' else 3), 'the reader takes it'


@pytest.mark.parametrize(
    'content, words',
    [
        (b'', 'it is empty'),
        (b'\xff\xfe\x00', 'no valid JSON'),
        (b'{"images": ["\xe9"]}', 'save it as UTF-8'),
        (b'[' * 100000, 'nested too deeply'),
        (b'{"images": [', 'no valid JSON'),
        (b'\x89PNG\r\n', 'no valid JSON'),
        (b'"text"', 'it lacks the list'),
        (b'{"images": {"1": {}}, "annotations": [], "categories": []}', 'it lacks the list(s) images'),
        (b'[' + b'9' * 5000 + b']', ''),
    ],
)
def test_what_is_no_coco_file(sets, content, words):
    sets.file().write_bytes(content)
    errors = [finding.text for finding in told(sets, sets.file()).of('error')]
    assert any(str(sets.file()) in text and words in text for text in errors), errors


def test_keys_that_stand_twice(sets):
    text = sets.file().read_text()
    sets.file().write_text(text.replace('"bbox":', '"bbox": [1, 1, 9, 9], "bbox":', 1))
    assert '1 object with a key twice' in sets.findings()['duplicate-key'].text
    sets.file().write_text(text[:-1] + ', "annotations": []}')
    assert "('annotations')" in sets.findings()['duplicate-key'].text


@pytest.mark.parametrize('kind', ['folder', 'pipe'])
def test_files_that_are_none(sets, kind):
    import os

    sets.file().unlink()
    sets.file().mkdir() if kind == 'folder' else os.mkfifo(sets.file())
    assert f'is a {kind}: give a JSON file' in told(sets, sets.file()).of('error')[0].text


@pytest.mark.parametrize('seed', range(20))
def test_files_that_are_cut_or_have_wrong_bytes(sets, seed):
    draw = random.Random(seed)
    content = bytearray(sets.file().read_bytes())
    for _ in range(draw.randint(1, 6)):
        content[draw.randrange(len(content))] = draw.randrange(256)
    if seed % 3 == 0:
        del content[draw.randrange(len(content)) :]
    sets.file().write_bytes(bytes(content))
    told(sets, sets.file())

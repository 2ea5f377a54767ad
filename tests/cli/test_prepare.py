"""``python -m sssd prepare``: what is told of a data set, what is written, what is refused."""

import shutil

import pytest
import tiny_voc

from sssd.__main__ import main


@pytest.fixture
def coco(tmp_path, make_tiny_coco):
    """COCO 2017 in small, without the unlabelled images."""
    for name, count in (('train', 20), ('val', 4)):
        data = make_tiny_coco(tmp_path / name, num_images=count)
        shutil.move(data.img_dir, tmp_path / f'coco/{name}2017')
        (tmp_path / 'coco/annotations').mkdir(exist_ok=True)
        shutil.move(data.ann_file, tmp_path / f'coco/annotations/instances_{name}2017.json')
    return tmp_path / 'coco'


def test_the_folds_of_coco(coco, capsys):
    assert main(['prepare', 'coco', '--root', str(coco), '--any-count', '--percent', '10', '20', '--folds', '2']) == 0
    out = capsys.readouterr().out
    files = sorted(path.name for path in coco.glob('annotations/*@*'))
    assert files == [
        f'instances_train2017.{fold}@{percent}{part}.json'
        for fold in (1, 2)
        for percent in (10, 20)
        for part in ('-unlabeled', '')
    ]
    assert all(name in out for name in files)
    assert 'unlabeled2017: missing (published: 123403 images, in unlabeled2017.zip; for 100 % of Table 2 only)' in out
    assert '\ntrain2017: 20 images\n' in out


def test_the_four_shares_and_five_folds_are_the_default(coco, make_tiny_coco, tmp_path):
    data = make_tiny_coco(tmp_path / 'more', num_images=100)
    shutil.rmtree(coco / 'train2017')
    shutil.move(data.img_dir, coco / 'train2017')
    shutil.move(data.ann_file, coco / 'annotations/instances_train2017.json')
    assert main(['prepare', 'coco', '--root', str(coco), '--any-count']) == 0
    assert sorted(path.name for path in coco.glob('annotations/*@*-unlabeled.json')) == sorted(
        f'instances_train2017.{fold}@{percent}-unlabeled.json' for fold in range(1, 6) for percent in (1, 2, 5, 10)
    )


def test_looking_writes_nothing(coco, capsys):
    assert main(['prepare', 'coco', '--root', str(coco), '--any-count', '--check']) == 0
    assert not list(coco.glob('annotations/*@*')) and '20 images' in capsys.readouterr().out


def test_other_numbers_than_published_are_refused(coco, capsys):
    assert main(['prepare', 'coco', '--root', str(coco)]) == 2
    err = capsys.readouterr().err
    assert 'train2017 (not as published)' in err and 'or accept a part of the data set by --any-count' in err
    assert 'unlabeled2017' not in err and not list(coco.glob('annotations/*@*'))


@pytest.mark.parametrize(
    'name, words',
    [
        (
            'coco',
            (
                'train2017 (missing)',
                'come with train2017.zip, annotations_trainval2017.zip, val2017.zip',
                'https://cocodataset.org/#download',
            ),
        ),
        (
            'coco35k',
            (
                'instances_minival2014.json (missing)',
                'annotations_trainval2014.zip and annotations_trainval2017.zip',
                'instances_minival2014.json is in no archive: prepare makes it from instances_val2014.json',
            ),
        ),
        (
            'voc',
            ('VOC2007/ImageSets/Main/test.txt (missing)', 'VOCtest_06-Nov-2007.tar', 'VOC/voc2007/', 'VOC/voc2012/'),
        ),
    ],
)
def test_where_missing_parts_come_from(name, words, tmp_path, capsys):
    assert main(['prepare', name, '--root', str(tmp_path)]) == 2
    err = capsys.readouterr().err
    assert err.count('\n') == 1 and all(word in err for word in words) and str(tmp_path) in err


def test_voc(tmp_path, capsys):
    root = tiny_voc.write_tiny_voc(tmp_path / 'VOCdevkit')
    before = sorted(root.rglob('*'))
    assert main(['prepare', 'voc', '--root', str(root), '--any-count']) == 0
    assert sorted(root.rglob('*')) == before
    assert main(['prepare', 'voc', '--root', str(root)]) == 2


def test_an_archive_that_is_not_the_published_one(tmp_path, capsys):
    root = tiny_voc.write_tiny_voc(tmp_path / 'VOCdevkit')
    (tmp_path / 'VOCtest_06-Nov-2007.tar').write_bytes(b'half of it')
    assert main(['prepare', 'voc', '--root', str(root), '--any-count', '--archives', str(tmp_path)]) == 2
    told = capsys.readouterr()
    assert 'another MD5 than published' in told.out
    assert 'VOCtest_06-Nov-2007.tar in' in told.err and 'download again' in told.err

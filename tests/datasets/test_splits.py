"""Labelled and unlabelled splits."""

import hashlib
import json

import pytest
from mmdet.datasets import CocoDataset

from sssd.cli import split as split_cli
from sssd.datasets.splits import hash_order, make_splits
from sssd.errors import UserError

ORDER_FOLD_1 = [3, 4, 10, 8, 1, 2, 5, 9, 7, 6]
ORDER_FOLD_2 = [6, 2, 10, 3, 7, 1, 8, 9, 4, 5]


def write(path, content):
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def read(path):
    return json.loads(path.read_text())


def ids(coco):
    return [image['id'] for image in coco['images']]


@pytest.fixture
def source(make_tiny_coco, tmp_path):
    return make_tiny_coco(tmp_path / 'set', num_images=20).ann_file


def test_the_order_is_the_same_everywhere():
    assert hash_order(range(1, 11), 0, 1) == ORDER_FOLD_1
    assert hash_order(range(1, 11), 0, 2) == ORDER_FOLD_2
    assert hash_order(range(10, 0, -1), 0, 1) == ORDER_FOLD_1
    by_hand = min(range(1, 11), key=lambda i: hashlib.sha256(f'0:1:{i}'.encode()).hexdigest())
    assert ORDER_FOLD_1[0] == by_hand


def test_parts_are_disjoint_complete_and_named_as_in_mmdet(source, tmp_path):
    written = make_splits(source, tmp_path / 'out', percents=[10, 2.5 * 10], folds=3, progress=False)
    assert [path.name for path in written[0]] == ['annotations.1@10.json', 'annotations.1@10-unlabeled.json']
    assert len(written) == 6 and written[-1][0].name == 'annotations.3@25.json'
    whole = read(source)
    for (labeled, unlabeled), count in zip(written, [2, 2, 2, 5, 5, 5]):
        labeled, unlabeled = read(labeled), read(unlabeled)
        assert len(ids(labeled)) == count
        assert sorted(ids(labeled) + ids(unlabeled)) == sorted(ids(whole))
        chosen = set(ids(labeled))
        assert labeled['annotations'] == [a for a in whole['annotations'] if a['image_id'] in chosen]
        assert unlabeled['annotations'] == []
        assert labeled['categories'] == unlabeled['categories'] == whole['categories']


def test_folds_and_seeds_differ_runs_do_not_and_small_parts_nest(source, tmp_path):
    def chosen(folder, **options):
        return [
            frozenset(ids(read(labeled)))
            for labeled, _ in make_splits(source, tmp_path / folder, progress=False, **options)
        ]

    folds = chosen('a', percents=[30], folds=5)
    assert len(set(folds)) == 5
    assert chosen('b', percents=[30], folds=5) == folds
    assert chosen('c', percents=[30], folds=5, seed=1) != folds
    assert chosen('d', counts=[2], folds=1)[0] < folds[0]


def test_info_says_where_a_split_comes_from(source, tmp_path):
    coco = dict(read(source), info=dict(year=2017))
    write(source, coco)
    ((labeled, unlabeled),) = make_splits(source, counts=[4], folds=1, seed=7, progress=False)
    assert labeled.parent == source.parent and labeled.name == 'annotations.1@4images.json'
    info = read(labeled)['info']
    assert info['year'] == 2017
    assert info['split'] == dict(
        source=dict(file='annotations.json', sha256=hashlib.sha256(source.read_bytes()).hexdigest()),
        seed=7,
        fold=1,
        num_labeled=4,
        order='sha256("<seed>:<fold>:<image id>")',
        part='labeled',
    )
    assert read(unlabeled)['info']['split']['part'] == 'unlabeled'


@pytest.mark.parametrize('bbox', [[1, 2, 3], None, 'all'])
def test_a_box_that_is_none_is_named(source, bbox):
    coco = read(source)
    coco['annotations'][1]['bbox'] = bbox
    write(source, coco)
    with pytest.raises(UserError, match="the bbox of entry 1 of 'annotations' is .* has to be "):
        make_splits(source, counts=[4], folds=1, progress=False)


def test_annotations_of_the_unlabelled_part_can_be_kept(source):
    ((_, unlabeled),) = make_splits(source, counts=[4], folds=1, keep_annotations=True, progress=False)
    hidden = set(ids(read(unlabeled)))
    assert read(unlabeled)['annotations'] == [a for a in read(source)['annotations'] if a['image_id'] in hidden]


def test_mmdet_reads_both_parts(source):
    ((labeled, unlabeled),) = make_splits(source, counts=[4], folds=1, progress=False)
    options = dict(data_prefix=dict(img=''), metainfo=dict(classes=('disc', 'bar')), pipeline=[])
    labelled = CocoDataset(ann_file=str(labeled), filter_cfg=dict(filter_empty_gt=True), **options)
    assert len(labelled) == 4 and labelled.get_data_info(0)['instances']
    assert len(CocoDataset(ann_file=str(unlabeled), **options)) == 16


def test_a_repeated_split_is_left_as_it_is_and_no_other_file_is_replaced(source, tmp_path):
    """As a study asks for it each time it goes on."""

    def made(**options):
        return make_splits(source, tmp_path / 'out', percents=[10, 30], folds=2, progress=False, **options)

    files = [path for pair in made() for path in pair]
    times = [path.stat().st_mtime_ns for path in files]
    assert [path for pair in made() for path in pair] == files
    assert [path.stat().st_mtime_ns for path in files] == times
    coco = read(source)
    files[3].write_text('{}')
    for options in ({}, dict(seed=1), dict(keep_annotations=True)):
        with pytest.raises(UserError, match='is there with another content .* move it away, or name another folder'):
            made(**options)
    files[3].unlink()
    write(source, dict(coco, images=coco['images'][::-1]))
    with pytest.raises(UserError, match=r'annotations.1@10.json \(and 6 more of these files\) is there'):
        made()
    assert not files[3].exists(), 'nothing is written where not all can be'
    assert [path.stat().st_mtime_ns for path in files if path is not files[3]] == times[:3] + times[4:]


def test_parts_say_where_the_images_are_as_seen_from_their_folder(source, tmp_path):
    coco = read(source)
    write(source, dict(coco, info=dict(year=2017, images='images')))
    for out, told in ((None, 'images'), (tmp_path / 'deep/er', '../../set/images')):
        for pair in make_splits(source, out, counts=[4], folds=1, progress=False):
            assert [read(path)['info']['images'] for path in pair] == [told, told]
    ((labeled, _),) = make_splits(source, tmp_path, counts=[5], folds=1, images=str(tmp_path / 'x'), progress=False)
    assert read(labeled)['info']['images'] == 'x'


def test_the_command(source, tmp_path, capsys):
    split_cli.main([str(source), '--percent', '10', '--folds', '2', '--out-dir', str(tmp_path / 'o')])
    assert f'{tmp_path}/o/annotations.2@10-unlabeled.json' in capsys.readouterr().out
    assert len(list((tmp_path / 'o').iterdir())) == 4


@pytest.mark.parametrize(
    'options, words',
    [
        (dict(), 'no amount of labelled images was given'),
        (dict(percents=[0]), 'percent=0 must lie above 0 and below 100'),
        (dict(percents=[100]), 'percent=100 must lie above'),
        (dict(percents=[1]), r'1 % of the 20 image\(s\) of .*annotations.json leaves a part'),
        (dict(percents=[99]), '99 % of the 20 .* leaves a part without images'),
        (dict(counts=[20]), 'count=20 must lie above 0 and below the 20'),
        (dict(counts=[0]), 'count=0 must lie above 0'),
        (dict(percents=[10], folds=0), 'folds=0 must be at least 1'),
    ],
)
def test_amounts_out_of_range(source, options, words):
    with pytest.raises(UserError, match=words):
        make_splits(source, progress=False, **options)
    assert list(source.parent.glob('*@*')) == []


def test_a_labelled_part_without_a_box(source):
    coco = read(source)
    labelled = hash_order(ids(coco), 0, 1)[:2]
    coco['annotations'] = [a for a in coco['annotations'] if a['image_id'] not in labelled]
    write(source, coco)
    with pytest.raises(UserError, match=r'the 2 labelled image\(s\) of fold 1 of .* hold no box'):
        make_splits(source, counts=[2], progress=False)


@pytest.mark.parametrize(
    'change, words',
    [
        (lambda coco: 'no json', 'is no valid JSON .*give a COCO'),
        (lambda coco: [1], r'is not in COCO format: it lacks the list\(s\) images, annotations, categories'),
        (lambda coco: {**coco, 'categories': None}, r'lacks the list\(s\) categories'),
        (lambda coco: {**coco, 'images': [dict(id=1)]}, "entry 0 of 'images' has no 'file_name'"),
        (lambda coco: {**coco, 'annotations': [dict(id=1)]}, "entry 0 of 'annotations' has no 'image_id'"),
        (
            lambda coco: {**coco, 'images': coco['images'] + [dict(coco['images'][0], file_name='x')]},
            'lists 2 images with id 1',
        ),
        (
            lambda coco: {**coco, 'images': coco['images'] + [dict(coco['images'][0], id=99)]},
            "lists 2 images with file_name '0000.png'",
        ),
        (
            lambda coco: {**coco, 'images': [dict(image, id=str(image['id'])) for image in coco['images']]},
            r"is that of no entry of 'images', such as 1: write both as whole numbers \(an image has '\d+'\)",
        ),
        (
            lambda coco: {**coco, 'annotations': [dict(coco['annotations'][0], image_id=99)]},
            'such as 99: add the images, or take these annotations out',
        ),
    ],
)
def test_files_that_cannot_be_split(source, change, words):
    write(source, change(read(source)))
    with pytest.raises(UserError, match=words):
        make_splits(source, counts=[2], progress=False)


def test_a_missing_file(tmp_path):
    with pytest.raises(UserError, match=f'annotation file {tmp_path}/no.json does not exist'):
        make_splits(tmp_path / 'no.json', counts=[2])

"""Checks of a config's data before training."""

import copy
import json
import os
import re
import shutil

import pytest
from mmengine.config import Config

from sssd.checks.data import check_data
from sssd.errors import UserError


@pytest.fixture
def cfg(tiny_coco):
    """A semi-supervised config over the tiny set, without any mistake."""
    coco = json.loads(tiny_coco.ann_file.read_text())
    (tiny_coco.root / 'unlabeled.json').write_text(json.dumps(dict(coco, annotations=[])))
    labelled = dict(
        type='CocoDataset',
        data_root=str(tiny_coco.root),
        ann_file='annotations.json',
        data_prefix=dict(img='images/'),
        metainfo=dict(classes=('disc', 'bar')),
        filter_cfg=dict(filter_empty_gt=True, min_size=32),
        pipeline=[dict(type='LoadImageFromFile')],
    )
    unlabelled = dict(labelled, ann_file='unlabeled.json', filter_cfg=None)
    train = dict(
        batch_size=4,
        sampler=dict(type='sssd.MixedSourceSampler', batch_size=4, source_ratio=[1, 1]),
        dataset=dict(type='ConcatDataset', datasets=[labelled, unlabelled]),
    )
    detector = dict(
        type='FasterRCNN',
        backbone=dict(type='ResNet'),
        rpn_head=dict(type='RPNHead', num_classes=1),
        roi_head=dict(bbox_head=[dict(num_classes=2), dict(num_classes=2)]),
    )
    return Config(
        dict(
            model=dict(type='sssd.SED', detector=detector),
            train_dataloader=train,
            val_dataloader=dict(batch_size=1, dataset=copy.deepcopy(dict(labelled, test_mode=True))),
            val_evaluator=dict(type='CocoMetric', ann_file=str(tiny_coco.ann_file)),
        )
    )


def labelled(cfg):
    return cfg.train_dataloader.dataset.datasets[0]


def unlabelled(cfg):
    return cfg.train_dataloader.dataset.datasets[1]


def fails(cfg, words):
    """The check raises sentences, of which one matches ``words``."""
    with pytest.raises(UserError) as caught:
        check_data(cfg)
    first, *others = str(caught.value).splitlines()
    assert not others or first == f'the data have {len(others)} mistakes:'
    sentences = others or [first]
    assert all(sentence.endswith('.') for sentence in sentences)
    assert any(re.search(words, sentence) for sentence in sentences), caught.value


def rewrite(path, **changes):
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def test_a_sound_config_passes_and_is_told(cfg, tiny_coco):
    lines = check_data(cfg)
    assert [line.split(', of ')[0] for line in lines] == [
        'train_dataloader.dataset.datasets[0]: 6 images, 12 boxes, 2 classes',
        'train_dataloader.dataset.datasets[1]: 6 images, 0 boxes, 2 classes',
        'val_dataloader.dataset: 6 images, 12 boxes, 2 classes',
    ]


def test_a_folder_as_the_unlabelled_source_passes(cfg, tiny_coco):
    cfg.train_dataloader.dataset.datasets[1] = dict(
        type='sssd.ImageFolder',
        data_root=str(tiny_coco.root),
        data_prefix=dict(img='images/'),
        metainfo=dict(classes=('disc', 'bar')),
    )
    assert 'datasets[1]: 6 images, unlabelled' in check_data(cfg)[1]


def test_an_unlabelled_json_may_lack_annotations(cfg, tiny_coco):
    path = tiny_coco.root / 'unlabeled.json'
    coco = json.loads(path.read_text())
    del coco['annotations']
    path.write_text(json.dumps(coco))
    assert len(check_data(cfg)) == 3


def test_supervised_configs_and_wrappers_pass(cfg):
    inner = labelled(cfg)
    cfg.train_dataloader = dict(
        batch_size=2, sampler=dict(type='DefaultSampler'), dataset=dict(type='RepeatDataset', times=2, dataset=inner)
    )
    assert check_data(cfg, parts=['train'])[0].startswith('train_dataloader.dataset.dataset: 6 images')
    assert check_data(Config(dict(model=dict()))) == []


def test_missing_json(cfg):
    labelled(cfg).ann_file = 'none.json'
    fails(cfg, r'annotation file .*/none.json of train_dataloader.dataset.datasets\[0\] does not exist')


def test_missing_folder(cfg):
    unlabelled(cfg).data_prefix = dict(img='none/')
    fails(cfg, r'image folder .*/none/ of train_dataloader.dataset.datasets\[1\] does not exist')


def test_an_empty_image_folder(cfg, tmp_path):
    (tmp_path / 'empty').mkdir()
    cfg.train_dataloader.dataset.datasets[1] = dict(type='sssd.ImageFolder', data_root=str(tmp_path / 'empty'))
    fails(cfg, r'image folder .*/empty/? of .*datasets\[1\] holds no image')


def test_json_that_is_not_coco(cfg, tiny_coco):
    tiny_coco.ann_file.write_text('[]')
    fails(cfg, r'annotations.json is not in COCO format: it lacks the list\(s\) images')


@pytest.mark.parametrize(
    'metainfo, words',
    [
        (
            dict(classes=('disc', 'Bar')),
            "metainfo.classes names 'Bar', which .*annotations.json does not have; its categories are 'disc', 'bar'",
        ),
        (None, r"metainfo.classes names 'person', 'bicycle', .* \(80\), which"),
        (dict(classes='disc'), r"metainfo.classes is the text 'disc'; give a tuple such as \('disc',\)"),
    ],
)
def test_class_names_that_do_not_match(cfg, metainfo, words):
    labelled(cfg).metainfo = metainfo
    fails(cfg, words)


def test_different_classes_of_the_sources(cfg):
    unlabelled(cfg).metainfo = dict(classes=('bar', 'disc'))
    fails(cfg, r"datasets\[1\] and .*datasets\[0\] have different classes \('bar', 'disc'; 'disc', 'bar'\)")


@pytest.mark.parametrize(
    'change, words',
    [
        (dict(annotations=[]), "has no box of the classes 'disc', 'bar'"),
        (dict(annotations=[dict(id=1, image_id=1, category_id=1, bbox=[0, 0, 0.5, 9], area=4)]), 'has no box'),
        (dict(annotations=[dict(id=1, image_id=1, category_id=1, bbox=[200, 0, 9, 9], area=4)]), 'has no box'),
        (dict(annotations=[dict(id=1, image_id=1, category_id=1, bbox=[0, 0, 9, 9], area=4, iscrowd=1)]), 'has no box'),
        (dict(images=[], annotations=[]), 'has no image left after filter_cfg'),
    ],
)
def test_a_labelled_set_without_a_box(cfg, tiny_coco, change, words):
    rewrite(tiny_coco.ann_file, **change)
    fails(cfg, words)


def test_a_filter_that_leaves_nothing(cfg):
    labelled(cfg).filter_cfg = dict(min_size=1000)
    fails(cfg, r'annotations.json of .*datasets\[0\] has no image left after filter_cfg')


def test_images_missing_on_disk(cfg, tiny_coco):
    (tiny_coco.img_dir / '0003.png').unlink()
    fails(cfg, '1 of 6 images looked for of .*annotations.json is missing, such as .*images/0003.png')


@pytest.mark.parametrize('content', [b'', b'no image at all'])
def test_an_image_that_is_none(cfg, tiny_coco, content):
    (tiny_coco.img_dir / '0003.png').write_bytes(content)
    fails(cfg, 'image .*images/0003.png cannot be decoded, .* take it out of .*annotations.json')


@pytest.mark.parametrize('option', [dict(ignore_empty=True), dict(imdecode_backend='pillow')])
def test_a_pipeline_that_copes_with_broken_images_is_left_to_it(cfg, tiny_coco, option):
    (tiny_coco.img_dir / '0003.png').write_bytes(b'')
    for dataset in (labelled(cfg), unlabelled(cfg), cfg.val_dataloader.dataset):
        dataset.pipeline[0].update(option)
    assert len(check_data(cfg)) == 3


@pytest.mark.parametrize('skip', [False, True])
def test_a_broken_image_in_a_folder(cfg, tiny_coco, skip):
    (tiny_coco.root / 'pool').mkdir()
    shutil.copy(tiny_coco.img_dir / '0000.png', tiny_coco.root / 'pool/0.png')
    (tiny_coco.root / 'pool/1.png').write_bytes(b'')
    cfg.train_dataloader.dataset.datasets[1] = dict(
        type='sssd.ImageFolder',
        data_root=str(tiny_coco.root),
        data_prefix=dict(img='pool/'),
        skip_broken=skip,
        metainfo=dict(classes=('disc', 'bar')),
        pipeline=[dict(type='LoadImageFromFile')],
    )
    if skip:
        assert len(check_data(cfg)) == 3
    else:
        fails(cfg, 'image .*/pool/1.png cannot be decoded')


def test_files_that_are_no_images_by_name_are_left_to_the_pipeline(cfg, tiny_coco):
    coco = json.loads(tiny_coco.ann_file.read_text())
    coco['images'][0]['file_name'] = '0000.npy'
    (tiny_coco.img_dir / '0000.npy').write_bytes(b'an array')
    for name in ('annotations.json', 'unlabeled.json'):
        rewrite(tiny_coco.root / name, images=coco['images'])
    fails(cfg, r'0000\.npy cannot be decoded')
    for dataset in (labelled(cfg), unlabelled(cfg), cfg.val_dataloader.dataset):
        dataset.pipeline = [dict(type='LoadOurArrays')]
    assert len(check_data(cfg)) == 3


@pytest.mark.parametrize(
    'key, place, value, words',
    [
        ('images', 'width', None, "'width' of entry 0 of 'images' is 'None', but has to be a number"),
        ('annotations', 'area', '12', "'area' of entry 0 of 'annotations' is '12', but has to be a number"),
        ('annotations', 'bbox', ['0', 0, 1, 1], "the bbox of entry 0 of 'annotations' is"),
    ],
)
def test_numbers_that_are_none(cfg, tiny_coco, key, place, value, words):
    entries = json.loads(tiny_coco.ann_file.read_text())[key]
    entries[0][place] = value
    rewrite(tiny_coco.ann_file, **{key: entries})
    fails(cfg, words)


def other_val(cfg, tiny_coco, data=True, evaluator=True, **changes):
    """A copy of the labelled file, changed, as that of validation."""
    path = tiny_coco.root / 'val.json'
    shutil.copy(tiny_coco.ann_file, path)
    rewrite(path, **changes)
    if data:
        cfg.val_dataloader.dataset.ann_file = 'val.json'
    if evaluator:
        cfg.val_evaluator.ann_file = str(path)


def test_classes_of_training_and_validation_have_one_order(cfg, tiny_coco):
    other_val(cfg, tiny_coco, categories=[dict(id=2, name='bar'), dict(id=1, name='disc')])
    fails(cfg, "val.json of val_dataloader.dataset lists its categories as 'bar', 'disc'")
    cfg.val_dataloader.dataset.metainfo = dict(classes=('bar', 'disc'))
    fails(cfg, r"train_dataloader and val_dataloader have different classes \('disc', 'bar'; 'bar', 'disc'\)")


def test_an_evaluator_with_the_file_of_other_images(cfg, tiny_coco):
    images = json.loads(tiny_coco.ann_file.read_text())['images']
    other_val(cfg, tiny_coco, data=False, images=images[1:])
    fails(cfg, 'val_evaluator.ann_file=.*/val.json lacks 1 of the 6 images of .*annotations.json, such as that of id 1')


def test_an_evaluator_with_the_categories_of_another_file(cfg, tiny_coco):
    other_val(cfg, tiny_coco, data=False, categories=[dict(id=2, name='bar'), dict(id=1, name='disc')])
    fails(cfg, "val_evaluator.ann_file=.*/val.json does not list .*, 'disc', 'bar', in this order, but 'bar', 'disc';")
    cfg.val_evaluator.sort_categories = True
    assert len(check_data(cfg)) == 3


def test_an_evaluator_may_know_more_classes_and_images(cfg, tiny_coco):
    coco = json.loads(tiny_coco.ann_file.read_text())
    other = dict(id=99, image_id=7, category_id=9, bbox=[0, 0, 9, 9])
    other_val(
        cfg,
        tiny_coco,
        data=False,
        images=[*coco['images'], dict(id=7)],
        categories=[dict(id=9, name='ring'), *coco['categories']],
        annotations=[*coco['annotations'], other],
    )
    assert len(check_data(cfg)) == 3


def test_a_file_of_images_alone_is_enough_where_results_are_only_written(cfg, tiny_coco):
    other_val(cfg, tiny_coco, annotations=[])
    cfg.val_evaluator.format_only = True
    assert check_data(cfg)[2].startswith('val_dataloader.dataset: 6 images, 0 boxes')


def test_an_evaluator_with_a_copy_of_the_file_passes(cfg, tiny_coco):
    other_val(cfg, tiny_coco, data=False)
    assert len(check_data(cfg)) == 3


@pytest.mark.parametrize('field', ['iscrowd', 'area'])
def test_what_pycocotools_reads_is_there(cfg, tiny_coco, field):
    things = json.loads(tiny_coco.ann_file.read_text())['annotations']
    del things[-1][field]
    other_val(cfg, tiny_coco, data=False, annotations=things)
    fails(cfg, f'val_evaluator.ann_file=.*/val.json has annotations without {field!r}, which pycocotools reads')


def test_training_alone_needs_no_iscrowd(cfg, tiny_coco):
    things = json.loads(tiny_coco.ann_file.read_text())['annotations']
    other_val(cfg, tiny_coco)
    rewrite(tiny_coco.ann_file, annotations=[{k: v for k, v in thing.items() if k != 'iscrowd'} for thing in things])
    assert len(check_data(cfg)) == 3


def test_validation_data_are_checked_too(cfg, tiny_coco):
    shutil.copy(tiny_coco.ann_file, tiny_coco.root / 'val.json')
    cfg.val_dataloader.dataset.ann_file = 'val.json'
    rewrite(tiny_coco.root / 'val.json', annotations=[])
    fails(cfg, 'val.json of val_dataloader.dataset has no box')


@pytest.mark.parametrize('key', ['roi_head', 'rpn_head'])
def test_num_classes_of_the_heads(cfg, key):
    if key == 'rpn_head':  # always one class: no mistake
        assert cfg.model.detector.rpn_head.num_classes == 1 and check_data(cfg)
        return
    cfg.model.detector.roi_head.bbox_head[1].num_classes = 80
    fails(cfg, r'model.detector.roi_head.bbox_head\[1\].num_classes=80 does not fit the 2 classes of')


def test_num_classes_of_a_dense_head(cfg):
    cfg.model = dict(type='RetinaNet', bbox_head=dict(type='RetinaHead', num_classes=3))
    fails(cfg, 'model.bbox_head.num_classes=3 does not fit the 2 classes.*set it to 2')


def test_batch_sizes_of_loader_and_sampler(cfg):
    cfg.train_dataloader.sampler.batch_size = 8
    fails(cfg, 'train_dataloader.batch_size=4 and train_dataloader.sampler.batch_size=8 must be equal')


def test_a_batch_sampler_over_several_sources(cfg):
    cfg.train_dataloader.batch_sampler = dict(type='AspectRatioBatchSampler')
    fails(cfg, r'train_dataloader.batch_sampler \(AspectRatioBatchSampler\) makes batches of its own')


def test_source_ratios(cfg):
    cfg.train_dataloader.sampler.source_ratio = [1, 99]
    fails(cfg, 'gives source 0 no image')
    cfg.train_dataloader.sampler.source_ratio = [1, 1, 1]
    fails(cfg, r'source_ratio=\[1, 1, 1\] needs a ConcatDataset of 3 data sets')


def test_an_unknown_data_set(cfg):
    labelled(cfg).type = 'CoccoDataset'
    fails(cfg, r"datasets\[0\].type='CoccoDataset' is no registered data set")


@pytest.mark.parametrize(
    'root, remedy', [('data/toy/', '`python -m sssd toy` draws it'), ('mine', 'put the data there')]
)
def test_data_that_are_not_there_are_told_once(cfg, root, remedy, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    for dataset in (labelled(cfg), unlabelled(cfg), cfg.val_dataloader.dataset):
        dataset.data_root = root
    cfg.val_evaluator.ann_file = os.path.join(root, 'annotations.json')
    with pytest.raises(UserError) as told:
        check_data(cfg)
    start = f'folder {root}, data_root of train_dataloader.dataset.datasets[0], does not exist; {remedy}'
    assert str(told.value).startswith(start) and str(told.value).count('exist') == 1


def test_files_may_lie_elsewhere_than_in_a_root_that_is_not_there(cfg, tiny_coco):
    dataset = labelled(cfg)
    dataset.data_root = 'nowhere'
    dataset.ann_file, dataset.data_prefix = str(tiny_coco.ann_file), dict(img=str(tiny_coco.root / 'images'))
    assert len(check_data(cfg)) == 3


def test_a_root_that_is_not_there_is_nothing_to_absolute_paths(cfg):
    labelled(cfg).update(data_root='nowhere', ann_file='/none/there.json', data_prefix=dict(img='/none/images'))
    fails(cfg, 'annotation file /none/there.json of')


def test_the_evaluators_file(cfg):
    cfg.val_evaluator.ann_file = 'nowhere/val.json'
    fails(cfg, 'val_evaluator.ann_file=nowhere/val.json does not exist')


def guided(cfg, **model):
    """The config with a guided model and one labelled data set, whose pipelines load the labels."""
    cfg.model = dict(type='sssd.GuidedDetector', detector=cfg.model.detector, **model)
    cfg.train_dataloader = dict(batch_size=2, dataset=labelled(cfg))
    loading = [dict(type='LoadImageFromFile'), dict(type='mmdet.LoadAnnotations', with_bbox=True)]
    resize = dict(type='Resize', scale=(64, 64))
    cfg.train_dataloader.dataset.pipeline = [*loading, resize]
    cfg.val_dataloader.dataset.pipeline = [loading[0], resize, loading[1]]
    return cfg


def test_a_guided_model_that_is_given_its_labels_passes(cfg):
    assert len(check_data(guided(cfg, predict_on='guide'))) == 2


def test_labels_that_are_not_loaded(cfg):
    cfg = guided(cfg)
    cfg.val_dataloader.dataset.pipeline = cfg.val_dataloader.dataset.pipeline[:2]
    check_data(cfg)  # the plain detector is evaluated
    cfg.model.predict_on = 'guide'
    fails(cfg, "val_dataloader.dataset.pipeline loads no labels.*predict_on='guide'.*after Resize")
    cfg.train_dataloader.dataset.pipeline[1].type = 'LoadEmptyAnnotations'
    fails(cfg, 'train_dataloader.dataset.pipeline loads no labels, but a guided model trains on')


@pytest.mark.parametrize('option', ['with_bbox', 'with_label'])
def test_labels_that_are_loaded_without_their_boxes(cfg, option):
    cfg = guided(cfg)
    cfg.train_dataloader.dataset.pipeline[1][option] = False
    fails(cfg, 'train_dataloader.dataset.pipeline loads no labels')


def test_a_guide_on_the_labelled_branch_of_sed_needs_its_labels_alone(cfg):
    load = dict(type='LoadAnnotations', with_bbox=True)
    cfg.train_dataloader.dataset.datasets[0].pipeline = [dict(type='LoadImageFromFile')]
    check_data(cfg)
    cfg.model.guidance = dict()
    fails(cfg, r'train_dataloader.dataset.datasets\[0\].pipeline loads no labels, but a guided model trains on')
    cfg.train_dataloader.dataset.datasets[0].pipeline.append(load)
    check_data(cfg)


def test_labels_that_are_resized_before_the_guide_sees_them(cfg):
    cfg = guided(cfg, predict_on='guide')
    cfg.val_dataloader.dataset.pipeline = cfg.train_dataloader.dataset.pipeline
    fails(cfg, 'has Resize after LoadAnnotations.*pixels of the original images')


def test_the_guide_of_sed_is_given_labels_as_well(cfg):
    cfg.model.update(guidance=dict(), semi_test_cfg=dict(predict_on='guide'))
    cfg.train_dataloader.dataset.datasets[0].pipeline.append(dict(type='LoadAnnotations', with_bbox=True))
    cfg.val_dataloader.dataset.pipeline = [dict(type='LoadImageFromFile')]
    fails(cfg, "val_dataloader.dataset.pipeline loads no labels.*predict_on='guide'.*after Resize")


def test_labels_are_found_inside_other_transforms(cfg):
    cfg = guided(cfg)
    steps = cfg.train_dataloader.dataset.pipeline
    cfg.train_dataloader.dataset.pipeline = [steps[0], dict(type='RandomChoice', transforms=[[steps[1]], [steps[1]]])]
    check_data(cfg)

"""The contact sheet of a real, tiny RetinaNet, plain and inside a SED model."""

import copy
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from lettering import faults
from matplotlib import pyplot as plt
from matplotlib.image import imread
from mmdet.registry import MODELS
from mmengine.config import Config
from mmengine.registry import init_default_scope

from sssd.errors import UserError
from sssd.report.contact_sheet import choose_images, contact_sheet, detect

DETECTOR = dict(
    type='RetinaNet',
    data_preprocessor=dict(type='DetDataPreprocessor', mean=[128.0] * 3, std=[64.0] * 3, pad_size_divisor=32),
    backbone=dict(type='ResNet', depth=18, base_channels=8, stem_channels=8, out_indices=(2, 3), num_stages=4),
    neck=dict(type='FPN', in_channels=[32, 64], out_channels=8, num_outs=2),
    bbox_head=dict(
        type='RetinaHead',
        num_classes=2,
        in_channels=8,
        feat_channels=8,
        stacked_convs=1,
        anchor_generator=dict(
            type='AnchorGenerator', octave_base_scale=2, scales_per_octave=1, ratios=[1.0], strides=[16, 32]
        ),
        bbox_coder=dict(type='DeltaXYWHBBoxCoder', target_means=[0.0] * 4, target_stds=[1.0] * 4),
        loss_cls=dict(type='FocalLoss', use_sigmoid=True),
        loss_bbox=dict(type='L1Loss'),
    ),
    test_cfg=dict(nms_pre=100, min_bbox_size=0, score_thr=0.0, nms=dict(type='nms', iou_threshold=0.5), max_per_img=5),
)
PIPELINE = [
    dict(type='LoadImageFromFile'),
    dict(type='Resize', scale=(96, 96), keep_ratio=True),
    dict(type='LoadAnnotations', with_bbox=True),
    dict(type='PackDetInputs', meta_keys=('img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor')),
]


def write_config(path, model, data):
    loader = dict(
        dataset=dict(
            type='CocoDataset',
            ann_file=str(data.ann_file),
            metainfo=data.metainfo,
            test_mode=True,
            data_prefix=dict(img=str(data.img_dir)),
            pipeline=PIPELINE,
        )
    )
    Config(
        dict(
            default_scope='mmdet',
            custom_imports=dict(imports=['sssd']),
            model=model,
            val_dataloader=loader,
            test_dataloader=loader,
        )
    ).dump(path)
    return Config.fromfile(path)


@pytest.fixture
def plain(tmp_path, tiny_coco):
    """Config and checkpoint of a plain detector with eager scores."""
    init_default_scope('mmdet')
    config = write_config(tmp_path / 'plain.py', DETECTOR, tiny_coco)
    model = MODELS.build(copy.deepcopy(DETECTOR))
    torch.nn.init.normal_(model.bbox_head.retina_cls.weight, std=0.3)
    torch.save(dict(state_dict=model.state_dict(), meta=dict(dataset_meta=tiny_coco.metainfo)), tmp_path / 'plain.pth')
    return config.filename, tmp_path / 'plain.pth'


@pytest.fixture
def sed(tmp_path, tiny_coco, plain):
    """Config and checkpoint of a SED model: the teacher is the plain detector, the student mute."""
    preprocessor = dict(type='MultiBranchDataPreprocessor', data_preprocessor=DETECTOR['data_preprocessor'])
    config = write_config(
        tmp_path / 'sed.py', dict(type='sssd.SED', detector=DETECTOR, data_preprocessor=preprocessor), tiny_coco
    )
    teacher = torch.load(plain[1])['state_dict']
    student = {key: torch.zeros_like(value) for key, value in teacher.items()}
    both = {
        **{f'teacher.{key}': value for key, value in teacher.items()},
        **{f'student.{key}': value for key, value in student.items()},
    }
    torch.save(dict(state_dict=both, meta=dict(dataset_meta=tiny_coco.metainfo)), tmp_path / 'sed.pth')
    return config.filename, tmp_path / 'sed.pth'


@pytest.fixture
def figures(monkeypatch):
    """Figures that the code under test would close."""
    kept = []
    monkeypatch.setattr(plt, 'close', kept.append)
    yield kept
    monkeypatch.undo()
    plt.close('all')


def test_sheet_has_a_row_per_image_and_a_column_per_model(plain, sed, tmp_path, figures):
    out = contact_sheet({'one': plain, 'two': sed}, tmp_path / 'sheet.png', num_images=3, score_thr=0.0)
    assert imread(out).std() > 0
    axes = np.array(figures[0].axes).reshape(3, 3)
    assert [item.get_title() for item in axes[0]] == ['ground truth', 'one', 'two']
    counts = [[len(item.patches) for item in line] for line in axes]
    # Six images with 1, 2, 3, 1, 2, 3 objects: the two with three come in for sure.
    assert sorted(line[0] for line in counts)[1:] == [3, 3]
    assert all(line[1] == line[2] > 0 for line in counts)
    written = [[len(item.texts) for item in line] for line in axes]
    # A score that would touch another one is left out.
    assert all(line[0] == 0 < line[1] == line[2] <= counts[row][1] for row, line in enumerate(written))
    assert faults(figures[0]) == []
    assert [text.get_text() for text in figures[0].legends[0].get_texts()] == ['disc', 'bar']


def test_models_of_other_classes_are_refused_before_anything_is_detected(plain, tmp_path):
    config = Config.fromfile(plain[0])
    config.val_dataloader.dataset.metainfo = dict(classes=('bar', 'disc'))
    config.dump(tmp_path / 'turned.py')
    models = {'old': plain, 'new': (str(tmp_path / 'turned.py'), 'nowhere.pth')}
    with pytest.raises(UserError, match="new has the classes 'bar', 'disc' and old 'disc', 'bar': compare runs of"):
        contact_sheet(models, tmp_path / 'sheet.png')


def test_few_models_have_several_images_in_a_line(plain, tmp_path, figures):
    contact_sheet({'one': plain}, tmp_path / 'sheet.png', num_images=3, score_thr=0.0)
    titles = [item.get_title() for item in figures[0].axes]
    assert titles == ['ground truth', 'one'] * 2 + ['', '']
    assert faults(figures[0]) == []


def test_sed_model_shows_its_teacher(plain, sed, tiny_coco):
    paths = [str(path) for path in sorted(tiny_coco.img_dir.iterdir())[:2]]
    alone = detect(Config.fromfile(plain[0]), plain[1], paths, 0.0, 'cpu')
    inside = detect(Config.fromfile(sed[0]), sed[1], paths, 0.0, 'cpu')
    assert len(alone[0].scores) > 1
    for one, other in zip(alone, inside):
        np.testing.assert_allclose(one.corners, other.corners)
        np.testing.assert_allclose(one.scores, other.scores)


def test_scores_below_the_threshold_are_left_out(plain, tiny_coco):
    path = str(next(iter(sorted(tiny_coco.img_dir.iterdir()))))
    config = Config.fromfile(plain[0])
    (everything,) = detect(config, plain[1], [path], 0.0, 'cpu')
    middle = float(np.median(everything.scores))
    (some,) = detect(config, plain[1], [path], middle, 'cpu')
    assert len(some.scores) == (everything.scores >= middle).sum() < len(everything.scores)


class Images:
    """A data set that knows only how many objects its images have."""

    def __init__(self, *counts):
        self.counts = counts

    def __len__(self):
        return len(self.counts)

    def get_data_info(self, index):
        return {'instances': [None] * self.counts[index]}


def test_choice_of_images():
    images = Images(*([0, 1] * 10 + [3, 7, 5] + [2] * 10))
    assert choose_images(images, 3, seed=0) == [20, 21, 22]
    crowd = Images(*[5] * 50)
    assert choose_images(crowd, 4, seed=1) == choose_images(crowd, 4, seed=1)
    assert choose_images(crowd, 4, seed=1) != choose_images(crowd, 4, seed=2)
    assert choose_images(Images(1, 1), 5, seed=0) == [0, 1]


def test_missing_files(plain, tmp_path):
    with pytest.raises(UserError, match='config .*none.py does not exist'):
        contact_sheet({'one': (tmp_path / 'none.py', plain[1])}, tmp_path / 'sheet.png')
    with pytest.raises(UserError, match='no checkpoint'):
        contact_sheet({'one': (plain[0], tmp_path / 'none.pth')}, tmp_path / 'sheet.png')
    shutil.copy(plain[1], tmp_path / 'none.pth')
    assert Path(
        contact_sheet({'one': (plain[0], tmp_path / 'none.pth')}, tmp_path / 'sheet.png', num_images=1)
    ).is_file()

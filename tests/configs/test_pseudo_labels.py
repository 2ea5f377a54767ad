"""mmdet's own semi-supervised detectors as a baseline: SED's data, two views of one geometry, hard pseudo-labels."""

import copy
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from config_files import build, read
from mmengine.dataset import pseudo_collate
from mmengine.hub import get_config
from mmengine.registry import DATASETS

from sssd.cli.train import main
from sssd.datasets.toy import make_toy

KINDS = {'retinanet': 'mmdet_semi', 'fcos': 'mmdet_semi', 'faster_rcnn': 'softteacher'}
#: Every detection of an untrained teacher is a pseudo-label.
NO_THRESHOLDS = {
    'retinanet': ['model.detector.test_cfg.score_thr=0.0', 'model.semi_train_cfg.cls_pseudo_thr=0.0'],
    'fcos': ['model.detector.test_cfg.score_thr=0.0', 'model.semi_train_cfg.cls_pseudo_thr=0.0'],
    'faster_rcnn': [
        'model.detector.test_cfg.rcnn.score_thr=0.0',
        'model.semi_train_cfg.pseudo_label_initial_score_thr=0.0',
        'model.semi_train_cfg.rpn_pseudo_thr=0.0',
        'model.semi_train_cfg.cls_pseudo_thr=0.0',
        'model.semi_train_cfg.reg_pseudo_thr=10.0',
    ],
}
SHORT = [
    'train_cfg.max_iters=2',
    'train_cfg.val_interval=2',
    'train_dataloader.batch_size=4',
    'train_dataloader.sampler.batch_size=4',
    'default_hooks.logger.interval=1',
    *[
        f'{part}_dataloader.{key}'
        for part in ('train', 'val', 'test')
        for key in ('num_workers=0', 'persistent_workers=False')
    ],
]


@pytest.fixture
def toy(tmp_path, monkeypatch):
    """A tiny toy data set where the configs look for it."""
    monkeypatch.chdir(tmp_path)
    make_toy('data/toy', 8, 2, 4, progress=False)


@pytest.mark.parametrize('kind', KINDS)
def test_two_iterations_of_each(toy, kind):
    # MMEngine keeps a visualizer of a name for the whole process, with the place that it logs to.
    options = [*SHORT, *NO_THRESHOLDS[kind], f'visualizer.name=pseudo_{kind}']
    main([f'quickstart/{kind}_{KINDS[kind]}.py', '--work-dir', 'out', '--cfg-options', *options])
    (log,) = Path('out').glob('*/vis_data/scalars.json')
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    trained = [line for line in lines if 'loss' in line]
    assert len(trained) == 2
    for line in trained:
        terms = {name for name, value in line.items() if 'loss' in name and value > 0}
        assert all(np.isfinite(value) for value in line.values())
        assert {name.split('_')[0] for name in terms} == {'loss', 'sup', 'unsup'}
    state = torch.load('out/iter_2.pth', weights_only=False)['state_dict']
    pairs = [
        (value, state[name.replace('student.', 'teacher.', 1)]) for name, value in state.items() if 'student' in name
    ]
    assert len(pairs) > 50 and any(not torch.equal(*pair) for pair in pairs)


@pytest.mark.parametrize('kind', KINDS)
def test_both_views_of_an_image_have_one_geometry_which_is_recorded(toy, kind):
    cfg = copy.deepcopy(read(f'quickstart/{kind}_{KINDS[kind]}.py'))
    data = DATASETS.build(cfg.train_dataloader.dataset)
    shapes = set()
    for index in range(4, 8):
        samples = data[index]['data_samples']
        weak, strong = samples['unsup_teacher'], samples['unsup_student']
        assert samples['sup'] is None
        width, height = (new / old for new, old in zip(weak.img_shape[::-1], weak.ori_shape[::-1]))
        sign = -1 if weak.flip else 1
        expected = [[sign * width, 0, weak.img_shape[1] if weak.flip else 0], [0, height, 0], [0, 0, 1]]
        assert np.allclose(weak.homography_matrix, expected, atol=1e-4)
        assert np.array_equal(weak.homography_matrix, strong.homography_matrix)
        assert weak.img_shape == strong.img_shape
        shapes.add((weak.img_shape, weak.flip))
    assert len(shapes) > 1


def test_the_student_s_pseudo_labels_are_the_teacher_s_boxes(toy):
    model, cfg = build('quickstart/retinanet_mmdet_semi.py')
    model.init_weights()
    model.teacher.bbox_head.test_cfg.score_thr = 0.0
    data = DATASETS.build(cfg.train_dataloader.dataset)
    batch = pseudo_collate([data[index] for index in (0, 5, 6)])
    batch = model.data_preprocessor(batch, training=True)
    weak, strong = (batch['data_samples'][name] for name in ('unsup_teacher', 'unsup_student'))
    before = [
        one.pred_instances
        for one in model.teacher.predict(batch['inputs']['unsup_teacher'], copy.deepcopy(weak), rescale=False)
    ]
    pseudo, _ = model.get_pseudo_instances(batch['inputs']['unsup_teacher'], weak)
    after = model.project_pseudo_instances(pseudo, strong)
    for found, sample in zip(before, after):
        height, width = sample.img_shape
        inside = found.bboxes.clamp(min=0).minimum(torch.tensor([width, height, width, height]))
        assert len(sample.gt_instances) > 10
        kept = torch.cdist(sample.gt_instances.bboxes, inside).min(1).values
        assert kept.max() < 0.1


def test_soft_teacher_has_the_numbers_of_mmdet():
    theirs = get_config('mmdet::soft_teacher/soft-teacher_faster-rcnn_r50-caffe_fpn_180k_semi-0.1-coco.py')
    ours = read('quickstart/faster_rcnn_softteacher.py')
    assert ours.model.semi_train_cfg == theirs.model.semi_train_cfg
    assert ours.model.semi_test_cfg == theirs.model.semi_test_cfg and ours.val_cfg == theirs.val_cfg


@pytest.mark.parametrize('kind', KINDS)
def test_only_the_method_differs_from_sed(kind):
    ours, sed = read(f'quickstart/{kind}_{KINDS[kind]}.py'), read(f'quickstart/{kind}_sed.py')
    for key in ('train_cfg', 'param_scheduler', 'optim_wrapper', 'val_dataloader', 'val_evaluator'):
        assert ours[key] == sed[key], key
    assert ours.model.detector == sed.model.detector and ours.model.data_preprocessor == sed.model.data_preprocessor
    mine, theirs = (copy.deepcopy(cfg.train_dataloader) for cfg in (ours, sed))
    for branch in (loader.dataset.datasets[1].pipeline[-1] for loader in (mine, theirs)):
        for view in (branch.unsup_teacher, branch.unsup_student):
            assert view.pop().type == 'sssd.PackDetInputs'
    assert mine == theirs

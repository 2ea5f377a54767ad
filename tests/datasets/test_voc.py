"""VOC as the configs read it, on a tiny VOCdevkit: XML boxes, difficult objects, both ways of averaging precision."""

import copy
import warnings

import numpy as np
import pytest
import tiny
import tiny_voc
import torch
from config_files import read
from mmdet.registry import DATASETS
from mmengine.config import Config
from mmengine.evaluator import Evaluator
from mmengine.registry import init_default_scope
from mmengine.runner import Runner

from sssd.checks.data import check_data
from sssd.cli.test import use_tta
from sssd.errors import UserError
from sssd.registry import MODELS

CONFIG = 'sed/faster-rcnn_r50_fpn_sed_40k_voc07-voc12.py'
DOG, CAT, CAR = 11, 7, 6


@pytest.fixture
def cfg(tmp_path):
    """The config of Table 1 over a tiny VOCdevkit, with a tiny RetinaNet at 96 x 96."""
    cfg = copy.deepcopy(read(CONFIG))
    init_default_scope(cfg.default_scope)
    root = str(tiny_voc.write_tiny_voc(tmp_path / 'VOCdevkit')) + '/'
    detector = tiny.retinanet(num_classes=20)
    detector['test_cfg'].update(score_thr=0.0)
    cfg.model = tiny.sed_config(detector)
    for leaf in (
        *cfg.train_dataloader.dataset.datasets,
        cfg.val_dataloader.dataset,
        cfg.test_dataloader.dataset,
        cfg.supervised_dataloader.dataset,
    ):
        leaf.data_root = root
        for step in leaf.pipeline:
            if step.type in ('Resize', 'RandomResize'):
                step.scale = (96, 96) if step.type == 'Resize' else [(96, 96), (96, 96)]
    for step in cfg.tta_pipeline[1].transforms[0]:
        step.scale = tuple(value // 16 for value in step.scale)
    for loader in (cfg.train_dataloader, cfg.val_dataloader, cfg.test_dataloader):
        loader.update(num_workers=0, persistent_workers=False)
    cfg.work_dir, cfg.visualizer, cfg.default_hooks = str(tmp_path / 'work'), None, dict(logger=None, checkpoint=None)
    cfg.log_level = 'ERROR'
    return cfg


def test_labelled_and_unlabelled_images(cfg):
    dataset = DATASETS.build(cfg.train_dataloader.dataset)
    labelled, unlabelled = dataset.datasets
    assert [labelled.get_data_info(i)['img_id'] for i in range(len(labelled))] == ['000001', '000002', '000003']
    assert isinstance(dataset.metainfo, dict) and dataset.metainfo['classes'] == labelled.METAINFO['classes']
    paths = [unlabelled.get_data_info(i)['img_path'] for i in range(len(unlabelled))]
    assert [path.split('/')[-1] for path in paths] == [f'{name}.jpg' for name in tiny_voc.UNLABELED]
    assert not list((tiny_voc.Path(cfg.data_root) / 'VOC2012').glob('Annotations/*'))


def test_a_difficult_object_is_no_target_and_boxes_are_zero_based(cfg):
    dataset = DATASETS.build(cfg.supervised_dataloader.dataset)
    steps = dataset.pipeline.transforms
    steps[:] = [step for step in steps if 'Random' not in type(step).__name__]
    sample = dataset[0]['data_samples']['sup']
    assert sample.gt_instances.bboxes.tensor.tolist() == [[10, 10, 49, 39]]
    assert sample.gt_instances.labels.tolist() == [DOG]
    assert sample.ignored_instances.labels.tolist() == [CAR]
    assert len(dataset[2]['data_samples']['sup'].gt_instances) == 0


def test_a_step_of_training_knows_nothing_of_difficult_labels(cfg):
    """The class of a difficult object changes no loss; that of another one does."""
    model = MODELS.build(cfg.model)
    model.init_weights()
    batch = next(iter(Runner.build_dataloader(cfg.train_dataloader, seed=0)))
    difficult = [len(sample.ignored_instances) for sample in batch['data_samples']['sup'] if sample is not None]
    assert len(difficult) == 2 and sum(difficult) > 0

    def loss(field):
        changed = copy.deepcopy(batch)
        for sample in filter(None, changed['data_samples']['sup']):
            if field is not None:
                getattr(sample, field).labels = (getattr(sample, field).labels + 1) % 20
        torch.manual_seed(0)
        total, _ = model.parse_losses(tiny.losses_of(model.train(), changed))
        return total

    plain = loss(None)
    plain.backward()
    assert torch.isfinite(plain) and any(value.grad is not None for value in model.student.parameters())
    assert loss('ignored_instances') == plain and loss('gt_instances') != plain


def voc_ap(detections, truth, eleven):
    """AP of one class as the VOC devkit defines it, in plain NumPy.

    ``detections``: (image, score, box); ``truth``: image -> [(difficult, box)]; boxes inclusive.
    """
    positives = sum(not flag for things in truth.values() for flag, _ in things)
    taken, hits = set(), []
    for image, _, box in sorted(detections, key=lambda entry: -entry[1]):
        best, number = 0.0, None
        for index, (_, other) in enumerate(truth.get(image, ())):
            w = min(box[2], other[2]) - max(box[0], other[0]) + 1
            h = min(box[3], other[3]) - max(box[1], other[1]) + 1
            if w > 0 and h > 0:
                areas = [(b[2] - b[0] + 1) * (b[3] - b[1] + 1) for b in (box, other)]
                overlap = w * h / (sum(areas) - w * h)
                if overlap > best:
                    best, number = overlap, index
        if best >= 0.5 and truth[image][number][0]:
            continue
        hits.append(best >= 0.5 and (image, number) not in taken)
        if hits[-1]:
            taken.add((image, number))
    right = np.cumsum(np.array(hits, dtype=float))
    recall, precision = right / positives, right / np.arange(1, len(hits) + 1)
    if eleven:
        return sum(max([p for r, p in zip(recall, precision) if r >= t], default=0) for t in 0.1 * np.arange(11)) / 11
    steps = np.diff(np.concatenate([[0], recall]))
    return sum(step * precision[index:].max() for index, step in enumerate(steps) if step > 0)


@pytest.mark.parametrize('seed', range(3))
def test_both_metrics_are_those_of_the_devkit(cfg, seed):
    """Random boxes and detections around them, a third of the objects difficult, in one evaluation."""
    rng = np.random.default_rng(seed)
    evaluator = Evaluator(cfg.val_evaluator)
    evaluator.dataset_meta = DATASETS.build(cfg.val_dataloader.dataset).metainfo
    truth, detections = {label: {} for label in (DOG, CAT)}, {label: [] for label in (DOG, CAT, CAR)}
    for image in range(12):
        corners = rng.integers(0, 60, (5, 2))
        boxes = np.hstack([corners, corners + rng.integers(10, 40, (5, 2))]).astype(np.float32)
        flags, labels = rng.random(5) < 0.35, rng.choice([DOG, CAT], 5)
        near = np.vstack([boxes + rng.normal(0, 4, boxes.shape) for _ in range(2)]).astype(np.float32)
        scores, said = rng.permutation(10).astype(np.float32) / 10 + image / 1000, np.concatenate([labels, labels])
        said[rng.random(10) < 0.2] = rng.choice([DOG, CAT, CAR])
        for flag, label, box in zip(flags, labels, boxes):
            truth[label].setdefault(image, []).append((flag, box))
        for score, label, box in zip(scores, said, near):
            detections[label].append((image, score, box))
        numbers = dict(
            gt_instances=dict(bboxes=boxes[~flags], labels=labels[~flags]),
            ignored_instances=dict(bboxes=boxes[flags], labels=labels[flags]),
            pred_instances=dict(bboxes=near, scores=scores, labels=said),
        )
        evaluator.process(
            [{key: {name: torch.from_numpy(value) for name, value in part.items()} for key, part in numbers.items()}]
        )
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')  # 'area' is not VOC2007's own way
        result = evaluator.evaluate(12)
    for prefix, eleven in (('voc_11points', True), ('voc_area', False)):
        expected = np.mean([voc_ap(detections[label], truth[label], eleven) for label in (DOG, CAT)])
        assert 0.1 < expected < 0.9
        assert result[f'{prefix}/mAP'] == pytest.approx(expected, abs=1e-6)
        assert result[f'{prefix}/AP50'] == pytest.approx(expected, abs=5.1e-4)
    assert result['voc_11points/mAP'] != result['voc_area/mAP']


def runner_of(cfg):
    """A Runner for the validation and the test of a config."""
    return Runner(
        model=cfg.model,
        work_dir=cfg.work_dir,
        val_dataloader=cfg.val_dataloader,
        val_evaluator=cfg.val_evaluator,
        val_cfg=cfg.val_cfg,
        test_dataloader=cfg.test_dataloader,
        test_evaluator=cfg.test_evaluator,
        test_cfg=cfg.test_cfg,
        default_hooks=cfg.default_hooks,
        default_scope='mmdet',
        log_level='ERROR',
        experiment_name=f'voc{id(cfg)}',
    )


@pytest.mark.filterwarnings('ignore:Pascal VOC2007')
def test_teacher_and_student_are_evaluated_both_ways(cfg, monkeypatch):
    found = {}
    runner = runner_of(cfg)
    monkeypatch.setattr(runner, 'call_hook', lambda name, **values: found.update(values.get('metrics') or {}))
    runner.val()
    assert {key for key in found if key.endswith('mAP')} == {
        f'{part}/{metric}/mAP' for part in ('teacher', 'student') for metric in ('voc_11points', 'voc_area')
    }


@pytest.mark.parametrize('views', [3, 2], ids=['multiscale', 'flip'])
def test_augmented_tests_compare_with_the_original_boxes(cfg, views):
    """With --tta, by the config's pipeline or the default flip, the boxes that VOCMetric sees are those of the XML."""
    if views == 2:
        cfg.pop('tta_model'), cfg.pop('tta_pipeline')
    use_tta(cfg)
    model = MODELS.build(cfg.model).eval()
    data = next(iter(Runner.build_dataloader(cfg.test_dataloader, seed=0)))
    assert len(data['inputs']) == views
    (result,) = model.test_step(data)
    assert len(result.pred_instances) > 0
    assert result.gt_instances.bboxes.tolist() == [[20, 10, 59, 49]]
    assert result.ignored_instances.bboxes.tolist() == [[64, 39, 93, 69]]


def test_the_data_are_checked(cfg):
    cfg.model = read(CONFIG).model
    lines = check_data(cfg)
    assert 'in the 4 looked at 5 boxes of 20 classes, 2 of them difficult' in lines[0]
    assert '3 images, unlabelled' in lines[1] and 'test.txt' in lines[2]


def wrong_classes(cfg, root):
    for leaf in cfg.train_dataloader.dataset.datasets:
        leaf.metainfo = dict(classes=tuple(f'class{i}' for i in range(20)))


def no_labels(cfg, root):
    (root / 'VOC2007/Annotations/000002.xml').unlink()


def no_image(cfg, root):
    (root / 'VOC2007/JPEGImages/000004.jpg').unlink()


def broken_label(cfg, root):
    (root / 'VOC2007/Annotations/000002.xml').write_text('<annotation>')


def no_unlabelled_image(cfg, root):
    (root / 'VOC2012/JPEGImages/2008_000002.jpg').unlink()


def empty_list(cfg, root):
    (root / 'VOC2007/ImageSets/Main/trainval.txt').write_text('')


@pytest.mark.parametrize(
    'change, words',
    [
        (wrong_classes, 'has no box that counts of the classes class0.*its boxes are of car, cat, dog'),
        (no_labels, r'000002\.xml of train_dataloader.* does not exist'),
        (no_image, r'000004\.jpg of train_dataloader.* does not exist; check data_prefix'),
        (broken_label, r'000002\.xml is no VOC annotation file'),
        (no_unlabelled_image, r'names 3 images, of which 1 are not in .*such as 2008_000002'),
        (empty_list, 'trainval.txt of .* names no image'),
    ],
)
def test_mistakes_in_voc_data_are_told(cfg, change, words):
    cfg.model = read(CONFIG).model
    change(cfg, tiny_voc.Path(cfg.val_dataloader.dataset.data_root))
    with pytest.raises(UserError, match=words):
        check_data(cfg)


def test_the_config_for_own_xml_files(tmp_path, repo_root, monkeypatch):
    """The block of docs/by_hand.md, over files of the names that it says."""
    (text,) = [block for block in (repo_root / 'docs/by_hand.md').read_text().split('```') if 'XMLDataset' in block]
    root = tmp_path / 'data/mine'
    (tiny_voc.write_tiny_voc(tmp_path / 'VOCdevkit') / 'VOC2007').rename(tmp_path / 'mine')
    (tmp_path / 'data').mkdir()
    (tmp_path / 'mine').rename(root)
    (tmp_path / 'VOCdevkit/VOC2012/JPEGImages').rename(root / 'unlabeled')
    (root / 'train.txt').write_text('\n'.join(tiny_voc.TRAINVAL))
    (root / 'val.txt').write_text('\n'.join(tiny_voc.TEST))
    config = tmp_path / 'mine.py'
    config.write_text(text.removeprefix('python').replace('../sed', str(repo_root / 'configs/sed')))
    monkeypatch.chdir(tmp_path)
    cfg = Config.fromfile(str(config))
    lines = check_data(cfg)
    assert 'in the 4 looked at 3 boxes of 2 classes, 0 of them difficult, and 2 of other classes' in lines[0]
    assert '4 images, unlabelled' in lines[1]
    init_default_scope(cfg.default_scope)
    train, test = (DATASETS.build(loader.dataset) for loader in (cfg.train_dataloader, cfg.val_dataloader))
    assert isinstance(train.metainfo, dict) and test.metainfo['classes'] == ('cat', 'dog')
    labelled = train.datasets[0]
    labels = [[thing['bbox_label'] for thing in labelled.get_data_info(i)['instances']] for i in range(len(labelled))]
    assert labels == [[1], [0, 1]] and len(test) == len(tiny_voc.TEST)

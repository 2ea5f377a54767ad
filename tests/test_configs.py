"""The configs: every one loads and builds, those of the paper hold its values, the quick-start ones train."""

import ast
import copy

import guided
import pytest
import tiny
import torch
from config_files import CONFIGS, build, pipelines, read, transform
from mmdet.registry import DATASETS
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.optim import build_optim_wrapper
from mmengine.registry import HOOKS, PARAM_SCHEDULERS, TRANSFORMS, init_default_scope
from mmengine.runner import Runner
from mmengine.visualization import Visualizer

from sssd.losses import FeatureDistance
from sssd.registry import DATA_SAMPLERS
from sssd.schedules import Progress

FILES = sorted(str(path.relative_to(CONFIGS)) for path in CONFIGS.rglob('*.py'))


def is_training(name):
    """Whether a file configures a training, by what it says itself: no base and no study."""
    names = {
        target.id
        for node in ast.parse((CONFIGS / name).read_text()).body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    return '_base_' in names and not name.startswith('_base_') and not name.endswith('study.py')


MODEL_FILES = [name for name in FILES if is_training(name)]
PAPER = [name for name in MODEL_FILES if name.startswith('sed/')]
#: Those whose detector has settings of its own; tests/configs/test_other_detectors.py holds them.
OWN_SETTINGS = [name for name in PAPER if any(kind in name for kind in ('detr_', '_c4_', '_dc5_'))]
#: mmdet's own methods with pseudo-labels; tests/configs/test_pseudo_labels.py holds them.
PSEUDO = ('_mmdet_semi.py', '_softteacher.py')
SEMI = [
    name
    for name in MODEL_FILES
    if name in PAPER
    or name.startswith(('ablations/', 'photos/'))
    or '_sed' in name
    or name.endswith(('_supervised.py', '_all.py', '_start.py', '_strong.py', '_jitter.py', *PSEUDO))
]
SMALL = [name for name in MODEL_FILES if name not in SEMI and not name.startswith('sssd/')]
PLAIN = [name for name in SMALL if name.endswith('_baseline.py')]
LABELENC = [name for name in SMALL if '_labelenc' in name]
GUIDED = [name for name in SMALL if name not in PLAIN + LABELENC]
QUICK = [name for name in SEMI if name.startswith('quickstart/') and not name.endswith(PSEUDO)]
#: What a model of a type is made of; others are plain detectors.
PAIR = ('student', 'teacher')
PARTS = {
    'sssd.SED': PAIR,
    'SemiBaseDetector': PAIR,
    'SoftTeacher': PAIR,
    'sssd.GuidedDetector': ('detector', 'guidance'),
}
#: Small guided runs: lambda at the start, before the milestone and after it.
LAMBDAS = {'_lgd.py': (1, 1, 1), '_sssd.py': (0, 75, 75), '_sssd_stepwise.py': (0, 75, 100)}


@pytest.mark.parametrize('name', FILES)
def test_a_config_loads(name):
    assert len(read(name)) > 0


@pytest.mark.parametrize('name', MODEL_FILES)
def test_a_training_builds(name):
    model, cfg = build(name, device='meta')
    assert all(hasattr(model, part) for part in PARTS.get(cfg.model.type, ('backbone', 'neck')))
    assert {'LocalVisBackend', 'TensorboardVisBackend'} == {backend.type for backend in cfg.visualizer.vis_backends}
    Visualizer.get_instance('configs')  # a hook asks for the present one
    hooks = [HOOKS.build(hook) for hook in [*cfg.get('custom_hooks', []), *cfg.default_hooks.values()]]
    assert all(isinstance(hook, Hook) for hook in hooks)
    optim_wrapper = build_optim_wrapper(model, cfg.optim_wrapper)
    for scheduler in cfg.param_scheduler:
        PARAM_SCHEDULERS.build(scheduler, default_args=dict(optimizer=optim_wrapper))
        assert scheduler.end <= cfg.train_cfg.max_iters
    assert cfg.train_cfg.val_interval <= cfg.train_cfg.max_iters
    for pipeline in pipelines([cfg.train_dataloader, cfg.val_dataloader]):
        assert all(callable(TRANSFORMS.build(step)) for step in pipeline)


@pytest.mark.parametrize('name', MODEL_FILES)
def test_batches_and_data_sets_fit_their_sampler(name):
    cfg = read(name)
    init_default_scope(cfg.default_scope)
    loader = cfg.train_dataloader
    leaves = loader.dataset.get('datasets', [loader.dataset])
    assert all(DATASETS.get(leaf.type) is not None for leaf in leaves)
    assert DATA_SAMPLERS.get(loader.sampler.type) is not None
    if 'source_ratio' in loader.sampler:
        assert loader.sampler.batch_size == loader.batch_size and len(loader.sampler.source_ratio) == len(leaves)
        assert (
            transform(leaves[0].pipeline, 'MultiBranch').branch_field
            == transform(leaves[1].pipeline, 'MultiBranch').branch_field
        )
    elif name not in SEMI:
        assert len(leaves) == 1 and leaves[0].pipeline[-1].type.split('.')[-1] == 'PackDetInputs'
    else:
        assert len(leaves) == 1 and transform(leaves[0].pipeline, 'MultiBranch').branch_field == ['sup']


@pytest.mark.parametrize('name', SEMI)
def test_geometry_is_drawn_before_the_views_part(name):
    colours = {'ColorJitter', 'GaussianBlur', 'RandomGrayscale', 'RandomErasing', 'CutOut', 'PackDetInputs'}
    for pipeline in pipelines(read(name).train_dataloader):
        branch = transform(pipeline, 'MultiBranch')
        assert pipeline[-1] is branch
        for part in ('unsup_teacher', 'unsup_student'):
            steps = branch.get(part, [])
            assert {step['type'].split('.')[-1] for step in steps} <= colours


def test_the_paper_s_detectors_are_all_there():
    for name in ('faster-rcnn_r50_fpn', 'retinanet_r50_fpn', 'retinanet_r18_fpn', 'fcos_r50_fpn_gn-head'):
        for kind in ('sed', 'supervised'):
            assert f'sed/{name}_{kind}_180k_coco-10p.py' in PAPER


@pytest.mark.parametrize('name', sorted(set(PAPER) - set(OWN_SETTINGS)))
def test_values_of_the_paper(name):
    cfg = read(name)
    detector, optimizer = cfg.model.detector, cfg.optim_wrapper.optimizer
    long, supervised, voc = '_270k_' in name, '_supervised_' in name, '_40k_' in name
    assert optimizer.type == 'SGD' and (optimizer.momentum, optimizer.weight_decay) == (0.9, 1e-4)
    assert optimizer.lr == (0.02 if long or (supervised and 'faster-rcnn' in name and not voc) else 0.01)
    assert cfg.train_cfg.max_iters == cfg.param_scheduler[-1].end == (40000 if voc else 270000 if long else 180000)
    assert detector.backbone.frozen_stages == 1 and detector.backbone.norm_eval
    assert detector.backbone.init_cfg.type == 'Pretrained'
    assert detector.backbone.init_cfg.checkpoint == f'torchvision://resnet{detector.backbone.depth}'
    assert detector.data_preprocessor.pad_size_divisor == 64
    assert cfg.model.data_preprocessor.data_preprocessor == detector.data_preprocessor
    assert cfg.val_cfg.type == 'TeacherStudentValLoop' and cfg.train_cfg.val_interval == 10000
    hooks = {hook.type: hook for hook in cfg.custom_hooks}
    assert hooks['sssd.EMATeacherHook'].alpha == dict(type='StepAtDecay', start=0.99, end=0.9)
    if not supervised:
        assert hooks['sssd.ScaleDrawHook'].max_shift == 1


@pytest.mark.parametrize('name', PAPER)
def test_views_of_the_paper(name):
    cfg = read(name)
    for pipeline in pipelines(cfg.train_dataloader):
        resize = transform(pipeline, 'RandomResize')
        assert resize.scale == [(1333, 640), (1333, 800)] and resize.keep_ratio
        assert transform(pipeline, 'RandomFlip').prob == 0.5
    assert transform(cfg.val_dataloader.dataset.pipeline, 'Resize').scale == (1333, 800)
    if '_supervised_' not in name:
        strong = transform(cfg.train_dataloader.dataset.datasets[1].pipeline, 'MultiBranch').unsup_student
        words = ' '.join(step['type'].lower() for step in strong)
        assert all(word in words for word in ('colorjitter', 'grayscale', 'gaussianblur'))
        assert 'erasing' in words or 'cutout' in words


def label_files(cfg):
    """Annotation files of the sources of a training, None for a source that has none."""
    dataset = cfg.train_dataloader.dataset
    return [leaf.get('ann_file') for leaf in dataset.get('datasets', [dataset])]


#: By the end of a config's name: the files that name its labelled and its unlabelled images, None for all of a folder.
SOURCES = {
    'coco-full': ('annotations/instances_train2017.json', None),
    'coco-35k': ('annotations/instances_valminusminival2014.json', None),
    'voc07-voc12': ('VOC2007/ImageSets/Main/trainval.txt', 'VOC2012/ImageSets/Main/trainval.txt'),
    'voc07': ('VOC2007/ImageSets/Main/trainval.txt',),
    **{
        f'coco-{percent}p': (
            f'annotations/instances_train2017.1@{percent}.json',
            f'annotations/instances_train2017.1@{percent}-unlabeled.json',
        )
        for percent in (1, 2, 5, 10)
    },
}


@pytest.mark.parametrize('name', PAPER)
def test_labels(name):
    cfg, expected = read(name), SOURCES[name.rsplit('_', 1)[-1][: -len('.py')]]
    assert label_files(cfg) == list(expected)[: 1 if '_supervised_' in name else 2]
    if 'coco-full' in name and '_sed_' in name or 'voc07-' in name or '_sed_180k_coco-35k' in name:
        assert cfg.train_dataloader.dataset.datasets[1].type == 'sssd.ImageFolder'


def test_voc():
    """Table 1: 20 classes, one image set for each part, both ways of averaging precision."""
    for name in ('sed_40k_voc07-voc12', 'supervised_40k_voc07'):
        cfg = read(f'sed/faster-rcnn_r50_fpn_{name}.py')
        assert cfg.model.detector.roi_head.bbox_head.num_classes == len(cfg.metainfo.classes) == 20
        assert cfg.test_dataloader.dataset.ann_file == 'VOC2007/ImageSets/Main/test.txt'
        assert [(metric.type, metric.eval_mode) for metric in cfg.test_evaluator] == [
            ('VOCMetric', '11points'),
            ('VOCMetric', 'area'),
        ]
        decays, lengths = cfg.param_scheduler[-1].milestones, read('_base_/schedules/sed_180k.py').param_scheduler[-1]
        assert decays == [round(40000 * step / 180000) for step in lengths.milestones]


def test_coco_35k():
    """Table 3: images of 2014, tested on minival."""
    for kind, folders in (('sed', ['val2014/', 'train2014/']), ('supervised', ['val2014/'])):
        cfg = read(f'sed/faster-rcnn_r50_fpn_{kind}_180k_coco-35k.py')
        dataset = cfg.train_dataloader.dataset
        assert [leaf.data_prefix.img for leaf in dataset.get('datasets', [dataset])] == folders
        for loader, metric in ((cfg.val_dataloader, cfg.val_evaluator), (cfg.test_dataloader, cfg.test_evaluator)):
            assert loader.dataset.data_prefix.img == 'val2014/'
            assert metric.ann_file == 'data/coco/' + loader.dataset.ann_file
            assert loader.dataset.ann_file == 'annotations/instances_minival2014.json'


def test_the_docs_name_every_config_of_the_paper(repo_root):
    text = (repo_root / 'docs' / 'reproduction.md').read_text()
    assert [name for name in PAPER if f'`{name[len("sed/") :]}`' not in text] == []


def test_the_fold_comes_from_the_environment(monkeypatch):
    monkeypatch.setenv('FOLD', '4')
    cfg = Config.fromfile(str(CONFIGS / 'sed/faster-rcnn_r50_fpn_sed_180k_coco-5p.py'))
    stem = 'annotations/instances_train2017.4@5'
    assert label_files(cfg) == [stem + '.json', stem + '-unlabeled.json']


@pytest.mark.parametrize('name', [name for name in PAPER if '_sed_180k_coco-10p' in name and name not in OWN_SETTINGS])
def test_the_stem_and_the_first_stage_are_frozen(name):
    model, _ = build(name)
    backbone = model.train().student.backbone
    frozen = [backbone.conv1, backbone.bn1, backbone.layer1]
    assert not any(value.requires_grad for module in frozen for value in module.parameters())
    assert all(value.requires_grad for value in backbone.layer2.parameters())
    assert not any(part.training for part in backbone.modules() if isinstance(part, torch.nn.BatchNorm2d))


@pytest.mark.parametrize('name', QUICK)
def test_a_quickstart_training_step(name):
    model, cfg = build(name)
    model.init_weights()
    hooks = {hook['type']: hook for hook in cfg.custom_hooks}
    supervised = 'sssd.ScaleDrawHook' not in hooks
    if supervised:
        model.lambda_s = model.lambda_d = 0.0
    losses = tiny.losses_of(model.train(), tiny.make_batch(size=(96, 128), branches=not supervised))
    unsupervised = [key for key in losses if '_loss_scale_' in key or '_loss_distill_' in key]
    assert len(unsupervised) == (0 if supervised else 4 * len(model.views))
    total, _ = model.parse_losses(losses)
    total.backward()
    assert all(torch.isfinite(value.grad).all() for value in model.student.parameters() if value.grad is not None)
    assert all(value.grad is None for value in model.teacher.parameters())
    assert (model.guidance is not None) == name.endswith('_sed_sssd.py')
    if model.guidance is not None:
        assert {'lambda_s', 'lambda_d', 'lambda_', 'student_grad'} <= set(hooks['sssd.LambdaScheduleHook'])
        assert all(torch.isfinite(value.grad).all() for value in model.guidance.parameters())


def test_the_guided_sed_has_the_weights_of_both_its_parts():
    for kind in ('retinanet', 'fcos', 'faster_rcnn'):
        both, sed, sssd = (read(f'quickstart/{kind}_{method}.py') for method in ('sed_sssd', 'sed', 'sssd_stepwise'))
        hook = dict(both.custom_hooks[0])
        for single in (sed.custom_hooks[0], sssd.custom_hooks[0]):
            assert all(hook[key] == value for key, value in single.items())
        assert both.custom_hooks[1:] == sed.custom_hooks[1:]
        assert both.model.guidance == dict(guide=sssd.model.guide, distance=sssd.model.distance)
        assert {**both.model, 'guidance': None} == {**sed.model, 'guidance': None}


@pytest.mark.parametrize('kind', ['retinanet', 'fcos', 'faster_rcnn'])
def test_both_steps_of_labelenc_train(kind, tmp_path):
    """Step 2 loads what step 1 saves, from where step 1 puts it."""
    (first, cfg), (second, later) = (build(f'quickstart/{kind}_labelenc{step}.py') for step in ('_step1', ''))
    step1, encoder = tmp_path / 'step1.pth', later.model.guide.init_cfg
    assert encoder.checkpoint == f'work_dirs/{kind}_labelenc_step1/iter_{cfg.train_cfg.max_iters}.pth'
    state = tiny.state_of(first)
    torch.save(dict(state_dict=state), step1)
    second.guidance.guide.init_cfg.update(checkpoint=str(step1))
    for model, terms in ((first, True), (second, False)):
        model.init_weights()
        losses = tiny.losses_of(model.train(), guided.batch((*tiny.BOXES, ())))
        assert any(key.startswith('guide_loss') for key in losses) == terms
        assert (losses['loss_distill'] == 0) == terms
        model.parse_losses(losses)[0].backward()
        assert all(value.grad is not None for value in model.parameters() if value.requires_grad)
    assert all(
        torch.equal(value, state[f'guidance.guide.{key}']) for key, value in second.guidance.guide.state_dict().items()
    )


@pytest.mark.parametrize('name', GUIDED)
def test_a_guided_training_step(name):
    model, cfg = build(name)
    model.init_weights()
    losses = tiny.losses_of(model.train(), guided.batch((*tiny.BOXES, ())))
    (distance,) = [part for part in model.modules() if isinstance(part, FeatureDistance)]
    assert distance.kind == ('mse' if name.endswith('_lgd.py') else 'js')
    (hook,) = cfg.custom_hooks
    weights = HOOKS.build(hook).schedules['lambda_']
    found = tuple(weights(Progress(iteration, 1500, lr, 1.0)) for iteration, lr in ((0, 0.1), (500, 1.0), (1000, 0.1)))
    assert [found] == [values for end, values in LAMBDAS.items() if name.endswith(end)]
    attached = [HOOKS.build(hook).schedules['student_grad'](Progress(iteration, 1500)) for iteration in (0, 249, 250)]
    assert attached == ([0, 0, 1] if name.endswith('_lgd.py') else [1, 1, 1])  # LGD: 30k of 180k
    total, _ = model.parse_losses(losses)
    total.backward()
    assert all(value.grad is not None and torch.isfinite(value.grad).all() for value in model.parameters())


@pytest.mark.parametrize('name', PLAIN)
def test_a_plain_training_step(name):
    model, _ = build(name)
    model.init_weights()
    total, _ = model.parse_losses(tiny.losses_of(model.train(), guided.batch()))
    total.backward()
    assert all(value.grad is not None and torch.isfinite(value.grad).all() for value in model.parameters())


def test_a_split_of_coco_goes_through_the_pipelines(tmp_path, make_tiny_coco):
    """The data part of a paper config, on a tiny data set in COCO's place."""
    data = make_tiny_coco(tmp_path)
    cfg = copy.deepcopy(read('sed/retinanet_r18_fpn_sed_180k_coco-10p.py'))
    init_default_scope(cfg.default_scope)
    loader = cfg.train_dataloader
    for leaf in loader.dataset.datasets:
        leaf.update(
            data_root=str(data.root),
            ann_file=data.ann_file.name,
            data_prefix=dict(img='images'),
            metainfo=data.metainfo,
        )
    loader.update(num_workers=0, persistent_workers=False)
    batch = next(iter(Runner.build_dataloader(loader, seed=0)))
    # A branch has None in the place of an image of the other source.
    branches = {name: [image for image in images if image is not None] for name, images in batch['inputs'].items()}
    assert {name: len(images) for name, images in branches.items()} == dict(sup=2, unsup_teacher=2, unsup_student=2)
    for weak, strong in zip(branches['unsup_teacher'], branches['unsup_student']):
        assert weak.shape == strong.shape and 640 <= min(weak.shape[-2:]) <= 800

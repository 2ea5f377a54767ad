"""configs/sssd against what the SSSD paper and LGD say, written out here; and that docs/reproduction.md names them."""

import copy

import pytest
from config_files import CONFIGS, pipelines, read, transform
from mmengine.registry import HOOKS, init_default_scope

from sssd.schedules import Progress

#: One line a config: learning rate, backbone, distance, context box, guide detached from the student, lambda before
#: and from the first milestone on. SSSD's Table 1 is its Table 4 at lambda 75.
ROWS = """
faster-rcnn_r50_baseline         0.02  50   -    -    -    -    -
faster-rcnn_r50_labelenc_step1   0.02  50   -    -    -    -    -
faster-rcnn_r50_labelenc         0.02  50   mse  -    -    -    -
faster-rcnn_r50_lgd              0.02  50   mse  no   yes  1    1
faster-rcnn_r50_lgd_lambda1p5    0.02  50   mse  no   yes  1.5  1.5
faster-rcnn_r50_lgd_lambda2      0.02  50   mse  no   yes  2    2
faster-rcnn_r50_lgd_stepwise     0.02  50   mse  no   yes  1    1.5
faster-rcnn_r50_sssd             0.02  50   js   no   yes  75   75
faster-rcnn_r50_sssd_lambda50    0.02  50   js   no   yes  50   50
faster-rcnn_r50_sssd_lambda100   0.02  50   js   no   yes  100  100
faster-rcnn_r50_sssd_stepwise    0.02  50   js   no   yes  75   100
faster-rcnn_r101_baseline        0.02  101  -    -    -    -    -
faster-rcnn_r101_labelenc        0.02  101  mse  -    -    -    -
faster-rcnn_r101_lgd             0.02  101  mse  no   yes  1    1
faster-rcnn_r101_sssd            0.02  101  js   no   yes  75   75
retinanet_r50_baseline           0.01  50   -    -    -    -    -
retinanet_r50_labelenc_step1     0.01  50   -    -    -    -    -
retinanet_r50_labelenc           0.01  50   mse  -    -    -    -
retinanet_r50_lgd                0.01  50   mse  yes  no   1    1
retinanet_r50_sssd               0.01  50   js   yes  no   75   75
retinanet_r101_baseline          0.01  101  -    -    -    -    -
retinanet_r101_labelenc          0.01  101  mse  -    -    -    -
retinanet_r101_lgd               0.01  101  mse  yes  no   1    1
retinanet_r101_sssd              0.01  101  js   yes  no   75   75
fcos_r50_baseline                0.01  50   -    -    -    -    -
fcos_r50_labelenc_step1          0.01  50   -    -    -    -    -
fcos_r50_labelenc                0.01  50   mse  -    -    -    -
fcos_r50_lgd                     0.01  50   mse  no   no   1    1
fcos_r50_sssd                    0.01  50   js   no   no   75   75
fcos_r101_baseline               0.01  101  -    -    -    -    -
fcos_r101_labelenc               0.01  101  mse  -    -    -    -
fcos_r101_lgd                    0.01  101  mse  yes  no   1    1
fcos_r101_sssd                   0.01  101  js   yes  no   75   75
"""
TABLE = {name: values for name, *values in map(str.split, ROWS.strip().splitlines())}
GUIDED = [name for name in TABLE if name.split('_')[2] in ('lgd', 'sssd')]
DETECTORS = {'faster-rcnn': 'FasterRCNN', 'retinanet': 'RetinaNet', 'fcos': 'FCOS'}
YES = {True: 'yes', False: 'no'}


def config(name):
    """A config of configs/sssd and, inside its model, the detector's."""
    cfg = read(f'sssd/{name}.py')
    return cfg, cfg.model.get('detector', cfg.model)


def test_the_table_has_every_config():
    assert set(TABLE) == {path.stem for path in (CONFIGS / 'sssd').glob('*.py')}


@pytest.mark.parametrize('name', TABLE)
def test_schedule_and_optimizer(name):
    cfg, _ = config(name)
    optimizer = cfg.optim_wrapper.optimizer
    assert (optimizer.type, optimizer.momentum, optimizer.weight_decay) == ('SGD', 0.9, 1e-4)
    assert optimizer.lr == float(TABLE[name][0])
    assert cfg.optim_wrapper.clip_grad.max_norm > 0
    warm_up, steps = cfg.param_scheduler
    assert (warm_up.type, warm_up.end) == ('LinearLR', 1000)
    assert (steps.type, steps.milestones, steps.gamma) == ('MultiStepLR', [120000, 160000], 0.1)
    assert cfg.train_cfg.max_iters == steps.end == 180000 and not steps.by_epoch
    assert cfg.val_cfg.type == 'ValLoop'


@pytest.mark.parametrize('name', TABLE)
def test_data(name):
    cfg, detector = config(name)
    loader = cfg.train_dataloader
    assert cfg.auto_scale_lr.base_batch_size == 8 * loader.batch_size == 16
    assert loader.dataset.ann_file == 'annotations/instances_train2017.json'
    assert cfg.val_evaluator.ann_file.endswith('instances_val2017.json')
    (pipeline,) = pipelines(loader)
    resize = transform(pipeline, 'RandomResize')
    assert resize.scale == [(1333, 640), (1333, 800)] and resize.keep_ratio
    assert transform(pipeline, 'RandomFlip').prob == 0.5 and pipeline[-1].type.split('.')[-1] == 'PackDetInputs'
    assert transform(cfg.val_dataloader.dataset.pipeline, 'Resize').scale == (1333, 800)
    assert detector.data_preprocessor.type == 'DetDataPreprocessor'


@pytest.mark.parametrize('name', TABLE)
def test_detector(name):
    _, detector = config(name)
    depth = int(TABLE[name][1])
    assert detector.type == DETECTORS[name.split('_')[0]] and f'_r{depth}_' in name
    assert detector.backbone.depth == depth
    assert dict(detector.backbone.init_cfg) == dict(type='Pretrained', checkpoint=f'torchvision://resnet{depth}')
    assert detector.backbone.norm_eval and detector.neck.in_channels == [256, 512, 1024, 2048]
    if detector.type == 'FCOS':
        head = detector.bbox_head
        assert head.norm_on_bbox and head.centerness_on_reg and head.center_sampling
        assert head.loss_bbox.type == 'GIoULoss'
        # P6 and P7 come from C5 in LGD's code, whose baseline it is, and from P5 in LabelEnc's.
        neck = detector.neck
        assert neck.add_extra_convs == ('on_output' if '_labelenc' in name else 'on_input')
        assert neck.relu_before_extra_convs and neck.start_level == 1 and neck.num_outs == 5


@pytest.mark.parametrize('name', GUIDED)
def test_guide_and_distance(name):
    cfg, _ = config(name)
    kind, context, detach = TABLE[name][2:5]
    guide = cfg.model.guide
    assert cfg.model.type == 'sssd.GuidedDetector' and guide.type == 'LGD'
    assert (YES[guide.get('context', False)], YES[guide.get('detach', False)]) == (context, detach)
    assert (cfg.model.distance.type, cfg.model.distance.kind) == ('FeatureDistance', kind)


@pytest.mark.parametrize('name', GUIDED)
def test_lambda_freezing_detaching(name):
    """Frozen until 20k, the student attached from 30k, lambda as in the table; at 120k a tenth of the rate.

    Until 20k lambda is 0 in SSSD; in LGD it is there from the start, for the adapter.
    """
    cfg, _ = config(name)
    init_default_scope(cfg.default_scope)
    weights, freeze = (HOOKS.build(copy.deepcopy(hook)) for hook in cfg.custom_hooks)
    before, after = map(float, TABLE[name][5:])

    def at(key):
        return [
            weights.schedules[key](Progress(iteration, 180000, lr, 0.5 if iteration < 1000 else 1.0))
            for iteration, lr in (
                (500, 0.5),
                (19999, 1.0),
                (20000, 1.0),
                (29999, 1.0),
                (30000, 1.0),
                (119999, 1.0),
                (120000, 0.1),
                (160000, 0.01),
            )
        ]

    first = before if '_lgd' in name else 0
    assert at('lambda_') == [first, first, before, before, before, before, after, after]
    assert at('student_grad') == [0, 0, 0, 0, 1, 1, 1, 1]
    assert freeze.until == 20000 and weights.burn_in == 0


@pytest.mark.parametrize('name', [name for name in TABLE if name not in GUIDED])
def test_the_others_have_no_hooks(name):
    cfg, detector = config(name)
    assert not cfg.get('custom_hooks')
    assert (detector is cfg.model) == name.endswith('_baseline')


@pytest.mark.parametrize('name', [name for name in TABLE if name.endswith('_labelenc')])
def test_step_2_of_label_enc_takes_the_encoder_of_step_1(name):
    cfg, _ = config(name)
    guide = cfg.model.guide
    assert guide.type == 'LabelEnc' and guide.frozen and guide.init_cfg.type == 'Pretrained'
    assert guide.init_cfg.prefix == 'guidance.guide.'
    _, run, checkpoint = guide.init_cfg.checkpoint.split('/')
    step_1, _ = config(run)
    assert run.endswith('_labelenc_step1') and run.split('_')[0] == name.split('_')[0]
    assert checkpoint == f'iter_{step_1.train_cfg.max_iters}.pth'
    assert dict(step_1.model.guide) == dict(type='LabelEnc') and step_1.model.lambda_ == 0
    assert not cfg.model.guide_loss and cfg.model.lambda_ == 1 and cfg.model.distance.kind == 'mse'


def test_the_docs_name_every_config(repo_root):
    text = (repo_root / 'docs' / 'reproduction.md').read_text()
    assert [name for name in TABLE if f'`{name}.py`' not in text] == []

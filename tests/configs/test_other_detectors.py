"""DETR, C4 and DC5: mmdet's own models, what SED changes in them, and what the paper says of them."""

import pytest
from config_files import build, read
from mmengine.hub import get_config
from mmengine.optim import build_optim_wrapper

SINGLE_MAP = 'sed/faster-rcnn_r50_{}_{}_180k_coco-10p.py'
DETR = 'sed/detr_r50_sed_180k_coco-10p.py'


def test_detr_is_that_of_mmdet():
    theirs = get_config('mmdet::detr/detr_r50_8xb2-150e_coco.py')
    assert read('_base_/models/detr_r50.py').model == theirs.model
    ours = read(DETR)
    assert ours.optim_wrapper == theirs.optim_wrapper
    theirs.model.data_preprocessor.pad_size_divisor = 2
    assert ours.model.detector == theirs.model


def test_detr_is_paced_by_300_epochs_of_voc07():
    """Table 5: 300 epochs, of VOC07's 5011 labelled images; 8 GPUs x 2 of them an iteration."""
    cfg = read('_base_/schedules/detr_300e_voc07.py')
    (fall,) = cfg.param_scheduler
    for iterations, epochs in ((cfg.max_iters, 300), (fall.milestones[0], 200)):
        assert iterations == pytest.approx(epochs * 5011 / 16, rel=1e-3)
    assert cfg.train_cfg.max_iters == fall.end == cfg.max_iters


def test_the_backbone_of_detr_learns_at_a_tenth_of_the_rate():
    model, cfg = build(DETR)
    wrapper = build_optim_wrapper(model, cfg.optim_wrapper)
    rates = {id(value): group['lr'] for group in wrapper.optimizer.param_groups for value in group['params']}
    for name, value in model.student.named_parameters():
        if value.requires_grad:
            assert rates[id(value)] == pytest.approx(1e-5 if name.startswith('backbone') else 1e-4)
    assert [view.name for view in model.views] == ['query']


@pytest.mark.parametrize('training, rate', [('sed', 0.01), ('supervised', 0.02)])
@pytest.mark.parametrize('kind', ['c4', 'dc5'])
def test_single_maps_are_those_of_mmdet(kind, training, rate):
    model, cfg = build(SINGLE_MAP.format(kind, training))
    theirs = get_config(f'mmdet::_base_/models/faster-rcnn_r50-caffe-{kind}.py').model
    if kind == 'c4':
        theirs.train_cfg.rpn_proposal.max_per_img = 500
    assert cfg.model.detector == {**theirs, '_scope_': 'mmdet'}
    assert cfg.model.data_preprocessor.data_preprocessor == cfg.model.detector.data_preprocessor
    assert [view.name for view in model.views] == ['rpn', 'roi']
    assert cfg.optim_wrapper.optimizer.lr == rate and cfg.train_cfg.max_iters == 180000
    weights = [hook.get(key) for hook in cfg.custom_hooks for key in ('lambda_s', 'lambda_d') if key in hook]
    assert weights == ([0.0, 0.0] if training == 'supervised' else [1.0, 1.0])

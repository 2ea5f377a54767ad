"""mmdet's other dense heads, as its own configs set them up: each takes part in SED or is refused with its reason."""

import math

import pytest
import tiny
import torch
from mmdet.registry import MODELS as MMDET_MODELS
from mmengine.hub import get_config
from mmengine.logging import MessageHub

from sssd.detectors.sed import shrink
from sssd.errors import UserError
from sssd.views import build_views
from sssd.views.dense import box_unit_of, check_head

SIZE = (192, 192)
LEVELS = 3

#: Heads that need no word in the config: mmdet's config and the unit that the view reads off the head.
KNOWN = dict(
    RetinaHead=('retinanet/retinanet_r50_fpn_1x_coco', 'deltas'),
    FCOSHead=('fcos/fcos_r50-caffe_fpn_gn-head_1x_coco', 'pixels'),
    ATSSHead=('atss/atss_r50_fpn_1x_coco', 'deltas'),
    GFLHead=('gfl/gfl_r50_fpn_1x_coco', 'bins'),
    TOODHead=('tood/tood_r50_fpn_1x_coco', 'deltas'),
    RTMDetSepBNHead=('rtmdet/rtmdet_tiny_8xb32-300e_coco', 'pixels'),
    FreeAnchorRetinaHead=('free_anchor/freeanchor_r50_fpn_1x_coco', 'deltas'),
    PAAHead=('paa/paa_r50_fpn_1x_coco', 'deltas'),
    DDODHead=('ddod/ddod_r50_fpn_1x_coco', 'deltas'),
    PISARetinaHead=('pisa/retinanet-r50_fpn_pisa_1x_coco', 'deltas'),
    NASFCOSHead=('nas_fcos/nas-fcos_r50-caffe_fpn_nashead-gn-head_4xb4-1x_coco', 'pixels'),
)
#: Heads that work once the config names the unit of their boxes.
GIVEN = dict(
    AutoAssignHead=('autoassign/autoassign_r50-caffe_fpn_1x_coco', 'pixels'),
    FoveaHead=('foveabox/fovea_r50_fpn_4xb4-1x_coco', 'deltas'),
    FSAFHead=('fsaf/fsaf_r50_fpn_1x_coco', 'deltas'),
    YOLOXHead=('yolox/yolox_tiny_8xb8-300e_coco', 'deltas'),
    CenterNetUpdateHead=('centernet/centernet-update_r50-caffe_fpn_ms-1x_coco', 'strides'),
)
#: Heads that are refused: config, and words of the reason.
REFUSED = dict(
    VFNetHead=('vfnet/vfnet_r50_fpn_1x_coco', r'3 outputs with \[\d+, 4, 4\] channels'),
    RepPointsHead=('reppoints/reppoints-moment_r50_fpn_1x_coco', r'3 outputs with \[\d+, 18, 18\] channels'),
    CenterNetHead=('centernet/centernet_r18_8xb16-crop512-140e_coco', 'it has no prior_generator'),
    SABLRetinaHead=('sabl/sabl-retinanet_r50_fpn_1x_coco', 'it has no prior_generator'),
    GARetinaHead=('guided_anchoring/ga-retinanet_r50-caffe_fpn_1x_coco', 'it has no prior_generator'),
    YOLOV3Head=('yolo/yolov3_d53_8xb8-320-273e_coco', 'it has no cls_out_channels'),
    SSDHead=('ssd/ssd300_coco', 'another number of anchors at each level'),
    YOLACTHead=('yolact/yolact_r50_1xb8-55e_coco', 'by a softmax'),
    DETRHead=('detr/detr_r50_8xb2-150e_coco', 'it has no prior_generator'),
)
WORKING = {**KNOWN, **GIVEN}


def shipped(path):
    """The model's config that mmdet ships, as a plain dict."""
    return get_config(f'mmdet::{path}.py').model.to_dict()


def first_levels(node):
    """A head's config with per-level settings of five levels cut to the first ``LEVELS``."""
    if isinstance(node, dict):
        return {key: first_levels(value) for key, value in node.items()}
    return node[:LEVELS] if isinstance(node, (list, tuple)) and len(node) == 5 else node


def small(name):
    """mmdet's config of a head, on a small pyramid of strides 8, 16, 32."""
    config = shipped(WORKING[name][0])
    config.pop('data_preprocessor')
    head = first_levels(config['bbox_head'])
    assert head['type'] == name
    head.update(num_classes=tiny.CLASSES, in_channels=64, feat_channels=64)
    if 'stacked_convs' in head:
        head['stacked_convs'] = 2
    if head.get('norm_cfg', {}).get('type') == 'SyncBN':
        head['norm_cfg'] = dict(type='BN')
    if name in ('FCOSHead', 'NASFCOSHead', 'CenterNetUpdateHead'):
        head['regress_ranges'] = ((-1, 32), (32, 64), (64, 1e8))
    neck = dict(type='FPN', in_channels=[32, 64, 128], out_channels=64, num_outs=LEVELS)
    return dict(config, backbone=tiny.backbone((1, 2, 3)), neck=neck, bbox_head=head)


def sed(name):
    """An SED over a small detector with this head."""
    views = [dict(type='DenseView', box_unit=GIVEN[name][1])] if name in GIVEN else None
    model = tiny.build_sed(small(name), views=views)
    if name == 'TOODHead':
        MessageHub.get_current_instance().update_info('epoch', 0)  # as a Runner does
    return model


@pytest.mark.parametrize('name', WORKING)
def test_a_training_step(name):
    if name == 'PAAHead':
        pytest.importorskip('sklearn', reason='PAA fits its mixtures with scikit-learn')
    model = sed(name)
    assert model.views[0].box_unit == WORKING[name][1]
    losses = tiny.losses_of(model, tiny.make_batch(size=SIZE))
    unsupervised = {key for key in losses if key.startswith('bbox_loss')}
    assert unsupervised == {f'bbox_loss_{kind}_{part}' for kind in ('scale', 'distill') for part in ('cls', 'bbox')}
    for key in unsupervised:
        assert torch.isfinite(losses[key]) and losses[key] > 0
    before = tiny.state_of(model.student)
    optim_wrapper = tiny.sgd(model)
    total, _ = model.parse_losses(losses)
    total.backward()
    trained = [name for name, value in model.student.named_parameters() if value.grad is not None]
    assert all(torch.isfinite(model.student.get_parameter(name).grad).all() for name in trained)
    optim_wrapper.step()
    assert any(not torch.equal(before[name], model.student.get_parameter(name)) for name in trained)


@pytest.mark.parametrize('name', WORKING)
def test_equal_detectors_agree_and_scale_pairs_share_cells(name):
    model = sed(name).eval()
    inputs = torch.randn(2, 3, *SIZE)
    samples = [tiny.sample(SIZE), tiny.sample((150, 120))]
    view = model.views[0]
    with torch.no_grad():
        full, same = [model.run(detector, inputs, samples) for detector in (model.student, model.teacher)]
        half = model.run(model.student, shrink(inputs, 1), samples, 2)
        score, box = model.distill_losses[view.name].distill(*view.distill_pair(full, same))
        first, second = view.scale_pair(full, half, 1)
    assert abs(float(score)) < 1e-5 and float(box) == 0
    check_pair(first, second, model.student.bbox_head.prior_generator.num_base_priors[0])


def check_pair(first, second, priors):
    """Strides 16 and 32 of X take part, on the same grid as their partners; the second image ends at 150 x 120."""
    rows = 2 * priors * sum((SIZE[0] // stride) ** 2 for stride in (16, 32))
    assert first.logits.shape == second.logits.shape == (rows, tiny.CLASSES)
    assert first.boxes.shape == second.boxes.shape == (rows, 1, 4)
    inside = sum(math.ceil(h / stride) * math.ceil(w / stride) for stride in (16, 32) for h, w in (SIZE, (150, 120)))
    assert torch.equal(first.valid, second.valid) and int(first.valid.sum()) == inside * priors


@pytest.mark.parametrize('name', GIVEN)
def test_an_unknown_unit_is_asked_for(name):
    with pytest.raises(UserError, match=f"The unit of {name}'s boxes is not known"):
        build_views(MMDET_MODELS.build(small(name)))


@pytest.mark.parametrize('name', REFUSED)
def test_a_refusal_names_its_reason(name):
    config = shipped(REFUSED[name][0])
    head_config = config['bbox_head']
    head_config.update(train_cfg=config.get('train_cfg'), test_cfg=config.get('test_cfg'))
    head = MMDET_MODELS.build(head_config)
    assert type(head).__name__ == name
    with pytest.raises(UserError, match=REFUSED[name][1]):
        check_head(head, box_unit_of(head))

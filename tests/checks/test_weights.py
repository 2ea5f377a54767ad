"""Which pretrained weights a config names, wherever in it, and which are not to be had."""

import pytest
import torch
from config_files import read
from mmengine.model.weight_init import PretrainedInit

from sssd.checks.weights import missing_weights, named_weights, require_weights
from sssd.errors import UserError

R50 = 'torchvision://resnet50'


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """An empty folder in place of the one where torch.hub keeps what it loads, and an empty present folder."""
    monkeypatch.setenv('TORCH_HOME', str(tmp_path / 'torch'))
    monkeypatch.chdir(tmp_path)
    return tmp_path / 'torch/hub/checkpoints'


@pytest.mark.parametrize(
    'config, expected',
    [
        ('sed/faster-rcnn_r50_fpn_sed_180k_coco-10p.py', {'model.detector.backbone.init_cfg': R50}),
        ('sssd/retinanet_r50_baseline.py', {'model.backbone.init_cfg': R50}),
        (
            'sssd/retinanet_r50_labelenc.py',
            {
                'model.detector.backbone.init_cfg': R50,
                'model.guide.init_cfg': 'work_dirs/retinanet_r50_labelenc_step1/iter_180000.pth',
            },
        ),
        ('quickstart/retinanet_sed.py', {}),
    ],
)
def test_our_configs(config, expected):
    assert {weights.key: weights.name for weights in named_weights(read(config))} == expected


def test_lists_classes_old_keys_and_starts_are_seen():
    cfg = dict(
        load_from='https://example.org/start.pth',
        model=dict(
            necks=[dict(init_cfg=[dict(type='Normal'), dict(type='Pretrained', checkpoint='a.pth')])],
            backbone=dict(pretrained='open-mmlab://vgg16_caffe', init_cfg=None),
            head=dict(init_cfg=dict(type=PretrainedInit, checkpoint='b.pth'), teacher_ckpt='c.pth'),
            other=dict(type='X', checkpoint='no weights', pretrained=True),
        ),
    )
    assert {weights.key: (weights.name, weights.option) for weights in named_weights(cfg)} == {
        'model.necks.0.init_cfg.1': ('a.pth', None),
        'model.backbone.pretrained': ('open-mmlab://vgg16_caffe', 'model.backbone.pretrained=None'),
        'model.head.init_cfg': ('b.pth', 'model.head.init_cfg=None'),
        'model.head.teacher_ckpt': ('c.pth', None),
        'load_from': ('https://example.org/start.pth', None),
    }


def of(name):
    """A config whose backbone begins with these weights."""
    return dict(model=dict(backbone=dict(init_cfg=dict(type='Pretrained', checkpoint=name))))


def test_what_is_missing_is_told_with_its_place_and_both_remedies(cache):
    (sentence,) = missing_weights(of(R50), 'mine.py')
    assert sentence.startswith(f'{R50}, which model.backbone.init_cfg of mine.py names, is not at {cache}/resnet50-')
    assert 'https://download.pytorch.org/models/resnet50-0676ba61.pth' in sentence
    assert '--cfg-options model.backbone.init_cfg=None.' in sentence and '\n' not in sentence
    cache.mkdir(parents=True)
    torch.save({}, cache / 'resnet50-0676ba61.pth')
    assert missing_weights(of(R50), 'mine.py') == [] and require_weights(of(R50), 'mine.py') is None


def test_weights_named_twice_are_told_once():
    cfg = of(R50)
    cfg['model']['other'] = cfg['model']['backbone']
    assert len(missing_weights(cfg, 'mine.py')) == 1


def test_what_cannot_be_had_is_refused(cache):
    name = 'http://127.0.0.1:1/weights.pth'
    with pytest.raises(UserError) as caught:
        require_weights(of(name), 'mine.py')
    text = str(caught.value)
    assert text.startswith(f'{name}, which model.backbone.init_cfg of mine.py names, is not at {cache}/weights.pth, ')
    assert text.endswith('or begin with random weights by --cfg-options model.backbone.init_cfg=None.')
    with pytest.raises(UserError, match='of mine.py names, does not exist: put the file there'):
        require_weights(of('gone.pth'), 'mine.py')


def test_a_study_may_still_make_a_file():
    require_weights(of('gone.pth'), 'mine.py', local=False)

"""The memory estimate: exact parts from the model, activations as autograd keeps them."""

import copy
import gc
import weakref

import pytest
import tiny
import torch
from config_files import build, read
from mmdet.registry import MODELS as MMDET_MODELS
from mmengine.config import Config
from torch import nn
from torch.multiprocessing.reductions import StorageWeakRef

from sssd.errors import UserError
from sssd.hardware.memory import GIB, OVERHEAD, estimate, image_size, kept, phases, unit_of

QUICK = 'quickstart/retinanet_sed.py'
CROP = dict(type='RandomCrop', crop_size=(1024, 512))


class Toy(nn.Module):
    """One layer, one non-linearity: autograd keeps the input, which the layer needs, and the output of the second."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Conv2d(3, 8, 1)

    def loss(self, inputs, samples):
        return dict(loss=self.layer(inputs).relu().sum())


def test_kept_bytes_are_those_that_autograd_saves():
    height, width = 16, 32
    assert kept(Toy(), [2], (height, width)) == 4 * 2 * height * width * (3 + 8)


@pytest.mark.parametrize('kind, views', [('retinanet', 1), ('faster_rcnn', 2)])
def test_branches_are_counted_apart(kind, views):
    """The labelled images' part is a supervised step's; no more than that of all at once is ever alive."""
    found = {}
    for backward in ('joint', 'branch', 'lean'):
        model = tiny.build_sed(tiny.DETECTORS[kind](), backward=backward)
        torch.manual_seed(0)
        found[backward] = phases(model, [1, 1], (128, 192))
    (joint,), branch, lean = found.values()
    torch.manual_seed(0)
    supervised = kept(tiny.build_sed(tiny.DETECTORS[kind](), backward='joint'), [1], (128, 192))
    assert len(branch) == len(lean) == views + 1 and branch[-1] == lean[-1]
    assert branch[-1] == pytest.approx(supervised, rel=0.03)
    assert max(lean) < max(branch) < 0.8 * joint
    together = branch[-1] + sum(branch[:-1])
    assert joint == together if views == 1 else joint < together, 'the passes are counted with every view'


def test_the_exact_parts():
    found = estimate(read(QUICK))
    assert found == estimate(read(QUICK)), 'nothing of it is left to chance'
    model, _ = build(QUICK)
    trained = sum(value.numel() for value in model.parameters() if value.requires_grad)
    everything = sum(value.numel() for value in [*model.parameters(), *model.buffers()])
    student = sum(value.numel() for value in model.student.state_dict().values())
    assert everything == pytest.approx(2 * student, abs=100), 'with the EMA teacher; the rest are means of pixels'
    assert found.weights == pytest.approx(4 * everything / GIB)
    assert found.gradients == pytest.approx(4 * trained / GIB)
    assert found.optimizer == pytest.approx(2 * found.gradients), 'AdamW'
    one, two = found.total(2), found.total(4)
    assert two - one == pytest.approx(found.unit)
    assert one == pytest.approx(found.weights + 4 * found.gradients + OVERHEAD + found.unit)
    assert found.waiting == found.gradients, "those of the unlabelled branch wait for the labelled images'"
    assert found.total(2, gpus=2) - one == pytest.approx(found.gradients), 'buckets'


def resizes(node):
    """All resizing steps below a node of a config."""
    if isinstance(node, dict) and 'scale' in node:
        yield node
    for value in node.values() if isinstance(node, dict) else node if isinstance(node, (list, tuple)) else ():
        yield from resizes(value)


def larger(config: str) -> Config:
    """A config of the quick start whose images are larger than those that are counted."""
    cfg = Config(copy.deepcopy(read(config)._cfg_dict))
    for step in resizes(cfg.train_dataloader.dataset):
        step['scale'] = (768, 512)
    return cfg


def count(cfg: Config) -> float:
    """GiB that autograd keeps for a batch of :func:`larger`'s images."""
    torch.manual_seed(0)
    return kept(tiny.MODELS.build(copy.deepcopy(cfg.model)).train(), unit_of(cfg), (512, 768)) / GIB


@pytest.mark.parametrize('config', [QUICK, 'quickstart/detr_sed.py'])
def test_activations_of_other_sizes_are_on_the_line_or_parabola_through_the_small_ones(config):
    """The rule's own check: counted at another size, the estimate for that size differs little."""
    cfg = larger(config)
    found = estimate(cfg)
    assert found.size == (512, 768)
    assert found.unit == pytest.approx(count(cfg), rel=0.02)


@pytest.mark.parametrize('limits', [(100, 300), (100, 900)], ids=['counted', 'scaled'])
def test_proposals_up_to_the_limit_of_the_config(limits):
    """Small images have fewer proposals than large ones, and a trained RPN other ones than a new one."""
    found, counted = [], []
    for limit in limits:
        cfg = larger('quickstart/faster_rcnn_sed.py')
        proposal = cfg.model.detector.train_cfg.rpn_proposal
        proposal.update(nms_pre=1000, max_per_img=limit, nms=dict(type='nms', iou_threshold=0.2))
        found.append(estimate(cfg).unit)
        proposal.nms.iou_threshold = 1.0
        counted.append(count(cfg))
    assert found[1] - found[0] == pytest.approx(counted[1] - counted[0], rel=0.02)
    assert found == pytest.approx(counted, rel=0.02)


@pytest.mark.parametrize(
    'name, size, counts',
    [
        ('sed/faster-rcnn_r50_fpn_sed_180k_coco-10p.py', (832, 1344), [1, 1]),
        ('sssd/fcos_r50_sssd.py', (800, 1344), [1]),
        (QUICK, (192, 192), [1, 1]),
    ],
)
def test_sizes_and_smallest_batches(name, size, counts):
    assert image_size(read(name)) == size and unit_of(read(name)) == counts


@pytest.mark.parametrize(
    'steps, size',
    [
        ([dict(type='RandomResize', scale=(320, 320), ratio_range=(0.7, 1.3))], (416, 416)),
        ([dict(type='RandomResize', scale=[(1333, 640), (1333, 800)])], (800, 1344)),
        ([dict(type='RandomResize', scale=(1024, 1024), ratio_range=(0.1, 2.0)), CROP], (512, 1024)),
        ([dict(type='RandomResize', scale=(320, 256)), CROP, dict(type='Resize', scale=(640, 480))], (480, 640)),
        (
            [dict(type='Resize', scale=(960, 960)), dict(CROP, crop_type='relative_range', crop_size=(0.5, 1))],
            (960, 960),
        ),
        ([dict(type='Resize', scale=512)], (512, 512)),
        ([dict(type='Resize', scale=[640, 480], keep_ratio=False)], (480, 640)),
    ],
)
def test_the_largest_image_that_a_pipeline_makes(steps, size):
    dataset = dict(
        type='ConcatDataset', datasets=[dict(pipeline=[dict(type='Resize', scale=(64, 64))]), dict(pipeline=steps)]
    )
    model = dict(data_preprocessor=dict(type='DetDataPreprocessor', pad_size_divisor=32))
    assert image_size(Config(dict(model=model, train_dataloader=dict(dataset=dataset)))) == size


def test_a_model_without_preprocessor_pads_nothing():
    cfg = Config(dict(model={}, train_dataloader=dict(dataset=dict(pipeline=[dict(type='Resize', scale=(50, 40))]))))
    assert image_size(cfg) == (40, 50)


def test_a_head_of_masks_is_counted():
    config = tiny.faster_rcnn()
    plain = kept(MMDET_MODELS.build(config).train(), [1], (128, 192))
    config['roi_head'].update(
        mask_roi_extractor=config['roi_head']['bbox_roi_extractor'],
        mask_head=dict(type='FCNMaskHead', num_convs=1, in_channels=32, conv_out_channels=16, num_classes=tiny.CLASSES),
    )
    config['train_cfg']['rcnn']['mask_size'] = 6
    assert kept(MMDET_MODELS.build(config).train(), [1], (128, 192)) > plain


def test_an_unknown_optimizer_is_refused():
    cfg = Config(copy.deepcopy(read(QUICK)._cfg_dict))
    cfg.optim_wrapper.optimizer.type = 'Lion'
    with pytest.raises(UserError, match='memory of the optimizer Lion is not known'):
        estimate(cfg)


def test_nothing_is_held_once_it_is_counted():
    """An output that autograd saves must not hold its own graph: that would stay until the process ends."""

    class Watched(Toy):
        def loss(self, inputs, samples):
            output = self.layer(inputs).relu()
            seen.append(weakref.ref(output))
            return dict(loss=output.sum())

    seen = []
    kept(Watched(), [1], (8, 8))
    gc.collect()
    assert [output() for output in seen] == [None]


def test_activations_are_counted_once_and_let_go_at_once():
    """So a large model needs no more memory for it than to predict."""

    class Long(Toy):
        def loss(self, inputs, samples):
            output = self.layer(inputs).relu()
            storage = StorageWeakRef(output.untyped_storage())
            total = output.sin().sum()  # which saves it again
            del output
            gone.append(storage.expired())
            return dict(loss=total)

    gone = []
    assert kept(Long(), [1], (8, 8)) == 4 * 8 * 8 * (3 + 8) and gone == [True]

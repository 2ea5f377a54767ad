"""Runs parts of a training step on tensors of a device without values, and prints what each part did as JSON.

PyTorch's FakeTensorMode knows of a tensor its shape, type and device. A value that is read back (``item``, ``nonzero``,
``bool``) and tensors of two devices in one operation raise in it; :class:`Traffic` adds copies from the device, copies
to it that wait, and indices on the CPU.

The device is CUDA where PyTorch is built for it, with or without a GPU, and else one that is registered from Python,
since a build for CPUs cannot differentiate a fake CUDA tensor. This changes the process for good: run it in its own.
"""

import json
import sys

import tiny
import torch
import torch.utils.backend_registration
from mmdet.registry import MODELS as MMDET_MODELS
from mmdet.structures import DetDataSample
from mmengine.structures import InstanceData
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode

from sssd.detectors import synced_heads
from sssd.detectors.sed import shrink
from sssd.guides import LGD, LabelEnc, box_labels
from sssd.hooks.ema_teacher import average
from sssd.losses import BalancedSoftLoss, FeatureDistance, SoftLoss
from sssd.views import DenseView, Pass, PredictionView, pairing

SIZE, IMAGES = (128, 192), ((128, 192), (90, 130))


class Traffic(TorchDispatchMode):
    """Refuses what a FakeTensorMode lets pass although CUDA would make the host wait for it."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        out = func(*args, **kwargs)
        if func is torch.ops.aten._to_copy.default:
            self.check(args[0].device, out.device, kwargs.get('non_blocking', False))
        elif func is torch.ops.aten.copy_.default:
            self.check(args[1].device, args[0].device, args[2] if len(args) > 2 else kwargs.get('non_blocking', False))
        elif func in (torch.ops.aten.index.Tensor, torch.ops.aten.index_put_.default, torch.ops.aten.index_put.default):
            for index in filter(lambda one: one is not None, args[1]):
                self.check(index.device, args[0].device, False)
        return out

    @staticmethod
    def check(source, target, non_blocking):
        if source.type != target.type and (target.type == 'cpu' or not non_blocking):
            raise RuntimeError(f'a copy from {source.type} to {target.type} that waits')


def device_name():
    """The device, made ready, or None if this PyTorch has none to offer."""
    if torch.backends.cuda.is_built():
        return 'cuda'
    setup = getattr(torch.utils.backend_registration, '_setup_privateuseone_for_python_backend', None)
    if setup is None:
        return None
    setup('made_up')
    torch.made_up.get_amp_supported_dtype = lambda: [torch.float16, torch.bfloat16]
    return 'made_up'


def views(device, activation, groups=1):
    columns = 4 + (activation == 'softmax')
    return [
        PredictionView(
            torch.randn(72, columns, device=device, requires_grad=True),
            torch.randn(72, groups, 4, device=device, requires_grad=True),
            torch.ones(72, dtype=torch.bool, device=device),
            activation,
            (20, 12, 4),
        )
        for _ in range(2)
    ]


def losses(device, make, **options):
    for activation in ('sigmoid', 'softmax'):
        for groups in (1, 4):
            pair = views(device, activation, groups)
            with torch.device(device):
                loss = make(**options)
            sum([*loss.distill(*pair), *loss.scale(*pair)]).backward()
            assert pair[0].logits.grad.device.type == pair[1].boxes.grad.device.type == device


def pyramid(device):
    return [torch.randn(2, 16, *(side // stride for side in SIZE), device=device) for stride in (8, 16, 32, 64)]


def distance(device, **options):
    student = [level.requires_grad_() for level in pyramid(device)]
    FeatureDistance(**options)(student, pyramid(device)).backward()
    assert all(level.grad.device.type == device for level in student)


def guide(device, kind, **options):
    samples = []
    for image, count in zip(IMAGES, (3, 0)):
        sample = DetDataSample(metainfo=dict(img_shape=image))
        sample.gt_instances = InstanceData(
            bboxes=torch.rand(count, 4, device=device), labels=torch.zeros(count, dtype=torch.long, device=device)
        )
        samples.append(sample)
    with torch.device(device):
        made = kind(16, 3, (8, 16, 32, 64), **options)
    features = [level.requires_grad_() for level in pyramid(device)]
    sum(level.square().mean() for level in made(features, box_labels(samples))).backward()


def dense(device, config, head, paired):
    detector, factor = config, 2
    view = DenseView(head)
    view.box_unit = 'pixels' if head == 'bbox_head' and 'FCOS' in type(detector).__name__ else 'deltas'
    part = getattr(detector, head)
    priors, classes = part.prior_generator.num_base_priors[0], part.cls_out_channels
    runs = []
    for step in (1, factor):
        grids = [(SIZE[0] // step // int(h), SIZE[1] // step // int(w)) for w, h in pairing.strides_of(part)]
        maps = [
            [torch.randn(2, priors * channels, *grid, device=device, requires_grad=True) for grid in grids]
            for channels in (classes, 4)
        ]
        metas = [dict(img_shape=tuple(side / step for side in image)) for image in IMAGES]
        runs.append(Pass(detector, (), metas, tuple(side // step for side in SIZE)))
        runs[-1].once(head, lambda maps=maps: tuple(maps))
    if paired:
        pairing.same_anchors = lambda anchors, shift: paired  # mmdet's anchors lie on the CPU and are compared there
    terms = [*SoftLoss().scale(*view.scale_pair(*runs, 1)), *SoftLoss().distill(*view.distill_pair(runs[0], runs[0]))]
    sum(terms).backward()


def ema(device):
    with torch.device(device):
        teacher, student = torch.nn.Conv2d(3, 4, 3), torch.nn.Conv2d(3, 4, 3)
        for model in (teacher, student):
            model.register_buffer('mean', torch.zeros(4))
            model.register_buffer('steps', torch.zeros((), dtype=torch.long))
    average(teacher, student, 0.9)


def synced(device):
    class Base:
        def get_targets(self):
            return None, [torch.ones(4, device=device)], None, None, 5

    class Head(synced_heads.SyncedTargets, Base):
        pass

    synced_heads.get_world_size, synced_heads.reduce_mean = lambda: 2, lambda value: value / 2
    assert Head().get_targets()[4].device.type == device


def cases(device):
    detectors = [MMDET_MODELS.build(made) for made in (tiny.retinanet(), tiny.fcos(norm_on_bbox=False), tiny.c4())]
    anchors = pairing.same_anchors(detectors[2].rpn_head.prior_generator.base_anchors[0], 1)
    found = {
        **{
            f'SoftLoss {options}': lambda options=options: losses(device, SoftLoss, **options)
            for options in (
                *(dict(reweight=dict(type=name)) for name in ('Mean', 'Histogram', 'OHEM', 'Focal')),
                dict(reweight=dict(type='Histogram', momentum=0.5)),
                *(dict(target='hard'), dict(levels='sum'), dict(temperature=0.5), dict(fused=False)),
                dict(box_rows='foreground', class_boxes='argmax'),
            )
        },
        'BalancedSoftLoss': lambda: losses(device, BalancedSoftLoss),
        **{
            f'FeatureDistance {options}': lambda options=options: distance(device, **options)
            for options in (
                dict(),
                dict(fused=False),
                dict(over='map', root='level'),
                dict(kind='kl'),
                dict(kind='mse'),
            )
        },
        'LGD': lambda: guide(device, LGD, context=True),
        'LGD overlap': lambda: guide(device, LGD, cells='overlap', coordinates='image', transform='image'),
        'LabelEnc': lambda: guide(device, LabelEnc),
        'retinanet': lambda: dense(device, detectors[0], 'bbox_head', None),
        'fcos': lambda: dense(device, detectors[1], 'bbox_head', None),
        'c4': lambda: dense(device, detectors[2], 'rpn_head', anchors),
        'ema': lambda: ema(device),
        'synced head': lambda: synced(device),
        'shrink': lambda: shrink(torch.rand(2, 3, 64, 96, device=device), 1),
        # What has to fail.
        'BAD item': lambda: views(device, 'sigmoid')[0].logits.sum().item(),
        'BAD bool': lambda: bool(views(device, 'sigmoid')[0].valid.any()),
        'BAD nonzero': lambda: views(device, 'sigmoid')[0].valid.nonzero(),
        'BAD mask': lambda: views(device, 'sigmoid')[0].logits[views(device, 'sigmoid')[0].valid],
        'BAD cpu': lambda: views(device, 'sigmoid')[0].logits.cpu(),
        'BAD left behind': lambda: views(device, 'sigmoid')[0].logits + torch.ones(5 - 1),
        'BAD index': lambda: views(device, 'sigmoid')[0].logits[torch.tensor([0, 1])],
        'BAD upload': lambda: torch.tensor([1.0, 2.0], device=device),
        'BAD new_tensor': lambda: views(device, 'sigmoid')[0].logits.new_tensor([1.0, 2.0]),
        'BAD blocking copy': lambda: torch.tensor([1.0, 2.0]).to(device),
    }
    return found


def main():
    device, told = device_name(), {}
    for name, run in {} if device is None else cases(device).items():
        try:
            with FakeTensorMode(), Traffic():
                run()
        except Exception as error:
            told[name] = f'{type(error).__name__}: {str(error)[:300]}'
        else:
            told[name] = 'ok'
    json.dump(told, sys.stdout)


if __name__ == '__main__':
    main()

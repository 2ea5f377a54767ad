"""Runs parts of a training step on tensors of a device without values, and prints what each part did as JSON.

PyTorch's FakeTensorMode knows of a tensor its shape, type and device. A value that is read back (``item``, ``nonzero``,
``bool``) and tensors of two devices in one operation raise in it; :class:`Traffic` adds copies from the device, copies
to it that wait, and indices on the CPU.

The device is CUDA where PyTorch is built for it, with or without a GPU, and else one that is registered from Python,
since a build for CPUs cannot differentiate a fake CUDA tensor. This changes the process for good: run it in its own.
"""

import json
import math
import sys
from types import SimpleNamespace
from unittest import mock

import tiny
import torch
import torch.utils.backend_registration
from mmdet.models.roi_heads.roi_extractors import SingleRoIExtractor
from mmdet.registry import MODELS as MMDET_MODELS
from mmdet.structures import DetDataSample
from mmengine.structures import InstanceData
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode

from sssd.detectors import synced_heads
from sssd.detectors.sed import shrink
from sssd.guides import LGD, LabelEnc, box_labels, cells
from sssd.hooks import CalibrateLambdaHook, EMATeacherHook, GradientRatioHook, ema_teacher
from sssd.hooks.ema_teacher import average
from sssd.losses import BalancedSoftLoss, FeatureDistance, SoftLoss, sum_of
from sssd.views import DenseView, Pass, PredictionView, RoIView, pairing

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
    cells.LARGE, cells.SUMMED, cells.WRITTEN = 0, math.inf, math.inf  # levels that go box by box on a CPU do not here
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


def regions(device, max_rows):
    """The second stage; proposing and mmcv's operator are not ours: proposals are given and pooling is a mean."""
    with torch.device(device):
        detector = MMDET_MODELS.build(tiny.faster_rcnn())

    def pooled(extractor, feats, rois, roi_scale_factor=None):
        return feats[0].mean((2, 3))[:1, :, None, None].expand(len(rois), -1, *extractor.roi_layers[0].output_size)

    view, runs = RoIView(max_rows=max_rows), []
    for step in (1, 2):
        feats = tuple(
            torch.randn(2, 32, SIZE[0] // stride, SIZE[1] // stride, device=device, requires_grad=True)
            for stride in (4 * step, 8 * step, 16 * step, 32 * step)
        )
        runs.append(Pass(detector, feats, [dict(img_shape=image) for image in IMAGES], SIZE))
        runs[-1].once('proposals', lambda: [torch.rand(5, 4, device=device), torch.rand(3, 4, device=device)])
    with mock.patch.object(SingleRoIExtractor, 'forward', pooled):
        pairs = view.scale_pair(*runs, 1), view.distill_pair(runs[0], runs[0])
    sum([*SoftLoss().scale(*pairs[0]), *SoftLoss().distill(*pairs[1])]).backward()
    assert all(run.feats[0].grad.device.type == device for run in runs)


def moved(device, model):
    """A model that was built on the CPU, with parameters and buffers of the same shapes on the device."""
    for module in model.modules():
        for name, value in module._parameters.items():
            if value is not None:
                new = torch.rand(value.shape, device=device)
                module._parameters[name] = torch.nn.Parameter(new, requires_grad=value.requires_grad)
        for name, value in module._buffers.items():
            if value is not None:
                module._buffers[name] = torch.ones(value.shape, dtype=value.dtype, device=device)
    return model


def unlabelled(device, model):
    """SED's whole branch: passes, views, losses, and the gradients that are carried to the labelled images'."""
    model = moved(device, model)
    inputs = {name: torch.rand(2, 3, *SIZE, device=device) for name in ('unsup_student', 'unsup_teacher')}
    samples = {name: [DetDataSample(metainfo=dict(img_shape=image)) for image in IMAGES] for name in inputs}
    gradients = model.branch_gradients()
    losses, health = model.unsupervised_losses(inputs, samples, gradients)
    total = sum_of(losses)
    (total if gradients is None else gradients.carried(total)).backward()
    trained = [value for value in model.student.parameters() if value.requires_grad]
    assert trained and all(value.grad.device.type == device for value in trained)
    assert all(value.device.type == device for value in health.values())


def between_measurements(device, model):
    """Hooks that measure gradients leave other iterations alone; one that measures reads values back, on purpose."""
    model = moved(device, model)
    runner = SimpleNamespace(model=model, iter=3, max_iters=100, hooks=[], optim_wrapper=None, train_loop=None)
    calibrated = CalibrateLambdaHook(batches=1, interval=50, hold=True, distill=0.5)
    calibrated.means['distill'] = [1, 2.0, 8.0]
    logged = GradientRatioHook(interval=50)
    for hook in (calibrated, logged):
        hook.before_train(runner)
        hook.before_train_iter(runner, 3)
        assert not model.measure_gradients
        if hook is calibrated:
            assert model.lambda_d == 2.0
            hook.after_train_iter(runner, 3)
    assert model.lambda_d == 1.0


def ema_hook(device, model):
    """A whole step of the teacher."""
    model = moved(device, model)
    steps = SimpleNamespace(optimizer=torch.optim.SGD(model.student.parameters(), lr=0.1))
    hub = SimpleNamespace(update_scalar=lambda name, value: None)
    hook, runner = EMATeacherHook(alpha=0.9), SimpleNamespace(model=model, iter=0, max_iters=9, message_hub=hub)
    runner.optim_wrapper = SimpleNamespace(optimizer=steps.optimizer, get_lr=lambda: dict(lr=[0.1]))
    hook.before_train(runner)
    for value in model.student.parameters():
        value.grad = torch.ones_like(value) if value.requires_grad else None
    steps.optimizer.step()
    assert hook.stepped
    with mock.patch.object(ema_teacher, 'progress_of', lambda runner: None):
        hook.after_train_iter(runner, 0)


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
    seds = [tiny.build_sed(tiny.retinanet(), lambda_d=1.0) for _ in range(2)]
    by_way = {way: tiny.build_sed(tiny.retinanet(), backward=way) for way in ('branch', 'lean', 'joint')}
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
        **{
            f'LGD share, {context}': lambda context=context: guide(device, LGD, cells='share', context=context)
            for context in (False, True)
        },
        'LGD overlap': lambda: guide(device, LGD, cells='overlap', coordinates='image', transform='image'),
        'LabelEnc': lambda: guide(device, LabelEnc),
        'retinanet': lambda: dense(device, detectors[0], 'bbox_head', None),
        'fcos': lambda: dense(device, detectors[1], 'bbox_head', None),
        'c4': lambda: dense(device, detectors[2], 'rpn_head', anchors),
        'roi': lambda: regions(device, None),
        'roi, few rows': lambda: regions(device, 4),
        **{f'unlabelled, {way}': lambda model=model: unlabelled(device, model) for way, model in by_way.items()},
        'hooks between measurements': lambda: between_measurements(device, seds[0]),
        'ema': lambda: ema(device),
        'ema hook': lambda: ema_hook(device, seds[1]),
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

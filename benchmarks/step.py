"""A training step of SED, 1 + 1 images: seconds and memory over those of a supervised step and of mmdet's own.

supervised   the detector's loss on the labelled image, forward and backward
mmdet        mmdet's SemiBaseDetector, for Faster R-CNN its SoftTeacher: as many pseudo-boxes as there are labels
branch       SED, backward branch by branch
lean         the same, X^ computed twice
joint        SED, one backward pass
operator     SED, branch, its regions pooled by mmcv's operator instead of sssd.views.pooling (Faster R-CNN)

All have the same weights and tensors; their losses on the labels are compared, and the gradients of joint and branch.
There is no optimizer in it and no moving average. Memory, in MiB allocated within a step, is counted once more on
larger images, whose activations outweigh the gradients as in use. Beside the measured ratio stands that of the
multiplications and additions of convolutions and matrix products, counted as they are called. On paper, a backward pass
being two forward passes and X^ a quarter of X, SED's step is 2.58 supervised ones and 1.11 of mmdet's.

    python benchmarks/step.py [--detectors retinanet_r18 ...] [--size 320 448] [--max-rows 512]
"""

import copy
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from unittest import mock

import _timing as timing
import torch
from mmdet.registry import MODELS as MMDET_MODELS
from mmdet.structures import DetDataSample, SampleList
from mmengine.config import Config
from mmengine.logging import MMLogger
from mmengine.registry import init_default_scope
from mmengine.structures import InstanceData
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from sssd.errors import run_cli
from sssd.losses import sum_of
from sssd.places import brought
from sssd.registry import MODELS
from sssd.views import roi

CONFIGS = dict(
    retinanet_r18='configs/sed/retinanet_r18_fpn_sed_180k_coco-10p.py',
    retinanet_r50='configs/sed/retinanet_r50_fpn_sed_180k_coco-10p.py',
    faster_rcnn_r50='configs/sed/faster-rcnn_r50_fpn_sed_180k_coco-10p.py',
)
#: COCO's images have 7.3 boxes on average.
BOXES = 7
#: mmdet's settings of both.
SEMI_TRAIN = Config.fromfile(brought('_base_/pseudo_labels.py')).soft_teacher_cfg


def parse_args(argv: Sequence[str] | None = None):
    """The command line."""
    parser = timing.parser(__doc__, 'step')
    parser.add_argument('--detectors', nargs='+', choices=sorted(CONFIGS), default=list(CONFIGS))
    sides = dict(type=int, nargs=2, metavar=('HEIGHT', 'WIDTH'))
    parser.add_argument('--size', default=(320, 448), help='of the images that are timed', **sides)
    parser.add_argument('--max-rows', type=int, help='RoIView(max_rows=...) of Faster R-CNN; default: all')
    parser.add_argument('--ways', nargs='+', help='only these beside the supervised step and mmdet; default: all')
    parser.add_argument('--memory-size', default=(640, 896), help='of those that memory is counted on', **sides)
    return parser.parse_args(argv)


def sample(size: Sequence[int], device: str, boxes: int) -> DetDataSample:
    """A data sample with boxes of many sizes; its score is 1, so a pseudo-box is sure of itself."""
    data = DetDataSample(
        metainfo=dict(
            img_shape=tuple(size),
            ori_shape=tuple(size),
            pad_shape=tuple(size),
            batch_input_shape=tuple(size),
            scale_factor=(1.0, 1.0),
            img_id=0,
            homography_matrix=torch.eye(3).numpy(),
        )
    )
    height, width = size
    corner = torch.rand(boxes, 2) * torch.tensor([0.5 * width, 0.5 * height])
    extent = torch.tensor([width, height]) * torch.linspace(0.05, 0.45, max(boxes, 1))[:boxes, None]
    data.gt_instances = InstanceData(
        bboxes=torch.cat([corner, corner + extent], 1).to(device),
        labels=torch.arange(boxes, device=device) % 80,
        scores=torch.ones(boxes, device=device),
        reg_uncs=torch.zeros(boxes, device=device),
    )
    return data


def batch(size: Sequence[int], device: str, unlabelled: int = 1) -> tuple[dict[str, Tensor], dict[str, SampleList]]:
    """One labelled image and two views of some without labels."""
    branches = dict(sup=BOXES, unsup_teacher=0, unsup_student=0)
    counts = dict(sup=1, unsup_teacher=unlabelled, unsup_student=unlabelled)
    inputs = {name: torch.randn(counts[name], 3, *size, device=device) for name in branches}
    inputs['unsup_student'] = inputs['unsup_teacher'] + 0.1 * torch.randn(unlabelled, 3, *size, device=device)
    return inputs, {
        name: [sample(size, device, boxes) for _ in range(counts[name])] for name, boxes in branches.items()
    }


def mmdet_semi(config: Mapping, pseudo: InstanceData) -> nn.Module:
    """mmdet's own method, whose teacher finds these boxes, once it has looked for others."""
    detector = copy.deepcopy(config)
    two_stage = detector['type'] == 'FasterRCNN'
    model = MMDET_MODELS.build(
        dict(
            type='SoftTeacher' if two_stage else 'SemiBaseDetector',
            detector=detector,
            semi_train_cfg=SEMI_TRAIN,
            semi_test_cfg=dict(predict_on='teacher'),
            data_preprocessor=dict(
                type='mmdet.MultiBranchDataPreprocessor', data_preprocessor=dict(type='mmdet.DetDataPreprocessor')
            ),
        )
    )
    # SoftTeacher's second call, of jittered boxes, has no test_cfg, and its own result is used
    place, name = (model.teacher.roi_head, 'predict') if two_stage else (model.teacher, 'predict')
    predict = getattr(place, name)

    def found(*args, **kwargs):
        """The teacher's own detections, exchanged for boxes of the number that a trained one finds."""
        results = predict(*args, **kwargs)
        if two_stage:
            return [pseudo.clone() for _ in results] if place.test_cfg is not None else results
        for result in results:
            result.pred_instances = pseudo.clone()
        return results

    setattr(place, name, found)
    return model


def step(model: nn.Module, loss: Callable[[], dict], prefix: str, seed: int, gradients: bool) -> dict[str, Tensor]:
    """Forward and backward; what is compared: the losses on the labels or, with ``gradients``, all gradients."""
    torch.manual_seed(seed)
    losses = loss()
    total = sum_of(losses)
    own = sum_of({name: value for name, value in losses.items() if name.startswith(prefix)}).detach()
    del losses
    total.backward()
    found = dict(labels=own)
    if gradients:
        found = {name: value.grad for name, value in model.named_parameters() if value.grad is not None}
    for value in model.parameters():
        value.grad = None
    return found


def case_of(name: str, size: Sequence[int], args, unlabelled: int = 1) -> tuple[timing.Case, timing.Case]:
    """The steps of a detector, and those of SED's ways with all gradients, which have to agree."""
    init_default_scope('mmdet')
    MMLogger.get_instance('step', log_level='ERROR')  # or every weight that is initialised is listed
    torch.manual_seed(args.seed)
    config = Config.fromfile(CONFIGS[name]).model
    config.detector.backbone.init_cfg = None
    sed = MODELS.build(copy.deepcopy(config))
    sed.init_weights()
    sed.to(args.device).train()
    inputs, samples = batch(size, args.device, unlabelled)
    semi = mmdet_semi(config.detector, samples['sup'][0].gt_instances).to(args.device).train()
    for part in (semi.student, semi.teacher):
        part.load_state_dict(sed.student.state_dict())

    two_stage = name.startswith('faster')
    if two_stage:
        sed.views[-1].max_rows = args.max_rows

    def run(backward: str, operator: bool = False, gradients: bool = False, ratios: bool = False) -> timing.Call:
        """A step of SED; with ``ratios`` one that measures how hard each loss pulls, as every logged one does."""

        def call():
            sed.backward, sed.measure_gradients = backward, ratios
            with mock.patch.object(roi, 'quick_pooling', nullcontext) if operator else nullcontext():
                return step(sed, lambda: sed.loss(inputs, samples), 'sup_', args.seed, gradients)

        return call

    def labels() -> dict:
        """The supervised losses."""
        return sed.student.loss(inputs['sup'], samples['sup'])

    calls = dict(
        supervised=lambda: step(sed.student, labels, '', args.seed, False),
        mmdet=lambda: step(semi, lambda: semi.loss(inputs, copy.deepcopy(samples)), 'sup_', args.seed, False),
        branch=run('branch'),
        lean=run('lean'),
        joint=run('joint'),
        ratios=run('branch', ratios=True),
    )
    ways = {way: run(way, gradients=True) for way in ('joint', 'branch', 'lean')}
    if two_stage:
        calls['operator'] = run('branch', operator=True)
        ways['operator'] = run('branch', operator=True, gradients=True)
    if args.ways:
        calls = {way: call for way, call in calls.items() if way in ('supervised', 'mmdet', *args.ways)}
    facts = dict(
        detector=name, size=size, images=[1, unlabelled], pseudo_boxes=BOXES, views=[view.name for view in sed.views]
    )
    if two_stage:
        facts['max_rows'] = args.max_rows
    return timing.Case(name, calls, facts=facts), timing.Case(f'{name}, gradients', ways, tolerance=1e-4)


class Flops(TorchDispatchMode):
    """Counts the floating-point operations of convolutions and matrix products by PyTorch's formulas.

    It is FlopCounterMode without the count of every module, which fails on backward passes within a forward pass.
    """

    def __init__(self) -> None:
        super().__init__()
        self.total = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        """One operation."""
        out = func(*args, **(kwargs or {}))
        formula = flop_registry.get(func._overloadpacket)
        if formula is not None:
            self.total += formula(*args, **(kwargs or {}), out_val=out)
        return out


def counted(call: timing.Call) -> int:
    """Floating-point operations of a call."""
    with Flops() as flops:
        call()
    return flops.total


def memory(case: timing.Case, device: str) -> dict:
    """MiB of every step, and how many times the first one's that is."""
    peaks = {way: timing.peak_memory(call, device) for way, call in case.calls.items()}
    least = next(iter(peaks.values()))
    return {way: dict(mib=round(peak / 2**20, 1), over_baseline=round(peak / least, 4)) for way, peak in peaks.items()}


def row_of(name: str, args) -> dict:
    """One detector, measured."""
    case, gradients = case_of(name, (128, 192) if args.quick else args.size, args)
    differences = timing.agreed(gradients)
    flops = {way: counted(call) for way, call in case.calls.items()}
    row = timing.measured(case, args) | dict(gradient_differences=differences)
    row['gflops'] = {way: round(value / 1e9, 3) for way, value in flops.items()}
    row['flops_over_baseline'] = {way: round(value / flops['supervised'], 4) for way, value in flops.items()}
    for way, call in row['calls'].items():
        time, count = call['cpu']['over_baseline'], row['flops_over_baseline'][way]
        print(f'{name} {way}: CPU time over supervised {time:.2f}, arithmetic {count:.2f}', flush=True)
    for kind in ('wall', 'cpu'):
        ratios = {way: call[kind]['over_baseline'] for way, call in row['calls'].items()}
        row[f'{kind}_over_mmdet'] = {way: round(value / ratios['mmdet'], 4) for way, value in ratios.items()}
    print(f'{name}: CPU time over mmdet {row["cpu_over_mmdet"]}', flush=True)
    larger, _ = case_of(name, (192, 256) if args.quick else args.memory_size, args)
    row['memory'] = dict(size=larger.facts['size'], **memory(larger, args.device))
    print(f'{name}: memory {row["memory"]}', flush=True)
    return row


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and write."""
    args = parse_args(argv)
    torch.set_num_threads(args.threads)
    timing.write(args, 'step', [row_of(name, args) for name in args.detectors], argv)
    return 0


if __name__ == '__main__':
    sys.exit(run_cli(main))

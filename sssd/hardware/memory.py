"""An estimate of the GPU memory that a config needs in training, counted on the CPU.

Exact, from the built model: parameters and buffers (an EMA teacher's too), gradients, the optimizer's state, the
buckets of DistributedDataParallel. Estimated: what autograd keeps between forward and backward pass. It is counted on
two small images; the part that grows with the pixels is scaled to the config's largest training image. A transformer's
attention grows with their square: there it is a parabola through three. Of a two-stage detector as many proposals are
counted as its config lets through, whatever a trained one would suppress. An SED with a backward pass branch by branch
is counted branch by branch, and the largest counts; one more set of gradients waits meanwhile. One GiB is added for the
CUDA context and the work spaces of convolutions. Not counted: fragmentation, what lives only within one operation, and
a teacher's looks at further sizes (``sizes`` of pseudo-labels), which keep nothing but are passes over larger images.
"""

import copy
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from mmcv.ops import RoIAlign
from mmdet.structures import DetDataSample
from mmdet.structures.mask import BitmapMasks
from mmengine.config import Config, ConfigDict
from mmengine.registry import MODELS, init_default_scope
from mmengine.structures import InstanceData
from torch import Tensor, nn
from torch.multiprocessing.reductions import StorageWeakRef

from sssd.detectors.branch_gradients import BranchGradients
from sssd.errors import UserError

GIB = 2**30
#: CUDA context and work spaces.
OVERHEAD = 1.0
#: Sides of the small images that activations are counted on; the third for transformers.
SMALL = ((256, 256), (256, 512), (512, 512))
#: Proposals of an image that are counted: more than the 512 of a RoI sampler, fewer than the anchors of a small image.
#: What more of them need follows from the two.
PROPOSALS = (600, 700)
#: Boxes of a labelled image; COCO's have 7.3 on average.
BOXES = 8
#: Tensors of the size of the parameters that optimizers keep; momentum makes SGD keep one.
STATES = dict(SGD=1, Adam=2, AdamW=2)


@dataclass(frozen=True)
class Memory:
    """GiB of one GPU.

    Args:
        weights: Parameters and buffers of all models.
        gradients: One for each parameter that trains.
        optimizer: The optimizer's state.
        unit: Activations of the smallest possible batch.
        unit_images: Images in that batch.
        size: Height and width of the images that ``unit`` holds for.
        waiting: The gradients of SED's unlabelled branch, which wait while those of the labelled images are made.
    """

    weights: float
    gradients: float
    optimizer: float
    unit: float
    unit_images: int
    size: tuple[int, int]
    waiting: float = 0.0

    def total(self, images: int, gpus: int = 1) -> float:
        """GiB for a batch of so many images; several GPUs have a second copy of the gradients, DDP's buckets."""
        fixed = self.weights + self.gradients * (2 if gpus > 1 else 1) + self.waiting + self.optimizer + OVERHEAD
        return fixed + self.unit * images / self.unit_images


def estimate(cfg: Config) -> Memory:
    """The memory of a config's training.

    Args:
        cfg: The complete config; nothing is read that it names, neither data nor weights.

    Raises:
        UserError: If it has no model, does not train, or its optimizer is not a known one.
    """
    if not cfg.get('model'):
        raise UserError(
            f'{cfg.filename or "the config"} has no model, so there is no memory to count: name a config '
            'that trains one.'
        )
    init_default_scope(cfg.get('default_scope', 'mmdet'))
    optimizer = (cfg.get('optim_wrapper') or {}).get('optimizer')
    if not optimizer or not cfg.get('train_dataloader'):
        raise UserError(
            f'{cfg.filename or "the config"} does not train: a recipe needs optim_wrapper.optimizer and '
            'train_dataloader.'
        )
    if optimizer.type not in STATES:
        raise UserError(f'the memory of the optimizer {optimizer.type} is not known, only that of {", ".join(STATES)}.')
    states = STATES[optimizer.type] if optimizer.type != 'SGD' or optimizer.get('momentum') else 0
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(0)
        model = MODELS.build(copy.deepcopy(cfg.model)).train()
        for module in model.modules():
            if isinstance(module, RoIAlign):
                module.sampling_ratio = 1  # as many bytes as of more samples, and far sooner
        unit = activations(model, unit_of(cfg), image_size(cfg))
    state = [*model.parameters(), *model.buffers()]
    trained = gib(value for value in model.parameters() if value.requires_grad)
    counts = unit_of(cfg)
    waiting = trained if len(counts) > 1 and by_branch(model) else 0.0
    return Memory(gib(state), trained, states * trained, unit / GIB, sum(counts), image_size(cfg), waiting)


def by_branch(model: nn.Module) -> bool:
    """Whether a model's unlabelled branch has a backward pass of its own."""
    return getattr(model, 'branch_gradients', lambda: None)() is not None


def inner(model: nn.Module) -> nn.Module:
    """The detector in an SED or a guided one."""
    return getattr(model, 'student', getattr(model, 'detector', model))


def activations(model: nn.Module, counts: list[int], size: tuple[int, int]) -> float:
    """Bytes of a batch with images of a size, from counts on small images with few proposals.

    Args:
        model: A model in training mode; its limits on proposals are changed.
        counts: As in :func:`kept`.
        size: Height and width of the images that the bytes are for.
    """
    proposals = proposal_configs(model)
    limit = max((config.max_per_img for config in proposals), default=0)
    for config in proposals:
        config.nms.iou_threshold = 1.0  # suppresses nothing: how much that is depends on weights and images
        config.max_per_img = min(limit, PROPOSALS[0])
    sizes = SMALL if hasattr(inner(model), 'forward_transformer') else SMALL[:2]
    counted = [phases(model, counts, one) for one in sizes]
    totals = [extrapolated(phase, sizes, size) for phase in zip(*counted)]
    if limit <= PROPOSALS[0]:
        return max(totals)
    for config in proposals:
        config.max_per_img = PROPOSALS[1]
    steps = (limit - PROPOSALS[0]) / (PROPOSALS[1] - PROPOSALS[0])
    more = zip(phases(model, counts, sizes[0]), counted[0])
    return max(total + steps * (later - first) for total, (later, first) in zip(totals, more))


def proposal_configs(model: nn.Module) -> list[ConfigDict]:
    """The settings by which the two-stage detectors in a model choose proposals in training."""
    configs = (getattr(module, 'train_cfg', None) for module in model.modules())
    return [config.rpn_proposal for config in configs if isinstance(config, dict) and 'rpn_proposal' in config]


def extrapolated(counted: Sequence[int], sizes: Sequence[tuple[int, int]], size: tuple[int, int]) -> float:
    """The value at a size of the line through two counts by pixels, of the parabola through three."""
    shares = [pixels(one) / pixels(size) for one in sizes]
    return float(np.polyval(np.polyfit(shares, counted, len(counted) - 1), 1.0))


def unit_of(cfg: Config) -> list[int]:
    """Labelled and unlabelled images of the smallest batch; a config without unlabelled ones has one number."""
    ratio = cfg.train_dataloader.sampler.get('source_ratio', [1])
    if any(share != int(share) or share < 1 for share in ratio):
        raise UserError(f'source_ratio={list(ratio)} has to be of whole numbers for a recipe.')
    ratio = [int(share) for share in ratio]
    largest = max(part for part in range(1, min(ratio) + 1) if all(share % part == 0 for share in ratio))
    return [share // largest for share in ratio]


def image_size(cfg: Config) -> tuple[int, int]:
    """Height and width of the largest training image, landscape, padded."""
    sizes = largest_sizes(cfg.train_dataloader.dataset)
    if not sizes:
        raise UserError(
            'the training pipeline has no RandomResize or Resize with a scale: the size of its images is not known.'
        )
    short, long = map(max, zip(*sizes))
    preprocessor = cfg.model.get('data_preprocessor') or cfg.model.get('detector', {}).get('data_preprocessor') or {}
    divisor = preprocessor.get('data_preprocessor', preprocessor).get('pad_size_divisor', 1)
    return tuple(-(-side // divisor) * divisor for side in (short, long))


def largest_sizes(node) -> list[tuple[int, int]]:
    """The largest (short, long) side that each resizing step below a node of a config makes, and a crop leaves."""
    kind = str(node.get('type', '')).split('.')[-1] if isinstance(node, dict) else ''
    if kind in ('RandomResize', 'Resize') and 'scale' in node:
        scale = node['scale']
        if isinstance(scale, int):
            scale = (scale, scale)
        several = not isinstance(scale[0], int)
        times = 1 if several else (node.get('ratio_range') or (1, 1))[1]  # which mmcv uses with one scale alone
        return [(int(min(one) * times), int(max(one) * times)) for one in (scale if several else [scale])]
    sizes = []
    for value in node.values() if isinstance(node, dict) else node if isinstance(node, (list, tuple)) else ():
        sizes += largest_sizes(value)
        if isinstance(value, dict) and str(value.get('type', '')).split('.')[-1] == 'RandomCrop':
            sizes = [cropped(size, value) for size in sizes]
    return sizes


def cropped(size: tuple[int, int], step: dict) -> tuple[int, int]:
    """What a RandomCrop by pixels leaves of the (short, long) sides of images."""
    if not str(step.get('crop_type', 'absolute')).startswith('absolute'):
        return size
    return tuple(map(min, size, sorted(step['crop_size'])))


class Counting(BranchGradients):
    """In the place of a backward pass branch by branch: notes what is alive when each of its parts would begin.

    Args:
        found: Bytes by storage, as they are saved; what a part would free is taken out.
        phases: Where the sums are put.
    """

    def __init__(self, found: dict, phases: list[int]) -> None:
        super().__init__([])
        self.storages, self.phases, self.before = found, phases, {}

    def cut(self, feats: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """The cut features; what is found by now stays until the passes end."""
        self.before = dict(self.storages)
        return super().cut(feats)

    def add(self, loss: Tensor, **parts: Tensor) -> None:
        """A loss and what it needs, beside the passes."""
        self.phases.append(sum(self.storages.values()))
        self._back_to(self.before)

    def finish(self) -> None:
        """The passes end."""
        self._back_to({})

    def _back_to(self, found: dict) -> None:
        self.storages.clear()
        self.storages.update(found)


def kept(model: nn.Module, counts: list[int], size: tuple[int, int]) -> int:
    """Most bytes that autograd keeps for a backward pass at once; see :func:`phases`."""
    return max(phases(model, counts, size))


def phases(model: nn.Module, counts: list[int], size: tuple[int, int]) -> list[int]:
    """Bytes that autograd keeps for each backward pass of one batch, beside parameters and buffers.

    It is one pass, but for an SED that goes branch by branch: there it is one for every view, with the student's passes
    over the unlabelled images, and one for the labelled images.

    Args:
        model: A model in training mode.
        counts: Labelled images and, for SED with unlabelled data, unlabelled ones.
        size: Height and width.
    """
    own = {value.untyped_storage().data_ptr() for value in [*model.parameters(), *model.buffers()]}
    found, counted = {}, []

    def count(value: Tensor) -> None:
        """Note a storage and let it go: no backward pass follows. A weak reference tells it from a later one."""
        storage = value.untyped_storage()
        if storage.data_ptr() not in own:
            found[StorageWeakRef(storage)] = storage.nbytes()

    apart = by_branch(model)
    if apart:
        model.branch_gradients = lambda: Counting(found, counted)
    inputs, samples = random_batch(model, counts, size)
    try:
        with torch.autograd.graph.saved_tensors_hooks(count, lambda nothing: nothing):
            model.loss(inputs, samples)
    finally:
        if apart:
            del model.branch_gradients
    return [*counted, sum(found.values())]


def random_batch(model: nn.Module, counts: list[int], size: tuple[int, int]) -> tuple:
    """Inputs and data samples of a batch of noise; the arguments are those of :func:`kept`."""
    branches = [('sup', counts[0], BOXES)]
    if len(counts) > 1:
        branches += [(name, counts[1], 0) for name in ('unsup_teacher', 'unsup_student')]
    inputs = {name: torch.randn(count, 3, *size) for name, count, _ in branches}
    samples = {name: [sample(size, boxes) for _ in range(count)] for name, count, boxes in branches}
    if not hasattr(model, 'student'):
        inputs, samples = inputs['sup'], samples['sup']
    return inputs, samples


def sample(size: tuple[int, int], boxes: int) -> DetDataSample:
    """A data sample with some boxes and masks of class 0."""
    data = DetDataSample(
        metainfo=dict(
            img_shape=size, ori_shape=size, pad_shape=size, batch_input_shape=size, scale_factor=(1.0, 1.0), img_id=0
        )
    )
    corners = torch.rand(boxes, 2) * 100
    data.gt_instances = InstanceData(
        bboxes=torch.cat([corners, corners + 100], 1),
        labels=torch.zeros(boxes).long(),
        masks=BitmapMasks(np.zeros((boxes, *size), np.uint8), *size),
    )
    return data


def gib(values) -> float:
    """GiB of tensors."""
    return sum(value.numel() * value.element_size() for value in values) / GIB


def pixels(size: tuple[int, int]) -> int:
    """Area."""
    return size[0] * size[1]

"""What a detector of mmdet's configs needs to be one of SED on a user's data: classes, padding, units, no masks."""

import copy
import math
from collections.abc import Iterator
from dataclasses import dataclass, field

from mmdet.registry import MODELS
from mmengine.config import ConfigDict
from mmengine.registry import init_default_scope
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from sssd.detectors import SED
from sssd.errors import UserError
from sssd.studies.own.names import Source, missing_package

#: Heads whose unit of boxes cannot be read off them (docs/views.md).
UNITS = dict(
    AutoAssignHead='pixels',
    FoveaHead='deltas',
    FSAFHead='deltas',
    YOLOXHead='deltas',
    CenterNetUpdateHead='strides',
)  # fmt: skip
#: Parts that learn from masks: where they are, there is a loss on masks.
MASK_PARTS = ('mask_head', 'mask_iou_head', 'semantic_head', 'semantic_roi_extractor', 'loss_mask')
#: Padding for a pyramid: 32, the coarsest stride that is upsampled, times 2**S; without cells 2**S alone.
PYRAMID, CELLS_OF_NONE = 64, 2


@dataclass
class OwnDetector:
    """A detector for a user's data.

    Attributes:
        source: Where it is from.
        config: Its config, with all that had to be changed.
        views: SED's ``views``; None where the heads tell them.
        changes: What was changed, a phrase each.
        warnings: What the user should know, a sentence each.
        masks: Whether it learns from masks.
    """

    source: Source
    config: dict
    views: list[dict] | None = None
    changes: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    masks: bool = False


def own_detector(
    source: Source, classes: int, shape: tuple[int, int], masks: bool = False, without_masks: bool = False
) -> OwnDetector:
    """The detector with everything set that the data and SED ask for.

    Args:
        source: Where it is from.
        classes: Number of classes.
        shape: Height and width of the smallest images in training, which bound the queries of two-stage transformers.
        masks: Whether every labelled object has a mask.
        without_masks: Whether mask heads are to be taken off.

    Raises:
        UserError: If it has mask heads and there are no masks, or nothing in it counts classes.
    """
    own = OwnDetector(source, copy.deepcopy(source.detector))
    own.masks = _masks(own, masks, without_masks)
    places = list(_counts(own.config))
    if not places:
        raise UserError(f'the detector {source.name} counts classes nowhere (num_classes): name another one.')
    for part in places:
        part['num_classes'] = classes
    own.changes.append(f'num_classes={classes} in {len(places)} part{"s" * (len(places) > 1)}')
    _padding(own)
    _one_process(own)
    _queries(own, shape)
    head = own.config.get('bbox_head')
    kind = _name(head.get('type')) if isinstance(head, dict) else ''
    if kind in UNITS:
        own.views = [dict(type='DenseView', box_unit=UNITS[kind])]
        own.changes.append(f"views with box_unit='{UNITS[kind]}', which {kind} does not tell")
    if kind in ('TOODHead', 'DDQTOODHead') and head.get('initial_epoch'):
        head['initial_epoch'] = 0
        own.changes.append('initial_epoch=0, since training by iterations has no epochs')
    if kind == 'PAAHead':
        try:
            import sklearn  # noqa: F401
        except ImportError as error:
            raise UserError(missing_package(source.name, error)) from error
    return own


def built(own: OwnDetector) -> nn.Module:
    """An SED over the detector, which its views have looked at; batch norm that trains is warned of.

    Raises:
        UserError: If it cannot be built or the views refuse it, with the reason.
    """
    init_default_scope('mmdet')
    config = ConfigDict(copy.deepcopy(own.config))
    preprocessor = dict(type='MultiBranchDataPreprocessor', data_preprocessor=config.get('data_preprocessor'))
    try:
        model = SED(config, own.views, data_preprocessor=preprocessor)
    except UserError as error:
        raise UserError(f'the detector {own.source.name} cannot take part in SED: {error}') from error
    except ImportError as error:
        raise UserError(missing_package(own.source.name, error)) from error
    norms = [name for name, part in model.train().student.named_modules() if trains_statistics(part)]
    if norms:
        own.warnings.append(
            f'{len(norms)} batch norms train, such as {norms[0]}: they see labelled, strong and half-size images, and '
            'their running statistics fit none of them, which has cost AP (docs/views.md); a backbone with '
            'norm_eval=True or GroupNorm is the safer choice.'
        )
    return model


def trains_statistics(module: nn.Module) -> bool:
    """Whether a module is a batch norm that normalises by the batch while the detector trains."""
    return isinstance(module, _BatchNorm) and module.training


def _masks(own: OwnDetector, there: bool, without: bool) -> bool:
    """Whether it learns from masks; takes the parts off if they are not wanted."""
    found = [key for place, key in _parts(own.config) if key in MASK_PARTS and place[key] is not None]
    if not found:
        return False
    if there and not without:
        own.changes.append('its mask head stays, since all labelled objects have masks')
        return True
    roi = own.config.get('roi_head')
    elsewhere = {key: value for key, value in own.config.items() if key != 'roi_head'}
    removable = isinstance(roi, dict) and not any(key in MASK_PARTS for _, key in _parts(elsewhere))
    if not removable or not without:
        how = ' or add --without-masks to train its boxes alone' if removable else ''
        reason = 'the labels have no masks' if not there else 'it cannot do without'
        raise UserError(
            f'the detector {own.source.name} has parts that learn from masks ({found[0]}), and {reason}: name a '
            f'detector of boxes{how}.'
        )
    for key in [key for key in roi if key.startswith(('mask_', 'semantic_'))]:
        del roi[key]
    if _name(own.config['type']) == 'MaskRCNN':
        own.config['type'] = 'FasterRCNN'
    own.changes.append('without its mask head')
    return False


def _parts(node) -> Iterator[tuple[dict, str]]:
    """All dicts of a config with each of their keys."""
    if isinstance(node, dict):
        for key, value in list(node.items()):
            yield node, key
            yield from _parts(value)
    elif isinstance(node, (list, tuple)):
        for value in node:
            yield from _parts(value)


def _counts(config: dict) -> Iterator[dict]:
    """The parts that count classes: heads and their losses, however deep; the RPN knows objects alone."""
    for key, part in config.items():
        if key not in ('backbone', 'neck', 'rpn_head', 'data_preprocessor'):
            yield from (place for place, inner in _parts(part) if inner == 'num_classes')


def _padding(own: OwnDetector) -> None:
    """Batches whose cells pair over scales, and no change of size behind SED's back."""
    preprocessor = own.config.setdefault('data_preprocessor', dict(type='DetDataPreprocessor'))
    wanted = CELLS_OF_NONE if is_transformer(own.config) else PYRAMID
    before = preprocessor.get('pad_size_divisor', 1)
    preprocessor['pad_size_divisor'] = math.lcm(before, wanted)
    if preprocessor['pad_size_divisor'] != before:
        own.changes.append(f'pad_size_divisor={preprocessor["pad_size_divisor"]}')
    if preprocessor.pop('batch_augments', None):
        own.changes.append('without batch_augments, which would give weak and strong view different sizes')
    if not own.masks and preprocessor.get('pad_mask'):
        preprocessor['pad_mask'] = False


def is_transformer(config: dict) -> bool:
    """Whether a detector has queries in the place of cells."""
    init_default_scope('mmdet')
    kind = MODELS.get(config['type'])
    return kind is not None and hasattr(kind, 'forward_transformer')


def _one_process(own: OwnDetector) -> None:
    """Batch norm of one process: that over processes needs several GPUs."""
    places = [place for place, key in _parts(own.config) if key == 'type' and place[key] == 'SyncBN']
    for place in places:
        place['type'] = 'BN'
    if places:
        own.changes.append('BN in place of SyncBN')


def _queries(own: OwnDetector, shape: tuple[int, int]) -> None:
    """Fewer queries where the half-size image has fewer points for a two-stage transformer to choose from."""
    config = own.config
    if not config.get('as_two_stage') or not is_transformer(config):
        return
    levels = config.get('num_feature_levels', 4)
    points = sum(math.ceil(shape[0] / 2 / 2**n) * math.ceil(shape[1] / 2 / 2**n) for n in range(3, 3 + levels))
    queries = max(points // 50 * 50, min(points, 50))
    if queries >= config.get('num_queries', 0):
        return
    config['num_queries'] = queries
    if config.get('test_cfg', {}).get('max_per_img', 0) > queries:
        config['test_cfg']['max_per_img'] = queries
    own.changes.append(f'num_queries={queries}, as many as half-size images have points for')


def _name(kind) -> str:
    """A type without its scope."""
    return str(kind).rpartition('.')[2]

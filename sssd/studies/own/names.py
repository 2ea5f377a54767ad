"""Detectors by name: short names, those of mmdet's configs, and files."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import cache
from pathlib import Path

import mmdet
from mmengine.config import Config
from mmengine.hub import get_config

from sssd.deploy.config import foreign_imports
from sssd.errors import UserError
from sssd.places import read_config

#: The four detectors that `init` always had: the paper's recipe, unless another preset is named.
FIRST = ('faster-rcnn_r50', 'retinanet_r50', 'retinanet_r18', 'fcos_r50')
#: To each short name the config of SED that has its detector and its optimizer.
OURS = {
    'faster-rcnn_r50': 'sed/faster-rcnn_r50_fpn_sed_180k_coco-10p.py',
    'retinanet_r50': 'sed/retinanet_r50_fpn_sed_180k_coco-10p.py',
    'retinanet_r18': 'sed/retinanet_r18_fpn_sed_180k_coco-10p.py',
    'fcos_r50': 'sed/fcos_r50_fpn_gn-head_sed_180k_coco-10p.py',
    'faster_rcnn': 'sed/faster-rcnn_r50_fpn_sed_180k_coco-10p.py',
    'retinanet': 'sed/retinanet_r50_fpn_sed_180k_coco-10p.py',
    'fcos': 'sed/fcos_r50_fpn_gn-head_sed_180k_coco-10p.py',
    'detr': 'sed/detr_r50_sed_180k_coco-10p.py',
}
#: The small ones: with ImageNet features of MobileNetV2, and from random weights.
SMALL = {
    'faster_rcnn': ('_base_/models/faster_rcnn_mobilenet_v2.py', '_base_/models/faster_rcnn_r18_gn_small.py'),
    'retinanet': ('_base_/models/retinanet_mobilenet_v2.py', '_base_/models/retinanet_r18_gn_small.py'),
    'fcos': ('_base_/models/fcos_mobilenet_v2.py', '_base_/models/fcos_r18_gn_small.py'),
}
#: Of mmdet's configs, the one that a short name stands for.
MMDET = dict(
    atss='atss/atss_r50_fpn_1x_coco.py',
    autoassign='autoassign/autoassign_r50-caffe_fpn_1x_coco.py',
    cascade_rcnn='cascade_rcnn/cascade-rcnn_r50_fpn_1x_coco.py',
    centernet='centernet/centernet-update_r50-caffe_fpn_ms-1x_coco.py',
    conditional_detr='conditional_detr/conditional-detr_r50_8xb2-50e_coco.py',
    convnext='convnext/mask-rcnn_convnext-t-p4-w7_fpn_amp-ms-crop-3x_coco.py',
    dab_detr='dab_detr/dab-detr_r50_8xb2-50e_coco.py',
    ddod='ddod/ddod_r50_fpn_1x_coco.py',
    ddq='ddq/ddq-detr-4scale_r50_8xb2-12e_coco.py',
    deformable_detr='deformable_detr/deformable-detr_r50_16xb2-50e_coco.py',
    dino='dino/dino-4scale_r50_8xb2-12e_coco.py',
    efficientnet='efficientnet/retinanet_effb3_fpn_8xb4-crop896-1x_coco.py',
    foveabox='foveabox/fovea_r50_fpn_4xb4-1x_coco.py',
    free_anchor='free_anchor/freeanchor_r50_fpn_1x_coco.py',
    fsaf='fsaf/fsaf_r50_fpn_1x_coco.py',
    gfl='gfl/gfl_r50_fpn_1x_coco.py',
    mask_rcnn='mask_rcnn/mask-rcnn_r50_fpn_1x_coco.py',
    paa='paa/paa_r50_fpn_1x_coco.py',
    pvt='pvt/retinanet_pvtv2-b0_fpn_1x_coco.py',
    regnet='regnet/retinanet_regnetx-800MF_fpn_1x_coco.py',
    reppoints='reppoints/reppoints-moment_r50_fpn_1x_coco.py',
    resnext='retinanet/retinanet_x101-32x4d_fpn_1x_coco.py',
    rtmdet='rtmdet/rtmdet_tiny_8xb32-300e_coco.py',
    sparse_rcnn='sparse_rcnn/sparse-rcnn_r50_fpn_1x_coco.py',
    ssd='ssd/ssd300_coco.py',
    swin='swin/retinanet_swin-t-p4-w7_fpn_1x_coco.py',
    timm='timm_example/retinanet_timm-tv-resnet50_fpn_1x_coco.py',
    tood='tood/tood_r50_fpn_1x_coco.py',
    vfnet='vfnet/vfnet_r50_fpn_1x_coco.py',
    yolof='yolof/yolof_r50-c5_8xb8-1x_coco.py',
    yolov3='yolo/yolov3_d53_8xb8-320-273e_coco.py',
    yolox='yolox/yolox_tiny_8xb8-300e_coco.py',
)  # fmt: skip
PREFIX = 'mmdet::'
#: Packages that parts of mmdet's configs are in, and how they are installed.
PACKAGES = dict(mmpretrain='onedl-mmpretrain, or mmpretrain beside the official mmdet', sklearn='scikit-learn')


@dataclass(frozen=True)
class Source:
    """A detector as a config has it.

    Attributes:
        name: Of the config, as one would write it.
        detector: Its ``model``, or the detector of an SED.
        optim_wrapper: How the config trains it; empty if it does not say.
        batch: Labelled images of a step that its learning rate is for.
        imports: What it imports beside mmdet and sssd.
    """

    name: str
    detector: dict
    optim_wrapper: dict = field(default_factory=dict)
    batch: int = 16
    imports: tuple[str, ...] = ()


def read_detector(name: str, small: bool = False, features: bool = False) -> Source:
    """The detector of a name.

    Args:
        name: A short name, a config of mmdet (``mmdet::atss/atss_r50_fpn_1x_coco.py``, with or without the beginning
            and the end), or a config file.
        small: Whether the small detector of a short name is meant, if there is one.
        features: Whether that has MobileNetV2's features from ImageNet.

    Raises:
        UserError: If there is no such detector, or a package that it needs is not installed.
    """
    if small and name in SMALL:
        return source_of(read_config(SMALL[name][0 if features else 1]), SMALL[name][0 if features else 1])
    if name in OURS:
        return source_of(read_config(OURS[name]), OURS[name])
    if os.path.isfile(name):
        return source_of(read_whole(name, lambda: read_config(name)), name)
    name = PREFIX + (MMDET.get(name) or path_in_mmdet(name))
    return source_of(read_whole(name, lambda: get_config(name)), name)


def path_in_mmdet(name: str) -> str:
    """The path of a config of mmdet below its folder of configs.

    Raises:
        UserError: If there is none of this name, with those that are spelt like it.
    """
    bare = name.removeprefix(PREFIX).removesuffix('.py')
    known = configs_of_mmdet()
    found = [path for path in known if path == bare or ('/' not in bare and path.rpartition('/')[2] == bare)]
    if found:
        return f'{found[0]}.py'
    names = [*OURS, *SMALL, *MMDET, *(path if '/' in bare else path.rpartition('/')[2] for path in known)]
    near = get_close_matches(bare, dict.fromkeys(names), n=3, cutoff=0.5)
    raise UserError(
        f'--detector {name} is no short name ({", ".join(sorted({*OURS, *SMALL, *MMDET}))}), no config of the '
        f'installed mmdet, and no file{": is it " + " or ".join(near) if near else ""}?'
    )


@cache
def configs_of_mmdet() -> list[str]:
    """All configs of the installed mmdet, without ``.py``, shortest first."""
    root = Path(mmdet.__file__).parent / '.mim/configs'
    paths = [path.relative_to(root).with_suffix('').as_posix() for path in root.rglob('*.py')]
    return sorted(paths, key=lambda path: (len(path), path))


def read_whole(name: str, read) -> Config:
    """What ``read()`` gives, a package that is not there in one sentence.

    Raises:
        UserError: Naming the package.
    """
    try:
        return read()
    except (ImportError, RuntimeError) as error:  # the latter of extensions built for another torch
        raise UserError(missing_package(name, error)) from error


def missing_package(name: str, error: Exception) -> str:
    """The sentence for a detector that needs a package, by the error of its import."""
    text = str(error).replace('-', '_')
    package = next((key for key in PACKAGES if key in text), (getattr(error, 'name', None) or text).split('.')[0])
    return (
        f'the detector {name} needs the package {package}, which cannot be imported: '
        f'pip install {PACKAGES.get(package, package)}.'
    )


def source_of(cfg: Config, name: str) -> Source:
    """The detector of a config: its model, or that of an SED or of a guided detector.

    Raises:
        UserError: If it has none.
    """
    model = cfg.get('model')
    if not isinstance(model, Mapping) or 'type' not in model:
        raise UserError(f'--detector {name} has no model: name a config of a detector.')
    detector = cfg.to_dict()['model']
    if isinstance(model.get('detector'), Mapping):
        inner = detector.get('data_preprocessor', {}).get('data_preprocessor')
        detector = {**({'data_preprocessor': inner} if inner else {}), **detector['detector']}
    elif 'data_preprocessor' not in detector and cfg.get('data_preprocessor'):
        detector['data_preprocessor'] = cfg.to_dict()['data_preprocessor']
    half = 2 if isinstance(model.get('detector'), Mapping) else 1  # of SED's images, one in two is labelled
    batch = (cfg.get('auto_scale_lr') or {}).get('base_batch_size') or 16 * half
    wrapper = cfg.to_dict().get('optim_wrapper') or {}
    return Source(name, detector, wrapper, max(batch // half, 1), tuple(foreign_imports(cfg)))

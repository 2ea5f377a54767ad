"""Where the files lie that come with the package: configs and tools, as `mim`-installed packages have them.

``.mim`` in this package's folder holds both: links into the checkout in a checkout, copies in a wheel.
"""

import ast
import os
import re
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from sssd.errors import UserError

if TYPE_CHECKING:
    from mmengine.config import Config

BROUGHT = Path(__file__).resolve().parent / '.mim'
CONFIGS = 'configs'
#: Where ``sssd toy`` draws the toy data set, unless told otherwise.
TOY_ROOT = 'data/toy'
_VARIABLE = re.compile(r'\{\{\s*\$(\w+)\s*:\s*(.*?)\s*\}\}')


def find_config(path: str | Path, what: str = 'config file', remedy: str = 'check the path') -> str:
    """The config of a name that a user gave.

    A file in the present folder comes first, then one of the configs that come with sssd, whose names may begin with
    ``configs/`` or not.

    Args:
        path: The name: ``configs/quickstart/study.py``, ``quickstart/study.py``, or any path.
        what: What the file is, for the sentence.
        remedy: What to do if it is nowhere, for the sentence.

    Returns:
        ``path`` itself if there is such a file, else the absolute path of the one that comes with sssd.

    Raises:
        UserError: If neither place has the file.
    """
    if Path(path).is_file():
        return str(path)
    if Path(path).is_absolute():
        raise UserError(f'{what} {path} does not exist: {remedy}.')
    found = brought(path)
    if found is None:
        raise UserError(
            f'{what} {path} does not exist, neither in the present folder nor among the configs that come '
            f'with sssd ({BROUGHT / CONFIGS}): {remedy}.'
        )
    return found


def read_config(path: str | Path, what: str = 'config file', remedy: str = 'check the path') -> 'Config':
    """The config of a name that a user gave, as :func:`find_config` finds it.

    What its ``_base_`` names is looked for in the same way, the folder of the config taking the place of the present
    one.

    Args:
        path: The name.
        what: What the file is, for the sentence.
        remedy: What to do if it is nowhere, for the sentence.

    Raises:
        UserError: If neither place has the file; what reading it raises is passed on.
    """
    from mmengine.config import Config  # heavy, and all parsers import this module

    found = find_config(path, what, remedy)
    with _bases_brought_along():
        return Config.fromfile(found)


def read_base(path: str | Path) -> 'Config | None':
    """What the ``_base_`` of a config holds, without the config itself; None if it names no base.

    Raises:
        UserError: If there is no such config; what reading its base raises is passed on.
    """
    from mmengine.config import Config

    found = str(Path(find_config(path)).resolve())
    values = [
        node.value
        for node in ast.parse(Path(found).read_text()).body
        if isinstance(node, ast.Assign) and getattr(node.targets[0], 'id', None) == '_base_'
    ]
    if not values:
        return None
    names = ast.literal_eval(values[-1])
    names = [_VARIABLE.sub(_of_environment, name) for name in ([names] if isinstance(names, str) else names)]
    with _bases_brought_along(), tempfile.TemporaryDirectory() as folder:
        places = [name if '::' in name else str(Config._get_cfg_path(name, found)[0]) for name in names]
        alone = Path(folder) / 'base.py'
        alone.write_text(f'_base_ = {places!r}\n')
        return Config.fromfile(alone)


def _of_environment(variable: re.Match) -> str:
    """The value of MMEngine's ``{{$NAME:default}}``."""
    return os.environ.get(variable[1], variable[2])


def brought(path):
    """The absolute path of a config that comes with sssd, or None."""
    parts = Path(path).parts
    inside = BROUGHT / CONFIGS / Path(*(parts[1:] if parts[:1] == (CONFIGS,) else parts))
    return str(inside) if inside.is_file() and '..' not in parts else None


@contextmanager
def _bases_brought_along():
    """Let ``_base_`` name configs that come with sssd, or, by SED_BASE, one that lies in the present folder.

    MMEngine has ``package::path`` for this, but only for OpenMMLab's own packages, and it makes the package the scope
    of all that the base names, where the detectors of mmdet are not found. So the one method is overlaid that turns a
    name in ``_base_`` into a path.
    """
    from mmengine.config import Config

    resolve = Config._get_cfg_path

    def get_cfg_path(cfg_path, filename):
        """MMEngine's answer; where that is no file, what SED_BASE names here, or a config that comes with sssd."""
        path, scope = resolve(cfg_path, filename)
        if scope is None and not Path(path).is_file():
            named = os.environ.get('SED_BASE') == cfg_path and Path(cfg_path).is_file()
            path = str(Path(cfg_path).resolve()) if named else brought(cfg_path) or path
        return path, scope

    Config._get_cfg_path = staticmethod(get_cfg_path)
    try:
        yield
    finally:
        Config._get_cfg_path = staticmethod(resolve)

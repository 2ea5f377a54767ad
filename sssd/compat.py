"""Which PyTorch and OpenMMLab stack this package runs on, checked at import.

Two stacks are supported: the maintained forks (distributions ``onedl-*``) and
the official last releases.  Both provide the modules ``mmengine``, ``mmcv``
and ``mmdet``; anything else is refused with one sentence that says what to
install, so that nobody meets it as an ``AttributeError`` hours later.
"""

import contextlib
import importlib
import io
import warnings
from collections.abc import Iterator, Mapping
from importlib import metadata

from sssd.errors import first_line

STACKS = {
    'maintained forks': dict(mmengine='0.10.12', mmcv='2.3.6', mmdet='3.5.1'),
    'official releases': dict(mmengine='0.10.7', mmcv='2.1.0', mmdet='3.3.0'),
}
# Distributions that write the same modules: both in one environment is a mix.
RIVALS = dict(
    mmengine=('onedl-mmengine', 'mmengine'),
    mmcv=('onedl-mmcv', 'mmcv', 'mmcv-lite', 'mmcv-full'),
    mmdet=('onedl-mmdetection', 'mmdet'),
)
LEAST_TORCH = (2, 6)
REMEDY = (
    'run `make env` in a checkout of sssd, or, beside a torch that is already there, '
    '`pip install setuptools wheel ninja psutil` and `MMCV_WITH_OPS=1 pip install --no-build-isolation '
    'onedl-mmengine==0.10.12 onedl-mmcv==2.3.6 onedl-mmdetection==3.5.1`'
)
#: What the forks' mmdet prints and warns of, while it is imported, about optional parts that are not installed.
NO_ONEDL, NO_FASTER_COCO = 'Could not import OneDL', 'faster_coco_eval is not installed'


@contextlib.contextmanager
def optional_parts_unmentioned() -> Iterator[None]:
    """Import mmdet within it, and not a word is said of optional parts that are missing."""
    warnings.filterwarnings('ignore', message=NO_FASTER_COCO)
    said = io.StringIO()
    try:
        with contextlib.redirect_stdout(said):
            yield
    finally:
        for line in said.getvalue().splitlines():
            if not line.startswith(NO_ONEDL):
                print(line)


def base_version(version: str) -> str:
    """A version without its local part: ``2.13.0+cpu`` becomes ``2.13.0``."""
    return version.split('+')[0]


def find_stack(versions: Mapping[str, str]) -> str:
    """The name of the supported stack that has these versions.

    Args:
        versions: Version of each of mmengine, mmcv and mmdet.

    Raises:
        ImportError: When no supported stack has them.
    """
    found = {name: base_version(version) for name, version in versions.items()}
    for title, stack in STACKS.items():
        if all(found[name] == version for name, version in stack.items()):
            return title
    supported = ' or '.join(f'{_listed(stack)} ({title})' for title, stack in STACKS.items())
    raise ImportError(f'sssd runs on {supported} but found {_listed(found)}: {REMEDY}.')


def check_rivals(names: Mapping[str, str]) -> None:
    """Refuse an environment where two distributions write one module.

    Args:
        names: The installed distributions' names, lower case, to versions.

    Raises:
        ImportError: Naming both and the one to remove.
    """
    for module, rivals in RIVALS.items():
        present = [name for name in rivals if name in names]
        if len(present) > 1:
            raise ImportError(
                f"{' and '.join(present)} are both installed and overwrite each other's module "
                f'`{module}`: run `pip uninstall {" ".join(present)}`, then {REMEDY}.'
            )


def check_stack() -> str:
    """Check that a supported stack imports, compiled operators included.

    Returns:
        The stack's name, a key of :data:`STACKS`.

    Raises:
        ImportError: With one sentence that names what to install and how.
    """
    install = 'install torch as its site says for your machine, then ' + REMEDY
    torch = _import('torch', 'PyTorch 2 is missing or broken', install)
    if tuple(int(part) for part in base_version(torch.__version__).split('.')[:2]) < LEAST_TORCH:
        raise ImportError(
            f'sssd needs torch {".".join(map(str, LEAST_TORCH))} or newer, which can read a checkpoint without running '
            f'what is in it, but found {torch.__version__}: {install}.'
        )
    check_rivals(_installed())
    modules = {
        'mmengine': _import('mmengine', 'mmengine is missing or broken', REMEDY),
        'mmcv': _import('mmcv', 'mmcv is missing or broken', REMEDY),
    }
    _import(
        'mmcv.ops',
        "mmcv's compiled operators are missing or were built for another torch",
        'run `pip uninstall mmcv mmcv-lite onedl-mmcv`, then ' + REMEDY,
    )
    modules['mmdet'] = _import('mmdet', 'mmdet is missing or does not go with this mmcv', REMEDY)
    return find_stack({name: module.__version__ for name, module in modules.items()})


def _import(name, trouble, remedy):
    """Import a module; whatever goes wrong becomes one ImportError."""
    try:
        return importlib.import_module(name)
    # mmdet refuses a wrong mmcv with an assertion; a library built for another
    # torch fails with an OSError or an ImportError.
    except (ImportError, AssertionError, OSError, AttributeError) as error:
        raise ImportError(f'{trouble} ({first_line(error)}): {remedy}.') from error


def _installed():
    """Installed distributions: lower-case name to version."""
    found = {}
    for dist in metadata.distributions():
        name = dist.metadata['Name']
        if name:
            found[name.lower()] = dist.version
    return found


def _listed(versions):
    """``mmengine 0.10.12, mmcv 2.3.6, mmdet 3.5.1``."""
    return ', '.join(f'{name} {version}' for name, version in versions.items())

"""Where and with what a result was made."""

import hashlib
import importlib
import json
import os
import platform
import subprocess
import sys
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

PACKAGES = ('torch', 'mmengine', 'mmcv', 'mmdet', 'sssd')
#: Where a copy of the code has no ``.git``, this variable may name the commit.
COMMIT_VARIABLE = 'SSSD_COMMIT'


def now() -> str:
    """The time in UTC, to the second, in ISO form."""
    return datetime.now(timezone.utc).isoformat(timespec='seconds')


def digest(said: Any) -> str:
    """A short hash of what a config says, by which its results are known again."""
    return hashlib.sha256(json.dumps(_sortable(said), sort_keys=True, default=repr).encode()).hexdigest()[:16]


def _sortable(said: Any) -> Any:
    """The same with keys that have an order: JSON sorts neither numbers beside texts, nor takes tuples for keys."""
    if isinstance(said, dict):
        alike = all(isinstance(key, str) for key in said) or all(isinstance(key, int) for key in said)
        return {key if alike else repr(key): _sortable(value) for key, value in said.items()}
    return [_sortable(value) for value in said] if isinstance(said, (list, tuple)) else said


def commit() -> dict[str, str | bool | None]:
    """The git commit of the code and whether tracked files were changed.

    Changes under ``benchmarks/`` do not count: results are written there.
    """
    given = os.environ.get(COMMIT_VARIABLE)
    if given:
        return {'commit': given, 'dirty': None}
    head = _git('rev-parse', 'HEAD')
    if not head:
        return {'commit': None, 'dirty': None}
    changed = _git('status', '--porcelain', '--untracked-files=no', '--', '.', ':!benchmarks')
    return {'commit': head, 'dirty': bool(changed)}


def _git(*arguments: str) -> str | None:
    root = Path(__file__).resolve().parents[1]
    if not (root / '.git').exists():  # installed into another repository
        return None
    try:
        done = subprocess.run(['git', *arguments], cwd=root, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip()


def machine() -> dict[str, str | int | None]:
    """The kind of machine: CPU, cores and GPU; no host name."""
    import torch

    gpu = None
    if torch.cuda.is_available():
        gpu = torch.cuda.get_device_name()
    cores = len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count()
    return {'cpu': _cpu_model(), 'cores': cores, 'gpu': gpu}


def _cpu_model() -> str:
    info = Path('/proc/cpuinfo')
    if info.is_file():
        for line in info.read_text().splitlines():
            if line.startswith('model name'):
                return line.split(':', 1)[1].strip()
    return platform.processor() or platform.machine()


def versions() -> dict[str, str | None]:
    """The versions of Python and of the packages that matter."""
    found = {'python': platform.python_version()}
    for name in PACKAGES:
        module = sys.modules.get(name) or importlib.import_module(name)
        found[name] = getattr(module, '__version__', None)
    return found

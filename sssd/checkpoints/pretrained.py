"""Weights with an address, such as ``torchvision://resnet50``: where they come from, where their file lies.

MMEngine imports torchvision to look such a name up, which need not be installed and does not import beside a torch of
another build. Importing this module gives its ``CheckpointLoader`` other loaders for the addresses of
:data:`SCHEMES`. All keep their files where ``torch.hub`` does, so one that was put there by hand serves without a
network, and read them with ``torch.load(weights_only=True)``.
"""

import json
import os
import re
import socket
import sys
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from difflib import get_close_matches
from http.client import HTTPException
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import urlparse
from urllib.request import Request, urlopen

import mmengine
import torch
from mmengine.runner import CheckpointLoader
from mmengine.runner.checkpoint import get_deprecated_model_names, get_external_models, get_mmcls_models
from torch.hub import HASH_REGEX, download_url_to_file

from sssd.errors import LocalError, UserError
from sssd.locks import directory_lock

#: Seconds without an answer after which a download is given up.
TIMEOUT = 10.0
#: Seconds in which an address has to answer to be called reachable.
PROBE = 4.0
#: Second weights of torchvision, by the end of their file's name; the first ones are in MMEngine's table.
SECOND = dict(
    resnet50='11ad3fa6',
    resnet101='cd907fc2',
    resnet152='f82ba261',
    resnext50_32x4d='1a0047aa',
    resnext101_32x8d='110c445d',
    wide_resnet50_2='9ba9bcbe',
    wide_resnet101_2='d733dc28',
    mobilenet_v2='7ebf99e0',
    mobilenet_v3_large='5c1a4163',
)
#: What MMEngine's loaders of other addresses import.
CLIENTS = {'pavi': 'pavi', 's3': 'petrel_client', 'petrel': 'petrel_client'}
SCHEME = re.compile(r'(?:\S+:)?(\w[\w+.-]*)://(.*)', flags=re.DOTALL)


@dataclass(frozen=True)
class Remote:
    """Weights with an address.

    Attributes:
        name: As a config names them.
        url: Where their file is published; None if it has to be made or fetched by hand.
        path: Where the file lies on this machine, or will.
        hashed: Whether the file's name ends with the beginning of its SHA-256, as torchvision's do.
    """

    name: str
    url: str | None
    path: Path
    hashed: bool = False


def locate(name: str) -> Remote | None:
    """Where weights come from and where their file lies; nothing is fetched.

    Args:
        name: What a config says: an address or a path.

    Returns:
        None for a path, and for addresses that other loaders of MMEngine serve.

    Raises:
        UserError: If nobody knows the address, or what loads it is not installed.
    """
    parts = SCHEME.fullmatch(name)
    if parts is None:
        return None
    scheme, rest = parts.groups()
    find = SCHEMES.get(scheme) if name.startswith(f'{scheme}://') else None
    if find is not None:
        return find(name, rest)
    client = CLIENTS.get(scheme)
    if client is not None and find_spec(client) is None:
        raise UserError(f'{name} is loaded with the package {client}, which is not installed: install it.')
    loader = CheckpointLoader._get_checkpoint_loader
    if loader(name) is loader('a path'):
        raise UserError(
            f'{name} begins with {scheme}://, which MMEngine does not know: give a path, an https:// address, or one '
            f'that begins with {", ".join(f"{known}://" for known in SCHEMES)}.'
        )
    return None


def fetch(name: str, note: str = '', remedy: str = '') -> Path | None:
    """The file of weights with an address, downloaded if it is not there: once for all processes of a machine.

    Args:
        name: An address or a path.
        note: What names them, for the sentence.
        remedy: What else can be done where they cannot be had, for the sentence.

    Returns:
        Their file; None for what :func:`locate` has no file for.

    Raises:
        UserError: If the file is not there and cannot be downloaded, naming both places; a :class:`LocalError` in the
            first process of each machine, as another may have it.
    """
    remote = locate(name)
    if remote is None or remote.path.is_file():
        return remote and remote.path
    reason = 'no address is known for it'
    try:
        if remote.url is not None:
            _download(remote)
            return remote.path
    except (OSError, HTTPException, RuntimeError, ValueError) as error:
        reason = f'{remote.url} cannot be downloaded: {_reason(error)}'
    first = os.environ.get('LOCAL_RANK', os.environ.get('SLURM_LOCALID', '0')) == '0'
    raise (LocalError if first else UserError)(
        f'{name}{note} is not at {remote.path}, and {reason}; put the file there by hand{remedy}.'
    )


def reachable(url: str) -> bool:
    """Whether a file can be downloaded from an address, as far as its headers tell; waits a few seconds at most."""
    try:
        with urlopen(Request(url, method='HEAD'), timeout=PROBE):
            return True
    except (OSError, HTTPException, ValueError):
        return False


def load(name: str, map_location=None):
    """The content of the file of weights with an address, fetched before if need be."""
    return torch.load(fetch(name), map_location=map_location, weights_only=True)


def load_from_torchvision(filename: str, map_location=None):
    """MMEngine's loader of ``torchvision://`` and ``modelzoo://``, without torchvision."""
    return load(filename, map_location)


def load_from_openmmlab(filename: str, map_location=None):
    """MMEngine's loader of ``open-mmlab://`` and ``openmmlab://``."""
    return load(filename, map_location)


def load_from_mmcls(filename: str, map_location=None):
    """MMEngine's loader of ``mmcls://``: of a classifier the weights of its backbone."""
    checkpoint = load(filename, map_location)
    weights = checkpoint.get('state_dict', checkpoint)
    start = 'backbone.'
    return dict(
        state_dict=OrderedDict((key[len(start) :], value) for key, value in weights.items() if key.startswith(start))
    )


def load_from_http(filename: str, map_location=None):
    """MMEngine's loader of ``http://`` and ``https://``."""
    return load(filename, map_location)


def _of_torchvision(name, model):
    """``resnet50`` and ``resnet50.imagenet1k_v1`` are the same weights, as MMEngine has it."""
    with open(Path(mmengine.__path__[0]) / 'hub/torchvision_0.12.json') as table:
        urls = json.load(table)
    for key, url in list(urls.items()):
        second = url and key in SECOND and f'{url.rpartition("/")[0]}/{key}-{SECOND[key]}.pth'
        urls |= {f'{key}.imagenet1k_v1': url, f'{key}.default': second or url}
        if second:
            urls[f'{key}.imagenet1k_v2'] = second
    return _cached(name, _known(name, model.lower(), urls), hashed=True)


def _of_openmmlab(name, model):
    """MMEngine's table, the names that it replaced, and the user's own table in MMEngine's home."""
    place = _known(name, get_deprecated_model_names().get(model, model), get_external_models())
    if urlparse(place).scheme:
        return _cached(name, place)
    home = os.environ.get('MMENGINE_HOME') or os.path.join(os.environ.get('XDG_CACHE_HOME') or '~/.cache', 'mmengine')
    return Remote(name, None, Path(home).expanduser() / place)


def _of_mmcls(name, model):
    return _cached(name, _known(name, model, get_mmcls_models()))


def _of_http(name, rest):
    return _cached(name, name)


def _known(name, model, urls):
    """The address of a model in a table."""
    if not urls.get(model):
        near = get_close_matches(model, [key for key in urls if urls[key]], n=3, cutoff=0.5)
        near = f' (like it are {", ".join(near)})' if near else ''
        raise UserError(f'{name} is no published weights that MMEngine knows{near}: correct it, or give a file.')
    return urls[model]


def _cached(name, url, hashed=False):
    """Where ``torch.hub`` keeps what it loads from an address."""
    file = os.path.basename(urlparse(url).path)
    if not file:
        raise UserError(f'{name} has no name of a file at its end: correct the address.')
    return Remote(name, url, Path(torch.hub.get_dir(), 'checkpoints', file), hashed)


def _download(remote):
    """Fetch a file unless another process of this machine does so meanwhile."""
    with directory_lock(remote.path.parent), _timeout(TIMEOUT):
        if remote.path.is_file():
            return
        print(f'downloading {remote.url} to {remote.path}', flush=True)
        found = HASH_REGEX.search(remote.path.name) if remote.hashed else None
        download_url_to_file(remote.url, str(remote.path), found and found[1], progress=sys.stderr.isatty())


@contextmanager
def _timeout(seconds: float) -> Iterator[None]:
    """PyTorch's download gives no time of its own, and would wait for ever."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(seconds)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)


def _reason(error):
    """What went wrong, in words: urllib wraps the system's error."""
    error = getattr(error, 'reason', None) or error
    text = getattr(error, 'strerror', None) or str(error) or type(error).__name__
    return text.strip().splitlines()[0].rstrip('.')


#: To each scheme of addresses what finds a :class:`Remote`, given the address and what follows the scheme.
SCHEMES = {
    'torchvision': _of_torchvision,
    'modelzoo': _of_torchvision,
    'open-mmlab': _of_openmmlab,
    'openmmlab': _of_openmmlab,
    'mmcls': _of_mmcls,
    'http': _of_http,
    'https': _of_http,
}
for _loader, _schemes in (
    (load_from_torchvision, ('torchvision', 'modelzoo')),
    (load_from_openmmlab, ('open-mmlab', 'openmmlab')),
    (load_from_mmcls, ('mmcls',)),
    (load_from_http, ('http', 'https')),
):
    CheckpointLoader.register_scheme([f'{scheme}://' for scheme in _schemes], _loader, force=True)

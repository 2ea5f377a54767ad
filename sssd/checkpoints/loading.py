"""Reading checkpoints: tensors, numbers and logs of a training come out of a file, and nothing in it runs."""

import os
import pickle
import re
import tarfile
import threading
import warnings
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, BinaryIO

import numpy as np
import torch
from mmengine.logging import HistoryBuffer
from mmengine.runner import CheckpointLoader

from sssd.checkpoints.content import check_content, kind_of_file
from sssd.errors import LocalError, UserError, first_line

#: PyTorch's own function, whatever stands in its place while MMEngine's loaders run.
TORCH_LOAD = torch.load
STATISTICS = ('min', 'max', 'current', 'mean')
TRUST = 'if you trust where it comes from, add --trust-checkpoint'

_trusted: ContextVar[bool] = ContextVar('trusted', default=False)
_lock = threading.RLock()  # PyTorch's list of allowed types is one for the whole process


class SafeHistory(HistoryBuffer):
    """What stands for MMEngine's ``HistoryBuffer`` while a file is read; it is one afterwards.

    MMEngine's own takes functions from the file, for all buffers of the process.
    """

    def __setstate__(self, state: dict) -> None:
        """Take the two arrays and the length, leave the functions.

        Raises:
            pickle.UnpicklingError: If they are of other types.
        """
        kept = {key: state[key] for key in ('_log_history', '_count_history', 'max_length')}
        if [type(value) for value in kept.values()] != [np.ndarray, np.ndarray, int]:
            raise pickle.UnpicklingError('the file has a HistoryBuffer that holds no numbers')
        self.__dict__.update(kept)
        self._set_default_statistics()
        self.__class__ = HistoryBuffer


def history_method(owner: type, name: str) -> str:
    """What stands for ``getattr`` while a file is read.

    A ``HistoryBuffer`` writes its methods as ``getattr(HistoryBuffer, 'min')``.  The real ``getattr`` would also hand
    a file the globals of a module, and with them whatever it wants.

    Args:
        owner: Whose attribute is asked for.
        name: The attribute.

    Returns:
        The name: the methods themselves are not needed, see :class:`SafeHistory`.

    Raises:
        pickle.UnpicklingError: For any but the four statistics of a HistoryBuffer.
    """
    if owner is not SafeHistory or name not in STATISTICS:
        raise pickle.UnpicklingError(f'the file asks for {name!r} of {owner!r}, which no checkpoint of MMEngine needs')
    return name


def allowed_types() -> list:
    """What a file may ask for beside tensors and plain values, as ``torch.serialization.add_safe_globals`` takes it."""
    core = np._core if hasattr(np, '_core') else np.core
    # numpy 1 and 2 write these two under different names.
    functions = [
        (function, f'numpy.{place}.multiarray.{function.__name__}')
        for place in ('core', '_core')
        for function in (core.multiarray._reconstruct, core.multiarray.scalar)
    ]
    numbers = 'b1 i1 i2 i4 i8 u1 u2 u4 u8 f2 f4 f8'.split()
    return [
        (SafeHistory, 'mmengine.logging.history_buffer.HistoryBuffer'),
        (history_method, 'builtins.getattr'),
        np.ndarray,
        np.dtype,
        slice,
        bytes,  # how empty ones are written
        *functions,
        *dict.fromkeys(type(np.dtype(number)) for number in numbers),
    ]


@contextmanager
def trusting(yes: bool = True) -> Iterator[None]:
    """Read files with full unpickling inside, which runs what they say, if ``yes``."""
    token = _trusted.set(yes)
    try:
        yield
    finally:
        _trusted.reset(token)


def is_trusting() -> bool:
    """Whether files are read with full unpickling now."""
    return _trusted.get()


def read_checkpoint(name: str | os.PathLike, map_location: Any = 'cpu') -> dict:
    """The checkpoint of a file or an address: the one function through which all that sssd loads goes.

    Args:
        name: A path, or an address of those that MMEngine knows, such as ``torchvision://resnet50``.
        map_location: As that of ``torch.load``.

    Raises:
        FileNotFoundError: If there is no such file.
        UserError: If it is none, is damaged, asks for more than tensors, numbers and logs, or its weights are NaN;
            :class:`LocalError` where that may be so on one node alone.
    """
    return CheckpointLoader.load_checkpoint(os.fspath(name), map_location=map_location, logger='silent')


def load_checkpoint(original, filename: str, map_location: Any, logger: Any) -> dict:
    """What MMEngine's ``CheckpointLoader.load_checkpoint`` does, for every scheme, with :func:`safe_load`.

    Args:
        original: MMEngine's function; the loaders of its schemes end in ``torch.load``, which is ours meanwhile.
        filename: A path or an address.
        map_location: As that of ``torch.load``.
        logger: As MMEngine takes it.
    """

    def load(file, map_location=None, *rest, **options):
        """``torch.load``, whatever it is asked to allow."""
        return safe_load(file, map_location, filename)

    with _lock:
        before = torch.load, torch.serialization.load
        torch.load = torch.serialization.load = load
        try:
            checkpoint = original(filename, map_location, logger)
        finally:
            torch.load, torch.serialization.load = before
    check_content(checkpoint, filename)
    if not _trusted.get() and isinstance(checkpoint.get('meta'), dict):
        checkpoint['meta'].pop('config', None)  # MMEngine's Runner.resume would run it as Python
    return checkpoint


def safe_load(file: str | os.PathLike | BinaryIO, map_location: Any = None, name: str = '') -> Any:
    """``torch.load`` with the allowed types and no others, whatever else the process has allowed.

    Args:
        file: A path or an open file.
        map_location: As that of ``torch.load``.
        name: What the user calls it, for the sentence.

    Raises:
        UserError: If the file is no checkpoint or asks for more; :class:`LocalError` if it is damaged.
    """
    if not isinstance(file, (str, os.PathLike)):
        return _load(file, map_location, f'checkpoint {name or "that is an open file"}')
    path = os.fspath(file)
    what = f'checkpoint {path}' if name in ('', path) else f'checkpoint {name}, read from {path},'
    try:
        with open(path, 'rb') as handle:
            return _load(handle, map_location, what, path)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise LocalError(f'{what} cannot be read ({error.strerror or error}): check the file and its disk.') from error


def _load(handle, map_location, what, path=None):
    """Load an open file, or the path that it is open of: PyTorch knows some formats by their names."""
    kind = kind_of_file(handle)
    if kind is not None:
        raise LocalError(f'{what} is {kind}: take another copy of it.')
    if _trusted.get():
        return TORCH_LOAD(path or handle, map_location=map_location, weights_only=False)
    _check_archive(handle, what)
    try:
        with _lock, _only(allowed_types()), warnings.catch_warnings():
            warnings.simplefilter('ignore', UserWarning)  # of pickles that are not PyTorch's: they are refused
            return TORCH_LOAD(path or handle, map_location=map_location, weights_only=True)
    except (MemoryError, torch.cuda.OutOfMemoryError, OSError):
        raise
    except pickle.UnpicklingError as error:
        raise _refusal(what, error) from error
    except Exception as error:  # a pickle of anything ends in an error of any type
        raise LocalError(
            f'{what} cannot be read ({first_line(error)}): it is damaged or no checkpoint; take another copy of it.'
        ) from error


@contextmanager
def _only(types):
    """Allow these types in place of all that the process allows."""
    before = torch.serialization.get_safe_globals()
    torch.serialization.clear_safe_globals()
    torch.serialization.add_safe_globals(types)
    try:
        yield
    finally:
        torch.serialization.clear_safe_globals()
        torch.serialization.add_safe_globals(before)


def _check_archive(handle, what):
    """Refuse an old tar archive, whose reading runs code, and a zip archive of which a byte is not as it was written.

    PyTorch writes a checksum of every record and does not look at it.
    """
    start = handle.read(4)
    handle.seek(0)
    try:
        if start != b'PK\x03\x04':
            if tarfile.is_tarfile(handle):
                raise UserError(
                    f"{what} is in PyTorch's old tar format, whose reading can run code: take one that sssd or "
                    f'mmdet wrote, or, {TRUST}.'
                )
            return
        with zipfile.ZipFile(handle) as archive:
            broken = archive.testzip()
            program = any(name.endswith('/constants.pkl') for name in archive.namelist())
        if broken is not None:
            raise LocalError(
                f'{what} is damaged (its record {broken} is not as it was written): take another copy of it.'
            )
        if program:
            raise UserError(f'{what} is a program (TorchScript), not weights: take its weights, or, {TRUST}.')
    except (UserError, OSError):
        raise
    except Exception as error:  # zipfile says in many ways that an archive is none
        raise LocalError(f'{what} is damaged or cut off ({first_line(error)}): take another copy of it.') from error
    finally:
        handle.seek(0)


def _refusal(what, error):
    """The sentence about a file that PyTorch refused to unpickle."""
    asked = re.search(r'GLOBAL (\S+)', str(error))
    needed = re.search(r'the file (asks for|has) .*', str(error))
    if asked is None and needed is None:
        return LocalError(
            f'{what} cannot be read ({_said(error)}): it is damaged or no checkpoint; take another copy of it.'
        )
    reason = f'asks for {asked[1]}' if asked else needed[0].removeprefix('the file ')
    return UserError(
        f'{what} {reason}, but a checkpoint is tensors, numbers and logs, and reading more can run code; nothing of it '
        f'was used: take one that sssd or mmdet wrote, or, {TRUST}.'
    )


def _said(error):
    """What PyTorch's restricted unpickler said, without the advice around it."""
    found = re.search(r'WeightsUnpickler error:\s*(.+?)(?:\. |\n|$)', str(error))
    return found[1] if found else first_line(error)

"""Writing checkpoints: a file is whole under its name, or it is not there."""

import io
import os
import shutil
from typing import Any

import torch
from mmengine.fileio import LocalBackend, get_file_backend

from sssd.errors import LocalError
from sssd.whole_files import write_file

REMEDY = 'make room or permit it, then call the same with --resume, as earlier checkpoints are what they were'


def write_checkpoint(checkpoint: Any, path: str | os.PathLike, remedy: str = 'make room or permit it') -> None:
    """Write a checkpoint in one step.

    Args:
        checkpoint: What ``torch.save`` takes; the checksums that it writes are those that are asked for when reading.
        path: Its name.
        remedy: What to do where it cannot be written, for the sentence.

    Raises:
        LocalError: If there is no room or no permission, with the path and the bytes.
    """
    buffer = io.BytesIO()
    torch.save(checkpoint, buffer)
    try:
        write_file(path, buffer.getbuffer())
    except OSError as error:
        size = buffer.getbuffer().nbytes
        raise LocalError(
            f'checkpoint {path} of {size} bytes cannot be written ({error.strerror or error}; {_free(path)}): {remedy}.'
        ) from error


def _free(path):
    """How much room there is, in words."""
    folder = os.path.dirname(os.path.abspath(path))
    while not os.path.isdir(folder):
        folder = os.path.dirname(folder)
    return f'{shutil.disk_usage(folder).free} bytes are free on its disk'


def save_checkpoint(original, checkpoint: Any, filename: str, file_client_args=None, backend_args=None) -> None:
    """What MMEngine's ``save_checkpoint`` does, files of this machine by :func:`write_checkpoint`.

    Args:
        original: MMEngine's function, which writes all others.
        checkpoint: The checkpoint.
        filename: Its path or address.
        file_client_args: As MMEngine takes it.
        backend_args: As MMEngine takes it.
    """
    filename = str(filename)
    ours = file_client_args is None and '://' not in filename
    if ours and isinstance(get_file_backend(filename, backend_args=backend_args), LocalBackend):
        write_checkpoint(checkpoint, filename, REMEDY)
    else:
        original(checkpoint, filename, file_client_args=file_client_args, backend_args=backend_args)

"""Reading and writing annotation files of the COCO format."""

import gc
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from sssd.datasets.coco_form import faults_of
from sssd.errors import UserError, refuse_all
from sssd.whole_files import write_file


@contextmanager
def writing(path: str | Path) -> Iterator[None]:
    """Turn what the system says of a file that it does not write into a sentence.

    Raises:
        UserError: Naming the file.
    """
    try:
        yield
    except OSError as error:
        said = 'Not a directory' if isinstance(error, FileExistsError) else error.strerror or error
        raise UserError(
            f'{path} cannot be written ({said}): make room or permit it, or name another folder.'
        ) from error


def write_whole(path: str | Path, text: str) -> None:
    """Write a text whole or not at all: a reader never sees half a file.

    Args:
        path: The file; one that is there is replaced, its folder is made if missing.
        text: What is in it.

    Raises:
        UserError: If it cannot be written.
    """
    path = Path(path)
    with writing(path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
    with writing(path):
        write_file(path, text)


def write_json(path: str | Path, content: dict) -> None:
    """Write ``content`` as :func:`write_whole` does."""
    write_whole(path, json.dumps(content))


def write_new_json(contents: Mapping[Path, dict]) -> None:
    """Write files of which none replaces another one; those that are there already, with the same content, are left.

    Raises:
        UserError: As :func:`refuse_others` does, and then none is written.
    """
    refuse_others(contents.items())
    for path, content in contents.items():
        if not os.path.lexists(path):
            write_json(path, content)


def refuse_others(files: Iterable[tuple[Path, dict]]) -> None:
    """Refuse to write where other files are.

    Args:
        files: Each file, with what is to be in it.

    Raises:
        UserError: Naming the first that is there with another content, and how many more are.
    """
    others = [path for path, content in files if os.path.lexists(path) and not _holds(path, content)]
    if others:
        more = f' (and {len(others) - 1} more of these files)' if len(others) > 1 else ''
        raise UserError(
            f'{others[0]}{more} is there with another content than is to be written, and is not replaced: move it '
            'away, or name another folder to write to.'
        )


def _holds(path: Path, content: dict) -> bool:
    try:
        return path.read_bytes() == json.dumps(content).encode()
    except OSError:
        return False


def read_coco(path: str | Path, annotations: bool = True) -> dict:
    """Read a COCO annotation file, in UTF-8 with or without a byte-order mark, UTF-16 or UTF-32.

    Args:
        path: The JSON file.
        annotations: Whether ``annotations`` must be there; an unlabelled file may do without.

    Returns:
        Its content: a dict with at least the lists ``images``, ``annotations``, ``categories``.

    Raises:
        UserError: If the file is missing, is no JSON, or lacks one of these lists or their ids, or a bbox or another
            number is none; for all such entries.
    """
    coco = parse_json(path, read_bytes(path))
    refuse_all(str(path), [fault.sentence for fault in faults_of(path, coco, annotations)])
    return coco


def read_bytes(path: str | Path) -> bytes:
    """What an annotation file holds.

    Raises:
        UserError: If it is missing, no file, or may not be read.
    """
    path = Path(path)
    try:
        if path.exists() and not path.is_file():
            raise UserError(f'annotation file {path} is a {kind_of(path)}: give a JSON file.')
        return path.read_bytes()
    except FileNotFoundError:
        raise UserError(f'annotation file {path} does not exist; check ann_file and data_root.') from None
    except (OSError, ValueError) as error:
        said = getattr(error, 'strerror', None) or error
        raise UserError(f'annotation file {path} cannot be read ({said}): permit it, or name another file.') from error


def kind_of(path: Path) -> str:
    """What a path that is no file is."""
    return 'folder' if path.is_dir() else 'pipe' if path.is_fifo() else 'device or socket'


def parse_json(path: str | Path, content: bytes, remedy: str = 'give a COCO annotation file'):
    """The value that JSON text stands for. Python's collector waits meanwhile: it would look at every new entry.

    Args:
        path: The file, for the sentence.
        content: What it holds.
        remedy: What to do if it is no JSON.

    Raises:
        UserError: If it is no JSON, such as text that is cut off.
    """
    waits = gc.isenabled()
    gc.disable()
    try:
        return json.loads(content)
    except ValueError as error:
        told = str(error)
        if isinstance(error, UnicodeDecodeError):
            told = f'its bytes are no {error.encoding}: save it as UTF-8'
        elif not content.strip():
            told = 'it is empty'
        raise UserError(f'{path} is no valid JSON ({told}); {remedy}.') from error
    except RecursionError as error:
        raise UserError(f'{path} is no valid JSON (its lists are nested too deeply); {remedy}.') from error
    finally:
        if waits:
            gc.enable()

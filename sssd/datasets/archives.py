"""MD5 sums of downloaded archives against the published ones."""

import hashlib
from pathlib import Path

from sssd.errors import UserError


def check_archives(folder: str | Path, md5: dict[str, str], progress: bool = True) -> dict[str, bool]:
    """Compare the archives in a folder with what was published.

    Args:
        folder: Where the archives lie.
        md5: MD5 of every archive by its file name.
        progress: Show a progress bar over the bytes.

    Returns:
        For each archive that lies there, whether it is the published one.

    Raises:
        UserError: If none of them lies there.
    """
    from rich.progress import Progress

    paths = [Path(folder) / name for name in md5 if (Path(folder) / name).is_file()]
    if not paths:
        raise UserError(
            f'{folder} has none of the archives {", ".join(md5)}; name the folder that they were downloaded to.'
        )
    with Progress(disable=not progress) as bar:
        task = bar.add_task('reading archives', total=sum(path.stat().st_size for path in paths))
        return {path.name: _md5(path, lambda count: bar.advance(task, count)) == md5[path.name] for path in paths}


def _md5(path: Path, advance) -> str:
    digest = hashlib.md5(usedforsecurity=False)
    with open(path, 'rb') as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
            advance(len(chunk))
    return digest.hexdigest()

"""Writing what an analysis found: numbers with their provenance, and a figure."""

import json
import shlex
import time
from pathlib import Path

from matplotlib.backend_bases import FigureCanvasBase

from sssd import provenance
from sssd.errors import UserError


def require_folder(out: str) -> Path:
    """The folder to write in, made if missing.

    Raises:
        UserError: If a file is in the way.
    """
    folder = Path(out)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        raise UserError(f'--out: {out} is no folder: name one, or a new one.') from error
    return folder


def check_picture(out: Path) -> None:
    """Refuse a place where no picture can be written.

    Raises:
        UserError: Naming it.
    """
    kinds = sorted(FigureCanvasBase.get_supported_filetypes())
    if out.suffix[1:].lower() not in kinds or out.is_dir():
        raise UserError(f'--out {out} is no name of a picture: let it end in .png, or in one of {", ".join(kinds)}.')
    require_folder(str(out.parent))


class Report:
    """What an analysis leaves: ``<name>.json`` and ``<name>.png`` in a folder.

    Args:
        command: The command's words after ``python -m``.
        out: The folder.
        name: Name of both files.
        about: What else is to be known: config, checkpoint, seed and the like.
    """

    def __init__(self, command: list[str], out: str, name: str, **about) -> None:
        self.folder, self.name, self.began = require_folder(out), name, time.monotonic()
        self.head = dict(
            command=shlex.join(['python', '-m', *command]),
            **about,
            **provenance.commit(),
            started=provenance.now(),
            machine=provenance.machine(),
            versions=provenance.versions(),
        )

    def write(self, result: dict, figure) -> None:
        """Write both files and say where they are.

        Args:
            result: The numbers.
            figure: A figure of matplotlib; it is closed.
        """
        from sssd.figures.style import plt

        content = dict(self.head, seconds=round(time.monotonic() - self.began, 1), result=rounded(result))
        numbers, picture = (self.folder / f'{self.name}.{kind}' for kind in ('json', 'png'))
        numbers.write_text(json.dumps(content, indent=1) + '\n')
        figure.savefig(picture)
        plt.close(figure)
        print(f'wrote {numbers} and {picture}')


def rounded(value):
    """The same with every number to six significant digits."""
    if isinstance(value, dict):
        return {key: rounded(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [rounded(item) for item in value]
    return float(f'{value:.6g}') if isinstance(value, float) else value

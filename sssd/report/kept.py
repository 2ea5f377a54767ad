"""The detections that the last validation of a training left in its work directory."""

import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sssd.hooks.keep_detections import KEPT
from sssd.report.contact_sheet import Boxes
from sssd.report.scalars import ROLES, SINGLE_MODEL


@dataclass
class Kept:
    """What a validation found.

    Attributes:
        iteration: After which iteration it was.
        roles: For each role (``teacher`` and ``student``, or ``model``) the boxes by path of the image.
    """

    iteration: int
    roles: dict[str, dict[str, Boxes]]

    def of(self, paths: list[str]) -> dict[str, list[Boxes]] | None:
        """The boxes of these images, role by role; None if one of the images was not looked at."""
        if any(path not in boxes for boxes in self.roles.values() for path in paths):
            return None
        return {role: [boxes[path] for path in paths] for role, boxes in self.roles.items()}


def read_kept(work_dir: str | Path) -> Kept | None:
    """What the last validation of a run found; None if it kept nothing, or nothing that can be read."""
    try:
        with np.load(Path(work_dir) / KEPT, allow_pickle=False) as file:
            paths = file['paths'].tolist()
            known = [role for role in (*ROLES, SINGLE_MODEL) if f'{role}_boxes' in file]
            return Kept(int(file['iteration']), {role: _by_path(file, role, paths) for role in known})
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None


def _by_path(file: np.lib.npyio.NpzFile, role: str, paths: list[str]) -> dict[str, Boxes]:
    """The boxes of each image."""
    boxes, scores, labels, images = (file[f'{role}_{part}'] for part in ('boxes', 'scores', 'labels', 'images'))
    places = np.split(np.argsort(images, kind='stable'), np.searchsorted(np.sort(images), np.arange(1, len(paths))))
    return {path: Boxes(boxes[place], labels[place], scores[place]) for path, place in zip(paths, places)}

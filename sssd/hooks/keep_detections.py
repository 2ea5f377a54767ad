"""The detections of a training's last validation are kept: figures with intervals need them long after."""

import contextlib
import io
import zipfile
from collections.abc import Sequence
from logging import WARNING
from pathlib import Path

import numpy as np
import torch.distributed as dist
from mmengine.dist import get_world_size, is_main_process
from mmengine.hooks import Hook
from mmengine.logging import print_log
from mmengine.model import is_model_wrapper

from sssd.registry import HOOKS
from sssd.whole_files import write_file

#: In a work directory: the detections of the last validation.
KEPT = 'last_detections.npz'
#: What each role's arrays are called, after the role.
PARTS = ('boxes', 'scores', 'labels', 'images')
#: Role of a model that has no student and teacher.
ONE = 'model'


@HOOKS.register_module()
class KeepDetectionsHook(Hook):
    """Writes what was found on the validation images into the work directory, anew after each validation.

    The file has ``iteration``, ``paths`` (names of the images, P) and for each role (``teacher`` and ``student``, or
    ``model``) ``<role>_boxes`` (n, 4; corners in pixels of the image), ``<role>_scores`` (n), ``<role>_labels`` (n;
    place in the classes) and ``<role>_images`` (n; place in ``paths``), the numbers exactly as they were evaluated. A
    file that cannot be written is told in the log, and the training goes on.
    """

    priority = 'LOWEST'

    def __init__(self) -> None:
        self.found: dict[str, dict[str, tuple]] = {}

    def before_train(self, runner) -> None:
        """Take away what a training kept that went further, or was another: its figures are not this one's."""
        path = Path(runner.work_dir) / KEPT
        if is_main_process() and path.is_file() and kept_after(path) > runner.iter:
            with contextlib.suppress(OSError):
                path.unlink()

    def before_val_epoch(self, runner) -> None:
        """Begin anew: one before may not have come to its end."""
        self.found = {}

    def after_val_iter(self, runner, batch_idx: int, data_batch=None, outputs: Sequence | None = None) -> None:
        """Take what was found on a batch."""
        of_role = self.found.setdefault(role_of(runner.model), {})
        for sample in outputs or ():
            path, instances = sample.metainfo.get('img_path'), sample.get('pred_instances')
            if path is not None and instances is not None and 'scores' in instances:
                numbers = (instances.bboxes, instances.scores, instances.labels)
                of_role[str(path)] = tuple(part.detach().cpu().numpy() for part in numbers)

    def after_val_epoch(self, runner, metrics: dict | None = None) -> None:
        """Write what all processes have."""
        parts, self.found = gathered(self.found), {}
        merged: dict[str, dict[str, tuple]] = {}
        for part in parts:
            for role, images in part.items():
                merged.setdefault(role, {}).update(images)  # an image that fills up a batch comes twice
        if not is_main_process() or not any(merged.values()):
            return
        try:
            write(Path(runner.work_dir) / KEPT, arrays(merged, runner.iter))
        except OSError as error:
            print_log(f'the detections of this validation are not kept: {error}', logger='current', level=WARNING)


def kept_after(path: Path) -> float:
    """After which iteration a file was kept; infinity for one that cannot be read."""
    try:
        with np.load(path, allow_pickle=False) as file:
            return int(file['iteration'])
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return float('inf')


def role_of(model) -> str:
    """Whose detections a model gives now."""
    model = model.module if is_model_wrapper(model) else model
    settings = getattr(model, 'semi_test_cfg', None) or {}
    return str(settings.get('predict_on') or 'teacher') if hasattr(model, 'teacher') else ONE


def gathered(found: dict) -> list[dict]:
    """What each process found; the first has all, the others their own."""
    if get_world_size() == 1:
        return [found]
    everyone = [None] * get_world_size() if is_main_process() else None
    dist.gather_object(found, everyone, dst=0)
    return everyone or [found]


def arrays(found: dict[str, dict[str, tuple]], iteration: int) -> dict[str, np.ndarray]:
    """All that is kept, by its name in the file."""
    paths = sorted({path for images in found.values() for path in images})
    place = {path: number for number, path in enumerate(paths)}
    kept = dict(iteration=np.asarray(iteration), paths=np.asarray(paths))
    for role, images in found.items():
        columns = [np.concatenate([each[part] for each in images.values()]) for part in range(3)]
        columns.append(np.repeat([place[path] for path in images], [len(each[1]) for each in images.values()]))
        kept.update({f'{role}_{part}': column for part, column in zip(PARTS, columns)})
    return kept


def write(path: Path, kept: dict[str, np.ndarray]) -> None:
    """Write the file in one step."""
    content = io.BytesIO()
    np.savez_compressed(content, **kept)
    write_file(path, content.getvalue())

"""What a run logged, as curves.

MMEngine writes one JSON object per line to
``<work dir>/<timestamp>/vis_data/scalars.json``, and every start of a run,
also a resumed one, opens a new timestamp.  :func:`read_curves` joins them.
"""

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from sssd.errors import UserError

#: The last part of a logged metric's name -> its short name.
METRICS = {
    'bbox_mAP': 'AP',
    'bbox_mAP_50': 'AP50',
    'bbox_mAP_75': 'AP75',
    'bbox_mAP_s': 'APs',
    'bbox_mAP_m': 'APm',
    'bbox_mAP_l': 'APl',
    'AP50': 'AP50',  # pascal_voc/AP50
}
#: Whose metric it is when the run has no teacher and student.
SINGLE_MODEL = 'model'
ROLES = ('teacher', 'student')
NOT_CURVES = ('step', 'iter', 'epoch')
#: A curve that is 1 wherever the run was evaluated, if by boxes.
EVALUATED = 'evaluated'


class Curve(NamedTuple):
    """A logged quantity: ``values[i]`` was logged at iteration ``steps[i]``."""

    steps: list[int]
    values: list[float]


Curves = dict[str, Curve]


def read_curves(work_dir: str | Path) -> Curves:
    """Join everything that the runs in a work directory logged.

    Where a later start goes over iterations of an earlier one (a run resumed
    from a checkpoint, or started anew), the later one's lines count.

    Args:
        work_dir: The work directory of a run.

    Returns:
        One curve per logged name; empty if nothing was logged yet.

    Raises:
        UserError: If there is no such directory.
    """
    work_dir = Path(work_dir)
    if not work_dir.is_dir():
        raise UserError(f'there is no work directory {work_dir}: train the run first, or name another directory')
    points: dict[str, dict[int, float]] = {}
    for path in scalar_files(work_dir):
        records = list(_records(path))
        if not records:
            continue
        first = min((step for step, _, trained in records if trained), default=math.inf)
        for curve in points.values():
            for step in [step for step in curve if step >= first]:
                del curve[step]
        for step, values, _ in records:
            for name, value in values.items():
                points.setdefault(name, {})[step] = value
    return {name: Curve(*map(list, zip(*sorted(curve.items())))) for name, curve in points.items() if curve}


def scalar_files(work_dir: Path) -> list[Path]:
    """The scalar files of a work directory, one per start of a training, oldest first.

    (MMEngine writes the metrics of a test, which is no part of the run, beside ``vis_data``.)
    """
    found = []
    for start in sorted(path for path in work_dir.iterdir() if path.is_dir()):
        candidates = (start / 'vis_data' / 'scalars.json', start / 'vis_data' / f'{start.name}.json')
        found += [path for path in candidates if path.is_file()][:1]
    return found


def read_lines(text: str) -> Iterator[dict]:
    """The lines of a scalar file as MMEngine wrote them; one that was cut off is left out.

    A line of training has the key ``iter``, one of an evaluation has not.
    """
    for line in text.splitlines():
        try:
            record = json.loads(line)
        except json.JSONDecodeError:  # the writer was killed in mid-line
            continue
        if isinstance(record, dict):
            yield record


def _records(path: Path) -> Iterator[tuple[int, dict[str, float], bool]]:
    """The lines of one file as (iteration, values, whether it was trained).

    MMEngine's default gives validation lines an epoch for a step, which is
    always 0 in iteration-based training; such a line belongs to the last
    iteration logged before it.
    """
    last = 0
    for record in read_lines(path.read_text()):
        last = max(last, int(record.get('step', 0)))
        values = {
            name: float(value)
            for name, value in record.items()
            if name not in NOT_CURVES and isinstance(value, (int, float)) and math.isfinite(value)
        }
        metrics = [name for name in values if '/' in name]
        if 'iter' not in record and (not metrics or any(map(metric_of, metrics))):
            values[EVALUATED] = 1.0
        yield last, values, 'iter' in record and bool(values)


def metric_of(name: str) -> tuple[str, str] | None:
    """Split a logged name, e.g. ``teacher/coco/bbox_mAP_50``.

    Returns:
        Whose metric it is (``'teacher'``, ``'student'`` or ``'model'``) and
        its short name (``'AP50'``); None if it is no such metric.
    """
    parts = name.split('/')
    if len(parts) < 2 or parts[-1] not in METRICS:
        return None
    role = parts[0] if parts[0] in ROLES else SINGLE_MODEL
    return role, METRICS[parts[-1]]


def history(curves: Curves) -> dict[str, list[dict[str, float]]]:
    """Every evaluation of a run, by role.

    Where a model detected nothing at all, mmdet logs an evaluation without
    any metric of it; its AP is 0, as that of a teacher which never detected
    anything beside its student.

    Returns:
        For each role the evaluations in order, each with ``iter`` and the
        metrics in percent; a metric that COCO could not compute (no objects
        of that size) is None.
    """
    rows: dict[str, dict[int, dict]] = {}
    for name, curve in curves.items():
        metric = metric_of(name)
        if metric is None:
            continue
        role, short = metric
        for step, value in zip(*curve):
            row = rows.setdefault(role, {}).setdefault(step, {'iter': step})
            row[short] = None if value < 0 else round(100 * value, 2)
    evaluated = curves[EVALUATED].steps if EVALUATED in curves else []
    for role in (ROLES if rows.keys() & set(ROLES) else (SINGLE_MODEL,)) if evaluated else ():
        by_step = rows.setdefault(role, {})
        for step in evaluated:
            by_step.setdefault(step, {'iter': step, 'AP': 0.0, 'AP50': 0.0})
    return {role: [by_step[step] for step in sorted(by_step)] for role, by_step in sorted(rows.items())}


def loss_terms(curves: Curves) -> list[str]:
    """The names of a run's loss terms, the total first."""
    names = [name for name in curves if 'loss' in name.split('/')[-1]]
    return sorted(names, key=lambda name: (name != 'loss', name))

"""Student or teacher? What the validation of a run says of the two."""

from pathlib import Path
from typing import NamedTuple

from sssd.deploy.parts import PAIR
from sssd.errors import UserError
from sssd.report.scalars import history, read_curves

#: What is compared: COCO's AP where it was logged, else that of one IoU.
MEASURES = ('AP', 'AP50')


class Choice(NamedTuple):
    """The part to take, and a sentence that says why."""

    part: str
    why: str


def read_history(checkpoint: str | Path) -> dict[str, list[dict]]:
    """The evaluations that the run of a checkpoint logged, by role; empty if nothing is beside the file."""
    folder = Path(checkpoint).resolve().parent
    try:
        return history(read_curves(folder))
    except (UserError, OSError, UnicodeDecodeError):
        return {}


def better_part(found: dict[str, list[dict]], iteration: int | None) -> Choice:
    """The better of teacher and student at a checkpoint's iteration.

    What counts is the newest evaluation of both that is not after the checkpoint; of two that are the same the teacher
    is taken, which is what a training ends in.

    Args:
        found: Evaluations by role, as of :func:`sssd.report.scalars.history`.
        iteration: That of the checkpoint; None if it does not tell.
    """
    rows = {role: {row['iter']: row for row in found.get(role, ())} for role in PAIR}
    steps = [step for step in set(rows['teacher']) & set(rows['student']) if iteration is None or step <= iteration]
    for step in sorted(steps, reverse=True):
        for measure in MEASURES:
            teacher, student = (rows[role][step].get(measure) for role in PAIR)
            if teacher is None or student is None:
                continue
            part = 'student' if student > teacher else 'teacher'
            after = '' if step == iteration else ', the newest evaluation before the checkpoint'
            return Choice(
                part,
                f'the {part}: at iteration {step}{after}, {measure} of the teacher was {teacher:.1f} and of the '
                f'student {student:.1f} on the validation images',
            )
    return Choice(
        'teacher',
        'the teacher: no validation of both student and teacher is logged beside the checkpoint, so the two could not '
        'be compared (--part student takes the other)',
    )

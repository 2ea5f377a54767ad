"""Which entries of a results file are of the present specification, and of the data as they are."""

from collections.abc import Sequence
from pathlib import Path

from sssd.errors import UserError
from sssd.studies.job import make_job
from sssd.studies.spec import StudySpec


def present(spec: StudySpec, entries: Sequence[dict], processes: int | None = None) -> tuple[list[dict], list[dict]]:
    """The entries that count, and those that do not, as the specification or the data have changed since.

    A file of which nothing fits is older as a whole, and counts as it is. So do entries whose run is not in the
    specification (any more), or whose config cannot be read, and starts: whether these fit cannot be told.

    Args:
        spec: The specification.
        entries: Entries of its results file.
        processes: Processes of a run as it would be trained now; default: as it was.
    """
    fits = [fits_of(spec, entry, processes) for entry in entries]
    if True not in fits:
        return list(entries), []
    kept = [entry for entry, fits_now in zip(entries, fits) if fits_now is not False]
    return kept, [entry for entry in entries if entry not in kept]


def fits_of(spec: StudySpec, entry: dict, processes: int | None = None) -> bool | None:
    """Whether an entry is of the present specification; None where that cannot be told."""
    run = spec.runs.get(entry['run'])
    if run is None:
        return None
    place = dict(root=Path(), data=spec.data, processes=processes or entry.get('gpus', 1))
    try:
        start = make_job(spec.start, entry['seed'], **place, start=None) if spec.start and run.from_start else None
        return make_job(run, entry['seed'], **place, start=start).is_held(entry)
    except UserError:
        return None


def told_old(old: Sequence[dict]) -> str:
    """What is said of entries that do not count, '' of none."""
    if not old:
        return ''
    names = '; '.join(f'{entry["run"]}, seed {entry["seed"]}' for entry in old)
    return f'left out, as their specification or data have changed since they were trained: {names}'

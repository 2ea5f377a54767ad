"""Tables of a study's test part: every run's models, what they gain and which share of the headroom, with intervals."""

from collections.abc import Mapping, Sequence

from sssd.report.scalars import ROLES
from sssd.report.tables import DASH, Grid, metric, result_table, spread, study_tables

#: Under which name an entry of a results file has its test, and the file its comparison.
TEST = 'test'
COLUMNS = tuple((role, which) for role in reversed(ROLES) for which in ('last', 'best'))


def tables_of(
    entries: Sequence[dict],
    title: str = '',
    compare: dict[str, str] | None = None,
    names: Mapping[str, str] | None = None,
    summary: Mapping | None = None,
) -> list[Grid]:
    """All tables of a study; once its runs are tested, gains and shares are those of the test part alone.

    Args:
        entries: Entries of a results file.
        title: The study's name.
        compare: The names of the runs ``few`` and ``all``, for a study without a test part.
        names: Other names for some runs.
        summary: What the results file says of the test part.
    """
    final = final_tables(entries, summary, names)
    if not final:
        return study_tables(entries, title, compare, names)
    return [result_table(entries, f'{title}: the last validation', names), *final]


def final_tables(
    entries: Sequence[dict], summary: Mapping | None = None, names: Mapping[str, str] | None = None
) -> list[Grid]:
    """The tables of a results file whose runs were tested; none if they were not.

    Args:
        entries: Entries of a results file.
        summary: What the file says of the test part: ``images``, ``resamples``, ``level``, ``gains``; None if no
            intervals were computed yet.
        names: Other names for some runs.
    """
    tested = [entry for entry in entries if TEST in entry.get('trials', {})]
    if not tested:
        return []
    tables = [tested_table(tested, names)]
    return [*tables, gains_table(summary, names)] if summary else tables


def tested_table(entries: Sequence[dict], names: Mapping[str, str] | None = None) -> Grid:
    """One row per run: AP on the test part of student and teacher, last and best; over seeds mean and deviation."""
    heads = [f'{role} {which}' for role, which in COLUMNS]
    grid = Grid(
        'On the test part',
        ('run', 'seeds', *heads, 'AP50', 'seconds'),
        note='AP in percent, over seeds ± their standard deviation; best: the checkpoint of the best AP on the '
        "validation part while training; AP50 is the best teacher's; a run without a teacher has its one model under "
        'student',
    )
    for run in dict.fromkeys(entry['run'] for entry in entries):
        of_run = [entry for entry in entries if entry['run'] == run]
        cells = [spread([_tested(entry, 'AP', *column) for entry in of_run]) for column in COLUMNS]
        ap50 = [_tested(entry, 'AP50', role, 'best') for entry in of_run for role in _deployed(entry)]
        seconds = spread([entry['seconds'] for entry in of_run], digits=0)
        grid.rows.append(((names or {}).get(run, run), str(len(of_run)), *cells, spread(ap50), seconds))
    return grid


def _deployed(entry: dict) -> Sequence[str]:
    """The teacher, or what stands under student."""
    return ('teacher',) if 'teacher' in entry['trials'][TEST]['models'] else ('student',)


def _tested(entry: dict, name: str, role: str, which: str) -> float | None:
    """A metric of the test part."""
    models = entry['trials'][TEST]['models']
    return metric({'metrics': {whose: found[which] for whose, found in models.items()}}, name, role)


def gains_table(summary: Mapping, names: Mapping[str, str] | None = None) -> Grid:
    """One row per run and model: AP, gain and share with their intervals; refusals stand in the note."""
    percent = round(100 * summary['level'])
    grid = Grid(
        'Gain over few labels and share of the headroom, on the test part',
        ('run', 'model', f'AP ({percent} %)', 'gain', 'share'),
    )
    refused: dict[str, list[str]] = {}
    for run, models in summary['gains'].items():
        for model, found in models.items():
            if 'AP' not in found:
                continue
            cells = [_cell(found.get('AP')), _cell(found.get('gain')), _cell(found.get('share'), percent=True)]
            grid.rows.append(((names or {}).get(run, run), model, *cells))
            if 'refused' in found and model not in refused.setdefault(found['refused'], []):
                refused[found['refused']].append(model)
    reasons = [f'{", ".join(models)}: {reason}' for reason, models in refused.items()]
    draws = f'{summary["resamples"]} draws of the {summary["images"]} test images'
    drawn = f'in parentheses {percent} % intervals of {draws}, the same for all runs and seeds'
    grid.note = '; '.join([drawn, 'other seeds are not in them, see ± above', *reasons])
    return grid


def _cell(figure: Mapping | None, percent: bool = False) -> str:
    """A figure and its interval."""
    if figure is None or figure['value'] is None:
        return DASH
    ends = [figure['value'], *figure['interval']]
    value, low, high = (f'{end:.0%}' if percent else f'{end:.1f}' for end in ends)
    return f'{value} ({low} to {high})'

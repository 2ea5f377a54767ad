"""A paper's table with ours beside it."""

from collections.abc import Iterable, Mapping, Sequence

from sssd.report.tables import DASH, Grid, deployed, metric, spread

NOT_RUN, SKIPPED = 'not run', 'skipped'


def published_table(rows: Sequence[Mapping], entries: Sequence[dict], title: str, seeds: Iterable[int] = ()) -> Grid:
    """One line a row: the paper's number and ours.

    Args:
        rows: ``run``, ``label``, ``published`` and ``skipped`` (a reason, or '') of each row.
        entries: Entries of a results file; the last evaluation of each counts, several seeds are averaged.
        title: The table's title.
        seeds: Those that were asked for; those of the entries are looked for in any case.

    Returns:
        The table. A row without an entry is called not run; which seeds a row lacks that others have, and why a row is
        skipped, stands in the note.
    """
    grid = Grid(title, ('row', 'run', 'paper', 'teacher', 'student', 'AP50', 'seeds', 'iters'))
    for row in rows:
        of_run = [entry for entry in entries if entry['run'] == row['run']]
        grid.rows.append((row['label'], row['run'], as_printed(row['published']), *_ours(of_run, bool(row['skipped']))))
    reasons = [f'Row {row["label"]} is skipped: {row["skipped"]}' for row in rows if row['skipped']]
    grid.note = ' '.join(["AP in percent, but for AP50, the teacher's.", *reasons, *_missing(rows, entries, seeds)])
    return grid


def trials_table(rows: Sequence[Mapping], entries: Sequence[dict], title: str, seeds: Iterable[int] = ()) -> Grid:
    """Two lines a row, the paper's and ours, with one column for each test of the row's run (Table 7).

    Args:
        rows: As for :func:`published_table`, ``published`` by the names of the tests; the last one is the ensemble.
        entries: Entries of a results file, with ``trials``; those that lack a test are left out.
        title: The table's title.
        seeds: Those that were asked for.

    Returns:
        The table, with what the ensemble gains over the size that the configs test at, as the paper counts it.
    """
    names = list(rows[0]['published'])
    grid = Grid(title, ('row', 'run', 'whose', *names, 'gain', 'seeds', 'iters'))
    tested = [entry for entry in entries if set(names) <= set(entry.get('trials', {}))]
    for row in rows:
        head = (row['label'], row['run'])
        published = row['published']
        grid.rows.append((*head, 'paper', *map(as_printed, published.values()), _gain([published]), DASH, DASH))
        of_run = [entry for entry in tested if entry['run'] == row['run']]
        if of_run:
            aps = [{name: entry['trials'][name].get('AP') for name in names} for entry in of_run]
            cells = [spread([found[name] for found in aps]) for name in names]
            grid.rows.append((*head, 'ours', *cells, _gain(aps), str(len(of_run)), _iterations(of_run)))
        else:
            word = SKIPPED if row['skipped'] else NOT_RUN
            grid.rows.append((*head, 'ours', word, *[DASH] * (len(names) + 2)))
    reasons = [f'Row {row["label"]} is skipped: {row["skipped"]}' for row in rows if row['skipped']]
    grid.note = ' '.join(
        [
            'AP in percent, ours at the same parts of the size that the configs test at. Gain: the '
            'ensemble over that size.',
            *reasons,
            *_missing(rows, tested, seeds, 'tested'),
        ]
    )
    return grid


def _gain(tested: Sequence[Mapping[str, float | None]]) -> str:
    """What the ensemble, the last test, is worth over the middle size."""
    names = list(tested[0])
    pairs = [(aps[names[-1]], aps[names[(len(names) - 1) // 2]]) for aps in tested]
    return spread([ensemble - single for ensemble, single in pairs if None not in (ensemble, single)])


def _missing(
    rows: Sequence[Mapping], entries: Sequence[dict], seeds: Iterable[int], what: str = 'trained'
) -> list[str]:
    """One sentence on the runs without a result of a seed that another run has or that was asked for."""
    runs = [row['run'] for row in rows if not row['skipped']]
    done = {(entry['run'], entry['seed']) for entry in entries if entry['run'] in runs}
    wanted = sorted({seed for _, seed in done}.union(seeds))
    lacking = {run: [str(seed) for seed in wanted if (run, seed) not in done] for run in runs}
    told = [f'{run} (seed {", ".join(missing)})' for run, missing in lacking.items() if missing]
    return [f'Not {what} yet: {"; ".join(told)}.'] if told else []


def as_printed(number: float) -> str:
    """A published number with one decimal, or two where it has them."""
    return f'{number:.1f}' if round(number, 1) == number else f'{number:.2f}'


def _ours(entries: Sequence[dict], skipped: bool) -> Sequence[str]:
    """The cells of a row after the published one."""
    if not entries:
        return (SKIPPED if skipped else NOT_RUN, *[DASH] * 4)
    return (
        spread([metric(entry, 'AP', 'teacher') for entry in entries]),
        spread([metric(entry, 'AP', 'student') for entry in entries]),
        spread([metric(entry, 'AP50', deployed(entry)) for entry in entries]),
        str(len(entries)),
        _iterations(entries),
    )


def _iterations(entries: Sequence[dict]) -> str:
    """How long the runs of a row were trained."""
    return ', '.join(map(str, sorted({entry['metrics'][deployed(entry)]['iter'] for entry in entries})))

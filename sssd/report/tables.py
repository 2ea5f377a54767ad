"""Tables of a study's results, for the terminal and in Markdown."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import mean, stdev

from rich.table import Table
from rich.text import Text

from sssd.report.scalars import SINGLE_MODEL

#: Which runs the share of the headroom compares, by default.
COMPARE = {'few': 'few', 'all': 'all'}
DASH = '-'


@dataclass
class Grid:
    """A table: a title, column names, rows of text and a note below."""

    title: str
    columns: Sequence[str]
    rows: list[Sequence[str]] = field(default_factory=list)
    note: str = ''

    def to_rich(self) -> Table:
        """The table for a terminal."""
        above, below = (
            Text(text, f'table.{name}', justify='center') if text else None
            for name, text in (('title', self.title), ('caption', self.note))
        )
        table = Table(title=above, caption=below)
        for i, column in enumerate(self.columns):
            table.add_column(Text(column), justify='right' if i else 'left')
        for row in self.rows:
            table.add_row(*map(Text, row))
        return table

    def to_markdown(self) -> str:
        """The table in Markdown."""
        rules = [':--', *['--:'] * (len(self.columns) - 1)]
        lines = [f'| {" | ".join(row)} |' for row in (self.columns, rules, *self.rows)]
        head = [f'**{self.title}**', '']
        tail = ['', self.note] if self.note else []
        return '\n'.join([*head, *lines, *tail]) + '\n'


def result_table(entries: Sequence[dict], title: str = '', names: Mapping[str, str] | None = None) -> Grid:
    """One row per run: AP of student and teacher, AP50 and seconds.

    Args:
        entries: Entries of a results file.
        title: The table's title.
        names: Other names for some runs.

    Returns:
        The table; over several seeds a cell is mean and sample standard
        deviation.
    """
    grid = Grid(
        title,
        ('run', 'seeds', 'student AP', 'teacher AP', 'AP50', 'seconds'),
        note="AP and AP50 in percent; AP50 is the teacher's; a run without a teacher has its one model under student",
    )
    for run in dict.fromkeys(entry['run'] for entry in entries):
        of_run = [entry for entry in entries if entry['run'] == run]
        grid.rows.append(
            (
                (names or {}).get(run, run),
                str(len(of_run)),
                spread([metric(entry, 'AP', 'student') for entry in of_run]),
                spread([metric(entry, 'AP', 'teacher') for entry in of_run]),
                spread([metric(entry, 'AP50', deployed(entry)) for entry in of_run]),
                spread([entry['seconds'] for entry in of_run], digits=0),
            )
        )
    return grid


@dataclass
class Share:
    """How much of the headroom a run recovers.

    Attributes:
        few: AP with few labels: the better of the baseline's student and
            teacher.
        all: AP with all labels, likewise the better one.
        run: AP of the run's teacher.
    """

    few: float
    all: float
    run: float

    @property
    def headroom(self) -> float:
        """What all labels are worth over few."""
        return self.all - self.few

    @property
    def gain(self) -> float:
        """What the run is worth over the baseline."""
        return self.run - self.few

    @property
    def share(self) -> float | None:
        """Gain over headroom; None where there is no headroom."""
        return self.gain / self.headroom if self.headroom > 0 else None


def shares(entries: Sequence[dict], run: str, compare: dict[str, str] | None = None) -> dict[int, Share]:
    """The share of the headroom that a run recovers, by seed.

    Args:
        entries: Entries of a results file.
        run: The run's name.
        compare: The names of the runs ``few`` and ``all``.

    Returns:
        One item per seed that has all three runs.
    """
    names = {**COMPARE, **(compare or {})}
    found: dict[int, dict[str, float]] = {}
    for entry in entries:
        aps = found.setdefault(entry['seed'], {})
        for key in ('few', 'all'):
            if entry['run'] == names[key]:
                aps[key] = best_ap(entry)
        if entry['run'] == run:
            aps['run'] = metric(entry, 'AP', deployed(entry))
    return {seed: Share(**aps) for seed, aps in sorted(found.items()) if len(aps) == 3 and None not in aps.values()}


def share_of_means(by_seed: dict[int, Share]) -> Share:
    """The same with each AP averaged over the seeds first."""
    return Share(*[mean(getattr(share, key) for share in by_seed.values()) for key in ('few', 'all', 'run')])


def share_table(
    entries: Sequence[dict], compare: dict[str, str] | None = None, run_names: Mapping[str, str] | None = None
) -> Grid | None:
    """Per seed and of the means, what share of the headroom runs recover; ``run_names`` are other names for some runs.

    Returns:
        The table, or None if no run can be compared.
    """
    names = {**COMPARE, **(compare or {})}
    grid = Grid(
        'Share of the headroom recovered',
        ('run', 'seed', 'AP few', 'AP all', 'headroom', 'AP', 'gain', 'share'),
        note='AP few, AP all: the better of student and teacher; AP: the '
        "run's teacher; headroom = AP all - AP few; share = gain / headroom",
    )
    for run in dict.fromkeys(entry['run'] for entry in entries):
        by_seed = shares(entries, run, names)
        if run in (names['few'], names['all'], 'start') or not by_seed:
            continue
        shown = (run_names or {}).get(run, run)
        for seed, share in by_seed.items():
            grid.rows.append((shown, str(seed), *_share_cells(share)))
        if len(by_seed) > 1:
            grid.rows.append((shown, 'means', *_share_cells(share_of_means(by_seed))))
    unlearnt = below_start(entries, names['few'])
    if unlearnt:
        grid.note += (
            f'; {names["few"]} ends below the start with seed {", ".join(map(str, unlearnt))}: it unlearns, '
            'and gains over it may be none over the start'
        )
    return grid if grid.rows else None


def below_start(entries: Sequence[dict], run: str) -> list[int]:
    """Seeds with which a run ends with a lower AP than the shared start that it began with."""
    aps = {(entry['run'], entry['seed']): best_ap(entry) for entry in entries}
    return sorted(
        seed
        for name, seed in aps
        if name == run
        and None not in (aps[run, seed], aps.get(('start', seed)))
        and aps[run, seed] < aps['start', seed]
    )


def _share_cells(share: Share) -> list[str]:
    numbers = (share.few, share.all, share.headroom, share.run, share.gain)
    cells = [f'{number:.1f}' for number in numbers]
    return [*cells, DASH if share.share is None else f'{share.share:.0%}']


def study_tables(
    entries: Sequence[dict],
    title: str = '',
    compare: dict[str, str] | None = None,
    names: Mapping[str, str] | None = None,
) -> list[Grid]:
    """All tables of a study; ``names`` are other names for some runs."""
    tables = [result_table(entries, title, names), share_table(entries, compare, run_names=names)]
    return [table for table in tables if table is not None]


def deployed(entry: dict) -> str:
    """Whose metrics are a run's result: its teacher's if it has one."""
    metrics = entry['metrics']
    return next(role for role in ('teacher', SINGLE_MODEL, 'student') if role in metrics)


def best_ap(entry: dict) -> float | None:
    """The best final AP among student and teacher."""
    aps = [metrics.get('AP') for metrics in entry['metrics'].values()]
    return max((ap for ap in aps if ap is not None), default=None)


def metric(entry: dict, name: str, role: str) -> float | None:
    """A final metric of a role; a run without a teacher has its one model under student."""
    metrics = entry['metrics']
    if role == 'student' and role not in metrics:
        role = SINGLE_MODEL
    return metrics.get(role, {}).get(name)


def spread(values: Sequence[float | None], digits: int = 1) -> str:
    """Mean and, of several values, their sample standard deviation."""
    values = [value for value in values if value is not None]
    if not values:
        return DASH
    text = f'{mean(values):.{digits}f}'
    if len(values) > 1:
        text += f' ± {stdev(values):.{digits}f}'
    return text

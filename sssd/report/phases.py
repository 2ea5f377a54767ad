"""The share of the distance in the loss, phase by phase of a run (SSSD, Table 3)."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import mean

from sssd.report.scalars import Curves
from sssd.report.tables import DASH, Grid

#: The share as a guided detector logs it, and as SED does.
SHARES, LAMBDA = ('distill_share', 'sup_distill_share'), 'lambda_'


@dataclass(frozen=True)
class Phase:
    """A stretch of a run in which lambda stays, or in which it changes at every log entry.

    Attributes:
        begin: Iteration of its first log entry.
        end: Iteration of its last.
        lambdas: First and last lambda; None if the run logged none (a constant in the config).
        shares: lambda L_distill / L_total at every log entry, in [0, 1).
    """

    begin: int
    end: int
    lambdas: tuple[float, float] | None
    shares: tuple[float, ...]

    @property
    def share(self) -> float:
        """Mean share."""
        return mean(self.shares)


def phases(curves: Curves) -> list[Phase]:
    """The phases of a run, in order; empty if it logged no share.

    A step of lambda begins a phase. Entries with a lambda of their own, as in a ramp, are one phase together.

    Args:
        curves: What :func:`~sssd.report.scalars.read_curves` found.
    """
    logged = [curves[name] for name in SHARES if name in curves]
    if not logged:
        return []
    known = dict(zip(*curves[LAMBDA])) if LAMBDA in curves else {}
    rows = [(step, known.get(step), share) for step, share in zip(*logged[0])]
    stays = [
        any(rows[other][1] == value for other in (i - 1, i + 1) if 0 <= other < len(rows))
        for i, (_, value, _) in enumerate(rows)
    ]
    groups: list[list] = []
    for i, row in enumerate(rows):
        joins = groups and (row[1] == rows[i - 1][1] or not (stays[i] or stays[i - 1]))
        if joins:
            groups[-1].append(row)
        else:
            groups.append([row])
    return [_phase(group) for group in groups]


def _phase(rows: list[tuple]) -> Phase:
    first, last = rows[0], rows[-1]
    known = first[1] is not None and last[1] is not None
    return Phase(first[0], last[0], (first[1], last[1]) if known else None, tuple(row[2] for row in rows))


def phase_table(found: Sequence[Phase], title: str = '') -> Grid:
    """One row per phase: iterations, lambda, and the mean, smallest and largest share.

    Args:
        found: The phases of a run.
        title: The run's name.
    """
    grid = Grid(
        title,
        ('iterations', 'lambda', 'share', 'smallest', 'largest', 'entries'),
        note='share: mean of lambda L_distill / L_total over the log entries',
    )
    for phase in found:
        numbers = (phase.share, min(phase.shares), max(phase.shares))
        grid.rows.append(
            (
                f'{phase.begin} to {phase.end}',
                _lambda(phase.lambdas),
                *[f'{number:.3f}' for number in numbers],
                str(len(phase.shares)),
            )
        )
    return grid


def _lambda(pair: tuple[float, float] | None) -> str:
    if pair is None:
        return DASH
    first, last = pair
    return f'{first:g}' if first == last else f'{first:g} to {last:g}'

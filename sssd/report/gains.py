"""What runs gain over few labels on a test part, and which share of the headroom that is, with intervals.

A run's models (student and teacher, at the last iteration and at the best validation) are each compared with the same
model of the run on few labels and of that on all: none is picked by what it reached on the test part.
"""

import math
from collections.abc import Mapping, Sequence
from statistics import stdev

from sssd.report.bootstrap import Estimate
from sssd.report.scalars import ROLES, SINGLE_MODEL
from sssd.report.tables import COMPARE

CHECKPOINTS = ('best', 'last')
#: Whose model it is, and of which checkpoint.
Model = tuple[str, str]
#: AP of a study's models on the test part: by run, seed and model.
Estimates = Mapping[str, Mapping[int, Mapping[Model, Estimate]]]


def gains(estimates: Estimates, compare: Mapping[str, str] | None = None) -> dict[str, dict[str, dict]]:
    """All figures of a study's test part, as its results file has them.

    Args:
        estimates: AP of each run, seed and model, all of the same draws of the same images.
        compare: The names of the runs ``few`` and ``all``.

    Returns:
        Run -> model (``'teacher best'``) -> ``AP``, ``gain`` over the same model of ``few``, ``share`` of what ``all``
        gains, or the sentence that refuses it (``refused``), and the same ``by_seed``. A figure has its value, its
        interval, its seeds (those that all runs in question have) and, of several, their standard deviation. Of
        several seeds AP and gain are means, the share is the ratio of the means.
    """
    names = {**COMPARE, **(compare or {})}
    return {
        run: {
            f'{role} {which}': _of_model(estimates, run, (role, which), names['few'], names['all'])
            for role in _roles(estimates)
            for which in CHECKPOINTS
        }
        for run in estimates
    }


def refusal(headroom: Estimate) -> str:
    """Why there is no share of a headroom, or '' if its interval lies above 0."""
    low, high = headroom.interval()
    if low > 0:
        return ''
    return (
        f'no share: all labels beat few by {headroom.value:.1f} AP ({low:.1f} to {high:.1f}), which the interval '
        'does not tell from 0'
    )


def _roles(estimates: Estimates) -> Sequence[str]:
    """Teacher and student if any run has them; a run without compares its one model with both."""
    found = {role for seeds in estimates.values() for models in seeds.values() for role, _ in models}
    return [role for role in ROLES if role in found] or [SINGLE_MODEL]


def _by_seed(estimates: Estimates, run: str, model: Model) -> dict[int, Estimate]:
    """One model of a run, or the only one that it has, by seed."""
    found = {seed: models.get(model, models.get((SINGLE_MODEL, model[1]))) for seed, models in estimates[run].items()}
    return {seed: estimate for seed, estimate in found.items() if estimate is not None}


def _of_model(estimates: Estimates, run: str, model: Model, few: str, everything: str) -> dict:
    aps, low, high = (_by_seed(estimates, name, model) if name in estimates else {} for name in (run, few, everything))
    gain = {} if run == few else _minus(aps, low)
    headroom = {} if run in (few, everything) else _minus(high, low)
    by_seed = {
        str(seed): _figures(*[{seed: part[seed]} if seed in part else {} for part in (aps, gain, headroom)])
        for seed in aps
    }
    return {**_figures(aps, gain, headroom), 'by_seed': by_seed}


def _minus(runs: Mapping[int, Estimate], others: Mapping[int, Estimate]) -> dict[int, Estimate]:
    """The difference by seed, where both have it."""
    return {seed: runs[seed] - others[seed] for seed in runs if seed in others}


def _figures(aps: Mapping[int, Estimate], gain: Mapping[int, Estimate], headroom: Mapping[int, Estimate]) -> dict:
    """AP, gain and share over the seeds that each has."""
    found = {name: _figure(part, _mean(part)) for name, part in (('AP', aps), ('gain', gain)) if part}
    seeds = [seed for seed in gain if seed in headroom]
    if not seeds:
        return found
    won, to_win = (_mean({seed: part[seed] for seed in seeds}) for part in (gain, headroom))
    refused = refusal(to_win)
    if refused:
        return {**found, 'refused': refused}
    shares = {seed: gain[seed].over(headroom[seed]) for seed in seeds}
    return {**found, 'share': _figure(shares, won.over(to_win), digits=4)}


def _mean(by_seed: Mapping[int, Estimate]) -> Estimate:
    return Estimate.mean(list(by_seed.values()))


def _figure(by_seed: Mapping[int, Estimate], whole: Estimate, digits: int = 2) -> dict:
    """A figure of the seeds together as a results file has it; what there is none of is None."""

    def rounded(value: float) -> float | None:
        """JSON has no NaN."""
        return None if math.isnan(value) else round(value, digits)

    found = dict(value=rounded(whole.value), interval=[rounded(end) for end in whole.interval()], seeds=sorted(by_seed))
    values = [one.value for one in by_seed.values() if not math.isnan(one.value)]
    return {**found, 'spread': rounded(stdev(values))} if len(values) > 1 else found

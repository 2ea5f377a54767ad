r"""Stepwise self-distillation (SSSD, Sec. 2.2) over the 180 000 iterations of COCO. Top: the coefficient $\lambda$
of $\mathcal{L}_{\mathrm{distill}}$ is 0 while the backbone is frozen, then $\lambda_0$, and rises to $\lambda_1$
where the learning rate (dotted) falls for the first time, so that distillation weighs on although steps are
smaller. Bottom: what trains when. The backbone is frozen for 20 000 iterations; the student's features are detached
from the distance for 30 000, as in LGD's code, so that only the adapter follows it; label encoder and guide learn
from the head's loss on their features throughout, and the distance never reaches them: $k_e$ is always detached
there. The values 75 and 100 are ours for "the best of Table 4 and the next larger one"; the text names none.
"""

import numpy as np
from matplotlib.colors import to_rgb

from sssd.figures.style import colour, heading, new_figure, styled
from sssd.schedules import build_schedule

from .ema import TOTAL, progress_at

#: What configs/_base_/sssd.py and configs/sssd/faster-rcnn_r50_sssd_stepwise.py say.
FROZEN, DETACHED, LAMBDAS = 20_000, 30_000, (75.0, 100.0)
SCHEDULE = dict(type='Ramp', begin=FROZEN, after=dict(type='StepAtDecay', start=LAMBDAS[0], end=LAMBDAS[1]))
#: Who trains, and the parts of the training: from, to, by what (None: not at all).
PARTS = {
    'backbone': [(0, FROZEN, None), (FROZEN, DETACHED, 'det'), (DETACHED, TOTAL, 'both')],
    'neck and heads': [(0, DETACHED, 'det'), (DETACHED, TOTAL, 'both')],
    'label encoder, guide': [(0, TOTAL, 'det')],
    r'adapter $\phi$': [(0, FROZEN, None), (FROZEN, TOTAL, 'distill')],
}
LOOKS = {
    'det': (0, r'$\mathcal{L}_{\mathrm{det}}$'),
    'both': (2, r'$\mathcal{L}_{\mathrm{det}} + \lambda\,\mathcal{L}_{\mathrm{distill}}$'),
    'distill': (5, r'$\lambda\,\mathcal{L}_{\mathrm{distill}}$'),
}


def draw():
    """The figure."""
    steps = np.arange(0, TOTAL, 100)
    schedule = build_schedule(SCHEDULE)
    with styled():
        figure = new_figure(5.6)
        top, bottom = figure.subplots(2, 1, sharex=True, height_ratios=(1.25, 1))
        top.plot(steps / 1000, [schedule(progress_at(int(step))) for step in steps], color=colour(1), linewidth=2.6)
        top.set(ylabel=r'$\lambda$', ylim=(0, 128), title=r'Coefficient $\lambda$ (solid) and learning rate (dotted)')
        for text, x, y in (('0', 10, 7), (r'$\lambda_0 = 75$', 70, 82), (r'$\lambda_1 = 100$', 140, 107)):
            top.text(x, y, text, ha='center', color=colour(1), fontsize=11)
        rate = top.twinx()
        rates = [progress_at(int(step)).lr for step in steps]
        rate.plot(steps / 1000, rates, color=colour(6), linestyle=':')
        rate.set(ylim=(0, 1.28), ylabel='learning rate / its peak')
        rate.spines.right.set_visible(True)
        rate.grid(False)
        for row, parts in enumerate(PARTS.values()):
            for begin, end, by in parts:
                _bar(bottom, row, begin / 1000, end / 1000, by)
        bottom.set_yticks(range(len(PARTS)), list(PARTS))
        bottom.set(ylim=(len(PARTS) - 0.5, -0.5), xlim=(0, TOTAL / 1000), xlabel='iteration / 1000')
        bottom.set_title('What trains, and by which loss (hatched: nothing moves it)')
        bottom.set_xticks([0, 20, 30, 60, 90, 120, 160, 180])
        bottom.grid(axis='y', visible=False)
        heading(figure, r'Stepwise self-distillation: $\mathcal{L}_{\mathrm{total}} = \mathcal{L}_{\mathrm{det}}'
                        r' + \lambda\,\mathcal{L}_{\mathrm{distill}}$')  # fmt: skip
    return figure


def lightened(name: str, share: float = 0.62):
    """A colour mixed with so much white."""
    return tuple(share + (1 - share) * part for part in to_rgb(name))


def _bar(axes, row: int, begin: float, end: float, by: str | None) -> None:
    """A stretch of the training: hatched and empty where nothing trains, else in the colour of the loss, named."""
    if by is None:
        axes.barh(row, end - begin, 0.66, begin, facecolor='white', edgecolor='#999999', hatch='///', linewidth=0.8)
        return
    number, name = LOOKS[by]
    axes.barh(row, end - begin, 0.66, begin, color=lightened(colour(number)), edgecolor=colour(number))
    if end - begin > 20:
        axes.text((begin + end) / 2, row, name, ha='center', va='center', fontsize=10)

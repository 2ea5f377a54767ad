r"""Eq. 4: the teacher is a moving average of the student, $\theta_t = \alpha\,\theta_t + (1 - \alpha)\,\theta_s$,
with one of the three schedules of Table 9. Left: $\alpha$ over the 180 000 iterations of COCO; "Step" (the best,
34.1 mAP) falls from 0.99 to 0.9 where the learning rate falls for the first time, "Cosine" (33.0) from 0.996 to 0.9
throughout, "None" (32.0) stays at 0.95. Middle: how many past students the teacher is an average of, about $\alpha
/ (1 - \alpha)$. Right: the weight that a student has in the teacher so many steps later, for the values that occur.
A long memory is good while the learning rate is high and stale once it has fallen.
"""

import numpy as np

from sssd.figures.style import colour, heading, legend_below, log_labels, logarithmic, new_figure, styled
from sssd.schedules import Progress, build_schedule

#: Iterations of the training, and where the learning rate falls to a tenth.
TOTAL, MILESTONES = 180_000, (120_000, 160_000)
#: Table 9, each with its mAP on COCO's val set.
POLICIES = {
    'Step: 0.99, then 0.9 (34.1 mAP)': dict(type='StepAtDecay', start=0.99, end=0.9),
    'Cosine: 0.996 to 0.9 (33.0 mAP)': dict(type='Cosine', start=0.996, end=0.9),
    'None: 0.95 (32.0 mAP)': dict(type='Constant', value=0.95),
}
LINES = ('-', (0, (5, 2)), (0, (1, 1)))


def progress_at(iteration: int) -> Progress:
    """Where training stands, with the learning rate that the milestones give."""
    return Progress(iteration, TOTAL, 0.1 ** sum(iteration >= milestone for milestone in MILESTONES), 1.0)


def draw():
    """The figure."""
    steps = np.arange(0, TOTAL + 1, 500)
    with styled():
        figure = new_figure(4.3)
        left, middle, right = figure.subplots(1, 3)
        handles = []
        for place, (name, config) in enumerate(POLICIES.items()):
            schedule = build_schedule(config)
            alpha = np.array([schedule(progress_at(int(step))) for step in steps])
            look = dict(color=colour(place), linestyle=LINES[place], label=name)
            handles += left.plot(steps / 1000, alpha, **look)
            middle.plot(steps / 1000, alpha / (1 - alpha), **look)
        logarithmic(middle.yaxis, 7, 300, 8)
        ago = np.arange(0, 401)
        for place, alpha in enumerate((0.996, 0.99, 0.95, 0.9)):
            look = dict(color=colour((1, 0, 2, 6)[place]), linestyle=((0, (5, 2)), '-', (0, (1, 1)), '-')[place])
            right.plot(ago, (1 - alpha) * alpha**ago, label=rf'$\alpha = {alpha}$', **look)
        right.legend(loc='upper right', fontsize=9.5)
        logarithmic(right.yaxis, 1e-4, 0.2)
        right.set_yticks([1e-4, 1e-3, 1e-2, 1e-1], log_labels([1e-4, 1e-3, 1e-2, 1e-1]))
        left.set(title=r'EMA rate $\alpha$', xlabel='iteration / 1000', ylabel=r'$\alpha$', ylim=(0.89, 1))
        middle.set(title='Students averaged', xlabel='iteration / 1000', ylabel=r'$\alpha\,/\,(1 - \alpha)$')
        right.set(title='Weight of one student', xlabel='steps ago $k$', ylabel=r'$(1 - \alpha)\,\alpha^k$')
        for axes in (left, middle):
            axes.set_xticks(range(0, 181, 60))
            axes.axvline(MILESTONES[0] / 1000, color='#999999', linewidth=1, linestyle=':')
        legend_below(figure, handles)
        heading(figure, r'Eq. 4: $\theta_t = \alpha\,\theta_t + (1 - \alpha)\,\theta_s$, and the schedules of Table 9')
    return figure

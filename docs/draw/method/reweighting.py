r"""Re-weighting (Eq. 5) of the divergences of Eq. 3, on the rows of one photograph. Upper left: rows by their score
distance $g = \sum_c |p_c - p'_c|$; nearly all agree already. Upper middle: what one row weighs; the plain mean
(vanilla) gives every row $1/N$, Eq. 5 gives $1/(M R_{\mathrm{idx}(g)})$, so rows of a crowded bin count little and
those of a rare bin much. Upper right: each bin's share of the gradient; under the mean it comes from the mass of
easy rows, under Eq. 5 it grows in proportion to $g$ over the bins that hold rows. Bottom: the photograph as the
student sees it, the largest $g$ of every cell, and every cell's share of the loss under either weight: Eq. 5 looks
where teacher and student disagree, and no threshold is needed.
"""

import numpy as np
import torch
from matplotlib.colors import LogNorm

from sssd.figures.gradients import row_gradients
from sssd.figures.style import (
    DISTANCE,
    HEAT,
    QUANTITY,
    STRONG,
    colour,
    colour_bar,
    heading,
    legend_below,
    logarithmic,
    new_figure,
    share_ticks,
    styled,
    used_range,
)
from sssd.losses.distances import kl_divergence, score_distance
from sssd.losses.reweight import Histogram, Mean

from .panels import show_cells, show_picture
from .scene import Scene

EQUATION = (
    r'$\mathcal{L} = \frac{1}{M}\,\Sigma_{i=1}^{N}'
    r'\ D_{\mathrm{KL}}(p^\prime_i,\ p_i)\ /\ R_{\mathrm{idx}(g_i)}$'
)
#: M, and the two weights with their names.
BINS = 30
WEIGHTS = {r'mean (vanilla): $1/N$': Mean(), r'Eq. 5: $1/(M\,R_{\mathrm{idx}(g)})$': Histogram(BINS)}
MARKS = 'os'


def draw(scene: Scene):
    """The figure."""
    student, teacher = scene.view.distill_pair(scene.passes['strong'], scene.passes['weak'])
    valid = student.valid
    divergence = kl_divergence(teacher.logits, student.logits, student.activation).detach()
    distance = score_distance(teacher.logits, student.logits, student.activation).detach()
    index = (distance * BINS).long().clamp(0, BINS - 1)
    weights = [reweight(divergence, distance, valid) for reweight in WEIGHTS.values()]
    gradients = [row_gradients(reweight, teacher, student, valid) for reweight in WEIGHTS.values()]
    with styled():
        ratio = scene.strong.shape[0] / scene.strong.shape[1]
        figure = new_figure(3.1 + 2.5 * ratio + 1.1)
        top, bottom = figure.subfigures(2, 1, height_ratios=(3.1, 2.5 * ratio + 0.8), hspace=0.04)
        handles = curves(top.subplots(1, 3), index, valid, weights, gradients)
        maps(figure, bottom.subplots(1, 4), scene, student.levels, distance, valid, weights, divergence)
        legend_below(figure, handles)
        heading(figure, f'Eq. 5:  {EQUATION}')
    return figure


def curves(panels, index, valid, weights, gradients) -> list:
    """Rows, weight of a row and share of the gradient by bins; gives back the lines of the weights."""
    edges = np.linspace(0, 1, BINS + 1)
    middle, lines = (edges[1:] + edges[:-1]) / 2, []
    rows = by_bin(valid.double(), index)
    last, there = used_range(rows, edges), rows > 0
    panels[0].stairs(rows, edges, color=colour(6), fill=True)
    logarithmic(panels[0].yaxis, 0.7, max(rows.max(), 2) * 1.5)
    panels[0].set(title=r'rows of a bin, $R_j$', ylabel='rows')
    for place, (name, weight, gradient) in enumerate(zip(WEIGHTS, weights, gradients)):
        look = dict(color=colour(place), marker=MARKS[place], label=name)
        each = by_bin(weight.double(), index)[there] / rows[there]
        lines += panels[1].plot(middle[there], each, **look)
        share = by_bin(gradient.double(), index)
        panels[2].plot(middle[there], share[there] / max(share.sum(), 1e-12), **look)
    values = np.concatenate([line.get_ydata() for line in lines])
    logarithmic(panels[1].yaxis, values.min() / 2, values.max() * 2)
    panels[1].set(title='weight of one row', ylabel='weight')
    panels[2].set(title='share of the gradient', ylim=(0, None), ylabel='share')
    share_ticks(panels[2].yaxis)
    for axes in panels:
        axes.set(xlabel=f'score distance {DISTANCE}', xlim=(0, last))
    return lines


def by_bin(values, index) -> np.ndarray:
    """Sums of the rows' values (N,) by bin."""
    return torch.bincount(index, values, minlength=BINS).numpy()


def maps(figure, panels, scene: Scene, counts, distance, valid, weights, divergence) -> None:
    """The photograph, and over it g and the share of the loss of each cell of one level under both weights."""
    size, levels = scene.strong.shape[:2], scene.levels('strong')
    shares = [weight * divergence / (weight * divergence).sum().clamp(min=1e-12) for weight in weights]
    place = int(np.argmax([float(part.sum()) for part in shares[1].split(counts)]))
    level = levels[place]

    def cells(rows, how):
        rows = torch.where(valid, rows, torch.nan).split(counts)[place].reshape(*level.grid, -1)
        return (rows.amax(-1) if how == 'max' else rows.sum(-1)).numpy()

    show_picture(panels[0], scene.strong)
    panels[0].set_title(f'strong view {STRONG}', fontsize=10)
    shown = show_cells(panels[1], cells(distance, 'max'), level.stride[0], size, cmap=HEAT, vmin=0)
    panels[1].set_title(f'{DISTANCE}, stride {level.stride[0]:g}', fontsize=10)
    colour_bar(figure, shown, DISTANCE, 3, ax=panels[1], location='bottom', aspect=25)
    both = [cells(share, 'sum') for share in shares]
    most = max(float(np.nanmax(part)) for part in both) or 1.0
    for axes, part, name in zip(panels[2:], both, ('mean', 'Eq. 5')):
        norm = LogNorm(most / 1000, most)
        shown = show_cells(axes, np.maximum(part, most / 1000), level.stride[0], size, cmap=QUANTITY, norm=norm)
        axes.set_title(f'share of the loss, {name}', fontsize=10)
        colour_bar(figure, shown, 'share of a cell', 4, ax=axes, location='bottom', aspect=25)

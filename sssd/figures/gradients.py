"""Which rows the gradient comes from under each re-weighting (SED, Fig. 4)."""

from collections.abc import Iterable, Sequence

import numpy as np
import torch
from torch import Tensor

from sssd.figures.passes import ScalePasses
from sssd.figures.style import (
    DISTANCE,
    colour,
    heading,
    legend_below,
    logarithmic,
    new_figure,
    share_ticks,
    styled,
    used_range,
)
from sssd.losses.distances import kl_divergence, score_distance
from sssd.losses.reweight import Reweight
from sssd.registry import LOSSES
from sssd.views import PredictionView, View

#: The re-weightings of Table 10 by their names in the registry: Vanilla, OHEM, Focal, ours.
REWEIGHTS = dict(Mean='mean (vanilla)', OHEM='OHEM', Focal='focal', Histogram='histogram (Eq. 5)')
#: What the usual views look at, as a panel's title says it.
PARTS = dict(bbox='Dense head', rpn='RPN', roi='Second stage', query='Queries')


def gradient_shares(
    runs: Iterable[ScalePasses],
    views: Sequence[View],
    shift: int,
    bins: int = 30,
    names: Sequence[str] = tuple(REWEIGHTS),
) -> dict:
    """What the rows of each bin of g contribute to the gradient of the scale loss's classification part (Fig. 4).

    "Our re-weighting strategy ... linearizes the relationship between gradient contribution and score distance." Both
    directions of Eq. 2 count: X^ towards X and X towards X^.

    Args:
        runs: Batches at two sizes; a batch is what the weights are computed over, as in training.
        views: Views of the detector.
        shift: s; X^ is 1/2**s of X.
        bins: M, of Eq. 5 and of the figure.
        names: Names of re-weightings in the registry; those with ``bins`` get M.

    Returns:
        For each view's name ``edges`` (bins + 1), ``rows`` (per image and bin, mean of both directions) and for each
        re-weighting ``gradient`` (sum of |dL / dz| over a bin's rows and classes, mean over batches) and ``share`` (the
        same over its sum; None where no row has a gradient). ``images``.
    """
    weights = {name: build(name, bins) for name in names}
    rows = {view.name: np.zeros(bins) for view in views}
    sums = {view.name: {name: np.zeros(bins) for name in names} for view in views}
    images = count = 0
    for run in runs:
        for view in views:
            with torch.no_grad():
                pair = view.scale_pair(run.full, run.small, shift)
            for target, pred in (pair, pair[::-1]):
                index = bin_of(target, pred, bins)
                rows[view.name] += binned(pair[0].valid.double(), index, bins) / 2
                for name, reweight in weights.items():
                    gradient = row_gradients(reweight, target, pred, pair[0].valid)
                    sums[view.name][name] += binned(gradient.double(), index, bins)
        images, count = images + len(run.boxes), count + 1
    return dict(
        images=images,
        batches=count,
        views={view.name: _summary(rows[view.name] / max(images, 1), sums[view.name], max(count, 1)) for view in views},
    )


def build(name: str, bins: int) -> Reweight:
    """A re-weighting with its defaults, the histogram with ``bins`` bins."""
    return LOSSES.build(dict(type=name, bins=bins) if name == 'Histogram' else dict(type=name))


def row_gradients(reweight: Reweight, target: PredictionView, pred: PredictionView, valid: Tensor) -> Tensor:
    """L1 norm over classes of dL / dz for every row, (N,), where ``L = sum_i w_i KL(target_i || pred_i)``."""
    logits = pred.logits.detach().requires_grad_()
    fixed = target.logits.detach()
    with torch.enable_grad():
        divergence = kl_divergence(fixed, logits, target.activation)
        weight = reweight(divergence, score_distance(fixed, logits.detach(), target.activation), valid)
        (gradient,) = torch.autograd.grad((weight * divergence).sum(), logits)
    return gradient.abs().sum(-1)


def bin_of(target: PredictionView, pred: PredictionView, bins: int) -> Tensor:
    """idx(g) of Eq. 5 for every row, (N,)."""
    distance = score_distance(target.logits.detach(), pred.logits.detach(), target.activation)
    return (distance * bins).long().clamp(0, bins - 1)


def binned(values: Tensor, index: Tensor, bins: int) -> np.ndarray:
    """Sums (bins,) of the rows' values (N,) by their bin."""
    return torch.bincount(index, values, minlength=bins).cpu().numpy()


def _summary(rows: np.ndarray, sums: dict[str, np.ndarray], batches: int) -> dict:
    edges = [round(edge, 6) for edge in np.linspace(0, 1, len(rows) + 1).tolist()]
    weighted = {
        name: dict(
            gradient=(total / batches).tolist(), share=(total / total.sum()).tolist() if total.sum() > 0 else None
        )
        for name, total in sums.items()
    }
    return dict(edges=edges, rows=rows.tolist(), reweight=weighted)


def draw_gradient_shares(result: dict, title: str, about: str = ''):
    """The figure of :func:`gradient_shares`: for each view the rows and the shares of the gradient by g."""
    views = result['views']
    with styled():
        figure = new_figure(0.6 + 3.6 * len(views))
        handles = {}
        for row, (name, found) in zip(figure.subplots(len(views), 2, squeeze=False), views.items()):
            handles.update((line.get_label(), line) for line in _draw_view(*row, name, found))
        legend_below(figure, list(handles.values()))
        heading(figure, title, about)
    return figure


def _draw_view(left, right, name: str, found: dict) -> list:
    """The two panels of one view; gives back the lines of the right one."""
    edges, rows = np.array(found['edges']), np.array(found['rows'])
    last, part = used_range(rows, edges), PARTS.get(name, name)
    left.stairs(rows, edges, color=colour(6), linewidth=2.4)
    if rows.max(initial=0) > 0:
        logarithmic(left.yaxis, rows[rows > 0].min() / 1.5, rows.max() * 1.5)
    left.set(title=f'{part}: rows', xlabel=DISTANCE, ylabel='rows per image', xlim=(0, last))
    lines = []
    for place, (reweight, values) in enumerate(found['reweight'].items()):
        if values['share'] is not None:
            mark, label = 'osD^v'[place % 5], REWEIGHTS.get(reweight, reweight)
            middle = (edges[1:] + edges[:-1]) / 2
            lines += right.plot(middle, values['share'], marker=mark, color=colour(place), label=label)
    right.set(title=f'{part}: gradient', xlabel=DISTANCE)
    right.set(ylabel=r'share of $|\partial\mathcal{L}_{\mathrm{scale}}\,/\,\partial z|$', xlim=(0, last))
    right.set_ylim(bottom=0)
    share_ticks(right.yaxis)
    return lines

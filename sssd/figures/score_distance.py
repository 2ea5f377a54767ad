"""How far apart the scores of an image at two sizes are, for foreground and for background anchors (SED, Fig. 2b)."""

from collections.abc import Iterable

import numpy as np
import torch
from torch import Tensor

from sssd.figures.assignment import BACKGROUND, assign
from sssd.figures.passes import ScalePasses
from sssd.figures.style import colour, heading, logarithmic, new_figure, styled, used_range
from sssd.losses.distances import probabilities, score_distance
from sssd.losses.soft import objectness
from sssd.views import DenseView
from sssd.views.pairing import pairings

#: What is called the distance: of the largest class probabilities, or g of Eq. 5.
MEASURES = ('objectness', 'g')
GROUPS = ('foreground', 'background')


def score_distances(
    runs: Iterable[ScalePasses], view: DenseView, shift: int, bins: int = 20, measure: str = 'objectness'
) -> dict:
    """Anchors per image by the distance of their scores in X and in X^ (Fig. 2b).

    "The score distance is the absolute difference between the predictions of the image in different sizes. The Y-axis
    is the average number of anchors per image." The rows are those that Eq. 2 pairs; foreground is what the head's own
    assigner gives an object in X; rows that it gives neither an object nor background are left out.

    Args:
        runs: Labelled batches at two sizes.
        view: View of the dense head.
        shift: s; X^ is 1/2**s of X.
        bins: Equal bins of the distance in [0, 1].
        measure: ``'objectness'``: ``|max_c p_c(X) - max_c p_c(X^)|``; ``'g'``: the sum over classes, clipped at 1.

    Returns:
        ``edges`` (bins + 1), ``foreground`` and ``background`` (rows per image and bin), their ``ratio`` (None where
        there is no background), ``mean_distance`` and ``rows`` per image of both groups, ``images``.
    """
    counts, sums, images = np.zeros((2, bins)), np.zeros(2), 0
    for run in runs:
        distance, found, valid = rows_of(run, view, shift, measure)
        index = (distance * bins).long().clamp(max=bins - 1)
        for group, member in enumerate((found > BACKGROUND, found == BACKGROUND)):
            member = member & valid
            counts[group] += torch.bincount(index[member], minlength=bins).cpu().numpy()
            sums[group] += distance[member].double().sum().item()
        images += len(run.boxes)
    return _summary(counts, sums, images, bins)


@torch.no_grad()
def rows_of(
    run: ScalePasses, view: DenseView, shift: int, measure: str = 'objectness'
) -> tuple[Tensor, Tensor, Tensor]:
    """For every paired row of a batch its score distance, what it is assigned to, and whether it counts: (N,) each."""
    full, small = view.scale_pair(run.full, run.small, shift)
    head, grids = getattr(run.full.detector, view.head), [level.grid for level in view.levels(run.full)]
    priors = head.prior_generator.grid_priors(grids, device=full.logits.device)
    images = [assign(head, priors, boxes, meta['img_shape']) for meta, boxes in zip(run.full.metas, run.boxes)]
    assigned = [torch.stack(level) for level in zip(*images)]
    found = torch.cat(
        [pairing.of_full(assigned[pairing.level], grids[pairing.level]) for pairing in pairings(head, shift)], 1
    ).flatten()
    if measure == 'g':
        return score_distance(full.logits, small.logits, full.activation), found, full.valid
    here, there = (objectness(probabilities(rows.logits, rows.activation), rows.activation) for rows in (full, small))
    return (here - there).abs(), found, full.valid


def _summary(counts: np.ndarray, sums: np.ndarray, images: int, bins: int) -> dict:
    rows, per_image = counts.sum(1), counts / max(images, 1)
    ratio = [float(front / back) if back else None for front, back in zip(*counts)]
    return dict(
        images=images,
        edges=[round(edge, 6) for edge in np.linspace(0, 1, bins + 1).tolist()],
        **{name: per_image[group].tolist() for group, name in enumerate(GROUPS)},
        ratio=ratio,
        rows={name: float(per_image[group].sum()) for group, name in enumerate(GROUPS)},
        mean_distance={
            name: float(sums[group] / rows[group]) if rows[group] else None for group, name in enumerate(GROUPS)
        },
    )


#: What each measure is, as the axis says it.
FORMULAS = dict(
    objectness=r'$|\max_c\,p_c(X) - \max_c\,p_c(\hat{X})|$', g=r'$g = \min(1,\ \sum_c |p_c(X) - p_c(\hat{X})|)$'
)


def draw_score_distances(result: dict, title: str, about: str = ''):
    """The figure of :func:`score_distances`: anchors by distance, and the ratio of foreground to background."""
    edges = np.array(result['edges'])
    last = used_range(np.array(result['foreground']) + result['background'], edges)
    label = 'score distance  ' + FORMULAS[result.get('measure', 'objectness')]
    with styled():
        figure = new_figure(4.4)
        left, right = figure.subplots(1, 2)
        for place, name in enumerate(GROUPS):
            left.stairs(np.array(result[name]), edges, color=colour(1 - place), label=name, linewidth=2.4)
        counts = np.concatenate([np.array(result[name])[np.array(result[name]) > 0] for name in GROUPS] or [[]])
        if len(counts):
            logarithmic(left.yaxis, counts.min() / 1.5, counts.max() * 1.5)
        left.set(title='How far apart the scores of one anchor are', xlabel=label, ylabel='anchors per image')
        left.set_xlim(0, last)
        left.legend(loc='upper right')
        ratio = [np.nan if value is None else value for value in result['ratio']]
        right.bar((edges[1:] + edges[:-1]) / 2, ratio, (edges[1] - edges[0]) * 0.85, color=colour(2))
        right.set(title='Foreground among them', xlabel=label, ylabel='foreground / background')
        right.set(xlim=(0, last), ylim=(0, None))
        heading(figure, title, about)
    return figure

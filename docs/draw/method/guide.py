r"""The guide of LGD and SSSD: features made from labels. Left, top to bottom: the labelled photograph; what the label
encoder makes of each box's place and class, one row a box ("ctx" is the context box; rows of one class are alike);
and both distances of a cell of which one channel is off by so much, relative to their value at 1: the squared error
grows without bound, the JS distance levels off. Right, three levels: the cells that each box covers (LGD's rule:
those whose column and row times the stride lie within the box); the student's features $k$; the guide's $k_e$, made
by attention between appearance and embedding, written into the boxes' cells and refined (colours: the first three
principal components of both); the squared error of every cell (LGD) and the root of its Jensen-Shannon divergence
(SSSD), both between instance-normalised $\phi(k)$ and $k_e$ and relative to the map's largest value. On the finest
level a few cells dominate the squared error; the JS distance spreads over the objects.
"""

import numpy as np
import torch
from torch import Tensor

from sssd.figures.style import DISTILL_LOSS, QUANTITY, colour, colour_bar, heading, new_figure, styled
from sssd.guides.cells import Cells
from sssd.losses.feature_distances import instance_normalise, js_elements, log_distribution, safe_root

from .panels import show_boxes, show_cells, show_picture
from .scene import Scene

#: Levels that are shown, from the finest.
LEVELS = 3
NAMES = (
    'cells of the boxes',
    r"student's features $k$",
    r"guide's features $k_e$",
    r'MSE: $(k_e - \phi(k))^2$',
    r'JS: $\sqrt{D_{\mathrm{JS}}(\phi(k)\,\|\,k_e)}$',
)


def draw(scene: Scene):
    """The figure."""
    guide, features = scene.model.guidance.guide, scene.passes['labelled'].feats
    with torch.no_grad():
        guided = guide(features, scene.labels)
        adapted = scene.model.guidance.adapted(features)
        cells = Cells.of(features, guide.strides)
        labels = guide.placed(scene.labels, cells)
        covered = cells.covered(labels, guide.cells)
        embedding = guide.encode(labels.descriptors(guide.num_classes), labels.slots)[0]
    size = scene.labelled.shape[:2]
    edges = [colour(place % 6) for place in range(len(scene.boxes))]
    with styled():
        high = 2.25 * size[0] / size[1]
        figure = new_figure(len(NAMES) * (high + 0.34) + 0.9)
        left, right = figure.subfigures(1, 2, width_ratios=(1, 2.9))
        side = left.subplots(3, 1, height_ratios=(1, 1.6, 1.6))
        show_picture(side[0], scene.labelled)
        show_boxes(side[0], scene.boxes, edges)
        side[0].set_title('image and labels', fontsize=10)
        embedded(figure, side[1], embedding, guide.context)
        elements(side[2])
        grid = right.subplots(len(NAMES), LEVELS)
        owned = [
            cover.cells[0, int(guide.context) :].reshape(-1, *shape) for cover, shape in zip(covered, cells.shapes)
        ]
        rows = [[owners(mask, edges) for mask in owned], *principal(features, guided), *distances(adapted, guided)]
        shown = None
        for name, line, row in zip(NAMES, rows, grid):
            for level, (axes, part) in enumerate(zip(row, line)):
                stride = guide.strides[level][0]
                options = dict(cmap=QUANTITY, vmin=0, vmax=1) if part.ndim == 2 else {}
                shown = show_cells(axes, part, stride, size, **options)
                if name == NAMES[0]:
                    show_boxes(axes, scene.boxes, edges)
                axes.set_title(f'{name}, stride {stride:g}' if level == 0 else f'stride {stride:g}', fontsize=9.5)
        colour_bar(
            figure, shown, 'distance of a cell / the largest of its map', ax=grid[-1].tolist(), location='bottom'
        )
        heading(
            figure, f'{DISTILL_LOSS} compares features $k$ of the student with $k_e$, which are made from the labels'
        )
    return figure


def embedded(figure, axes, embedding: Tensor, context: bool) -> None:
    """The label encoder's vectors, one row a box."""
    most = float(embedding.abs().max()) or 1.0
    shown = axes.imshow(embedding.numpy(), aspect='auto', cmap='PuOr', vmin=-most, vmax=most)
    names = ['ctx'] * context + [str(place + 1) for place in range(len(embedding) - context)]
    every = -(-len(names) // 12)
    axes.set_yticks(range(0, len(names), every), names[::every])
    axes.set(title='label embedding', xlabel='channel', ylabel='box')
    axes.grid(False)
    colour_bar(figure, shown, 'value', 4, ax=axes, location='bottom', aspect=25)


def elements(axes, channels: int = 64) -> None:
    """Both distances of a cell of which one channel is off, over how far, relative to their value at 1."""
    gap = torch.linspace(-6, 12, 361)
    student = torch.zeros(len(gap), channels, 1, 1)
    teacher = student.clone()
    teacher[:, 0, 0, 0] = gap
    squared = (teacher - student).square().mean((1, 2, 3))
    logs = [log_distribution(side, 'channels') for side in (teacher, student)]
    root = safe_root(js_elements(*logs)).mean((1, 2, 3))
    one = int((gap - 1).abs().argmin())
    for place, (values, name) in enumerate(((squared, 'MSE'), (root, 'JS'))):
        axes.plot(gap, values / values[one], color=colour(place), linestyle=('-', (0, (4, 1.5)))[place], label=name)
    axes.set(title='one channel off', xlabel=r'$k_e - \phi(k)$', ylabel='distance / that at 1', ylim=(0, 100))
    axes.legend(loc='upper left', fontsize=9)


def owners(mask: Tensor, edges: list[str]) -> np.ndarray:
    """Cells (n, h, w) that boxes cover as a picture: the colour of the box, mixed where several do."""
    from matplotlib.colors import to_rgb

    colours = torch.tensor([to_rgb(edge) for edge in edges]).reshape(-1, 3)
    mask = mask.float()
    count = mask.sum(0)[..., None]
    mixed = torch.einsum('nhw,nc->hwc', mask, colours) / count.clamp(min=1)
    return torch.where(count > 0, 0.35 + 0.65 * mixed, 0.93).numpy()


def principal(features: list[Tensor], guided: list[Tensor]) -> list[list[np.ndarray]]:
    """Maps of both sides in three colours: their common first three principal components, level by level."""
    found: list[list[np.ndarray]] = [[], []]
    for mine, theirs in list(zip(features, guided))[:LEVELS]:
        both = [instance_normalise(side)[0].flatten(1).T for side in (mine, theirs)]
        joined = torch.cat(both)
        _, _, axes = torch.pca_lowrank(joined, q=3)
        placed = (joined - joined.mean(0)) @ axes
        low, high = placed.quantile(0.02, 0), placed.quantile(0.98, 0)
        placed = ((placed - low) / (high - low).clamp(min=1e-6)).clamp(0, 1)
        for side, part in zip(found, placed.chunk(2)):
            side.append(part.reshape(*mine.shape[-2:], 3).numpy())
    return found


def distances(adapted: list[Tensor], guided: list[Tensor]) -> list[list[np.ndarray]]:
    """MSE and the root of JS of every cell, each over the largest of its map."""
    found: list[list[np.ndarray]] = [[], []]
    for mine, theirs in list(zip(adapted, guided))[:LEVELS]:
        mine, theirs = instance_normalise(mine), instance_normalise(theirs)
        squared = (theirs - mine).square().mean(1)[0]
        divergence = js_elements(log_distribution(theirs, 'channels'), log_distribution(mine, 'channels')).sum(1)[0]
        for side, part in zip(found, (squared, safe_root(divergence))):
            side.append((part / part.max().clamp(min=1e-12)).numpy())
    return found

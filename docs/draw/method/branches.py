r"""The branches of SED and what each loss compares, with one labelled and one unlabelled photograph (BCCD). Top:
the labelled image goes to the student as it would in supervised training; of the unlabelled one the EMA teacher
sees the weak view $X'$, the student the strong view $X$ (other colours, same geometry) and $\hat{X}$, $X$ at half
size. Middle: what the detector answers, the largest score of every cell of one level; the level of $\hat{X}$ is a
stride finer, so its grid is the same. Bottom: the three losses. $\mathcal{L}_{\mathrm{supervised}}$ compares scores
and boxes with what the head assigns to the labels; $\mathcal{L}_{\mathrm{distill}}$ (Eq. 3) compares student with
teacher, $\mathcal{L}_{\mathrm{scale}}$ (Eq. 2) the student with itself at the other size, both cell by cell and
without any threshold; shown is the divergence of the scores, each on a scale of its own. Gradient flows to the
student alone, never to the teacher.
"""

import numpy as np
from matplotlib.ticker import MaxNLocator

from sssd.figures.style import HEAT, QUANTITY, SCALED, STRONG, WEAK, WIDTH, colour, heading, new_figure, plt, styled

from .panels import arrow, panel, show_boxes, show_cells, show_picture, write
from .scene import SHIFT, Scene, divergence, score

#: Inches: a panel's width, its column's, and the height of the figure's title.
WIDE, COLUMN, HEAD = 2.16, 2.42, 0.62
LEFT = (WIDTH - 3 * COLUMN - WIDE) / 2
#: Where the three comparisons stand.
LEFTS = (LEFT, LEFT + 1.5 * COLUMN - 0.12, LEFT + 2.5 * COLUMN + 0.12)
EQUATION = (
    r'$\mathcal{L} = \mathcal{L}_{\mathrm{supervised}} + \frac{n_u}{n_s}\,(\lambda_s\,\mathcal{L}_{\mathrm{scale}}'
    r' + \lambda_d\,\mathcal{L}_{\mathrm{distill}})$'
)


def draw(scene: Scene):
    """The figure."""
    ratio = max(image.shape[0] / image.shape[1] for image in (scene.labelled, scene.strong))
    high = WIDE * ratio
    tops = [HEAD + 0.35, HEAD + high + 1.05, HEAD + 2 * high + 2.1]
    place = busiest(scene)
    with styled():
        figure = new_figure(tops[2] + high + 1.5)
        figure.set_layout_engine('none')
        columns(figure, scene, place, tops, high)
        scores = compared(figure, scene, place, tops[2], high)
        bars(figure, scores, tops[2] + high + 0.42)
        heading(figure, f'Eq. 1:  {EQUATION}')
    return figure


def busiest(scene: Scene) -> int:
    """Which of the paired levels has most cells with an object."""
    paired = [level.stride for level, _ in scene.pairs()]
    counts = [
        (target > 0).sum() if level.stride in paired else -1
        for level, target in zip(scene.levels('labelled'), scene.targets())
    ]
    return paired.index(scene.levels('labelled')[int(np.argmax(counts))].stride)


def columns(figure, scene: Scene, place: int, tops: list[float], high: float) -> None:
    """The four images and the student's or teacher's scores below them."""
    here, there = scene.pairs()[place]
    stride, size = here.stride[0], scene.strong.shape[:2]
    of = {
        name: next(level for level in scene.levels(name) if level.stride == here.stride)
        for name in ('labelled', 'weak')
    }
    cells = [score(of['labelled']), score(of['weak']), score(here), score(there)]
    titles = [
        'labelled image',
        f'unlabelled, weak {WEAK}',
        f'unlabelled, strong {STRONG}',
        rf'scaled {SCALED}, $s = {SHIFT}$',
    ]
    pictures = [scene.labelled, scene.weak, scene.strong, scene.scaled]
    for number, (title, pixels, scores) in enumerate(zip(titles, pictures, cells)):
        left = LEFT + number * COLUMN
        middle = left + WIDE / 2
        write(figure, middle, tops[0] - 0.1, title, fontsize=11, va='baseline')
        shape = scene.labelled.shape[:2] if number == 0 else size
        axes = panel(figure, left, tops[0], WIDE, high)
        show_picture(axes, pixels, shape)
        if number == 0:
            show_boxes(axes, scene.boxes, [colour(3)] * len(scene.boxes))
        who = 'EMA teacher (sg)' if number == 1 else 'student'
        arrow(
            figure,
            (middle, tops[0] + high + 0.06),
            (middle, tops[1] - 0.3),
            color=colour(1) if number == 1 else colour(0),
        )
        write(
            figure, middle + 0.12, tops[0] + high + 0.2, who, ha='left', color=colour(1) if number == 1 else colour(0)
        )
        write(
            figure,
            middle,
            tops[1] - 0.14,
            f'scores, stride {(there if number == 3 else here).stride[0]:g}',
            fontsize=10,
        )
        axes = panel(figure, left, tops[1], WIDE, high)
        show_cells(axes, scores, stride, shape, cmap=HEAT, vmin=0, vmax=1)


def compared(figure, scene: Scene, place: int, top: float, high: float):
    """The three comparisons; gives back a score map and a divergence map for their colour bars."""
    here, there = scene.pairs()[place]
    weak = next(level for level in scene.levels('weak') if level.stride == here.stride)
    number = next(i for i, level in enumerate(scene.levels('labelled')) if level.stride == here.stride)
    maps = [
        scene.targets()[number].astype(float),
        divergence(weak, here),
        divergence(here, there) + divergence(there, here),
    ]
    texts = [
        (r'$\mathcal{L}_{\mathrm{supervised}}$', 'scores and boxes against', 'the targets of the labels'),
        (
            r'$\mathcal{L}_{\mathrm{distill}}$ (Eq. 3)',
            r'$D_{\mathrm{KL}}(\mathrm{sg}(P(X^\prime)),\,P(X))$',
            r'and $\|R(X^\prime) - R(X)\|_2$',
        ),
        (
            r'$\mathcal{L}_{\mathrm{scale}}$ (Eq. 2)',
            r'$D_{\mathrm{KL}}$ of $P^f(X)$, $P^{f^\prime}(\hat{X})$',
            r'and $\|R^f(X) - R^{f^\prime}(\hat{X})\|_2$',
        ),
    ]
    ends = [(0,), (1, 2), (2, 3)]
    shown = []
    for left, cells, (name, first, second), columns_of in zip(LEFTS, maps, texts, ends):
        size = scene.labelled.shape[:2] if left == LEFT else scene.strong.shape[:2]
        axes = panel(figure, left, top, WIDE, high)
        limits = dict(cmap='Greys', vmin=0, vmax=1.4) if left == LEFT else dict(cmap=QUANTITY, vmin=0)
        shown.append(show_cells(axes, np.minimum(cells, 1) if left == LEFT else cells, here.stride[0], size, **limits))
        if left == LEFT:
            show_boxes(axes, scene.boxes, [colour(3)] * len(scene.boxes))
        for column in columns_of:
            begin = LEFT + column * COLUMN + WIDE / 2
            toward = left + WIDE / 2 + np.clip(begin - left - WIDE / 2, -0.55, 0.55)
            arrow(figure, (begin, top - 0.98), (toward, top - 0.36), color=colour(1) if column == 1 else colour(0))
        write(figure, left + WIDE / 2, top - 0.17, name, fontsize=12)
        write(figure, left + WIDE / 2, top + high + 0.18, first, fontsize=10)
        write(figure, left + WIDE / 2, top + high + 0.44, second, fontsize=10)
    return shown


def bars(figure, shown, top: float) -> None:
    """Colour bars of scores and of both divergences."""
    scores = plt.cm.ScalarMappable(plt.Normalize(0, 1), HEAT)
    labels = ('score of a cell', 'divergence of a cell', 'divergence of a cell')
    for left, mappable, label in zip(LEFTS, (scores, *shown[1:]), labels):
        bar = figure.colorbar(mappable, cax=panel(figure, left, top + 0.3, WIDE, 0.1), orientation='horizontal')
        bar.set_label(label)
        bar.locator = MaxNLocator(4)
        bar.update_ticks()
        bar.outline.set_visible(False)

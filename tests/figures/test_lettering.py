"""No figure has letters on letters or letters that its edge cuts off, whatever the numbers, names and boxes are."""

import numpy as np
import pytest
from lettering import faults, kept_figures, texts_of

from sssd.figures.box_labels import Placer
from sssd.figures.gradients import REWEIGHTS, draw_gradient_shares
from sssd.figures.object_sizes import draw_sizes, size_statistics
from sssd.figures.pseudo_labels import draw_recall_precision
from sssd.figures.score_distance import draw_score_distances
from sssd.figures.style import (
    colour,
    heading,
    log_labels,
    log_ticks,
    new_figure,
    picture_axes,
    plain,
    plt,
    styled,
    wrapped,
)
from sssd.figures.training_views import LevelWeights, TrainingView
from sssd.figures.training_views_figure import draw_training_views
from sssd.figures.valid_range import ValidSizes
from sssd.report.curves import plot_curves
from sssd.report.scalars import Curve

LONG = 'a_config_whose_name_is_long_enough_for_more_than_one_line_of_a_figure_retinanet_r50_fpn_sed_coco_10.py'
TITLE, ABOUT = (
    r'A title with $\hat{X}$ and $\mathcal{L}_{\mathrm{scale}}$',
    plain(f'{LONG}, iter_$180000$.pth, 5 images'),
)


@pytest.fixture
def rng():
    """The same numbers each time."""
    return np.random.default_rng(0)


def checked(figure):
    """Ask that a figure is free of faults, and close it."""
    said = faults(figure)
    plt.close(figure)
    assert said == []


def test_the_finder_finds():
    with styled():
        figure = new_figure(3)
        figure.set_layout_engine('none')
        figure.text(0.2, 0.5, 'one')
        figure.text(0.21, 0.5, 'two')
        figure.text(0.98, 0.2, 'three four')
        figure.text(0.5, 0.8, 'hidden', visible=False)
        figure.text(0.5, 0.8, 'alone')
    assert faults(figure) == ["'three four' is cut off", "'one' touches 'two'"]
    figure.set_size_inches(5, 3)
    assert faults(figure)[0] == 'the figure is 800 pixels wide'
    plt.close(figure)


@pytest.mark.parametrize('scale, bins', [(1e-4, 40), (1, 1), (40, 5)])
def test_score_distances(scale, bins, rng):
    falling = scale * np.geomspace(1000, 0.01, bins)
    result = dict(
        edges=np.linspace(0, 1, bins + 1).tolist(),
        foreground=(falling / 30).tolist(),
        background=falling.tolist(),
        ratio=[None, *(scale * rng.random(bins - 1)).tolist()],
    )
    checked(draw_score_distances(dict(result, measure='g'), TITLE, ABOUT))
    checked(draw_score_distances(dict(result, foreground=[0] * bins, background=[0] * bins), TITLE))


def test_recall_and_precision(rng):
    values = dict(
        recall=rng.random(20).tolist(),
        precision=[None] * 20,
        class_recall=rng.random(20).tolist(),
        class_precision=[None] * 20,
    )
    ious = {str(iou): values for iou in (0.5, 0.75, 0.9)}
    checked(draw_recall_precision(dict(thresholds=np.linspace(0, 0.95, 20).tolist(), iou=ious), TITLE, ABOUT))


@pytest.mark.parametrize('parts, used', [(('bbox',), 0), (('bbox',), 1), (('rpn', 'roi'), 30), (('a', 'b', 'c'), 5)])
def test_gradients(parts, used, rng):
    rows = np.where(np.arange(30) < used, rng.random(30) * np.geomspace(1e5, 1e-2, 30), 0)
    share = None if used == 0 else (rows / max(rows.sum(), 1)).tolist()
    found = dict(
        edges=np.linspace(0, 1, 31).tolist(),
        rows=rows.tolist(),
        reweight={name: dict(share=share) for name in REWEIGHTS},
    )
    checked(draw_gradient_shares(dict(views=dict.fromkeys(parts, found)), TITLE, ABOUT))


@pytest.mark.parametrize('sizes', [(5, 5), (40, 42), (3, 900), (0.5, 9000)])
def test_object_sizes(sizes):
    pixels = np.geomspace(*sizes, 50)
    valid = [ValidSizes(shift, [[2.0**shift * 10, None]]) for shift in range(7)] + [ValidSizes(7, [])]
    checked(draw_sizes(size_statistics(pixels, pixels / 9000, valid), pixels, TITLE, ABOUT))


@pytest.mark.parametrize(
    'levels, size, spread',
    [(0, (64, 96), 0), (1, (120, 60), 3), (3, (64, 96), 0), (4, (64, 96), 0.5), (5, (120, 60), 3)],
)
def test_training_views(levels, size, spread, rng):
    def image():
        pictures = [rng.random((*size, 3)), rng.random((*size, 3)), rng.random((size[0] // 2, size[1] // 2, 3))]
        cells = [(-(-size[0] // 2 ** (3 + place)), -(-size[1] // 2 ** (3 + place))) for place in range(levels)]
        return TrainingView(
            *pictures,
            rng.random(size),
            [
                LevelWeights((8 * 2**place,) * 2, (4 * 2**place,) * 2, 10 ** (-spread * rng.random(grid)))
                for place, grid in enumerate(cells)
            ],
        )

    checked(draw_training_views([image() for _ in range(2)], TITLE, ABOUT))


def curves_of(terms, scale, steps):
    """A run's curves."""
    steps = list(range(steps, 11 * steps, steps))
    curves = {term: Curve(steps, [scale / (step + 1) for step in steps]) for term in terms}
    curves['teacher/coco/bbox_mAP'] = Curve(steps, [step / 200000 for step in steps])
    return dict(curves, **{'student/coco/bbox_mAP': Curve(steps, [step / 300000 for step in steps])})


@pytest.mark.parametrize(
    'scale, steps, runs, terms',
    [(1, 10, 12, 1), (0.001, 18000, 3, 2), (123456, 7, 1, 5), (0.001, 1800, 12, 5), (1, 18000, 2, 17)],
)
def test_curves(scale, steps, runs, terms, tmp_path):
    names = ['loss', 'sup_loss_cls', 'bbox_loss_scale_cls', 'a_long_loss_name_of_some_auxiliary_head_of_ones_own']
    names = (names + [f'sup_guide_d{place}_loss_bbox' for place in range(terms)])[:terms]
    seeds = {f'{LONG if place == 1 else "run"} {place} $': [curves_of(names, scale, steps)] for place in range(runs)}
    with kept_figures() as figures:
        plot_curves(seeds, tmp_path / 'curves.png', f'{LONG} {LONG}')
        assert [faults(figure) for figure in figures] == [[]]


def test_labels_at_boxes(rng):
    """Of many boxes in one another those labels are there that have room, the first ones among them."""
    with styled():
        figure = new_figure(5)
        axes = figure.add_subplot()
        axes.imshow(np.zeros((100, 200, 3)))
        picture_axes(axes, 200, 100)
        placer = Placer(figure)
        corners = rng.uniform(-5, 150, (120, 4)) * (1, 0.6, 1, 0.6)
        boxes = np.concatenate([corners[:, :2], corners[:, :2] + abs(corners[:, 2:]) / 3 + 1], 1)
        written = [placer.label(axes, f'{place}', box, colour(place)) for place, box in enumerate(boxes)]
    names = [text for text, _ in texts_of(figure)]
    assert names == [f'{place}' for place, there in enumerate(written) if there] and written[0]
    assert 20 < len(names) < 120
    checked(figure)


def test_a_label_stands_at_its_box():
    with styled():
        figure = new_figure(5)
        axes = figure.add_subplot()
        picture_axes(axes, 200, 100)
        Placer(figure).label(axes, '0.5', (50, 40, 90, 80), 'white')
    ((_, place),) = texts_of(figure)
    left, upper = axes.transData.transform((50, 40))
    assert abs(place.x0 - left) < 3 and abs(place.y0 - upper) < 3
    plt.close(figure)


@pytest.mark.parametrize('low, high', [(1, 2), (3, 3.0001), (12, 135), (0.0003, 7000), (1e-12, 1e9), (0.7, 4)])
def test_logarithmic_ticks(low, high):
    ticks = log_ticks(low, high, 5)
    assert 1 <= len(ticks) <= 5 and ticks == sorted(ticks)
    assert all(low * 0.999 <= tick <= high * 1.001 for tick in ticks)
    assert len(set(log_labels(ticks))) == len(ticks)


def test_lines_are_broken_between_words_and_not_in_formulas():
    with styled():
        figure = new_figure(3)
        text = ' '.join([r'the $a + b + c + d$ of', 'words'] * 12)
        lines = wrapped(figure, text, 12)
        assert len(lines) > 1 and ' '.join(lines) == text
        assert all(line.count('$') % 2 == 0 for line in lines)
        assert ''.join(wrapped(figure, 'x' * 500, 12)) == 'x' * 500
        heading(figure, text, 'x' * 500)
    checked(figure)

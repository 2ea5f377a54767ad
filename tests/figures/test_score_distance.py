"""Score distance between sizes against NumPy, and cases without objects."""

import itertools

import numpy as np
import pytest
import scale_runs
import tiny
import torch

from sssd.errors import UserError
from sssd.figures.assignment import assign
from sssd.figures.passes import dense_view, scale_passes
from sssd.figures.score_distance import draw_score_distances, score_distances
from sssd.figures.style import plt
from sssd.views import RoIView


def chances(head, feats):
    """Probabilities (B, H*W*A, C) of every level in NumPy, centerness multiplied in."""
    with torch.no_grad():
        head.training = True
        scores, _, *quality = head(feats)
        head.training = False
    rows = []
    for level, maps in enumerate(scores):
        count = len(maps)
        p = 1 / (1 + np.exp(-maps.double().numpy().transpose(0, 2, 3, 1).reshape(count, -1, head.cls_out_channels)))
        if quality:
            p = p / (1 + np.exp(-quality[0][level].double().numpy().transpose(0, 2, 3, 1).reshape(count, -1, 1)))
        rows.append(p)
    return rows


@pytest.mark.parametrize('name, shift', [('retinanet', 1), ('retinanet', 2), ('fcos', 1), ('faster_rcnn', 1)])
@pytest.mark.parametrize('measure', ['objectness', 'g'])
def test_against_numpy(name, shift, measure):
    detector, views = scale_runs.build(name)
    view, run = dense_view(views), scale_runs.run(detector, shift=shift)
    ours = score_distances([run], view, shift, bins=8, measure=measure)
    head = getattr(detector, view.head)
    full, small = chances(head, run.full.feats), chances(head, run.small.feats)
    grids = [level.grid for level in view.levels(run.full)]
    counts, sums = np.zeros((2, 8)), np.zeros(2)
    for image, boxes in enumerate(run.boxes):
        found = assign(head, head.prior_generator.grid_priors(grids, device='cpu'), boxes, (64, 96))
        for level in range(shift, len(full)):  # levels below have no partner
            p, q = full[level][image], small[level - shift][image]
            gap = abs(p.max(1) - q.max(1)) if measure == 'objectness' else abs(p - q).sum(1).clip(max=1)
            priors = len(p) // (grids[level][0] * grids[level][1])
            stride = head.prior_generator.strides[level][0]
            for row, (distance, object_) in enumerate(zip(gap, found[level].tolist())):
                y, x = divmod(row // priors, grids[level][1])
                if object_ >= 0 and y * stride < 64 and x * stride < 96:  # the rest is padding
                    counts[int(object_ == 0), min(int(distance * 8), 7)] += 1
                    sums[int(object_ == 0)] += distance
    np.testing.assert_allclose([ours['foreground'], ours['background']], counts / 2)
    assert ours['images'] == 2 and counts[0].sum() > 0 and (counts[:, 1:] > 0).any()
    means = [ours['mean_distance'][key] for key in ('foreground', 'background')]
    np.testing.assert_allclose(means, sums / counts.sum(1), rtol=1e-4)
    assert ours['ratio'] == [front / back if back else None for front, back in counts.T]


def test_images_without_objects_have_background_alone():
    detector, views = scale_runs.build('fcos')
    ours = score_distances([scale_runs.run(detector, boxes=((), ()))], dense_view(views), 1)
    assert sum(ours['foreground']) == 0 and sum(ours['background']) > 0
    assert ours['mean_distance']['foreground'] is None
    plt.close(draw_score_distances(ours, 'nothing'))


def test_no_image_at_all():
    _, views = scale_runs.build('retinanet')
    ours = score_distances([], dense_view(views), 1, bins=4)
    assert ours['images'] == 0 and ours['ratio'] == [None] * 4
    plt.close(draw_score_distances(ours, 'nothing'))


def test_crowds_are_no_foreground():
    detector, views = scale_runs.build('retinanet')
    run = scale_runs.run(detector)
    batch = {key: value['sup'] for key, value in tiny.make_batch().items()}
    crowd = [dict(instances=[dict(bbox=[8, 8, 40, 40], bbox_label=0, ignore_flag=1)])] * 2
    crowded = scale_passes(detector, batch, crowd, 1)
    assert [len(boxes) for boxes in run.boxes] == [3, 1] and [len(boxes) for boxes in crowded.boxes] == [0, 0]
    assert sum(score_distances([crowded], dense_view(views), 1)['foreground']) == 0


def test_a_detector_without_dense_head_is_refused():
    with pytest.raises(UserError, match=r'the detector has none \(its views: roi\)'):
        dense_view([RoIView()])


@pytest.mark.parametrize('name, shift', [('c4', 1), ('c4', 2), ('dc5', 1), ('yolof', 1), ('yolof', 2)])
def test_single_maps_against_numpy(name, shift):
    """Anchor by anchor: that of X and that of X^ which are the same box of the image."""
    step, size = 2**shift, (256, 320) if name == 'yolof' else (64, 96)
    boxes = (
        (((63, 63, 193, 193), (8, 8, 40, 40)), ((190, 70, 310, 180),))
        if name == 'yolof'
        else (((8, 8, 40, 40), (0, 0, 40, 44)), ((32, -20, 96, 33),))
    )
    detector, views = scale_runs.build(name)
    view, run = dense_view(views), scale_runs.run(detector, boxes, shift, size)
    ours = score_distances([run], view, shift, bins=1000)
    head = getattr(detector, view.head)
    full, small = chances(head, run.full.feats)[0], chances(head, run.small.feats)[0]
    base, (stride, _) = head.prior_generator.base_anchors[0].tolist(), head.prior_generator.strides[0]
    (height, width), (rows, columns) = (
        [-(-side // factor // stride) for side in run.full.batch_shape] for factor in (1, step)
    )
    pairs = [
        (here, there)
        for here, large in enumerate(base)
        for there, little in enumerate(base)
        if large == [side * step for side in little]
    ]
    counts, sums = np.zeros((2, 1000)), np.zeros(2)
    for image, objects in enumerate(run.boxes):
        priors = head.prior_generator.grid_priors([(height, width)], device='cpu')
        found = assign(head, priors, objects, size)[0].tolist()
        for y, x, (here, there) in itertools.product(range(rows), range(columns), pairs):
            row = (step * y * width + step * x) * len(base) + here
            gap = abs(full[image][row].max() - small[image][(y * columns + x) * len(base) + there].max())
            if found[row] >= 0 and step * y * stride < size[0] and step * x * stride < size[1]:
                counts[int(found[row] == 0), min(int(gap * 1000), 999)] += 1
                sums[int(found[row] == 0)] += gap
    np.testing.assert_allclose([ours['foreground'], ours['background']], counts / 2)
    assert counts[0].sum() > 0 and (counts[:, 1:] > 0).any()
    means = [ours['mean_distance'][key] for key in ('foreground', 'background')]
    np.testing.assert_allclose(means, sums / counts.sum(1), rtol=1e-4)

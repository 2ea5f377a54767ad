"""What the viewer shows is what training sees: pictures, the teacher's scores, weights of paired cells."""

import numpy as np
import pytest
import scale_runs
import tiny
import torch
from lettering import faults
from mmengine.dataset import BaseDataset, ConcatDataset

from sssd.detectors.sed import shrink
from sssd.errors import UserError
from sssd.figures.passes import dense_view
from sssd.figures.style import plt
from sssd.figures.training_views import choose_alike, training_views, unlabelled_part
from sssd.figures.training_views_figure import draw_training_views


def batch_of():
    """Two unlabelled images, the second one narrower."""
    batch = tiny.make_batch()
    batch = {
        key: {branch: list(branches[branch]) for branch in ('unsup_teacher', 'unsup_student')}
        for key, branches in batch.items()
    }
    for branch in batch['inputs']:
        batch['inputs'][branch][1] = batch['inputs'][branch][1][:, :, :64]
        batch['data_samples'][branch][1] = tiny.sample((64, 64))
    return batch


def sed(name, **options):
    model = tiny.build_sed(scale_runs.DENSE[name](), **options).eval()
    with torch.no_grad():
        for key, value in model.named_parameters():
            if key.endswith(('cls.weight', 'cls.bias')):
                value.add_(0.3 * torch.randn_like(value))
    return model


def logits_of(detector, head, images):
    """Raw scores (B, H, W, A, C) of every level."""
    scores = getattr(detector, head)(detector.extract_feat(images))[0]
    classes = getattr(detector, head).cls_out_channels
    return [maps.permute(0, 2, 3, 1).reshape(len(maps), *maps.shape[-2:], -1, classes).double() for maps in scores]


@pytest.mark.parametrize('name, levels', [('retinanet', 'pooled'), ('retinanet', 'sum'), ('faster_rcnn', 'pooled')])
@torch.no_grad()
def test_what_is_shown_is_what_training_sees(name, levels):
    model, batch = sed(name, scale_loss=dict(type='SoftLoss', levels=levels)), batch_of()
    view = dense_view(model.views)
    images = training_views(model, view, batch, 1)
    data = model.data_preprocessor(batch, True)['inputs']
    for place, image in enumerate(images):
        for shown, branch in ((image.weak, 'unsup_teacher'), (image.strong, 'unsup_student')):
            pixels = batch['inputs'][branch][place].numpy()[::-1].transpose(1, 2, 0) / 255  # loaded as BGR
            np.testing.assert_allclose(shown, pixels, atol=1e-5)
    assert [image.scaled.shape for image in images] == [(32, 48, 3), (32, 32, 3)]
    full = logits_of(model.student, view.head, data['unsup_student'])
    small = logits_of(model.student, view.head, shrink(data['unsup_student'], 1))
    gaps = [
        (here.sigmoid() - there.sigmoid()).abs().sum(-1).clamp(max=1).numpy() for here, there in zip(full[1:], small)
    ]
    strides = [stride[0] for stride in getattr(model.student, view.head).prior_generator.strides]
    for gap, stride in zip(gaps, strides[1:]):
        gap[1, :, -(-64 // stride) :] = np.nan  # the second image's padding
    binned = [(gap[~np.isnan(gap)] * 30).astype(int).clip(max=29) for gap in gaps]
    for level, (gap, stride) in enumerate(zip(gaps, strides[1:])):
        counts = np.bincount(np.concatenate(binned) if levels == 'pooled' else binned[level], minlength=30)
        index = (np.nan_to_num(gap) * 30).astype(int).clip(max=29)
        weights = np.where(np.isnan(gap), np.nan, 1 / (30 * counts[index].clip(1))).sum(-1)
        for place, image in enumerate(images):
            assert image.levels[level].stride == (stride, stride)
            assert image.levels[level].partner == (stride / 2, stride / 2)
            np.testing.assert_allclose(image.levels[level].weights, weights[place], rtol=1e-3)
    assert len(images[0].levels) == len(strides) - 1 and np.isnan(images[1].levels[0].weights).any()


@torch.no_grad()
def test_the_heat_is_the_teachers_largest_score():
    model, batch = sed('retinanet'), batch_of()
    images = training_views(model, dense_view(model.views), batch, 1)
    weak = model.data_preprocessor(batch, True)['inputs']['unsup_teacher']
    scores = [maps.sigmoid().amax((-1, -2)).numpy() for maps in logits_of(model.teacher, 'bbox_head', weak)]
    for place, image in enumerate(images):
        for y, x in ((0, 0), (63, 63), (17, 40)):
            cells = [
                maps[place][min(y // stride, len(maps[place]) - 1)][min(x // stride, maps.shape[-1] - 1)]
                for maps, stride in zip(scores, (8, 16, 32, 64))
            ]
            assert image.heat[y, x] == pytest.approx(max(cells), rel=1e-5)
        assert image.heat.shape == image.weak.shape[:2]


def test_equal_views_are_drawn_too():
    model = tiny.build_sed(tiny.retinanet()).eval()
    images = training_views(model, dense_view(model.views), batch_of(), 1)
    figure = draw_training_views(images, 'a title')
    assert figure.get_suptitle() == 'a title' and len(figure.axes) == 2 * 7 + 2
    plt.close(figure)


def test_equal_weights_mark_no_cell():
    model = sed('retinanet', scale_loss=dict(type='SoftLoss', reweight=dict(type='Mean')))
    figure = draw_training_views(training_views(model, dense_view(model.views), batch_of(), 1), 'a title')
    fine = figure.axes[4]
    assert fine.get_title().startswith('weights: stride 16') and not fine.patches and not fine.texts
    assert faults(figure) == []
    plt.close(figure)


@pytest.mark.parametrize('name', ['c4', 'yolof'])
@torch.no_grad()
def test_a_single_map_shows_the_cells_and_anchors_that_pair(name):
    """Every second cell of X, and of its anchors those that are twice another one; marks are where those cells are."""
    model, batch, stride = sed(name), batch_of(), dict(c4=16, yolof=32)[name]
    view = dense_view(model.views)
    images = training_views(model, view, batch, 1)
    strong = model.data_preprocessor(batch, True)['inputs']['unsup_student']
    full, small = (logits_of(model.student, view.head, shrink(strong, shift))[0].sigmoid() for shift in (0, 1))
    base = getattr(model.student, view.head).prior_generator.base_anchors[0].tolist()
    gap = np.stack(
        [
            (full[:, ::2, ::2, here] - small[:, :, :, there]).abs().sum(-1).clamp(max=1).numpy()
            for here, large in enumerate(base)
            for there, little in enumerate(base)
            if large == [2 * side for side in little]
        ],
        -1,
    )
    gap[1, :, -(-64 // (2 * stride)) :] = np.nan  # the second image's padding
    index = np.where(np.isnan(gap), 0, gap * 30).astype(int).clip(max=29)
    counts = np.bincount(index[~np.isnan(gap)], minlength=30)
    weights = np.where(np.isnan(gap), np.nan, 1 / (30 * counts[index].clip(1))).sum(-1)
    for image, expected in zip(images, weights):
        (level,) = image.levels
        np.testing.assert_allclose(level.weights, expected, rtol=1e-3)
        assert (level.stride, level.partner, level.spacing) == ((stride,) * 2, (stride,) * 2, (2 * stride,) * 2)
    figure = draw_training_views(images, 'a title')
    marks = [figure.axes[place].patches[0] for place in (1, 2, 4)]
    column, row = (int(at / stride) for at in marks[1].get_xy())
    assert images[0].levels[0].weights[row, column] == np.nanmax(images[0].levels[0].weights)
    for mark, step in zip(marks, (2 * stride, stride, 2 * stride)):
        assert (mark.get_xy(), mark.get_width(), mark.get_height()) == ((column * step, row * step), stride, stride)
    plt.close(figure)


class Listed(BaseDataset):
    """Items as they are given."""

    def __init__(self, items, shapes=()):
        self.items, self.shapes = items, shapes
        self._fully_initialized, self._metainfo = True, {}

    def full_init(self):
        """Nothing to read."""

    def __len__(self):
        return len(self.items)

    def __getitem__(self, index):
        return self.items[index]

    def get_data_info(self, index):
        return dict(zip(('height', 'width'), self.shapes[index]))


def test_the_unlabelled_part_of_a_training_set():
    labelled = Listed([dict(inputs=dict(sup=1, unsup_teacher=None, unsup_student=None))])
    unlabelled = Listed([dict(inputs=dict(sup=None, unsup_teacher=1, unsup_student=2))])
    assert unlabelled_part(ConcatDataset([labelled, unlabelled])) is unlabelled
    for without in (labelled, ConcatDataset([labelled, Listed([])]), Listed([dict(inputs=torch.zeros(3, 2, 2))])):
        with pytest.raises(UserError, match='gives the branches unsup_teacher and unsup_student'):
            unlabelled_part(without)


def test_images_of_one_orientation():
    shapes = [(3, 4), (4, 3)] * 10
    chosen = choose_alike(Listed(list(range(20)), shapes), 5, 1)
    assert len(set(chosen)) == 5 and len({shapes[index] for index in chosen}) == 1
    assert chosen == choose_alike(Listed(list(range(20)), shapes), 5, 1)
    assert len(choose_alike(Listed(list(range(20)), shapes), 50, 1)) == 10

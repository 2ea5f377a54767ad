"""SoftLoss(levels='sum') on real detectors: dense rows know their levels; proposals and queries have none."""

import pytest
import tiny
import torch

from sssd.losses import SoftLoss

DETECTORS = dict(tiny.DETECTORS, detr=tiny.detr, c4=tiny.c4)
BY_LEVEL = dict(type='SoftLoss', levels='sum')


def terms(kind, **options):
    """The unsupervised loss terms of one batch, the same weights and images each time."""
    model = tiny.build_sed(DETECTORS[kind](), **options)
    torch.manual_seed(1)
    losses = tiny.losses_of(model, tiny.make_batch())
    return model, {name: value for name, value in losses.items() if '_loss_scale_' in name or '_loss_distill_' in name}


@pytest.mark.parametrize('kind', sorted(DETECTORS))
def test_only_rows_of_a_pyramid_are_summed_by_level(kind):
    _, pooled = terms(kind)
    _, summed = terms(kind, scale_loss=BY_LEVEL, distill_loss=BY_LEVEL)
    changed = {name.split('_')[0] for name, value in pooled.items() if not torch.equal(value, summed[name])}
    assert changed == dict(retinanet={'bbox'}, fcos={'bbox'}, faster_rcnn={'rpn'}, detr=set(), c4=set())[kind]
    assert len(pooled) == len(summed) and all(torch.isfinite(value) for value in summed.values())
    sum(summed.values()).backward()


def test_the_terms_are_sums_over_the_levels_of_the_view():
    model, found = terms('retinanet', scale_loss=BY_LEVEL, distill_loss=BY_LEVEL)
    data = model.data_preprocessor(tiny.make_batch(), True)
    inputs, samples = data['inputs'], data['data_samples']
    (view,) = model.views
    strong = model.run(model.student, inputs['unsup_student'], samples['unsup_student'])
    with torch.no_grad():
        weak = model.run(model.teacher, inputs['unsup_teacher'], samples['unsup_teacher'])
    plain, total = SoftLoss(), torch.zeros(2)
    for mine, theirs in zip(view.levels(strong), view.levels(weak), strict=True):
        total = total + torch.stack(plain.distill(view._join([mine]), view._join([theirs])))
    torch.testing.assert_close(total[0], found['bbox_loss_distill_cls'])
    torch.testing.assert_close(total[1], found['bbox_loss_distill_bbox'])
    rows, _ = view.distill_pair(strong, weak)
    assert rows.levels == tuple(2 * level.grid[0] * level.grid[1] for level in view.levels(strong))
    pair, _ = view.scale_pair(strong, strong, 0)
    assert pair.levels == rows.levels

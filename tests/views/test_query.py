"""Queries of a DETR: the matching of two passes, and the padding that the transformer is told of."""

from itertools import permutations

import numpy as np
import pytest
import tiny
import torch
from mmdet.registry import MODELS as MMDET_MODELS
from rows import close, sigmoid, softmax

from sssd.errors import UserError
from sssd.losses import SoftLoss
from sssd.registry import MODELS
from sssd.views import Pass, QueryView
from sssd.views.query import matching_cost, samples_of

SIZE = (64, 96)
IMAGES = ((64, 96), (41, 70))
ACTIVATIONS = ['softmax', 'sigmoid']


def random_queries(count, columns=4):
    """Logits and boxes inside the image as they come from a decoder layer."""
    centres, sides = torch.rand(count, 2) * 0.5 + 0.25, torch.rand(count, 2) * 0.4 + 0.05
    return torch.randn(count, columns) * 2, torch.cat([centres, sides], 1)


def js(p, q):
    """Jensen-Shannon divergence of two distributions."""
    m = (p + q) / 2
    return ((p * np.log(p / m)).sum() + (q * np.log(q / m)).sum()) / 2


def giou_loss(a, b):
    """1 - GIoU of two boxes (cx, cy, w, h)."""
    (x1, y1, x2, y2), (u1, v1, u2, v2) = [(cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2) for cx, cy, w, h in (a, b)]
    both = max(min(x2, u2) - max(x1, u1), 0) * max(min(y2, v2) - max(y1, v1), 0)
    union = (x2 - x1) * (y2 - y1) + (u2 - u1) * (v2 - v1) - both
    hull = (max(x2, u2) - min(x1, u1)) * (max(y2, v2) - min(y1, v1))
    return 1 - both / union + (hull - union) / hull


def costs(first, second, activation, weight):
    """The matching cost of Sec. 4.3, pair by pair in NumPy."""
    (z1, b1), (z2, b2) = [[part.double().numpy() for part in side] for side in (first, second)]
    table = np.zeros((len(z1), len(z2)))
    for i, j in np.ndindex(*table.shape):
        if activation == 'softmax':
            divergence = js(softmax(z1[i]), softmax(z2[j]))
        else:
            divergence = sum(
                js(np.array([p, 1 - p]), np.array([q, 1 - q])) for p, q in zip(sigmoid(z1[i]), sigmoid(z2[j]))
            )
        table[i, j] = divergence + weight * giou_loss(b1[i], b2[j])
    return table


def match(first, second, activation, weight):
    """The matching of one image (2, n)."""
    sides = [[part[None] for part in side] for side in (first, second)]
    return QueryView(lambda_=weight).match(*sides, activation)[0]


@pytest.mark.parametrize('weight', [0.0, 0.7])
@pytest.mark.parametrize('activation', ACTIVATIONS)
def test_the_cost_is_js_divergence_plus_lambda_times_giou_loss(activation, weight):
    first, second = random_queries(150), random_queries(9)
    ours = matching_cost(*first, *second, activation, weight)
    np.testing.assert_allclose(ours, costs(first, second, activation, weight), atol=2e-6)


@pytest.mark.parametrize('sizes', [(5, 5), (4, 6), (6, 4)])
@pytest.mark.parametrize('activation', ACTIVATIONS)
def test_no_other_matching_costs_less(activation, sizes):
    first, second = (random_queries(size) for size in sizes)
    table = costs(first, second, activation, 2.0)
    rows, columns = match(first, second, activation, 2.0).numpy()
    assert len(set(rows)) == len(set(columns)) == min(sizes)
    flip = sizes[0] > sizes[1]
    cheap = table.T if flip else table
    best = min(sum(cheap[i, j] for i, j in enumerate(order)) for order in permutations(range(max(sizes)), min(sizes)))
    assert table[rows, columns].sum() == pytest.approx(best, abs=1e-5)


def test_lambda_decides_between_class_and_place():
    logits, boxes = torch.eye(2, 3) * 9, torch.tensor([[0.3, 0.3, 0.2, 0.2], [0.7, 0.7, 0.2, 0.2]])
    swapped = logits.flip(0)
    by_class = match((logits, boxes), (swapped, boxes), 'softmax', 0.01)
    by_place = match((logits, boxes), (swapped, boxes), 'softmax', 10.0)
    assert by_class.tolist() == [[0, 1], [1, 0]] and by_place.tolist() == [[0, 1], [0, 1]]


def test_predictions_that_are_not_finite_do_not_end_the_run():
    logits, boxes = random_queries(4)
    logits[1] = float('nan')
    assert sorted(match((logits, boxes), (logits, boxes), 'softmax', 1.0)[1].tolist()) == [0, 1, 2, 3]


def made_up(detector, scores, boxes):
    """A pass whose queries are given, (L, B, Q, C) and (L, B, Q, 4)."""
    run = Pass(detector, (), [dict(img_shape=SIZE)] * scores.shape[1], SIZE)
    run.once('queries', lambda: (scores, boxes))
    return run


@pytest.fixture(scope='module')
def detector():
    return MMDET_MODELS.build(tiny.detr())


def shuffled_passes(detector, layers=3, images=2, count=6):
    """Two passes with the same queries, in another order in every layer and image of the second one."""
    made = [[random_queries(count) for _ in range(images)] for _ in range(layers)]
    scores, boxes = (torch.stack([torch.stack([one[part] for one in layer]) for layer in made]) for part in (0, 1))
    order = torch.stack([torch.stack([torch.randperm(count) for _ in range(images)]) for _ in range(layers)])
    other = [part.take_along_dim(order[..., None], 2) for part in (scores, boxes)]
    return made_up(detector, scores, boxes), made_up(detector, *other)


@pytest.mark.parametrize('layers, used', [('last', slice(2, 3)), ('all', slice(0, 3))])
def test_shuffled_queries_find_each_other_in_their_own_layer_and_image(detector, layers, used):
    first, second = shuffled_passes(detector)
    scores, boxes = first.once('queries', None)
    assert not torch.equal(scores, second.once('queries', None)[0])
    view = QueryView(layers=layers)
    for pair in (view.scale_pair(first, second, 1), view.distill_pair(first, second)):
        mine, other = pair
        assert torch.equal(mine.logits, other.logits) and torch.equal(mine.boxes, other.boxes)
        assert torch.equal(mine.logits, scores[used].reshape(-1, 4))
        assert torch.equal(mine.boxes, boxes[used].reshape(-1, 1, 4))
        assert mine.valid.all() and mine.activation == 'softmax'
        assert all(term < 1e-6 for term in SoftLoss().scale(mine, other))


def test_gradients_reach_the_queries_of_both_passes(detector):
    first, second = shuffled_passes(detector, layers=1)
    leaves = [part.requires_grad_() for run in (first, second) for part in run.once('queries', None)]
    with torch.no_grad():
        for leaf, step in zip(leaves, (0.3, 0.01)):
            leaf.add_(step * torch.randn_like(leaf))
    score, box = SoftLoss(reweight=dict(type='Mean')).scale(*QueryView().scale_pair(first, second, 1))
    (score + box).backward()
    assert all(leaf.grad.isfinite().all() and (leaf.grad.abs().sum(-1) > 0).all() for leaf in leaves)


def test_hard_targets_keep_the_queries_that_see_an_object(detector):
    """Scores are softmaxes: the other queries are told that they see none, and their boxes do not count."""
    sure, unsure = torch.tensor([6.0, 0, 0, 0]), torch.tensor([0.5, 0, 0, 0.6])
    teacher = torch.stack([sure, unsure])[None, None]
    boxes = torch.tensor([[0.3, 0.3, 0.2, 0.2], [0.7, 0.7, 0.2, 0.2]])[None, None]
    student = made_up(detector, torch.zeros(1, 1, 2, 4), boxes + torch.tensor([[0.03, 0, 0, 0], [0.2, 0, 0, 0]]))
    rows = QueryView().distill_pair(student, made_up(detector, teacher, boxes))
    score, box = SoftLoss(target='hard', reweight=dict(type='Mean')).distill(*rows)
    close(score, np.log(4))
    close(box, 0.03)


def half(images):
    return [tuple(side / 2 for side in image) for image in images]


def padding_masks(detector, run):
    """Masks of the feature map that mmdet's own code makes of a pass: True in the padding."""
    inputs, _ = detector.pre_transformer(run.feats, samples_of(run))
    return inputs['feat_mask'].reshape(len(run.metas), *run.feats[-1].shape[-2:])


@pytest.mark.parametrize('factor', [1, 2])
def test_the_transformer_masks_what_lies_outside_of_each_image(detector, factor):
    """At half size too, where the second image ends within a pixel."""
    images = IMAGES if factor == 1 else half(IMAGES)
    padded = tuple(side // factor for side in SIZE)
    metas = [dict(img_shape=image, batch_input_shape=SIZE) for image in images]
    run = Pass(detector, (torch.randn(2, 32, padded[0] // 4, padded[1] // 4),), metas, padded)
    masks = padding_masks(detector, run)
    for mask, (height, width) in zip(masks, images):
        expected = [
            [row * 4 >= height or column * 4 >= width for column in range(mask.shape[1])]
            for row in range(mask.shape[0])
        ]
        assert mask.tolist() == expected
    assert masks[1].any() and not masks[1].all()


def test_what_lies_in_the_padding_has_no_influence():
    model = tiny.build_sed(tiny.detr()).eval()
    samples = [tiny.sample(image) for image in IMAGES]
    feats = torch.randn(2, 32, 16, 24)
    other = feats.clone()
    other[1, :, -(-41 // 4) :] += 5
    other[1, :, :, -(-70 // 4) :] += 5
    metas = [dict(sample.metainfo) for sample in samples]
    view = model.views[0]
    with torch.no_grad():
        plain, changed = (view.queries(Pass(model.student, (one,), metas, SIZE)) for one in (feats, other))
    for mine, theirs in zip(plain, changed):
        torch.testing.assert_close(mine, theirs)
    other[1, :, 0, 0] += 5
    with torch.no_grad():
        changed = view.queries(Pass(model.student, (other,), metas, SIZE))
    assert not torch.allclose(plain[0], changed[0])


def test_the_transformer_runs_once_for_a_pass():
    model = tiny.build_sed(tiny.detr())
    data = model.data_preprocessor(tiny.make_batch(), True)
    run = model.run(model.student, data['inputs']['unsup_student'], data['data_samples']['unsup_student'])
    calls = []
    model.student.decoder.register_forward_hook(lambda *_: calls.append(1))
    model.views[0].distill_pair(run, run)
    model.views[0].scale_pair(run, run, 1)
    assert len(calls) == 1


def test_dropout_is_the_students_alone():
    model = tiny.build_sed(tiny.detr(dropout=0.5))
    data = model.data_preprocessor(tiny.make_batch(), True)
    answers = {}
    for name in ('student', 'teacher'):
        run = [
            model.run(getattr(model, name), data['inputs']['unsup_student'], data['data_samples']['unsup_student'])
            for _ in range(2)
        ]
        answers[name] = [model.views[0].queries(one)[0] for one in run]
    assert torch.equal(*answers['teacher']) and not torch.equal(*answers['student'])


@pytest.mark.parametrize(
    'options, words', [(dict(layers='first'), "layers is 'first'"), (dict(lambda_=-1.0), 'lambda_ is -1.0')]
)
def test_unknown_options_are_refused(options, words):
    with pytest.raises(UserError, match=words):
        QueryView(**options)


def test_all_layers_by_config():
    model = tiny.build_sed(tiny.detr(), views=[dict(type='QueryView', layers='all', lambda_=2.0)])
    losses = tiny.losses_of(model, tiny.make_batch())
    assert losses['query_loss_scale_cls'] > 0 and model.views[0].lambda_ == 2.0


def test_a_label_guided_teacher_is_refused():
    with pytest.raises(UserError, match='DETR has no dense head over a pyramid'):
        MODELS.build(tiny.sed_config(tiny.detr(), guidance=dict()))

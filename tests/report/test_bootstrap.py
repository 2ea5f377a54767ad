"""AP on resampled images: pycocotools' own on the images as they are, and on data sets that repeat images."""

import contextlib
import copy
import io
import json
import time

import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from sssd.errors import UserError
from sssd.report.bootstrap import IOUS, RECALLS, Estimate, Truth, average_precision, draw, precision


def make_truth(rng, images=12, classes=3, objects=5):
    """A COCO data set of random boxes; some are crowds, some images are empty, the last class has no object."""
    annotations = []
    for image in range(images):
        for _ in range(rng.integers(0, objects + 1) if image % 5 else 0):
            box = np.concatenate([rng.uniform(0, 150, 2), rng.uniform(10, 60, 2)]).round(1).tolist()
            annotations.append(
                dict(
                    id=len(annotations) + 1,
                    image_id=10 * image + 3,
                    category_id=int(rng.integers(1, classes)) * 2,
                    bbox=box,
                    area=box[2] * box[3],
                    iscrowd=int(rng.random() < 0.1),
                )
            )
    return dict(
        images=[dict(id=10 * i + 3, width=224, height=224, file_name=f'{i}.jpg') for i in range(images)],
        annotations=annotations,
        categories=[dict(id=2 * (i + 1), name=f'class {i}') for i in range(classes)],
    )


def make_detections(rng, truth, wrong=0.4, shift=6.0):
    """Shifted copies of the objects, most of their own class, and boxes anywhere; every score is its own."""
    found = []
    names = [category['id'] for category in truth['categories']]
    for thing in truth['annotations']:
        if rng.random() < 0.8:
            box = (np.array(thing['bbox']) + rng.normal(0, shift, 4) * [1, 1, 0.5, 0.5]).clip(1).tolist()
            category = int(rng.choice(names)) if rng.random() < 0.2 else thing['category_id']
            found.append(dict(image_id=thing['image_id'], category_id=category, bbox=box))
    for image in truth['images']:
        for _ in range(rng.poisson(wrong * 10)):
            box = np.concatenate([rng.uniform(0, 150, 2), rng.uniform(10, 60, 2)]).tolist()
            found.append(dict(image_id=image['id'], category_id=int(rng.choice(names)), bbox=box))
    scores = rng.permutation(len(found)) / len(found) * 0.9 + 0.05
    return [dict(one, score=float(score)) for one, score in zip(found, scores)]


def reference(truth, detections):
    """pycocotools' accumulated precision (T, R, K) and AP."""
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO()
        coco.dataset = copy.deepcopy(truth)
        coco.createIndex()
        evaluation = COCOeval(coco, coco.loadRes(copy.deepcopy(detections)), 'bbox')
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return evaluation.eval['precision'][:, :, :, 0, 2], 100 * evaluation.stats[0]


def repeated(truth, detections, counts):
    """The data set and the detections with each image as many times as it counts, images of their own."""
    images, annotations, found, later = [], [], [], 0.0
    for image, count in zip(truth['images'], counts):
        for _ in range(count):
            new = len(images) + 1
            images.append(dict(image, id=new))
            for thing in truth['annotations']:
                if thing['image_id'] == image['id']:
                    annotations.append(dict(thing, id=len(annotations) + 1, image_id=new))
            for one in detections:
                if one['image_id'] == image['id']:
                    found.append(dict(one, image_id=new, score=one['score'] + later))
    return dict(truth, images=images, annotations=annotations), found


def write(path, truth):
    path.write_text(json.dumps(truth))
    return str(path)


@pytest.fixture
def rng():
    return np.random.default_rng(7)


def ours(matches, weights):
    """All precisions of all draws, (B, T, R, K)."""
    return np.stack([np.concatenate(list(precision(one, weights))) for one in matches], -1)


@pytest.mark.parametrize('seed', range(4))
def test_the_images_as_they_are_give_exactly_pycocotools_precisions(tmp_path, seed):
    rng = np.random.default_rng(seed)
    truth = make_truth(rng)
    detections = make_detections(rng, truth)
    expected, ap = reference(truth, detections)
    matches = Truth(write(tmp_path / 'truth.json', truth)).match(detections)
    once = np.ones((1, len(truth['images'])), dtype=int)
    assert (expected > 0).any() and (expected == -1).any()  # some classes are met, one has no object
    assert np.array_equal(ours(matches, once)[0], expected)
    assert average_precision(matches, once)[0] == pytest.approx(ap, abs=1e-10)


@pytest.mark.parametrize(
    'id_of',
    [lambda number: number - 1, lambda number: f'box {number}', lambda number: 7],
    ids=['from 0', 'text', 'one for all'],
)
def test_ids_of_the_annotations_change_nothing(tmp_path, rng, id_of):
    """From 0 on, as text, or one for all, of which pycocotools alone makes another AP or none."""
    truth = make_truth(rng)
    detections = make_detections(rng, truth)
    expected, _ = reference(truth, detections)
    for thing in truth['annotations']:
        thing['id'] = id_of(thing['id'])
    matches = Truth(write(tmp_path / 'truth.json', truth)).match(detections)
    assert np.array_equal(ours(matches, np.ones((1, len(truth['images'])), dtype=int))[0], expected)


def test_a_draw_is_the_data_set_with_its_images_repeated(tmp_path, rng):
    truth = make_truth(rng)
    detections = make_detections(rng, truth)
    matches = Truth(write(tmp_path / 'truth.json', truth)).match(detections)
    weights = draw(len(truth['images']), 20, seed=3)
    assert (weights.sum(1) == len(truth['images'])).all() and weights.max() > 2
    aps = average_precision(matches, weights)
    for counts, ap, found in zip(weights, aps, ours(matches, weights)):
        expected, whole = reference(*repeated(truth, detections, counts))
        assert np.array_equal(found, expected)
        assert ap == pytest.approx(whole, abs=1e-10)
    assert len(set(aps.round(6))) > 10


def test_draws_in_parts_are_the_draws_at_once(tmp_path, rng, monkeypatch):
    truth = make_truth(rng)
    matches = Truth(write(tmp_path / 'truth.json', truth)).match(make_detections(rng, truth))
    weights = draw(len(truth['images']), 11)
    whole = average_precision(matches, weights)
    monkeypatch.setattr('sssd.report.bootstrap.HELD', 100)
    assert np.array_equal(average_precision(matches, weights), whole)


def test_nothing_detected_is_an_ap_of_0_and_no_object_is_none(tmp_path, rng):
    truth = make_truth(rng)
    matches = Truth(write(tmp_path / 'truth.json', truth)).match([])
    assert list(average_precision(matches, draw(12, 3))) == [0.0, 0.0, 0.0]
    only_first = np.eye(12, dtype=int)[:1]  # an image without objects
    assert np.isnan(average_precision(matches, only_first)).all()


def test_classes_that_a_run_does_not_know_do_not_count(tmp_path, rng):
    truth = make_truth(rng)
    detections = make_detections(rng, truth)
    path = write(tmp_path / 'truth.json', truth)
    both, one = Truth(path), Truth(path, ['class 1'])
    once = np.ones((1, 12), dtype=int)
    expected, _ = reference(truth, detections)
    assert one.categories == [4] and both.categories == [2, 4, 6]
    assert average_precision(one.match(detections), once)[0] == pytest.approx(100 * expected[:, :, 1].mean())


def test_detections_of_other_images(tmp_path, rng):
    truth = Truth(write(tmp_path / 'truth.json', make_truth(rng)))
    with pytest.raises(UserError, match=r'an image 4 that .*truth\.json does not have'):
        truth.match([dict(image_id=4, category_id=2, bbox=[0, 0, 5, 5], score=0.5)])


def test_a_file_of_other_classes(tmp_path, rng):
    with pytest.raises(UserError, match=r"truth\.json has none of the classes 'cat'"):
        Truth(write(tmp_path / 'truth.json', make_truth(rng)), ['cat'])


def test_the_same_seed_draws_the_same_images_and_none_is_refused():
    assert np.array_equal(draw(9, 5, seed=1), draw(9, 5, seed=1))
    assert not np.array_equal(draw(9, 5, seed=1), draw(9, 5, seed=2))
    with pytest.raises(UserError, match='0 images'):
        draw(0, 5)


def test_paired_draws_tell_a_difference_that_unpaired_ones_do_not(tmp_path, rng):
    """One run is the other with a fifth of its boxes worse: on each draw it loses a little."""
    truth = make_truth(rng, images=40)
    better = make_detections(rng, truth, shift=1.0)
    worse = [
        dict(one, bbox=[one['bbox'][0] + 8, *one['bbox'][1:]]) if i % 5 == 0 else one for i, one in enumerate(better)
    ]
    parts = Truth(write(tmp_path / 'truth.json', truth))
    weights = draw(40, 300, seed=0)
    first, second = (Estimate.of(parts.match(run), weights) for run in (better, worse))
    low, high = (first - second).interval()
    assert 0 < low < first.value - second.value < high
    unpaired = Estimate(0.0, first.samples - second.samples[::-1])
    assert np.diff(unpaired.interval()) > 1.5 * (high - low)


def test_intervals_of_known_numbers():
    few, run, everything = (Estimate(value, value + np.arange(-50, 51) / 10) for value in (20.0, 25.0, 40.0))
    assert few.interval() == pytest.approx((15.25, 24.75))
    assert few.interval(0.5) == pytest.approx((17.5, 22.5))
    assert (run - few).interval() == pytest.approx((5, 5))  # the images move both alike
    share = (run - few).over(everything - few)
    assert share.value == pytest.approx(0.25) and share.interval() == pytest.approx((0.25, 0.25))
    mean = Estimate.mean([few, everything])
    assert mean.value == 30 and mean.samples[0] == pytest.approx(25)


def test_a_ratio_is_of_draws_in_which_there_is_something_to_win():
    gain, headroom = Estimate(1.0, np.array([1.0, 2.0, 3.0])), Estimate(0.5, np.array([2.0, 0.0, -1.0]))
    assert gain.over(headroom).interval() == (0.5, 0.5)
    nothing = gain.over(Estimate(-1.0, np.full(3, -1.0)))
    assert np.isnan(nothing.value) and np.isnan(nothing.interval()).all()


def test_a_thousand_draws_take_seconds(tmp_path, rng):
    truth = make_truth(rng, images=150, classes=7, objects=12)
    detections = make_detections(rng, truth, wrong=2.0)
    matches = Truth(write(tmp_path / 'truth.json', truth)).match(detections)
    weights = draw(150, 1000)
    began = time.process_time()
    average_precision(matches, weights)
    assert time.process_time() - began < 15


def test_thresholds_are_those_of_coco():
    params = COCOeval(iouType='bbox').params
    assert np.array_equal(RECALLS, params.recThrs) and np.array_equal(IOUS, params.iouThrs)

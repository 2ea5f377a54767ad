"""What is chosen for a user's data: sizes by the objects, lengths by the images."""

import pytest

from sssd.studies.own.plan import fitting_size, make_plan, statistics_of


def coco(images=100, box=64, side=(640, 480)):
    """A COCO dict of equal images with one square box each, and a crowd that does not count."""
    things = [dict(image_id=number, bbox=[0, 0, box, box], iscrowd=0) for number in range(images)]
    return dict(
        images=[dict(id=number, width=side[0], height=side[1]) for number in range(images)],
        annotations=[*things, dict(image_id=0, bbox=[0, 0, 1, 1], iscrowd=1)],
    )


def test_statistics():
    found = statistics_of(coco())
    assert (found.images, found.side, found.largest, found.ratio) == (100, 640, 640, 0.75)
    assert found.small == pytest.approx(0.1)


def test_images_without_a_box_are_not_counted():
    """They are not trained on: a tool's export of a thousand frames of which ten are labelled is a set of ten."""
    frames = coco(1000)
    frames['annotations'] = frames['annotations'][:10] + frames['annotations'][-1:]
    assert statistics_of(frames).images == 10
    assert make_plan('small', statistics_of(frames)).iters == make_plan('small', statistics_of(coco(10))).iters


@pytest.mark.parametrize('box, side, size', [(64, (640, 480), 320), (24, (640, 480), 512), (4, (640, 480), 640),
                                             (4, (3000, 2000), 800), (8, (100, 100), 320)])  # fmt: skip
def test_the_smaller_the_objects_the_larger_the_images(box, side, size):
    """A tenth of the objects may be below 16 pixels; images are not made larger than they are."""
    assert fitting_size(statistics_of(coco(box=box, side=side))) == size


@pytest.mark.parametrize(
    'preset, images, batch, iters',
    [('small', 3, 3, 1500), ('small', 400, 4, 4000), ('small', 10**5, 4, 20000), ('paper', 160, 2, 8000),
     ('paper', 10, 2, 4000), ('paper', 1, 1, 4000), ('paper', 10**6, 2, 180000)],
)  # fmt: skip
def test_batch_and_length_by_the_number_of_images(preset, images, batch, iters):
    plan = make_plan(preset, statistics_of(coco(images)))
    assert (plan.batch, plan.iters) == (batch, iters)
    seen = iters * batch / images
    assert f'each of the {images} labelled images {seen:.0f} times' in plan.reasons[2]


@pytest.mark.parametrize(
    'labelled, unlabeled, iters, added, said',
    [(45, 403, 3000, 900, 'each of the 403 unlabelled ones 30 times'), (45, 195, 1500, 1300, ''),
     (45, 10**6, 3000, 900, 'times'), (400, 500, 4000, 1000, ''), (10, 195, 1500, 0, ''),
     (100, 300, 2300, 1400, 'each of the 300 unlabelled ones 31 times')],
)  # fmt: skip
def test_length_by_the_number_of_unlabelled_images(labelled, unlabeled, iters, added, said):
    """30 views of each, as long as that takes no more than 3000 iterations; the paper's preset has its own rule.

    Added are those by labels alone until each labelled image was seen 150 times, up to 2000, a quarter of the others
    counted in.
    """
    plan = make_plan('small', statistics_of(coco(labelled)), unlabeled=unlabeled)
    assert (plan.iters, plan.added) == (iters + added, added)
    assert said in plan.reasons[2] and ('unlabelled' in plan.reasons[2]) == bool(said)
    assert (f'; the first {added} were added, for labels alone to converge' in plan.reasons[2]) == bool(added)
    assert plan.until(0.25) == added + iters // 4 and plan.until(2 / 3) == added + int(iters * 2 / 3)
    assert abs(plan.until(0.25) - min(150 * labelled / 4, 2000)) <= 50 or not added
    assert make_plan('small', statistics_of(coco(labelled))).added == 0, 'labels alone are all there is'
    assert make_plan('paper', statistics_of(coco(160)), unlabeled=unlabeled).iters == 8000
    assert make_plan('small', statistics_of(coco(labelled)), iters=7, unlabeled=unlabeled).iters == 7


def test_what_is_given_is_taken():
    plan = make_plan('paper', statistics_of(coco()), gpus=4, size=800, batch=3, iters=77)
    assert (plan.size, plan.scale, plan.batch, plan.iters) == (800, (800, 480), 3, 77)
    assert all('as asked for' in reason for reason in plan.reasons)
    assert make_plan('paper', statistics_of(coco())).scale == (1333, 800)


def test_the_smallest_image_in_training():
    """640 x 480 within (1333, 640): 853 x 640. Within 320 x 320, and 0.7 of that: 224 x 168."""
    found = statistics_of(coco())
    assert make_plan('paper', found).least(found) == (640, 853)
    assert make_plan('small', found).least(found) == (168, 224)

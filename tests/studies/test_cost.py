"""What a run costs by its config, and what others tell of it."""

import pytest
from mmengine.config import Config

from sssd.places import read_config
from sssd.studies.cost import Cost, Extent, Forecast, Pace, Taken, Work, iteration_cost
from sssd.studies.own.trial import Trial, hours
from sssd.studies.spec import load_config, load_spec


def costs(spec):
    """The cost of an iteration of each run of a study that comes with sssd, in those of its first run."""
    study = load_spec(spec)
    found = {name: iteration_cost(load_config(run, study.seeds[0])) for name, run in study.runs.items()}
    return {name: cost / next(iter(found.values())) for name, cost in found.items()}


@pytest.mark.parametrize(
    'spec, expected',
    [
        ('configs/quickstart/study.py', dict(few=1, sed=2.6, all=1)),
        ('configs/quickstart/guided_study.py', dict(baseline=1, lgd=1.9, sssd=1.9, sssd_stepwise=1.9)),
        ('configs/camera/bccd_study.py', dict(few=1, few_strong=1, sed_weak=2.6, sed=2.6, all=1)),
        ('configs/ablations/coco_study.py', dict(few=1, sed=2.6, all=1)),
    ],
)
def test_an_iteration_costs_what_its_config_says(spec, expected):
    assert costs(spec) == pytest.approx(expected)


def test_both_distillations_cost_both():
    config = read_config('configs/quickstart/retinanet_sed_sssd.py')
    assert iteration_cost(config) / config.train_dataloader.batch_size == pytest.approx((1.9 + 1.6) / 2)


def test_more_unlabelled_images_cost_more():
    config = read_config('configs/quickstart/retinanet_sed.py')
    config.train_dataloader.sampler.source_ratio = [1, 3]
    assert iteration_cost(config) == pytest.approx(2 + 6 * 1.6)


def test_further_looks_of_the_teacher_cost_their_pixels():
    """Of three, one is Eq. 3's own."""
    config = read_config('configs/photos/retinanet_bccd_init.py')
    assert config.model.pseudo_labels.sizes == [0.75, 1.33]
    assert iteration_cost(config) == pytest.approx(4 + 4 * (1.6 + (0.75**2 + 1.33**2) / 3))


def test_a_burn_in_costs_its_labels():
    config = read_config('configs/photos/faster_rcnn_bccd_init.py')
    cost = Cost.of(config)
    assert cost == (pytest.approx(4 + 4 * 1.6), 4, 375)
    assert cost.between(0, 1000) == pytest.approx(375 * 4 + 625 * 10.4)
    assert cost.between(300, 350) == 50 * 4 and cost.between(400, 500) == pytest.approx(1040)


def test_epochs_have_no_burn_in():
    config = read_config('configs/photos/faster_rcnn_bccd_init.py')
    config.train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=12)
    assert Cost.of(config).between(0, 12) == pytest.approx(12 * 10.4)


@pytest.mark.parametrize(
    'measured, expected',
    [
        ([], 0),
        ([(1, 2.0), (2, 4.0)], 8 * 3 + 10 * 6),
        ([(10, 3.0), (11, 7.0), (12, 9.0)], 8 * 3 + 10 * 8),
        ([(12, 8.0)], 8 * 4 + 10 * 8),  # it was resumed
    ],
)
def test_the_pace_in_a_burn_in_and_after_it(measured, expected):
    pace = Pace(Cost(8.0, 4.0, 10))
    for step, seconds in measured:
        pace.add(step, seconds)
    assert pace.between(2, 20) == pytest.approx(expected) and bool(pace) == bool(measured)


def test_pseudo_labels_that_are_learnt_from_the_start_leave_no_burn_in():
    config = read_config('configs/photos/faster_rcnn_bccd_init.py')
    del config.custom_hooks[0].lambda_p
    assert Cost.of(config).burn_in == 0
    config.custom_hooks.append(dict(type='Other', burn_in=5))
    assert Cost.of(config).burn_in == 0


def test_hours_of_a_burn_in():
    """Of 10 iterations 4 are shorter, or not, where loading is what takes long; labels alone load half as much."""
    sed = Config(dict(read_config('configs/photos/faster_rcnn_bccd_init.py'), train_cfg=dict(max_iters=10)))
    sed.custom_hooks[0].burn_in = 4
    few = Config(dict(read_config('configs/photos/faster_rcnn_bccd_supervised.py'), train_cfg=dict(max_iters=10)))
    for loading, expected in ((0.0, (6 * 5.2 + 4 * 2, 10 * 2)), (26.0, (10 * 13, 10 * 5))):
        found = hours(Trial(5.2, loading, 2, 'here'), sed, dict(sed=sed, few=few))
        assert [found['sed'] * 3600, found['few'] * 3600] == pytest.approx(expected)


@pytest.mark.parametrize(
    'train_cfg, extent',
    [
        (dict(max_iters=100, val_interval=30), (100, False, 30)),
        (dict(max_iters=100), (100, False, 1000)),
        (dict(type='EpochBasedTrainLoop', max_epochs=12), (12, True, 1)),
        (None, (0, False, 1000)),
    ],
)
def test_the_extent_of_a_training(train_cfg, extent):
    assert Extent.of(dict(train_cfg=train_cfg)) == extent


def test_evaluations_to_come():
    extent = Extent(100, False, 30)
    assert [extent.evaluations(begin) for begin in (0, 29, 30, 90)] == [4, 4, 3, 1]
    assert Extent(60, False, 1000).evaluations() == 1


FEW, SED = Work('few', 100, 2), Work('sed', 260, 2)


def test_nothing_is_known_before_something_was_measured():
    forecast = Forecast()
    assert forecast.seconds(FEW) is None and forecast.left([FEW, SED], 10, None, None) is None


def test_other_runs_tell_by_their_costs_and_runs_of_the_same_name_tell_best():
    forecast = Forecast()
    forecast.learn(FEW, Taken(10, 50, 3))
    assert forecast.seconds(SED) == pytest.approx(10 + 130 + 2 * 3)
    forecast.learn(SED, Taken(20, 104, None))
    assert forecast.seconds(SED) == pytest.approx(15 + 104 + 6)
    assert forecast.seconds(FEW) == pytest.approx(15 + 50 + 6)
    assert forecast.seconds(Work('all', 180, 0)) == pytest.approx(15 + 180 * 154 / 360)
    assert forecast.seconds(Work('sed', 0, 1)) == pytest.approx(15 + 3), 'a test of what was trained'


def test_a_run_under_way_tells_of_the_rest_until_one_of_its_name_has_ended():
    forecast, taken = Forecast(), Taken(10, 80, 5)
    assert forecast.left([FEW, SED], 40, 60, taken) == pytest.approx(60 + 10 + 208 + 10)
    forecast.learn(FEW, Taken(10, 50, 5))
    assert forecast.left([FEW, FEW], 40, 60, taken) == pytest.approx(60 + 10 + 50 + 10)
    assert forecast.left([FEW], 40, None, None) == pytest.approx(70 - 40)
    assert forecast.left([FEW], 100, None, None) == 0, 'late, but not less than nothing'
    assert forecast.seconds(FEW) == pytest.approx(70), 'looking learns nothing'

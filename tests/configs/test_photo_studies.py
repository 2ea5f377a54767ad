"""The fair studies on photographs."""

import json

import pytest

from sssd.registry import HOOKS
from sssd.schedules import Progress
from sssd.studies.spec import load_config, load_spec

SETTINGS = ('train_cfg', 'param_scheduler', 'optim_wrapper', 'val_dataloader')


@pytest.fixture(params=['bccd_study', 'bccd_faster_rcnn_study'])
def spec(request):
    return load_spec(f'configs/photos/{request.param}.py')


def configs(spec, seed=2):
    return {name: load_config(run, seed) for name, run in spec.runs.items()}


def labelled(cfg):
    """The labelled data set, and how many images of it are in a step."""
    loader = cfg.train_dataloader
    first = loader.dataset.get('datasets', [loader.dataset])[0]
    ratio = loader.sampler.get('source_ratio', [1])
    return first, loader.batch_size * ratio[0] // sum(ratio)


def test_all_runs_have_the_fold_of_their_seed_and_no_image_of_the_test_part(spec):
    fold = 'data/bccd_photo_splits/train.2@3.json'
    files = {name: labelled(cfg)[0].ann_file for name, cfg in configs(spec).items()}
    assert files.pop('all') == 'data/bccd/train.json'
    assert set(files.values()) == {fold} and labelled(load_config(spec.start, 2))[0].ann_file == fold
    for name in ('pseudo', 'sed'):
        others = configs(spec)[name].train_dataloader.dataset.datasets[1]
        assert others.ann_file == fold.replace('.json', '-unlabeled.json')
    everything = json.dumps({name: cfg.to_dict() for name, cfg in configs(spec).items()}, default=str)
    assert 'data/bccd/val.json' in everything and 'test.json' not in everything


def test_labels_are_augmented_alike_and_as_many_in_a_step(spec):
    steps = {name: (labelled(cfg)[0].pipeline, labelled(cfg)[1]) for name, cfg in configs(spec).items()}
    transforms = [(pipeline[:-1], pipeline[-1].sup, images) for pipeline, images in steps.values()]
    assert all(other == transforms[0] for other in transforms[1:])
    others = [configs(spec)[name].train_dataloader.dataset.datasets[1] for name in ('pseudo', 'sed')]
    assert others[0].pipeline == others[1].pipeline


def test_schedule_detector_and_average_are_the_same(spec):
    few, *others = (cfg for name, cfg in configs(spec).items() if name != 'few_longer')
    for cfg in others:
        assert [cfg[key] for key in SETTINGS] == [few[key] for key in SETTINGS]
        assert cfg.model.detector == few.model.detector
        averages = [hook for hook in cfg.custom_hooks if 'TeacherHook' in hook.type]
        assert [
            hook.get('momentum', 1 - (hook.get('alpha') or {}).get('value', 0)) for hook in averages
        ] == pytest.approx([0.01])


def test_labels_alone_are_trained_longer_too(spec):
    few, longer = (configs(spec)[name] for name in ('few', 'few_longer'))
    times = longer.train_cfg.max_iters / few.train_cfg.max_iters
    assert times > 2 and longer.param_scheduler[1].milestones[0] == few.param_scheduler[1].milestones[0] * times
    assert labelled(longer) == labelled(few)


def test_guided_runs_differ_from_the_plain_one_by_their_guide_alone():
    spec = load_spec('configs/photos/bccd_guided_study.py')
    plain, *guided = configs(spec).values()
    assert len(guided) == 6 and 'guidance' not in plain.model
    for cfg in guided:
        assert cfg.model.detector == plain.model.detector and cfg.train_dataloader == plain.train_dataloader
        assert [cfg[key] for key in SETTINGS] == [plain[key] for key in SETTINGS]
        assert cfg.custom_hooks[1] == plain.custom_hooks[1]
        assert cfg.custom_hooks[0].lambda_s == cfg.custom_hooks[0].lambda_d == 0


@pytest.mark.parametrize('name', ['lgd', 'sssd', 'stepwise'])
def test_runs_with_parts_of_cells_differ_by_these_alone(name):
    found = configs(load_spec('configs/photos/bccd_guided_study.py'))
    whole, parts = found[name], found[f'{name}_share']
    assert parts.model.guidance.guide.pop('cells') == 'share'
    keys = ('model', 'train_dataloader', 'custom_hooks', *SETTINGS)
    assert [parts[key] for key in keys] == [whole[key] for key in keys]


@pytest.mark.parametrize('name, lambdas', [('lgd', (1, 1, 1)), ('sssd', (0, 36, 36)), ('stepwise', (0, 36, 48))])
def test_the_weight_of_the_distance_of_guided_runs(name, lambdas):
    """At the start, after the frozen part, and once the rate has fallen; LGD and SSSD both detached up to a sixth."""
    spec = load_spec('configs/photos/bccd_guided_study.py')
    cfg = load_config(spec.runs[name], 1)
    schedules = HOOKS.build(cfg.custom_hooks[0]).schedules
    at = ((0, 1.0), (200, 1.0), (700, 0.1))
    assert tuple(schedules['lambda_'](Progress(iteration, 800, lr, 1.0)) for iteration, lr in at) == lambdas
    assert [schedules['student_grad'](Progress(iteration, 800)) for iteration in (134, 135)] == [0, 1]


def test_rows_of_the_tables_differ_from_sed_in_what_they_are_named_for():
    spec = load_spec('configs/photos/bccd_tables_study.py')
    found = configs(spec)
    sed, few, held = found.pop('sed'), found.pop('few'), found.pop('sed_hold')
    assert held.custom_hooks[3] == dict(sed.custom_hooks[3], hold=True, interval=5)
    assert held.model == sed.model and held.custom_hooks[:3] == sed.custom_hooks[:3]
    assert found.pop('all').train_dataloader.dataset.ann_file == 'data/bccd/train.json'
    assert sed.model.scale_loss.reweight == sed.model.distill_loss.reweight == dict(type='Histogram')
    assert few.train_dataloader.dataset.ann_file == 'data/bccd_photo_splits/train.2@3.json' and len(found) == 11
    for name, cfg in found.items():
        losses = [cfg.model[loss].reweight.type for loss in ('scale_loss', 'distill_loss')]
        weights, average, ratios = cfg.custom_hooks[0], cfg.custom_hooks[2], cfg.custom_hooks[3]
        assert losses == [of_name(name, mean='Mean', ohem='OHEM', focal='Focal') or 'Histogram'] * 2
        assert (weights.lambda_s, weights.lambda_d) == (
            of_name(name, distill=0, scr=1) != 0,
            not name.startswith('scr'),
        )
        assert (average == sed.custom_hooks[2]) != name.startswith('alpha')
        assert (cfg.model.distill_loss.get('target') == 'hard') == (name == 'hard_targets')
        assert (cfg.train_dataloader == sed.train_dataloader) != (name == 'distill_wide_jitter')
        assert (ratios.scale, ratios.distill) == (0.25, 0.6) and cfg.model.detector == few.model.detector
        assert [cfg[key] for key in SETTINGS] == [few[key] for key in SETTINGS]


def of_name(name, **values):
    """The value of the part that is in the name; None if none is."""
    return next((value for part, value in values.items() if part in name.split('_')), None)

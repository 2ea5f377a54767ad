"""The study of a detector that meets other cameras."""

import pytest

from sssd.studies.spec import load_config, load_spec


def sources(cfg):
    """Annotation files and image folders that a run trains on, and the annotation file that it is evaluated by."""
    dataset = cfg.train_dataloader.dataset
    leaves = dataset.get('datasets', [dataset])
    trained = [(leaf.data_root + leaf.ann_file, leaf.data_root + leaf.data_prefix.img) for leaf in leaves]
    val = cfg.val_dataloader.dataset
    assert val.data_root + val.ann_file == cfg.val_evaluator.ann_file == cfg.test_evaluator.ann_file
    assert cfg.test_dataloader.dataset == val
    return trained, cfg.val_evaluator.ann_file


@pytest.fixture
def spec():
    return load_spec('configs/camera/bccd_study.py')


def test_the_start_sees_one_camera_and_the_runs_the_others(spec):
    test, folder, split = 'data/bccd_varied/test.json', 'data/bccd_varied/images/', 'data/bccd_varied_splits/train.2@12'
    assert sources(load_config(spec.start, 2)) == ([('data/bccd/val.json', 'data/bccd/images/')], test)
    configs = {run: load_config(spec.runs[run], 2) for run in spec.runs}
    assert sources(configs['few']) == ([(f'{split}.json', folder)], test)
    assert sources(configs['few_strong']) == sources(configs['few'])
    assert sources(configs['sed']) == ([(f'{split}.json', folder), (f'{split}-unlabeled.json', folder)], test)
    assert sources(configs['all']) == ([('data/bccd_varied/train.json', folder)], test)


def test_the_runs_differ_in_their_images_and_losses_alone(spec):
    few, sed, everything = (load_config(spec.runs[run], 1) for run in ('few', 'sed', 'all'))
    for key in ('train_cfg', 'param_scheduler', 'optim_wrapper', 'val_dataloader'):
        assert few[key] == sed[key] == everything[key]
    assert few.model == everything.model and few.model.detector == sed.model.detector
    labeled = [cfg.train_dataloader.batch_size for cfg in (few, everything)]
    sampler = sed.train_dataloader.sampler
    assert labeled == [sampler.batch_size * sampler.source_ratio[0] // sum(sampler.source_ratio)] * 2
    few_ema, sed_ema = ([hook for hook in cfg.custom_hooks if hook.type == 'sssd.EMATeacherHook'] for cfg in (few, sed))
    assert few_ema == sed_ema and len(few_ema) == 1


def test_sed_and_a_baseline_have_the_strong_view_on_their_labels(spec):
    few, strong, sed = (load_config(spec.runs[run], 1) for run in ('few', 'few_strong', 'sed'))
    pipelines = [cfg.train_dataloader.dataset.pipeline for cfg in (few, strong)]
    assert pipelines[0][:-1] == pipelines[1][:-1] and pipelines[0][-1].branch_field == pipelines[1][-1].branch_field
    assert pipelines[1][-1].sup == sed.train_dataloader.dataset.datasets[1].pipeline[-1].unsup_student
    assert sed.train_dataloader.dataset.datasets[0].pipeline[-1].sup == pipelines[1][-1].sup
    few.train_dataloader.dataset.pipeline = pipelines[1]
    assert few.train_dataloader == strong.train_dataloader


def test_sed_has_a_twin_whose_labels_are_augmented_as_those_of_the_baseline(spec):
    few, weak, sed = (load_config(spec.runs[run], 1) for run in ('few', 'sed_weak', 'sed'))
    (ours, others), (theirs, same) = (cfg.train_dataloader.dataset.datasets for cfg in (weak, sed))
    assert ours.pipeline[:-1] == few.train_dataloader.dataset.pipeline[:-1]
    assert ours.pipeline[-1].sup == few.train_dataloader.dataset.pipeline[-1].sup != theirs.pipeline[-1].sup
    assert others == same
    theirs.pipeline = ours.pipeline
    for key in ('model', 'custom_hooks', 'train_dataloader', 'train_cfg', 'param_scheduler'):
        assert weak[key] == sed[key], key


def test_trainings_end_with_their_schedule(spec):
    for run in (spec.start, *spec.runs.values()):
        cfg = load_config(run, 1)
        (warm_up, fall), total = cfg.param_scheduler, cfg.train_cfg.max_iters
        assert fall.end == total and fall.milestones == [2 * total // 3] and warm_up.end < fall.milestones[0]
        assert total % cfg.train_cfg.val_interval == 0

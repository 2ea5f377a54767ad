"""The study of sizes that no label shows."""

import pytest

from sssd.studies.spec import load_config, load_spec


@pytest.fixture
def spec():
    return load_spec('configs/sizes/toy_study.py')


def test_all_trainings_and_tests_use_the_data_that_the_study_makes(spec):
    root, files = spec.data['root'] + '/', {'few': 'labeled.json', 'all': 'train.json'}
    for name, run in [('few', spec.start), *spec.runs.items()]:
        cfg = load_config(run, 1)
        train, val = cfg.train_dataloader.dataset, cfg.val_dataloader.dataset
        leaves = train.get('datasets', [train])
        assert {leaf.data_root for leaf in leaves} == {val.data_root} == {root}
        assert [leaf.ann_file for leaf in leaves] == (
            ['labeled.json', 'unlabeled.json'] if 'sed' in name else [files[name.removesuffix('_jitter')]]
        )
        assert cfg.val_evaluator.ann_file == cfg.test_evaluator.ann_file == root + val.ann_file
        assert cfg.test_dataloader.dataset == val


def test_runs_share_schedule_average_and_labels_a_batch(spec):
    few, *others = (load_config(run, 1) for run in spec.runs.values())
    for cfg in others:
        for key in ('train_cfg', 'param_scheduler', 'optim_wrapper', 'val_dataloader'):
            assert cfg[key] == few[key], key
        assert cfg.model.detector == few.model.detector
        assert [hook for hook in cfg.custom_hooks if hook.type == 'sssd.EMATeacherHook'] == few.custom_hooks[-1:]
    batches = set()
    for run in spec.runs.values():
        loader = load_config(run, 1).train_dataloader
        ratio = loader.sampler.get('source_ratio', [1])
        batches.add(loader.batch_size * ratio[0] // sum(ratio))
    assert len(batches) == 1


@pytest.mark.parametrize('name', ['few', 'sed', 'all'])
def test_the_jitter_shows_small_objects_as_large_as_the_others_and_changes_nothing_else(spec, name):
    plain, wide = (load_config(spec.runs[run], 1) for run in (name, f'{name}_jitter'))
    before, after = (
        cfg.train_dataloader.dataset.get('datasets', [cfg.train_dataloader.dataset])[0] for cfg in (plain, wide)
    )
    changed = [pair for pair in zip(before.pipeline, after.pipeline, strict=True) if pair[0] != pair[1]]
    assert [step.type for step, _ in changed] == ['RandomResize']
    assert changed[0][1].ratio_range[1] * spec.data['labeled_below'] >= 0.75
    before.pipeline = after.pipeline
    for key in ('model', 'custom_hooks', 'train_dataloader'):
        assert plain[key] == wide[key], key


def test_the_learning_rate_falls_after_the_start(spec):
    for run in (spec.start, *spec.runs.values()):
        cfg = load_config(run, 1)
        (warm_up, fall), total = cfg.param_scheduler, cfg.train_cfg.max_iters
        assert fall.end == total and total % cfg.train_cfg.val_interval == 0
        assert fall.milestones == [total if run is spec.start else 2 * total // 3]
        assert warm_up.end < fall.milestones[0]

"""A table of ablations is a study over a data set's own base."""

from pathlib import Path

import pytest

from sssd.errors import UserError
from sssd.studies.ablation import Budget, load_table
from sssd.studies.spec import load_config


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    """An empty present folder: tables, rows and data sets come with the package."""
    monkeypatch.chdir(tmp_path)


def test_rows_are_over_the_base_of_the_data_set_and_share_its_start():
    table = load_table('table9', 'bccd')
    study = table.study
    assert study.name == 'ablation_table9_bccd' and table.shared == 'bccd'
    assert list(study.runs) == ['alpha_cosine', 'sed', 'alpha_constant']
    assert study.start.config == 'configs/bccd/retinanet_supervised.py' and study.data['type'] == 'splits'
    run = study.runs['alpha_constant']
    assert run.config == 'configs/ablations/alpha_constant.py'
    assert run.env == {'SED_BASE': 'configs/ablations/bccd_sed.py'}
    config = load_config(run, 3)
    assert config.model.detector.bbox_head.num_classes == 3 and config.custom_hooks[2].alpha == 0.95
    assert config.train_dataloader.dataset.datasets[0].ann_file == 'data/bccd_splits/trainval.3@5.json'
    assert study.runs['sed'].config == 'configs/ablations/bccd_sed.py' and not study.runs['sed'].env


def test_the_baseline_is_that_of_the_data_set():
    runs = load_table('table4', 'coco').study.runs
    assert load_config(runs['few'], 2).optim_wrapper.optimizer.lr == 0.02
    assert runs['few'].env == {'FOLD': '{seed}'}
    config = load_config(runs['hard_targets'], 2)
    assert config.train_dataloader.dataset.datasets[0].ann_file.endswith('.2@10.json')
    assert config.model.distill_loss.target == 'hard' and config.model.detector.type == 'FasterRCNN'


def test_a_budget_shortens_the_schedule_in_proportion():
    study = load_table('table10', 'toy', Budget(iters=300, start_iters=7, amp=True, options={'a.b': 1})).study
    config = load_config(study.runs['reweight_focal'], 0)
    assert config.train_cfg.max_iters == config.train_cfg.val_interval == 300
    warm_up, fall = config.param_scheduler
    assert (warm_up.end, fall.milestones, fall.end) == (20, [200], 300)
    assert load_config(study.start, 0).train_cfg.max_iters == 7
    assert all(
        run.cfg_options['optim_wrapper.type'] == 'sssd.BFloat16OptimWrapper' and run.cfg_options['a.b'] == 1
        for run in [*study.runs.values(), study.start]
    )


def test_a_tiny_budget_keeps_a_warm_up_that_ends():
    config = load_config(load_table('table9', 'toy', Budget(iters=2)).study.runs['sed'], 0)
    assert config.param_scheduler[0].end == 2 and config.train_cfg.max_iters == 2


def test_without_a_budget_the_configs_say_how_long():
    study = load_table('table9', 'toy').study
    assert study.runs['sed'].cfg_options == {} and study.start.cfg_options['train_cfg.max_iters'] == 400


def test_a_rate_that_the_pyramid_cannot_hold_is_skipped_with_the_reason():
    table = load_table('table8', 'toy')
    skipped = {row.run: row.skipped for row in table.rows}
    assert [run for run, reason in skipped.items() if reason] == ['rate16']
    assert 'no level of bbox_head has a partner' in skipped['rate16']
    assert list(table.study.runs) == table.select(None) == ['distill', 'sed', 'rate4', 'rate8']
    assert table.select(['rate16', 'rate4']) == ['rate4']
    assert table.described()['rows'][-1]['published'] == 21.1


def test_coco_s_pyramid_holds_every_rate():
    table = load_table('table8', 'coco')
    assert not any(row.skipped for row in table.rows) and table.shared == 'coco_r18'
    assert load_config(table.study.runs['rate16'], 1).model.detector.backbone.depth == 18


@pytest.mark.parametrize(
    'name, data, match',
    [
        ('table5', 'toy', "no table of ablations 'table5'; there are table4, table6, table7, table8, table9, table10"),
        ('table4', 'voc', "no data set for ablations 'voc'; there are toy, bccd, coco"),
        ('table4', 'mine.py', r'mine\.py does not exist'),
    ],
)
def test_unknown_names(name, data, match):
    with pytest.raises(UserError, match=match) as caught:
        load_table(name, data)
    assert '\n' not in str(caught.value)


def test_a_row_that_a_table_does_not_have():
    with pytest.raises(UserError, match="Table 9.* has no row 'scr'; its rows are alpha_cosine, sed, alpha_constant"):
        load_table('table9', 'toy').select(['sed', 'scr'])


def test_a_data_set_without_a_base():
    Path('mine.py').write_text("name = 'mine'\nruns = dict(few=dict(config='configs/ablations/toy_supervised.py'))\n")
    with pytest.raises(UserError, match=r"mine\.py has no run 'sed'"):
        load_table('table9', 'mine.py')


@pytest.mark.parametrize('options', [dict(iters=0), dict(start_iters=-1)])
def test_a_budget_of_nothing(options):
    with pytest.raises(UserError, match='at least one iteration'):
        Budget(**options)


def test_table_7_tests_every_run_at_three_sizes_and_their_ensemble():
    table = load_table('table7', 'toy')
    assert list(table.study.runs) == ['few', 'all', 'sed']
    assert table.study.runs['all'].config == 'configs/ablations/toy_all.py'
    assert [(trial.name, trial.parts) for trial in table.trials] == [
        ('480', (0.6,)),
        ('800', (1.0,)),
        ('1200', (1.5,)),
        ('ensemble', (0.6, 1.0, 1.5)),
    ]
    assert not load_table('table9', 'toy').trials


@pytest.mark.parametrize(
    'data, scales', [('toy', [(115, 115), (192, 192), (288, 288)]), ('coco', [(800, 480), (1333, 800), (2000, 1200)])]
)
def test_sizes_are_parts_of_the_data_set_s_own(data, scales):
    table = load_table('table7', data)
    *single, ensemble = [trial.config_of(load_config(table.study.runs['few'], 1)) for trial in table.trials]
    assert [cfg.test_dataloader.dataset.pipeline[1].scale for cfg in single] == scales
    load, views = ensemble.tta_pipeline
    sizes, flips, *rest = views.transforms
    assert [step.scale for step in sizes] == scales and load.type == 'LoadImageFromFile'
    if data == 'coco':  # what --tta does with the config itself
        own = load_config(table.study.runs['few'], 1)
        assert own.tta_pipeline[1].transforms == [sizes, flips, *rest] and own.tta_model == ensemble.tta_model
        assert own.test_dataloader == ensemble.test_dataloader


def test_options_by_hand_reach_every_test():
    scale = {'test_dataloader.dataset.pipeline.1.scale': (100, 100)}
    table = load_table('table7', 'toy', Budget(options=scale))
    *single, ensemble = [trial.config_of(load_config(table.study.runs['sed'], 0)) for trial in table.trials]
    assert [cfg.test_dataloader.dataset.pipeline[1].scale for cfg in single] == [(60, 60), (100, 100), (150, 150)]
    assert [step.scale for step in ensemble.tta_pipeline[1].transforms[0]] == [(60, 60), (100, 100), (150, 150)]


def test_without_a_run_on_all_labels_its_row_is_skipped():
    Path('mine.py').write_text(
        "name = 'mine'\nruns = dict(few=dict(config='configs/ablations/toy_supervised.py'), "
        "sed=dict(config='configs/ablations/toy_sed.py'))\n"
    )
    table = load_table('table7', 'mine.py')
    assert [row.skipped for row in table.rows] == ['', "mine.py has no run 'all'.", '']
    assert list(table.study.runs) == table.select(None) == ['few', 'sed']


def test_images_that_are_not_resized_at_test():
    Path('sed.py').write_text("_base_ = 'ablations/toy_sed.py'\ntest_dataloader = dict(dataset=dict(pipeline=[]))\n")
    Path('mine.py').write_text("name = 'mine'\nruns = dict(few=dict(config='sed.py'), sed=dict(config='sed.py'))\n")
    with pytest.raises(UserError, match=r'sed\.py does not resize its test images to a width and a height: add a step'):
        load_table('table7', 'mine.py')


def test_a_base_that_cannot_pair_is_a_row_that_is_skipped():
    Path('sed.py').write_text(
        "_base_ = 'ablations/toy_sed.py'\ncustom_hooks = [dict(type='sssd.LambdaScheduleHook'), "
        "dict(type='sssd.ScaleDrawHook', max_shift=4), dict(type='sssd.EMATeacherHook')]\n"
    )
    Path('mine.py').write_text(
        "name = 'mine'\nruns = dict(few=dict(config='configs/ablations/toy_supervised.py'), "
        "sed=dict(config='sed.py'))\n"
    )
    table = load_table('table9', 'mine.py')
    assert all('no level of bbox_head has a partner' in row.skipped for row in table.rows) and not table.study.runs

"""The recipe for other GPUs: one rule, its options, its refusals."""

import copy
import re

import pytest
from config_files import read
from mmengine.config import Config

from sssd.cli import recipe as command
from sssd.cli._config import options_of
from sssd.errors import UserError
from sssd.hardware.memory import Memory, estimate
from sssd.hardware.recipe import make_recipe

SED, SSSD = 'sed/faster-rcnn_r50_fpn_sed_180k_coco-10p.py', 'sssd/faster-rcnn_r50_sssd_stepwise.py'


def memory(unit, images):
    """Activations of the smallest batch alone, beside the constant one GiB."""
    return Memory(weights=0.0, gradients=0.0, optimizer=0.0, unit=unit, unit_images=images, size=(800, 1344))


def applied(name, recipe):
    """The config after ``--cfg-options`` with all options, read as the command line reads them."""
    options = [f'{key}={value}'.replace('"', '') for key, value in recipe.options.items()]
    cfg = Config(copy.deepcopy(read(name)._cfg_dict))
    cfg.merge_from_dict(options_of(options))
    return cfg


def test_the_paper_s_gpus_need_no_change():
    for name, images in ((SED, 2), (SSSD, 1)):
        assert make_recipe(read(name), memory(1.0, images), 8, 80).options == {}


def test_fewer_gpus_train_longer_with_a_lower_rate():
    recipe = make_recipe(read(SED), memory(4.0, 2), 2, 11)
    assert (recipe.batch, recipe.accumulate, recipe.total, recipe.lr) == (4, 1, 8, 0.0025)
    cfg = applied(SED, recipe)
    assert cfg.optim_wrapper.optimizer.lr == 0.0025 and cfg.train_dataloader.batch_size == 4
    assert (cfg.train_cfg.max_iters, cfg.train_cfg.val_interval) == (720000, 40000)
    assert cfg.default_hooks.checkpoint.interval == 40000
    assert [scheduler.end for scheduler in cfg.param_scheduler] == [4000, 720000]
    assert cfg.param_scheduler[1].milestones == [480000, 640000]
    alpha = cfg.custom_hooks[2].alpha
    assert alpha.start**4 == pytest.approx(0.99, abs=1e-5) and alpha.end**4 == pytest.approx(0.9, abs=1e-5)
    assert cfg.custom_hooks[0] == read(SED).custom_hooks[0], 'lambdas have no iterations in them'


def test_a_rate_that_a_training_would_scale_by_itself_is_not_scaled_twice():
    cfg = Config(copy.deepcopy(read(SED)._cfg_dict))
    cfg.auto_scale_lr.enable = True
    recipe = make_recipe(cfg, memory(4.0, 2), 2, 11)
    assert recipe.options['auto_scale_lr.enable'] == 'False' and recipe.lr == 0.0025
    assert 'auto_scale_lr.enable' not in make_recipe(read(SED), memory(4.0, 2), 2, 11).options


def test_larger_gpus_take_larger_batches_up_to_the_paper_s_total():
    recipe = make_recipe(read(SED), memory(1.0, 2), 2, 80)
    assert (recipe.batch, recipe.total, recipe.lr, recipe.iterations) == (16, 32, 0.01, 180000)
    cfg = applied(SED, recipe)
    assert cfg.train_dataloader.batch_size == cfg.train_dataloader.sampler.batch_size == 16
    assert set(recipe.options) == {'train_dataloader.batch_size', 'train_dataloader.sampler.batch_size'}


def test_what_does_not_fit_is_accumulated_and_counted_in_iterations():
    recipe = make_recipe(read(SED), memory(8.0, 2), 8, 11)
    assert (recipe.batch, recipe.accumulate, recipe.total, recipe.lr) == (2, 2, 32, 0.01)
    cfg = applied(SED, recipe)
    assert cfg.optim_wrapper.accumulative_counts == 2 and cfg.optim_wrapper.optimizer.lr == 0.01
    assert cfg.train_cfg.max_iters == 360000 and cfg.custom_hooks[2].alpha == read(SED).custom_hooks[2].alpha


def test_iterations_in_hooks_go_along_and_values_do_not():
    cfg, before = applied(SSSD, make_recipe(read(SSSD), memory(4.0, 1), 4, 11)), read(SSSD)
    assert (cfg.custom_hooks[0].lambda_.begin, cfg.custom_hooks[0].student_grad.begin) == (40000, 60000)
    assert cfg.custom_hooks[1].until == 40000
    assert cfg.custom_hooks[0].lambda_.after == before.custom_hooks[0].lambda_.after


def test_schedules_of_other_kinds_go_along():
    cfg = Config(copy.deepcopy(read(SED)._cfg_dict))
    cfg.param_scheduler = [
        dict(type='StepLR', step_size=1000, by_epoch=False),
        dict(type='CosineRestartLR', periods=[100, 200], restart_weights=[1, 0.5], eta_min=0.001, by_epoch=False),
        dict(type='OneCycleLR', total_steps=3000, eta_max=0.1, by_epoch=False),
    ]
    options = make_recipe(cfg, memory(4.0, 2), 2, 11).options
    assert {key: value for key, value in options.items() if key.startswith('param_scheduler')} == {
        'param_scheduler.0.step_size': '4000',
        'param_scheduler.1.periods': '"[400,800]"',
        'param_scheduler.1.eta_min': '0.00025',
        'param_scheduler.2.total_steps': '12000',
        'param_scheduler.2.eta_max': '0.025',
    }


def test_a_config_that_accumulates_trains_on_as_many_images():
    """Its iterations are passes: four of them are a step."""
    cfg = Config(copy.deepcopy(read(SED)._cfg_dict))
    cfg.optim_wrapper.accumulative_counts = 4
    cfg.auto_scale_lr.base_batch_size = 16  # of one GPU
    assert make_recipe(cfg, memory(4.0, 2), 1, 11).options == {}
    recipe = make_recipe(cfg, memory(1.0, 2), 1, 80)
    assert (recipe.batch, recipe.accumulate, recipe.total, recipe.iterations) == (16, 1, 16, 45000)


def test_more_gpus_than_the_paper_s():
    recipe = make_recipe(read(SED), memory(1.0, 2), 16, 80)
    assert (recipe.batch, recipe.total, recipe.lr, recipe.iterations) == (4, 64, 0.02, 90000)


def test_a_warm_up_of_one_iteration_would_never_end():
    """MMEngine's counts the steps between its first and its last, and would hold the rate at its start."""
    cfg = Config(copy.deepcopy(read(SED)._cfg_dict))
    cfg.param_scheduler[0].end = 2
    options = make_recipe(cfg, memory(1.0, 2), 16, 80).options
    assert 'param_scheduler.0.end' not in options and options['param_scheduler.1.end'] == '90000'


def test_what_no_gpu_holds_is_refused():
    with pytest.raises(UserError, match='11 GB do not hold a batch of 2, which needs 13.0 GiB'):
        make_recipe(read(SED), memory(12.0, 2), 8, 11)


def test_a_training_counted_in_epochs_is_refused():
    cfg = copy.deepcopy(read(SED))
    cfg.train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=12)
    with pytest.raises(UserError, match='counts its training in epochs.*max_iters'):
        make_recipe(cfg, memory(1.0, 2), 8, 80)
    with pytest.raises(UserError, match='counts its training in epochs.*max_iters'):
        command.table('config.py', cfg, memory(1.0, 2), (8,), (80,))


def test_a_table_says_which_gpus_are_too_small():
    small, large = command.table('config.py', read(SED), memory(12.0, 2), (8,), (11, 24)).rows
    assert small[2] == 'does not fit' and large[2] == '2'


@pytest.mark.parametrize('missing', ['optim_wrapper', 'train_dataloader'])
def test_a_config_that_does_not_train_is_refused(missing):
    settings = copy.deepcopy(read(SED)._cfg_dict)
    settings.pop(missing)
    with pytest.raises(UserError, match='does not train: a recipe needs'):
        estimate(Config(settings))


def test_an_optimizer_without_a_rate_is_refused():
    cfg = Config(copy.deepcopy(read(SED)._cfg_dict))
    cfg.optim_wrapper.optimizer.pop('lr')
    with pytest.raises(UserError, match='names no learning rate'):
        make_recipe(cfg, memory(1.0, 2), 8, 80)


def test_a_config_without_its_total_batch_is_refused():
    settings = copy.deepcopy(read(SED)._cfg_dict)
    settings.pop('auto_scale_lr')
    with pytest.raises(UserError, match='auto_scale_lr=dict'):
        make_recipe(Config(settings), memory(1.0, 2), 8, 80)


def test_the_command_prints_what_to_run(repo_root, capsys, monkeypatch, tmp_path):
    config = str(repo_root / 'configs/quickstart/retinanet_sed.py')
    assert command.main([config, '--gpus', '2', '--memory', '11']) == 0
    last = capsys.readouterr().out.strip().splitlines()[-1]
    assert last.startswith(f'tools/dist_train.sh {config} 2 --cfg-options ')
    monkeypatch.chdir(tmp_path)
    assert command.main([config, '--gpus', '2', '--memory', '11']) == 0
    outside = capsys.readouterr().out.strip().splitlines()[-1]
    assert outside.startswith(f'torchrun --nproc_per_node 2 -m sssd train {config} --launcher pytorch --cfg-options ')
    assert 'optim_wrapper.optimizer.lr=0.002' in last and 'train_cfg.max_iters=750' in last


def test_the_command_prints_a_table(repo_root, capsys):
    assert command.main([str(repo_root / 'configs/quickstart/retinanet_sssd.py'), '--markdown', '--gpus', '1']) == 0
    rows = [line for line in capsys.readouterr().out.splitlines() if line.startswith('| 1 |')]
    assert [row.split('|')[2].strip() for row in rows] == ['11', '24', '80']


def test_the_command_prints_the_memory_of_several_configs(repo_root, capsys):
    configs = [str(repo_root / f'configs/quickstart/retinanet_{name}.py') for name in ('baseline', 'sssd')]
    assert command.main([*configs, '--markdown', '--gpus', '1']) == 0
    rows = [
        [cell.strip() for cell in line.split('|')[1:-1]]
        for line in capsys.readouterr().out.splitlines()
        if line.startswith('| /')
    ]
    assert [row[0] for row in rows] == [config.removesuffix('.py') for config in configs]
    plain, guided = ([float(cell) for cell in row[1:]] for row in rows)
    assert plain[0] < guided[0] and plain[1] < guided[1], 'the guide has weights of its own'
    assert all(1 < row[5] < 2 and row[3] == 1 for row in (plain, guided))


def test_the_same_model_is_counted_once(repo_root, monkeypatch, capsys):
    counted = []
    monkeypatch.setattr(command, 'estimate', lambda cfg: counted.append(cfg) or memory(1.0 + len(counted), 1))
    names = ['retinanet_r50_sssd', 'retinanet_r50_lgd', 'retinanet_r50_sssd', 'retinanet_r101_sssd']
    assert command.main([*(str(repo_root / f'configs/sssd/{name}.py') for name in names), '--markdown']) == 0
    assert len(counted) == 3
    shown = [line.split('|')[6].strip() for line in capsys.readouterr().out.splitlines() if line.startswith('| /')]
    assert shown == ['2.0', '3.0', '2.0', '4.0']


def test_the_documentation_has_the_memory_of_every_config(repo_root):
    table = (repo_root / 'docs/distributed.md').read_text().partition('\n## Memory\n')[2]
    rows = re.findall(r'^\| (configs/\S+) \|(?: *\d+(?:\.\d+)? \|){6}$', table, flags=re.M)
    configs = [
        path.relative_to(repo_root).with_suffix('').as_posix()
        for folder in ('sed', 'sssd')
        for path in sorted((repo_root / 'configs' / folder).glob('*.py'))
    ]
    assert rows == configs and len(rows) > 50


def test_a_size_of_gpus_for_several_configs_is_refused():
    with pytest.raises(UserError, match='--memory 11 is for one config and 2 are given'):
        command.main(['any.py', 'other.py', '--memory', '11'])


def test_a_config_without_a_model_is_refused(repo_root):
    with pytest.raises(UserError, match='quickstart/study.py has no model'):
        command.main([str(repo_root / 'configs/quickstart/study.py')])


@pytest.mark.parametrize('argument', ['--gpus', '--memory'])
def test_senseless_numbers_are_refused(argument):
    with pytest.raises(UserError, match=f'{argument} -1.* has to be above 0'):
        command.main(['any.py', argument, '-1'])

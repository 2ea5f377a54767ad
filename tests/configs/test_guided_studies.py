"""The comparisons of LGD and SSSD on small data: what is compared differs in nothing else."""

import pytest
from mmengine.registry import HOOKS

from sssd.schedules import Progress
from sssd.studies.spec import load_config, load_spec

SPECS = ('configs/quickstart/guided_study.py', 'configs/bccd/guided_study.py')
SHARED = ('train_cfg', 'param_scheduler', 'optim_wrapper', 'train_dataloader', 'val_dataloader', 'val_evaluator')


@pytest.fixture(params=SPECS)
def study(request, repo_root, monkeypatch):
    """A study and, by name, the configs of its runs with seed 0."""
    monkeypatch.chdir(repo_root)
    spec = load_spec(request.param)
    return spec, {run.name: load_config(run, 0) for run in spec.runs.values()}


def test_what_is_compared(study):
    spec, configs = study
    assert list(spec.runs) == ['baseline', 'lgd', 'sssd', 'sssd_stepwise'] and len(spec.seeds) == 3
    assert spec.start is None
    first = configs['baseline']
    for key in SHARED:
        assert all(config[key] == first[key] for config in configs.values()), key
    guided = [config.model for name, config in configs.items() if name != 'baseline']
    assert all(model.detector == first.model for model in guided)
    assert all(model.guide == guided[0].guide for model in guided)
    assert [model.distance.kind for model in guided] == ['mse', 'js', 'js']


def test_stepwise_switches_lambda_at_the_milestone_alone(study):
    _, configs = study
    (milestone,) = configs['baseline'].param_scheduler[-1].milestones
    total = configs['baseline'].train_cfg.max_iters
    assert milestone == 2 * total // 3
    schedules = [HOOKS.build(configs[name].custom_hooks[0]).schedules['lambda_'] for name in ('sssd', 'sssd_stepwise')]
    steps = [Progress(iteration, total, 1.0 if iteration < milestone else 0.1, 1.0) for iteration in range(total)]
    fixed, stepwise = ([schedule(step) for step in steps] for schedule in schedules)
    assert fixed[:milestone] == stepwise[:milestone]
    assert set(fixed[milestone:]) == {75} and set(stepwise[milestone:]) == {100}


def test_all_labels(study):
    spec, configs = study
    assert configs['baseline'].train_dataloader.dataset.ann_file.endswith(('train.json', 'trainval.json'))
    assert 'indices' not in configs['baseline'].train_dataloader.dataset
    assert spec.data is None or spec.data['type'] == 'toy'


@pytest.mark.parametrize('path', SPECS)
def test_the_quick_budget_reaches_every_run(path, repo_root, monkeypatch):
    """No detection is thrown away, or two iterations would end without an evaluation."""
    monkeypatch.chdir(repo_root)
    for run in load_spec(path, quick=True).runs.values():
        config = load_config(run, 0)
        assert config.train_cfg.max_iters == config.train_cfg.val_interval == 2
        assert config.model.get('detector', config.model).test_cfg.score_thr == 0

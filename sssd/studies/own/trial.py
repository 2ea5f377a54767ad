"""A few training steps of a config, as a proof that it trains and as a measure of how long that takes."""

import copy
import time
from dataclasses import dataclass, replace
from itertools import islice
from statistics import mean

import torch
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmengine.registry import init_default_scope
from mmengine.runner import Runner

from sssd.checks.weights import named_weights
from sssd.registry import MODELS
from sssd.silence import silence
from sssd.studies.cost import Cost

#: Steps that are timed, after one that is not.
STEPS = 2
#: Seconds of a step after which no other is tried.
LONG = 30.0


@dataclass(frozen=True)
class Trial:
    """What the timed steps took.

    Attributes:
        step: Seconds of a step.
        loading: Seconds in which one process loads the images of a step.
        workers: Processes that load in the training.
        where: What it ran on.
    """

    step: float
    loading: float
    workers: int
    where: str

    def times(self, factor: float) -> 'Trial':
        """What it would have been with so many times the pixels."""
        return replace(self, step=self.step * factor, loading=self.loading * factor)

    def seconds(self, iters: int) -> float:
        """Seconds of so many iterations: workers load while others train, unless they are the slower ones."""
        return iters * max(self.step, self.loading / max(self.workers, 1))


@silence()
def try_steps(config: Config) -> Trial:
    """Train for a few steps from random weights, and write nothing; all but the first of them are timed.

    Args:
        config: A config of SED; it is left as it is.
    """
    config = copy.deepcopy(config)
    init_default_scope('mmdet')
    device = torch.device('cuda' if torch.cuda.is_available() else 'cpu')
    for weights in named_weights(config):
        if weights.option:
            config.merge_from_dict({weights.option.partition('=')[0]: None})
    loader = dict(config.train_dataloader, num_workers=0, persistent_workers=False)
    workers = config.train_dataloader.get('num_workers', 0)
    model = MODELS.build(config.model)
    model.init_weights()
    model.to(device).train()
    wrapper = build_optim_wrapper(model, config.optim_wrapper)
    spent, loading, last = [], [], time.perf_counter()
    for batch in islice(iter(Runner.build_dataloader(loader, seed=0)), STEPS + 1):
        begin = time.perf_counter()
        model.train_step(batch, wrapper)
        if device.type == 'cuda':
            torch.cuda.synchronize()
        end = time.perf_counter()
        loading.append(begin - last)
        spent.append(end - begin)
        last = end
        if end - begin > LONG:  # of such steps the first is as good as the others
            break
    where = torch.cuda.get_device_name() if device.type == 'cuda' else 'the CPU'
    return Trial(mean(spent[1:] or spent), mean(loading[1:] or loading), workers, where)


def shrunk(config: Config, side: int = 4) -> tuple[Config, float]:
    """The same with sides of 1/``side`` and one labelled and one unlabelled image a step, and how much less that is."""
    config = copy.deepcopy(config)
    loader = config.train_dataloader
    factor = side**2 * loader.batch_size / 2
    loader.batch_size = loader.sampler.batch_size = 2
    for dataset in loader.dataset.datasets:
        for step in dataset.pipeline:
            if step['type'] == 'RandomResize':
                sizes = step['scale'] if isinstance(step['scale'], list) else [step['scale']]
                step['scale'] = [tuple(length // side for length in size) for size in sizes]
    return config, factor


def hours(trial: Trial, measured: Config, others: dict[str, Config]) -> dict[str, float]:
    """Hours of trainings: by the steps that were tried, and what the iterations of each cost beside these.

    In a burn-in steps are shorter, while as many images are loaded.

    Args:
        trial: What the steps of ``measured`` took.
        measured: Its config.
        others: Configs by name.
    """
    tried, found = Cost.of(measured).iteration, {}
    for name, config in others.items():
        cost = Cost.of(config)
        early, late = cost.parts(0, config.train_cfg.max_iters)
        full = trial.times(cost.iteration / tried)
        alone = replace(full, step=trial.step * cost.labels_alone / tried)
        found[name] = (alone.seconds(early) + full.seconds(late)) / 3600
    return found

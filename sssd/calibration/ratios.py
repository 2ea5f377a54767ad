"""Weights of losses by their gradients: how hard each branch pulls, and the lambda that pulls as hard as wanted."""

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from statistics import mean, pstdev

from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.runner import Runner

from sssd.calibration.measure import Enough, calibration_config, run_with
from sssd.calibration.override import is_hook
from sssd.calibration.plan import WEIGHTS
from sssd.calibration.search import rounded
from sssd.errors import UserError
from sssd.hooks.ema_teacher import unwrap


@dataclass(frozen=True)
class BranchRatio:
    """What was measured of one branch; means over batches.

    Attributes:
        branch: Its name.
        weight: The lambda with which it was measured.
        supervised: Norm of the supervised loss's gradient.
        norm: Norm of the branch's.
        ratio: ``norm / supervised``.
        spread: Standard deviation of the ratios of single batches.
        cosine: Between both gradients.
    """

    branch: str
    weight: float
    supervised: float
    norm: float
    ratio: float
    spread: float
    cosine: float

    def weight_for(self, wanted: float) -> float:
        """The lambda whose ratio is the wanted one: a gradient is linear in its lambda."""
        return rounded(self.weight * wanted / self.ratio)


class GradientMeter(Hook):
    """Trains by labels alone for some iterations, then measures gradients over some batches, which move nothing.

    Args:
        weights: The model's weights while it measures. Until then they are 0, but for ``lambda_``, whose distance then
            trains its adapter alone.
        start: Iterations before.
        batches: Batches that are measured.
        tell: Called with the number of iterations done, after each.
    """

    priority = 'VERY_LOW'  # after the hooks that set the same attributes

    def __init__(
        self, weights: Mapping[str, float], start: int, batches: int, tell: Callable[[int], None] = lambda done: None
    ) -> None:
        self.weights, self.start, self.batches, self.tell = dict(weights), start, batches, tell
        self.norms: list[dict[str, float]] = []
        self.cosines: list[dict[str, float]] = []

    def before_train(self, runner) -> None:
        """Refuse a model without the weights, and a training that is too short."""
        model, needed = unwrap(runner.model), self.start + self.batches
        for name in self.weights:
            if not (hasattr(model, 'measure_gradients') and hasattr(model, name)):
                raise UserError(
                    f'the model of the config is {type(model).__name__}, which has no weight {name} to calibrate by '
                    'gradients: give a config with sssd.SED or sssd.GuidedDetector.'
                )
        if runner.max_iters < needed:
            raise UserError(
                f'--start-iterations {self.start} and --batches {self.batches} are {needed} iterations, but the '
                f'training of the config has only {runner.max_iters}: give fewer.'
            )

    def before_train_iter(self, runner, batch_idx, data_batch=None) -> None:
        """Set all weights; while measuring, let no update happen."""
        model, measuring = unwrap(runner.model), runner.iter >= self.start
        for name, value in self.weights.items():
            setattr(model, name, value if measuring or name == 'lambda_' else 0.0)
        if 'lambda_' in self.weights:
            model.student_grad = float(measuring)
        model.measure_gradients, model.gradient_norms = False, None
        if measuring:
            model.begin_measuring(runner.optim_wrapper)
            runner.optim_wrapper.update_params = lambda *args, **kwargs: None

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs: dict | None = None) -> None:
        """Keep what was measured.

        Raises:
            Enough: After the last batch.
            UserError: If the loss is not finite, or nothing could be measured.
        """
        model, done = unwrap(runner.model), runner.iter + 1
        if not math.isfinite(float(outputs['loss'].detach())):
            raise UserError(f'the loss is not finite after {done} iterations: lower the learning rate.')
        if model.measure_gradients:
            if model.gradient_norms is None:
                raise UserError(
                    'the gradients cannot be measured: no parameter of the neck or, without one, of the last part of '
                    'the backbone trains, or they are not finite; look at the config, or try another precision.'
                )
            self.norms.append({name: float(value) for name, value in model.gradient_norms.items()})
            self.cosines.append({name: float(value) for name, value in model.gradient_cosines.items()})
        self.tell(done)
        if done >= self.start + self.batches:
            raise Enough

    def ratios(self) -> list[BranchRatio]:
        """The measured branches.

        Raises:
            UserError: If the labels or a branch have no gradient.
        """
        supervised, found = mean(row['sup'] for row in self.norms), []
        for branch in self.cosines[0]:
            norm = mean(row[branch] for row in self.norms)
            if not (norm > 0 and supervised > 0):
                raise UserError(
                    f'{"the branch " + branch if supervised > 0 else "the supervised loss"} has no gradient over '
                    f'{len(self.norms)} batches: check the data, or give more --start-iterations or --batches.'
                )
            single = [row[branch] / row['sup'] for row in self.norms if row['sup'] > 0]
            cosine = mean(row[branch] for row in self.cosines)
            weight = self.weights[WEIGHTS[branch]]
            found.append(BranchRatio(branch, weight, supervised, norm, norm / supervised, pstdev(single), cosine))
        return found


def measure_ratios(
    cfg: Config,
    weights: Mapping[str, float],
    start: int,
    batches: int,
    seed: int,
    *,
    build: Callable[[Config], Runner] = Runner.from_cfg,
    tell: Callable[[int], None] = lambda done: None,
) -> list[BranchRatio]:
    """Gradient ratios of a config's model after a short training by labels alone.

    Args:
        cfg: The complete config.
        weights: The lambdas to measure with, by attribute of the model; 0 is a branch that stays off.
        start: Iterations of the training by labels alone, at the config's learning rate, warm-up included.
        batches: Batches to average over.
        seed: The seed of the training.
        build: Makes the Runner of a config.
        tell: Called with the number of iterations done, after each.

    Raises:
        UserError: If a number is out of its range, or nothing can be measured.
    """
    if start < 0 or batches < 1:
        raise UserError(
            f'--start-iterations is {start} and --batches {batches}: give 0 or more of the first and 1 or more of the '
            'second, such as 200 and 20.'
        )
    cfg = calibration_config(cfg, seed, *weights)
    cfg.custom_hooks = [hook for hook in cfg.custom_hooks if not is_hook(hook, 'CompilePartsHook')]  # keeps no graph
    meter = GradientMeter(weights, start, batches, tell)
    run_with(cfg, meter, build)
    return meter.ratios()


def as_record(found: list[BranchRatio], wanted: Mapping[str, float]) -> list[dict]:
    """Rows for a JSON file: what was measured and, where a ratio is wanted, which lambda gives it."""
    goals = {branch: {'wanted': value} for branch, value in wanted.items()}
    rows = [{**asdict(row), **goals.get(row.branch, {})} for row in found]
    return [{**row, 'lambda': of.weight_for(row['wanted'])} if 'wanted' in row else row for row, of in zip(rows, found)]

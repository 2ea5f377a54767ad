"""SSSD's calibration of lambda (Sec. 3.2): the share that a constant lambda gives the distance, by short real runs."""

import copy
import json
import math
import tempfile
import time
import uuid
from collections.abc import Callable
from pathlib import Path

from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.runner import Runner

from sssd import provenance
from sssd.calibration.override import is_hook, without_weight
from sssd.calibration.search import Goal, Trial, find_lambda
from sssd.errors import UserError
from sssd.hooks.ema_teacher import unwrap
from sssd.whole_files import write_file

SHARE = 'distill_share'  # SED prefixes it with sup_
#: The share of a run is its mean over this last part of the iterations.
LAST = 0.5
UNUSED = ('val_cfg', 'val_dataloader', 'val_evaluator', 'test_cfg', 'test_dataloader', 'test_evaluator')
#: Default hooks of MMEngine that are switched off; None is its word for that.
QUIET = dict(checkpoint=None, logger=None)


class Enough(Exception):
    """Ends a training after the wanted number of iterations."""


class ShareMeter(Hook):
    """Holds lambda where it is told, collects the shares, and ends the training after some iterations.

    Args:
        lambda_: The model's ``lambda_`` in every iteration.
        iterations: How many there are.
        tell: Called with the number of iterations done, after each.
    """

    priority = 'VERY_LOW'

    def __init__(self, lambda_: float, iterations: int, tell: Callable[[int], None] = lambda done: None) -> None:
        self.lambda_, self.iterations, self.tell = lambda_, iterations, tell
        self.shares: list[float] = []

    def before_train(self, runner) -> None:
        """Refuse a model without the weight, and a training that is too short."""
        model = unwrap(runner.model)
        if not hasattr(model, 'lambda_'):
            raise UserError(
                f'the model of the config is {type(model).__name__}, which has no weight lambda_ to '
                'calibrate: give a config with a guided model, such as sssd.GuidedDetector.'
            )
        if runner.max_iters < self.iterations:
            raise UserError(
                f'--iterations is {self.iterations}, but the training of the config has only '
                f'{runner.max_iters}: give fewer.'
            )

    def before_train_iter(self, runner, batch_idx, data_batch=None) -> None:
        """Set lambda, and let the distance move the student, after any other hook."""
        model = unwrap(runner.model)
        model.lambda_, model.student_grad = self.lambda_, 1.0

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs: dict | None = None) -> None:
        """Keep the share of this iteration.

        Raises:
            Enough: After the last one.
            UserError: If the model logs no share, or it is not finite.
        """
        share = (outputs or {}).get(SHARE, (outputs or {}).get(f'sup_{SHARE}'))
        if share is None:
            raise UserError(
                f'{type(unwrap(runner.model)).__name__} logs no {SHARE}: give a config with a guided '
                'model, such as sssd.GuidedDetector.'
            )
        self.shares.append(float(share))
        if not math.isfinite(self.shares[-1]):
            raise UserError(
                f'the loss of the run with lambda {self.lambda_:g} is not finite after {len(self.shares)} '
                'iterations: lower the learning rate, or --high if the lambda is large.'
            )
        self.tell(len(self.shares))
        if len(self.shares) >= self.iterations:
            raise Enough

    @property
    def share(self) -> float:
        """Mean of the last part."""
        last = self.shares[-max(1, round(LAST * len(self.shares))) :]
        return sum(last) / len(last)


def calibration_config(cfg: Config, seed: int, *weights: str) -> Config:
    """A config as it trains while lambda is calibrated.

    Nothing holds lambda, other ``weights`` or the student's gradient back and no backbone is frozen; nothing is
    evaluated or written. All else is the config's: data, optimizer, the learning rate with its warm-up, other hooks.

    Args:
        cfg: The complete config; it is not changed.
        seed: The seed of every run.
        weights: Other weights of the model that the caller sets.
    """
    cfg = copy.deepcopy(cfg)
    for key in UNUSED:
        cfg[key] = None
    hooks = [without_weight(hook, 'lambda_', 'student_grad', *weights) for hook in cfg.get('custom_hooks') or []]
    cfg.custom_hooks = [hook for hook in hooks if hook is not None and not is_hook(hook, 'FreezeBackboneHook')]
    kept = {name: hook for name, hook in (cfg.get('default_hooks') or {}).items() if name != 'visualization'}
    cfg.default_hooks = {**kept, **QUIET}
    cfg.visualizer = dict(type='Visualizer', vis_backends=[])
    cfg.randomness = {**(cfg.get('randomness') or {}), 'seed': seed}
    cfg.resume, cfg.log_level = False, 'WARNING'
    return cfg


def measure_share(
    cfg: Config,
    lambda_: float,
    iterations: int,
    *,
    build: Callable[[Config], Runner] = Runner.from_cfg,
    tell: Callable[[int], None] = lambda done: None,
) -> float:
    """Train from the start with a constant lambda; the mean share over the last part.

    Args:
        cfg: What :func:`calibration_config` returned.
        lambda_: The lambda.
        iterations: The training's first iterations that are run.
        build: Makes the Runner of a config.
        tell: Called with the number of iterations done, after each.

    Returns:
        Mean of lambda L_distill / L_total, in [0, 1).
    """
    meter = ShareMeter(lambda_, iterations, tell)
    run_with(cfg, meter, build)
    return meter.share


def run_with(cfg: Config, hook: Hook, build: Callable[[Config], Runner]) -> None:
    """Train with one more hook, in a folder that goes away again, until the hook has :class:`Enough`.

    Args:
        cfg: What :func:`calibration_config` returned; it is not changed.
        hook: The hook.
        build: Makes the Runner of a config.
    """
    with tempfile.TemporaryDirectory() as folder:
        cfg = copy.deepcopy(cfg)
        cfg.work_dir, cfg.experiment_name = folder, f'calibrate_{uuid.uuid4().hex}'
        cfg.visualizer.name = cfg.experiment_name
        runner = build(cfg)
        runner.register_hook(hook)
        try:
            runner.train()
        except Enough:
            pass


class Calibration:
    """A search with its record: a JSON file that is written after every run, and that a second call goes on from.

    Args:
        cfg: The complete config.
        goal: The wanted share and where to look for it.
        iterations: Iterations of a run.
        seed: The seed of every run.
        record: The JSON file.
        about: What else the record says: the config's name, the command.

    Raises:
        UserError: If a file that is no such record, or one of other settings, is in its place, or a number is out of
            its range.
    """

    def __init__(
        self, cfg: Config, goal: Goal, iterations: int, seed: int, record: Path, about: dict | None = None
    ) -> None:
        if iterations < 2:
            raise UserError(f'--iterations is {iterations}, but a run needs at least 2; try 300.')
        self.cfg, self.goal, self.iterations = calibration_config(cfg, seed), goal, iterations
        self.record = Path(record)
        self.content = {
            **(about or {}),
            'share': goal.share,
            'tolerance': goal.tolerance,
            'low': goal.low,
            'high': goal.high,
            'iterations': iterations,
            'mean_over_last': LAST,
            'seed': seed,
            'hash': self._hash(),
            **provenance.commit(),
            'started': provenance.now(),
            'machine': provenance.machine(),
            'versions': provenance.versions(),
            'chosen': None,
            'trials': self._kept(),
        }

    @property
    def trials(self) -> list[Trial]:
        """The trials so far, those of earlier calls too."""
        return [Trial(row['lambda'], row['share']) for row in self.content['trials']]

    def run(self, build: Callable[[Config], Runner] = Runner.from_cfg, view=None) -> Trial:
        """Search; every run that the record holds already is not repeated.

        Args:
            build: Makes the Runner of a config.
            view: Shows the progress: ``begin(lambda_)``, ``tell(done)`` and ``end(trials)``; None shows nothing.

        Returns:
            The chosen trial.
        """

        def measure(lambda_: float) -> float:
            """The share of a lambda, from the record or from a run that is added to it."""
            known = {trial.lambda_: trial.share for trial in self.trials}
            if lambda_ in known:
                return known[lambda_]
            began = time.monotonic()
            if view is not None:
                view.begin(lambda_)
            share = measure_share(
                self.cfg,
                lambda_,
                self.iterations,
                build=build,
                tell=view.tell if view is not None else lambda done: None,
            )
            self.content['trials'].append(
                {'lambda': lambda_, 'share': share, 'seconds': round(time.monotonic() - began, 1)}
            )
            self._write()
            if view is not None:
                view.end(self.trials)
            return share

        chosen = find_lambda(measure, self.goal)
        self.content['chosen'] = {'lambda': chosen.lambda_, 'share': chosen.share}
        self._write()
        return chosen

    def _hash(self) -> str:
        """Fingerprint of what a trial depends on, the goal apart."""
        settings = {key: value for key, value in self.cfg.to_dict().items() if key not in ('work_dir', 'launcher')}
        return provenance.digest([settings, self.iterations, LAST])

    def _kept(self) -> list[dict]:
        """The trials of an earlier call, which had to have the same settings."""
        if not self.record.is_file():
            return []
        remedy = 'move it away or name another file with --out'
        try:
            old = json.loads(self.record.read_text())
            known, trials = old['hash'], [{**row, **_checked(row)} for row in old['trials']]
        except (ValueError, KeyError, TypeError):
            raise UserError(f'{self.record} is no record of a calibration: {remedy}.') from None
        if known != self._hash():
            raise UserError(f'{self.record} is the record of another config, seed or number of iterations: {remedy}.')
        return trials

    def _write(self) -> None:
        """Replace the record in one step."""
        write_record(self.record, self.content)


def write_record(path: Path, content: dict) -> None:
    """Write a record as JSON, in one step."""
    write_file(path, json.dumps(content, indent=1) + '\n')


def _checked(row: dict) -> dict:
    """The numbers of a trial in a record."""
    return {'lambda': float(row['lambda']), 'share': float(row['share'])}

"""``--logger``: a training is also logged to TensorBoard, Weights & Biases or MLflow, by MMEngine's backends.

The backend joins the visualizer of the first process once the Runner is there. So the config that is kept beside the
checkpoints does not name it: whoever tests or resumes with that config logs nowhere unless they ask for it.
"""

import json
import os
from importlib.util import find_spec
from pathlib import Path

from mmengine.config import Config
from mmengine.dist import is_main_process
from mmengine.runner import Runner
from mmengine.visualization.vis_backend import BaseVisBackend, MLflowVisBackend, TensorboardVisBackend, WandbVisBackend

from sssd.errors import LocalError, UserError, first_line

#: Where a work directory names the run that its training is, so that a resumed one goes on in the same.
NOTE = 'logger_runs.json'
#: What a project (W&B) or an experiment (MLflow) is called unless the environment says so.
PROJECT = 'sssd'
#: What helps where a service refuses.
REMEDIES = dict(
    tensorboard='leave --logger out',
    wandb='log in with `wandb login`, or set WANDB_MODE=offline and send the run later with `wandb sync`',
    mlflow='correct MLFLOW_TRACKING_URI, or unset it: runs then go to mlruns beside the work directory',
)
CALLS = ('add_graph', 'add_image', 'add_scalar', 'add_scalars', 'close')


def require_logger(name: str | None) -> None:
    """Refuse a logger whose package is not installed.

    Raises:
        UserError: With the command that installs it.
    """
    found = None if name is None else find_spec(name)
    # A folder of that name without code, such as W&B leaves, is found too, and has no origin.
    if name is not None and (found is None or found.origin is None):
        raise UserError(f'--logger {name} needs the package {name}, which is not installed: pip install {name}')


def attach_logger(runner: Runner, name: str | None, resume: bool) -> None:
    """Have a training logged by one more backend, in the first process alone.

    Once it has begun, what fails there is told once and the training goes on.

    Args:
        runner: The Runner.
        name: ``'tensorboard'``, ``'wandb'`` or ``'mlflow'``; None for none.
        resume: Whether the training goes on from a checkpoint: it then goes on in the same run of the logger.

    Raises:
        LocalError: If the service refuses the run, as this process alone knows.
    """
    backends = runner.visualizer._vis_backends
    if name is None or not is_main_process():
        return
    if name == 'tensorboard' and any(isinstance(one, TensorboardVisBackend) for one in backends.values()):
        return  # the config has it
    known = _read(runner.work_dir) if resume else {}
    try:
        backend = MADE[name](runner, known.get(name))
        backend.add_config(runner.cfg)
        _write(runner.work_dir, {**_read(runner.work_dir), name: RUN_OF[name](backend)})
    except Exception as error:  # of any of three packages, and of the network
        line = first_line(error)
        raise LocalError(f'--logger {name}: {line} ({type(error).__name__}): {REMEDIES[name]}.') from error
    for call in CALLS:
        setattr(backend, call, forgiving(getattr(backend, call), name, runner))
    backends[f'logger_{name}'] = backend


def forgiving(call, name: str, runner: Runner):
    """A call of a backend whose errors are warnings, the first of them told."""

    def called(*args, **kwargs):
        """The call."""
        try:
            return call(*args, **kwargs)
        except Exception as error:
            if name not in _told:
                _told.add(name)
                runner.logger.warning(
                    f'--logger {name} fails ({type(error).__name__}: {error}): the training goes on, and what it logs '
                    f'stays in {runner.work_dir}'
                )

    return called


_told: set[str] = set()


class ConfigOnlyWandb(WandbVisBackend):
    """MMEngine's backend without the upload of every Python file below the present folder."""

    def add_config(self, config: Config, **kwargs) -> None:
        """Record the config, over that of the run that a resumed training goes on in."""
        self.experiment.config.update(config.to_dict(), allow_val_change=True)


def make_tensorboard(runner: Runner, run: str | None) -> BaseVisBackend:
    """TensorBoard's events beside the scalars of this start."""
    return TensorboardVisBackend(str(Path(runner.log_dir, 'vis_data')))


def make_wandb(runner: Runner, run: str | None) -> BaseVisBackend:
    """A run of Weights & Biases; WANDB_PROJECT, WANDB_NAME, WANDB_RUN_ID and WANDB_MODE are respected."""
    given = dict(project=('WANDB_PROJECT', PROJECT), name=('WANDB_NAME', title_of(runner)), id=('WANDB_RUN_ID', run))
    kwargs = {key: value for key, (variable, value) in given.items() if value and not os.environ.get(variable)}
    return ConfigOnlyWandb(str(Path(runner.log_dir, 'vis_data')), init_kwargs=dict(kwargs, resume='allow'))


def make_mlflow(runner: Runner, run: str | None) -> BaseVisBackend:
    """A run of MLflow; MLFLOW_TRACKING_URI, MLFLOW_EXPERIMENT_NAME and MLFLOW_RUN_ID are respected."""
    os.environ.setdefault('MLFLOW_ALLOW_FILE_STORE', 'true')
    if run is not None:
        os.environ.setdefault('MLFLOW_RUN_ID', run)
    return MLflowVisBackend(
        str(runs_folder(runner.work_dir)),
        exp_name=os.environ.get('MLFLOW_EXPERIMENT_NAME') or PROJECT,
        run_name=title_of(runner),
        params=None if run is not None else params_of(runner.cfg),
        tracking_uri=os.environ.get('MLFLOW_TRACKING_URI'),
        tracked_config_keys=[],  # a parameter of MLflow can never change, and one of a resumed config does
    )


def wandb_run(backend: WandbVisBackend) -> str:
    """The id of a backend's run."""
    return backend.experiment.run.id


def mlflow_run(backend: MLflowVisBackend) -> str:
    """The id of a backend's run."""
    return backend.experiment.active_run().info.run_id


MADE = dict(tensorboard=make_tensorboard, wandb=make_wandb, mlflow=make_mlflow)
RUN_OF = dict(tensorboard=lambda backend: None, wandb=wandb_run, mlflow=mlflow_run)


def title_of(runner: Runner) -> str:
    """What a run is called: the last two parts of its work directory, in a study seed and run."""
    return '/'.join(Path(runner.work_dir).resolve().parts[-2:])


def params_of(cfg: Config) -> dict[str, object]:
    """What MLflow compares runs by; the whole config is among its artifacts."""
    train, optimizer = cfg.get('train_cfg') or {}, (cfg.get('optim_wrapper') or {}).get('optimizer') or {}
    found = dict(
        config=cfg.filename,
        seed=(cfg.get('randomness') or {}).get('seed'),
        length=train.get('max_iters') or train.get('max_epochs'),
        batch_size=(cfg.get('train_dataloader') or {}).get('batch_size'),
        lr=optimizer.get('lr'),
    )
    return {key: value for key, value in found.items() if value is not None}


def runs_folder(work_dir: str) -> Path:
    """Where MLflow's runs go without a server: one folder for all below ``work_dirs``, else beside the directory."""
    resolved = Path(work_dir).resolve()
    root = Path('work_dirs').resolve()
    return (root if resolved.is_relative_to(root) else resolved.parent) / 'mlruns'


def _read(work_dir: str) -> dict[str, str]:
    path = Path(work_dir, NOTE)
    try:
        return json.loads(path.read_text()) if path.is_file() else {}
    except ValueError:
        return {}


def _write(work_dir: str, runs: dict[str, str | None]) -> None:
    named = {name: run for name, run in runs.items() if run}
    if named:
        Path(work_dir, NOTE).write_text(json.dumps(named) + '\n')

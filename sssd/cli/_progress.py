"""How far a training or a test is: bars on a terminal, short lines elsewhere."""

import time
from collections.abc import Mapping
from datetime import timedelta

from mmengine.hooks import Hook, LoggerHook
from mmengine.model import is_model_wrapper
from mmengine.runner import EpochBasedTrainLoop, Runner
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from sssd.cli._header import near, testing_header, training_header
from sssd.cli._quiet import Screen
from sssd.report.scalars import ROLES, metric_of

#: Seconds between two drawings of the bars, and between two lines of an evaluation where there are none.
REDRAWN, TOLD = 0.2, 30.0
#: Iterations between two lines if the config has no LoggerHook.
INTERVAL = 50
#: Metrics of an evaluation that a line has.
SHOWN = ('AP', 'AP50', 'AP75')


class ProgressHook(Hook):
    """Tells what a Runner is about to do, how far it is and what came of it.

    Args:
        screen: Where to.
        checkpoint: What the Runner loads, if anything.
    """

    priority = 'VERY_LOW'  # after the hooks that change what is told

    def __init__(self, screen: Screen, checkpoint: str | None = None) -> None:
        self.screen, self.checkpoint = screen, checkpoint
        self.view = (Bars if screen.is_terminal else Lines)(screen)
        self.interval, self.state, self.scores, self.began = INTERVAL, {}, '', 0.0

    def before_train(self, runner: Runner) -> None:
        """Tell what is trained."""
        self.screen.tell(training_header(runner, self.checkpoint))
        self.interval = next((hook.interval for hook in runner.hooks if isinstance(hook, LoggerHook)), INTERVAL)
        self.began = time.monotonic()
        self.view.train(runner.iter, runner.max_iters, self.state, self.scores)

    def after_train_iter(self, runner: Runner, batch_idx: int, data_batch=None, outputs=None) -> None:
        """Tell of an iteration."""
        done, total = runner.iter + 1, runner.max_iters
        due = done == total or self.every_n_inner_iters(batch_idx, self.interval)
        self.state = state_of(runner)
        self.view.train(done, total, self.state, self.scores, due)

    def after_val_iter(self, runner: Runner, batch_idx: int, data_batch=None, outputs=None) -> None:
        """Tell of a batch that was evaluated, and of which model."""
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        role = (getattr(model, 'semi_test_cfg', None) or {}).get('predict_on', '')
        self.view.evaluate(f'evaluating {role}'.strip(), batch_idx + 1, len(runner.val_dataloader))

    def after_val_epoch(self, runner: Runner, metrics: Mapping[str, float] | None = None) -> None:
        """Tell what an evaluation found."""
        self.scores = scores_of(metrics or {}, SHOWN[:1])
        self.view.evaluated()
        self.view.train(runner.iter, runner.max_iters, self.state, self.scores)
        self.screen.show(f'evaluated at {runner.iter}: {scores_of(metrics or {}, SHOWN)}')

    def after_train(self, runner: Runner) -> None:
        """Tell where the checkpoint is."""
        self.screen.close()
        seconds = timedelta(seconds=round(time.monotonic() - self.began))
        last = runner.message_hub.runtime_info.get('last_ckpt')
        self.screen.tell(f'trained in {seconds}' + (f', last checkpoint {near(last)}' if last else ''))

    def before_test(self, runner: Runner) -> None:
        """Tell what is tested."""
        self.screen.tell(testing_header(runner, self.checkpoint))

    def after_test_iter(self, runner: Runner, batch_idx: int, data_batch=None, outputs=None) -> None:
        """Tell of a batch that was tested."""
        self.view.evaluate('testing', batch_idx + 1, len(runner.test_dataloader))

    def after_test_epoch(self, runner: Runner, metrics: Mapping[str, float] | None = None) -> None:
        """Print the metrics, named as in the log."""
        self.screen.close()
        values = {
            name: f'{value:.4f}' if isinstance(value, float) else value for name, value in (metrics or {}).items()
        }
        lines = [f'{name}: {value}' for name, value in values.items()]
        self.screen.show('\n'.join(lines) or 'no metrics: nothing was detected, or nothing is evaluated')


class Lines:
    """Progress in lines."""

    def __init__(self, screen: Screen) -> None:
        self.screen, self.told = screen, 0.0

    def train(self, done: int, total: int, state: Mapping[str, str], scores: str, due: bool = False) -> None:
        """So many iterations are done; a line if one is due."""
        if due:
            words = [f'{name} {value}' for name, value in state.items()]
            self.screen.show('  '.join([f'iter {done}/{total}', *words, *filter(None, [scores])]))

    def evaluate(self, text: str, done: int, total: int) -> None:
        """So many batches are done; a line now and then."""
        now = time.monotonic()
        if done == 1:
            self.told = now
        elif now - self.told > TOLD:
            self.told = now
            self.screen.show(f'{text}: {done} of {total}')

    def evaluated(self) -> None:
        """An evaluation is over."""


class Bars:
    """Progress in bars, drawn by the calls alone: a thread that draws could hold a lock while workers are forked."""

    def __init__(self, screen: Screen) -> None:
        self.screen, self.drawn = screen, 0.0
        columns = (
            TextColumn('{task.description}', markup=False),
            BarColumn(bar_width=None),
            MofNCompleteColumn(),
            TextColumn('{task.fields[words]}', markup=False),
        )
        options = dict(auto_refresh=False, redirect_stdout=False, redirect_stderr=False, expand=True)
        self.progress = Progress(*columns, console=screen.console, **options)
        self.tasks = {}

    def train(self, done: int, total: int, state: Mapping[str, str], scores: str, due: bool = False) -> None:
        """So many iterations are done."""
        words = [f'{name} {value}' for name, value in state.items() if name != 'lr']
        self._update('train', 'training', done, total, '  '.join([*words, *filter(None, [scores])]))

    def evaluate(self, text: str, done: int, total: int) -> None:
        """So many batches are done."""
        self._update('evaluate', text, done, total)

    def evaluated(self) -> None:
        """An evaluation is over: its bar goes."""
        if 'evaluate' in self.tasks:
            self.progress.update(self.tasks['evaluate'], visible=False)

    def _update(self, task: str, text: str, done: int, total: int, words: str = '') -> None:
        if self.screen.bars is None:
            self.screen.start(self.progress)
        if task not in self.tasks:
            self.tasks[task] = self.progress.add_task(text, total=total, words=words)
        now = time.monotonic()
        is_due = done in (0, 1, total) or now - self.drawn > REDRAWN
        self.drawn = now if is_due else self.drawn
        fields = dict(description=text, completed=done, total=total, words=words, visible=True)
        self.progress.update(self.tasks[task], **fields, refresh=is_due)


def state_of(runner: Runner) -> dict[str, str]:
    """Epoch, if there are any, time left, mean loss of the log's window and learning rate, as text by name."""
    hub, words = runner.message_hub, {}
    if isinstance(runner.train_loop, EpochBasedTrainLoop):
        words['epoch'] = f'{runner.epoch + 1}/{runner.max_epochs}'
    if 'eta' in hub.runtime_info:
        words['eta'] = str(timedelta(seconds=round(hub.get_info('eta'))))
    scalars = hub.log_scalars
    if 'train/loss' in scalars:
        words['loss'] = f'{scalars["train/loss"].mean(runner.log_processor.window_size):.4g}'
    if 'train/lr' in scalars:
        words['lr'] = f'{scalars["train/lr"].current():.3g}'
    return words


def scores_of(metrics: Mapping[str, float], names: tuple[str, ...]) -> str:
    """``AP teacher 23.4 student 21.0``: metrics of an evaluation, in percent.

    Args:
        metrics: As an evaluator gives them, between 0 and 1, or -1 where there is nothing to measure.
        names: Which ones; AP50 stands for an AP that was not measured, as in PASCAL VOC.
    """
    if not metrics:
        return 'nothing detected'
    found = {}
    for name, value in metrics.items():
        role, short = metric_of(name) or ('', '')
        if short:
            found.setdefault(short, []).append((role if role in ROLES else '', value))
    if 'AP' not in found:
        names = tuple(dict.fromkeys([*names, 'AP50']))
    words = [
        ' '.join([name, *(f'{role} {100 * value:.1f}'.strip() for role, value in found[name])])
        for name in names
        if name in found
    ]
    return '  '.join(words) or ', '.join(f'{name} {value}' for name, value in list(metrics.items())[:4])

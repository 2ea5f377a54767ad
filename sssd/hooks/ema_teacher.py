"""The EMA teacher of Eq. 4."""

from collections.abc import Iterator

import torch
from mmengine.dist import all_reduce_params
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase

from sssd.errors import UserError
from sssd.hooks.progress import progress_of
from sssd.registry import HOOKS
from sssd.schedules import build_schedule


@HOOKS.register_module()
class EMATeacherHook(Hook):
    """``theta_t = alpha theta_t + (1 - alpha) theta_s`` after every optimizer step (Eq. 4).

    Parameters and floating-point buffers (BatchNorm statistics) are averaged, integer buffers copied. Before the
    first iteration the teacher becomes the student, unless training is resumed. Only iterations in which the optimizer
    stepped count: none while gradients accumulate, and none that a loss scale or HealthHook left out, its gradients not
    being finite.
    mmdet's MeanTeacherHook calls 1 - alpha its momentum.

    Args:
        alpha: A schedule: a number, or a config such as the default
            ``dict(type='StepAtDecay', start=0.99, end=0.9)`` (Table 9, "Step").
    """

    def __init__(self, alpha=None) -> None:
        self.alpha = build_schedule(dict(type='StepAtDecay', start=0.99, end=0.9) if alpha is None else alpha)
        self.stepped, self.handle = False, None

    def before_train(self, runner) -> None:
        """Make the teacher equal to the student, buffers included, at iteration 0; watch the optimizer's steps."""
        model = unwrap(runner.model)
        if not (hasattr(model, 'student') and hasattr(model, 'teacher')):
            raise UserError(
                f'EMATeacherHook: {type(model).__name__} has no student and teacher; take the hook out '
                'of custom_hooks or train a model of type sssd.SED.'
            )
        if runner.iter == 0:
            average(model.teacher, model.student, alpha=0.0)
        self.handle = runner.optim_wrapper.optimizer.register_step_post_hook(self._note_step)

    def _note_step(self, optimizer, *args) -> None:
        left_out = getattr(optimizer, 'found_inf', None)  # by a fused optimizer under a loss scale
        if left_out is not None and bool(left_out):
            return
        values = (value for group in optimizer.param_groups for value in group['params'])
        self.stepped = self.stepped or any(value.grad is not None for value in values)

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None) -> None:
        """Share running statistics; average after an iteration that stepped the optimizer, and log alpha."""
        model = unwrap(runner.model)
        all_reduce_params(running_statistics(model.student), op='mean')
        if not self.stepped:
            return
        self.stepped = False
        alpha = self.alpha(progress_of(runner))
        if not 0 <= alpha <= 1:
            raise UserError(f'EMATeacherHook: the schedule gives alpha {alpha}, but Eq. 4 needs one in [0, 1].')
        average(model.teacher, model.student, alpha)
        runner.message_hub.update_scalar('train/alpha', alpha)

    def after_train(self, runner) -> None:
        """Watch no longer."""
        self.handle.remove()


def running_statistics(model: nn.Module) -> Iterator[Tensor]:
    """Running means and variances that a forward pass of this process alone moves: those of norms in train mode."""
    for module in model.modules():
        own = isinstance(module, _NormBase) and not isinstance(module, nn.SyncBatchNorm)
        if own and module.training and module.track_running_stats:
            yield from (module.running_mean, module.running_var)


@torch.no_grad()
def average(teacher: nn.Module, student: nn.Module, alpha: float) -> None:
    """Eq. 4 over all tensors of two models' state, a tensor that has several names once."""
    state = student.state_dict(keep_vars=True)
    pairs = {id(value): (value, state[name]) for name, value in teacher.state_dict(keep_vars=True).items()}
    floats, others = [], []
    for pair in pairs.values():
        (floats if pair[0].is_floating_point() else others).append(pair)
    if floats:
        values = [value for value, _ in floats]
        torch._foreach_lerp_(values, [new.to(value.dtype) for value, new in floats], 1 - alpha)
    for value, new in others:
        value.copy_(new)


def unwrap(model: nn.Module) -> nn.Module:
    """The model inside DistributedDataParallel and the like."""
    return model.module if is_model_wrapper(model) else model

"""What is trained or tested, on what and where: the lines before the first iteration."""

import os

import torch
from mmengine.model import BaseTTAModel, is_model_wrapper
from mmengine.optim import AmpOptimWrapper
from mmengine.runner import EpochBasedTrainLoop, Runner
from torch import nn

from sssd.data.sampler import split_batch
from sssd.optim import BFloat16OptimWrapper


def training_header(runner: Runner, checkpoint: str | None) -> str:
    """The header of a training that is about to begin.

    Args:
        runner: Its Runner, all parts of which are built.
        checkpoint: What it begins with, if it is a checkpoint.
    """
    return _lines(
        config=_config(runner),
        model=describe_model(runner.model),
        trains=_parameters(runner.model),
        start=_start(runner, checkpoint),
        batch=_batch(runner),
        length=_length(runner),
        optimizer=_optimizer(runner),
        device=_device(runner),
        seed=str(runner.seed),
        **_places(runner),
    )


def testing_header(runner: Runner, checkpoint: str | None) -> str:
    """The header of a test that is about to begin."""
    return _lines(
        config=_config(runner),
        model=describe_model(runner.model),
        checkpoint=near(str(checkpoint)),
        device=_device(runner),
        **_places(runner),
    )


def describe_model(model: nn.Module) -> str:
    """``SED over RetinaNet (ResNet-18, FPN), 3 classes``."""
    while is_model_wrapper(model) or isinstance(model, BaseTTAModel):
        model = model.module
    detector = next((getattr(model, name) for name in ('student', 'detector') if hasattr(model, name)), model)
    parts = [_named(getattr(detector, name)) for name in ('backbone', 'neck') if getattr(detector, name, None)]
    text = type(detector).__name__ + (f' ({", ".join(parts)})' if parts else '')
    if detector is not model:
        guidance = getattr(model, 'guidance', None)
        guide = '' if guidance is None else f' with {type(guidance.guide).__name__}'
        text = f'{type(model).__name__}{guide} over {text}'
    heads = getattr(detector, 'roi_head', None) or detector  # a region proposal head has one class of its own
    classes = next((part.num_classes for part in heads.modules() if hasattr(part, 'num_classes')), None)
    return text if classes is None else f'{text}, {classes} class{"es" * (classes != 1)}'


def near(path: str) -> str:
    """A path from the present folder, where it is below."""
    short = os.path.relpath(path)
    return path if short.startswith(os.pardir) else short


def _lines(**words: str) -> str:
    return '\n'.join(f'{name + ":":<12}{text}' for name, text in words.items())


def _config(runner: Runner) -> str:
    return near(runner.cfg.filename) if runner.cfg.filename else 'none'


def _named(part: nn.Module) -> str:
    depth = getattr(part, 'depth', None)
    return type(part).__name__ + (f'-{depth}' if isinstance(depth, int) else '')


def _parameters(model: nn.Module) -> str:
    counts = [(parameter.numel(), parameter.requires_grad) for parameter in model.parameters()]
    trained = sum(number for number, trains in counts if trains)
    return f'{trained:,} of {sum(number for number, _ in counts):,} parameters'


def _start(runner: Runner, checkpoint: str | None) -> str:
    if runner.cfg.get('resume') and checkpoint:
        return f'iteration {runner.iter}, resumed from {near(checkpoint)}'
    if checkpoint:
        return f'weights of {near(checkpoint)}'
    settings = [getattr(part, 'init_cfg', None) for part in runner.model.modules()]
    files = [each['checkpoint'] for each in settings if isinstance(each, dict) and each.get('type') == 'Pretrained']
    return f'weights of {", ".join(dict.fromkeys(map(str, files)))}' if files else 'random weights'


def _batch(runner: Runner) -> str:
    loader = runner.cfg.train_dataloader
    size = loader.get('batch_size')
    if size is None:
        return 'as its batch sampler says'
    ratio = (loader.get('sampler') or {}).get('source_ratio') or ()
    parts = split_batch(size, ratio) if len(ratio) == 2 else ()
    text = f'{size} images' + (f' ({parts[0]} labelled, {parts[1]} unlabelled)' if parts else '')
    steps = runner.cfg.optim_wrapper.get('accumulative_counts', 1)
    text += f' in each of {runner.world_size} processes' if runner.world_size > 1 else ''
    return text + (f', a step every {steps} batches' if steps > 1 else '')


def _length(runner: Runner) -> str:
    loop = runner.train_loop
    by_epoch = isinstance(loop, EpochBasedTrainLoop)
    text = (
        f'{runner.max_epochs} epochs, {runner.max_iters} iterations' if by_epoch else f'{runner.max_iters} iterations'
    )
    if runner.cfg.get('val_cfg'):
        every = loop.val_interval
        text += (
            f', evaluated every {f"{every} epochs" if every > 1 else "epoch"}'
            if by_epoch
            else f', evaluated every {every}'
        )
    return text


def _optimizer(runner: Runner) -> str:
    wrapper = runner.optim_wrapper
    optimizers = [wrapper.optimizer] if hasattr(wrapper, 'optimizer') else [each.optimizer for each in wrapper.values()]
    kinds = dict.fromkeys(type(each).__name__ for each in optimizers)
    groups = [group for each in optimizers for group in each.param_groups]
    # A warm-up has lowered the rate by now.
    return f'{", ".join(kinds)}, learning rate {max(group.get("initial_lr", group["lr"]) for group in groups):g}'


def _device(runner: Runner) -> str:
    device = next(runner.model.parameters()).device
    text = torch.cuda.get_device_name(device) if device.type == 'cuda' else str(device)
    if runner.world_size > 1:
        text = f'{runner.world_size} processes, {text}'
    wrapper = runner.optim_wrapper
    if isinstance(wrapper, BFloat16OptimWrapper):
        return f'{text}, bfloat16'
    if isinstance(wrapper, AmpOptimWrapper):
        return f'{text}, {str(getattr(wrapper, "cast_dtype", None) or "float16").removeprefix("torch.")}'
    return f'{text}, float32'


def _places(runner: Runner) -> dict[str, str]:
    log = os.path.join(runner.log_dir, f'{runner.timestamp}.log')
    return {'results in': near(runner.work_dir), 'log file': near(log)}

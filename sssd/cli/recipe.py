"""Command: learning rate, iterations, batch and accumulation of a config for the GPUs at hand."""

import argparse
import os
from collections.abc import Sequence

from rich.console import Console
from rich.progress import track

from sssd.cli._config import config_of
from sssd.cli._parser import parse
from sssd.errors import UserError
from sssd.hardware.memory import Memory, estimate, largest_sizes
from sssd.hardware.recipe import DoesNotFit, Recipe, make_recipe
from sssd.report.tables import Grid

GPUS, MEMORY = (1, 2, 4, 8), (11, 24, 80)


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """The arguments of ``sssd recipe``."""
    args = parse('recipe', argv)
    for name in ('gpus', 'memory'):
        value = getattr(args, name)
        if value is not None and value <= 0:
            raise UserError(f'--{name} {value} has to be above 0.')
    if len(args.config) > 1 and args.memory:
        raise UserError(
            f'--memory {args.memory:g} is for one config and {len(args.config)} are given: name one, or '
            'leave --memory out for the table of their memory.'
        )
    return args


def sentence(name: str, memory: Memory) -> str:
    """The estimate in words."""
    waiting = f' and {memory.waiting:.2f} that wait' if memory.waiting else ''
    return (
        f'{name}, in GiB: weights {memory.weights:.2f}, gradients {memory.gradients:.2f}{waiting}, optimizer '
        f'{memory.optimizer:.2f}; activations of {memory.unit_images} image(s) of {memory.size[1]} x '
        f'{memory.size[0]}: about {memory.unit:.1f}'
    )


def table(config: str, cfg, memory: Memory, gpus: Sequence[int], gigabytes: Sequence[float]) -> Grid:
    """One row for each number and size of GPUs."""
    grid = Grid(
        config,
        ('GPUs', 'GB', 'batch per GPU', 'accumulate', 'total batch', 'learning rate', 'iterations', 'estimated GiB'),
        note=sentence('Estimate', memory) + '.',
    )
    for number in gpus:
        for size in gigabytes:
            try:
                recipe = make_recipe(cfg, memory, number, size)
            except DoesNotFit:
                grid.rows.append((str(number), f'{size:g}', 'does not fit', *['-'] * 5))
                continue
            grid.rows.append(
                (
                    str(number),
                    f'{size:g}',
                    str(recipe.batch),
                    str(recipe.accumulate),
                    str(recipe.total),
                    f'{recipe.lr:.6g}',
                    str(recipe.iterations),
                    f'{recipe.memory:.1f}',
                )
            )
    return grid


def memory_table(configs: Sequence[str], gpus: int) -> Grid:
    """One row for each config: its estimate, and what its own batch needs on each of several GPUs.

    Raises:
        UserError: If one of the configs cannot be read; before any is counted.
    """
    read = [(path, config_of(path)) for path in configs]
    grid = Grid(
        'Estimated memory, GiB',
        ('config', 'weights', 'gradients', 'optimizer', 'images', 'their activations', f'each of {gpus} GPUs'),
    )
    counted = {}  # configs that differ in their images alone, such as shares of COCO, are one
    for path, cfg in track(read, 'counting', console=Console(stderr=True)):
        loader = cfg.get('train_dataloader') or {}
        key = str((cfg.get('model'), cfg.get('optim_wrapper'), loader.get('sampler'), largest_sizes(loader)))
        memory = counted[key] = counted.get(key) or estimate(cfg)
        grid.rows.append(
            (
                os.path.splitext(path)[0],
                f'{memory.weights:.2f}',
                f'{memory.gradients:.2f}',
                f'{memory.optimizer:.2f}',
                str(memory.unit_images),
                f'{memory.unit:.1f}',
                f'{memory.total(cfg.train_dataloader.batch_size, gpus):.1f}',
            )
        )
    return grid


def show(recipe: Recipe, config: str) -> None:
    """Print one recipe, ready to be pasted."""
    print(
        f'{recipe.gpus} GPU(s): {recipe.batch} images on each, accumulated {recipe.accumulate} time(s), total batch '
        f'{recipe.total}; about {recipe.memory:.1f} GiB of each GPU (an estimate)'
    )
    options = ' '.join(f'{key}={value}' for key, value in recipe.options.items())
    start = f'tools/dist_train.sh {config} {recipe.gpus}'
    if not os.path.isfile('tools/dist_train.sh'):  # outside of a clone
        start = f'torchrun --nproc_per_node {recipe.gpus} -m sssd train {config} --launcher pytorch'
    print(start + (f' --cfg-options {options}' if options else ''))


def main(argv: Sequence[str] | None = None) -> int:
    """Print a recipe, or a table of them; returns the exit status."""
    args = parse_args(argv)
    config = args.config[0]
    if len(args.config) > 1:
        grid = memory_table(args.config, args.gpus or GPUS[-1])
    else:
        cfg = config_of(config)
        memory = estimate(cfg)
        if args.gpus and args.memory:
            show(make_recipe(cfg, memory, args.gpus, args.memory), config)
            return 0
        grid = table(config, cfg, memory, [args.gpus] if args.gpus else GPUS, [args.memory] if args.memory else MEMORY)
    if args.markdown:
        print(grid.to_markdown())
    else:
        Console().print(grid.to_rich())
    return 0

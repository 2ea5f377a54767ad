"""What torch.compile makes of a detector's parts: seconds of a training step, and its gradients beside eager ones.

One step of noise in eager mode, then the same with ``sssd.CompilePartsHook``: its first, in which code is generated,
and its second. Weights are random, and the same for all of them. Code that an earlier call has generated is taken from
inductor's cache: for the seconds of the first step set TORCHINDUCTOR_CACHE_DIR to an empty folder.

    python benchmarks/compiled_parts.py configs/quickstart/retinanet_sed.py configs/quickstart/retinanet_sssd.py
"""

import argparse
import copy
import json
import os
import shlex
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace

import torch
from mmengine.config import Config
from mmengine.logging import MMLogger
from mmengine.registry import init_default_scope
from torch import nn

from sssd import provenance
from sssd.cli._config import require_file
from sssd.errors import run_cli
from sssd.hardware.memory import random_batch, unit_of
from sssd.hooks import CompilePartsHook
from sssd.registry import MODELS


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('config', nargs='+', help='config with an SED or a guided detector')
    parser.add_argument(
        '--size',
        type=int,
        nargs=2,
        default=(128, 192),
        metavar=('HEIGHT', 'WIDTH'),
        help='of the images, in pixels (default: 128 192)',
    )
    parser.add_argument('--backend', default='inductor', help='of torch.compile (default: %(default)s)')
    parser.add_argument('--threads', type=int, default=1, help='threads of torch (default: %(default)s)')
    parser.add_argument('--note', default='', help='what else is to be known, such as other work on the machine')
    parser.add_argument('--out', default='benchmarks/results/compiled_parts.json', help='default: %(default)s')
    return parser.parse_args(argv)


def step(model: nn.Module, batch: tuple) -> dict:
    """Forward and backward pass: its seconds, loss and gradients. Random samplers draw the same each time."""
    torch.manual_seed(0)
    model.zero_grad()
    began = time.perf_counter()
    loss, _ = model.parse_losses(model.loss(*batch))
    loss.backward()
    seconds = time.perf_counter() - began
    gradients = {name: value.grad.clone() for name, value in model.named_parameters() if value.requires_grad}
    return dict(seconds=seconds, loss=loss.item(), gradients=gradients)


def compared(eager: dict, other: dict) -> dict:
    """Seconds of a step, and how far it is from the eager one."""
    theirs, mine = (torch.cat([value.flatten() for value in run['gradients'].values()]) for run in (eager, other))
    return dict(
        seconds=round(other['seconds'], 2),
        loss=other['loss'],
        largest_gradient_difference=(mine - theirs).abs().max().item(),
        relative_difference=((mine - theirs).norm() / theirs.norm()).item(),
    )


def measure(path: str, size: Sequence[int], backend: str) -> dict:
    """One config: its three steps, and what the compiler counted."""
    cfg = Config.fromfile(path)
    init_default_scope(cfg.get('default_scope', 'mmdet'))
    torch._dynamo.reset()
    torch._dynamo.utils.counters.clear()
    torch.manual_seed(0)
    settings = copy.deepcopy(cfg.model)
    settings.detector.backbone.init_cfg = None  # nothing is fetched
    model = MODELS.build(settings)
    model.init_weights()
    with torch.no_grad():  # or norms that start at zero leave what is before them without gradients
        for value in model.parameters():
            value.add_(0.02 * torch.randn_like(value))
    model.train()
    batch = random_batch(model, unit_of(cfg), tuple(size))
    eager = step(model, batch)
    CompilePartsHook(options=dict(dynamic=True, backend=backend)).before_train(SimpleNamespace(model=model))
    first, second = step(model, batch), step(model, batch)
    counters = torch._dynamo.utils.counters
    return dict(
        config=path,
        eager=dict(
            seconds=round(eager['seconds'], 2),
            loss=eager['loss'],
            largest_gradient=max(value.abs().max().item() for value in eager['gradients'].values()),
        ),
        first=compared(eager, first),
        second=compared(eager, second),
        graphs=counters['stats']['unique_graphs'],
        graph_breaks=sum(counters['graph_break'].values()),
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print and write after every config."""
    args = parse_args(argv)
    for path in args.config:
        require_file(path, 'config file')
    MMLogger.get_instance('compiled', log_level='ERROR')  # or mmengine lists every weight that it initialises
    torch.set_num_threads(args.threads)
    content = dict(
        command=shlex.join(['python', 'benchmarks/compiled_parts.py', *(sys.argv[1:] if argv is None else argv)]),
        **provenance.commit(),
        started=provenance.now(),
        machine=provenance.machine(),
        versions=provenance.versions(),
        threads=args.threads,
        backend=args.backend,
        size=list(args.size),
        note=args.note,
        load_average=dict(before=os.getloadavg()),
        rows=[],
    )
    out = Path(args.out)
    out.parent.mkdir(parents=True, exist_ok=True)
    for path in args.config:
        content['rows'].append(measure(path, args.size, args.backend))
        content['load_average']['after'] = os.getloadavg()
        out.write_text(json.dumps(content, indent=1) + '\n')
        print(json.dumps(content['rows'][-1]))
    return 0


if __name__ == '__main__':
    sys.exit(run_cli(main))

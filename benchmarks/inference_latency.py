"""Does a guided detector cost anything at inference?  Latency of three detectors with the same weights.

plain      the mmdet detector of the config, as it would be without sssd
guided     the GuidedDetector as it is trained, predicting with its student
extracted  the mmdet detector loaded from what ``python -m sssd extract`` wrote

They run in one process, one after the other in every repeat, in an order that is shuffled by the seed. Without a
checkpoint the weights are random; hardly anything is detected then, and post-processing is cheaper than in use.

    python benchmarks/inference_latency.py configs/quickstart/retinanet_sssd.py [CHECKPOINT]
"""

import argparse
import contextlib
import copy
import json
import os
import random
import shlex
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from mmdet.registry import MODELS as MMDET_MODELS
from mmdet.structures import DetDataSample
from mmengine.config import Config
from mmengine.logging import MMLogger
from mmengine.registry import init_default_scope
from mmengine.runner import CheckpointLoader

from sssd import provenance
from sssd.checks.checkpoint import weights_of
from sssd.cli import extract
from sssd.cli._config import require_file
from sssd.errors import UserError, run_cli
from sssd.registry import MODELS

NAMES = ('plain', 'guided', 'extracted')


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('config', help='config with a GuidedDetector')
    parser.add_argument('checkpoint', nargs='?', help='a checkpoint of it (default: random weights)')
    parser.add_argument('--repeats', type=int, default=50, help='default: %(default)s')
    parser.add_argument('--warm-up', type=int, default=5, help='repeats that are not counted (default: %(default)s)')
    parser.add_argument(
        '--size',
        type=int,
        nargs=2,
        default=(192, 192),
        metavar=('HEIGHT', 'WIDTH'),
        help='of the image, in pixels (default: 192 192)',
    )
    parser.add_argument('--threads', type=int, default=1, help='threads of torch on a CPU (default: %(default)s)')
    parser.add_argument('--device', default='cpu', help='default: %(default)s')
    parser.add_argument('--seed', type=int, default=0, help='default: %(default)s')
    parser.add_argument('--note', default='', help='what else is to be known, such as other work on the machine')
    parser.add_argument('--out', default='benchmarks/results/inference_latency.json', help='default: %(default)s')
    return parser.parse_args(argv)


def build(cfg: Config, checkpoint: str | None, device: str) -> dict[str, torch.nn.Module]:
    """The three detectors in eval mode, with the same weights."""
    init_default_scope(cfg.get('default_scope', 'mmdet'))
    if 'detector' not in cfg.model:
        raise UserError(f'{cfg.filename} has no model.detector: name a config with an sssd.GuidedDetector.')
    guided = MODELS.build(copy.deepcopy(cfg.model))
    if checkpoint is None:
        guided.init_weights()
    else:
        guided.load_state_dict(weights_of(CheckpointLoader.load_checkpoint(checkpoint, map_location='cpu')))
    plain, extracted = (MMDET_MODELS.build(copy.deepcopy(cfg.model.detector)) for _ in range(2))
    plain.load_state_dict(guided.detector.state_dict())
    with tempfile.TemporaryDirectory() as folder:
        whole, part = os.path.join(folder, 'whole.pth'), os.path.join(folder, 'part.pth')
        torch.save(dict(meta={}, state_dict=guided.state_dict()), whole)
        with contextlib.redirect_stdout(None):
            extract.main([whole, part])
        extracted.load_state_dict(torch.load(part, map_location='cpu', weights_only=True)['state_dict'])
    return {name: model.to(device).eval() for name, model in zip(NAMES, (plain, guided, extracted))}


def image_batch(size: Sequence[int], seed: int) -> dict:
    """One random image (3, height, width) of 8-bit pixels with its data sample, as a loader gives it."""
    height, width = size
    pixels = torch.randint(0, 256, (3, height, width), generator=torch.Generator().manual_seed(seed)).to(torch.uint8)
    sample = DetDataSample(
        metainfo=dict(img_id=0, img_shape=(height, width), ori_shape=(height, width), scale_factor=(1.0, 1.0))
    )
    return dict(inputs=[pixels], data_samples=[sample])


def measure(calls: dict[str, Callable], repeats: int, warm_up: int, seed: int, wait: Callable) -> dict[str, list]:
    """Seconds of every call: for each name a list of (on the clock, of this process's CPU time)."""
    order, found = random.Random(seed), {name: [] for name in calls}
    for repeat in range(warm_up + repeats):
        for name in order.sample(list(calls), len(calls)):
            wait()
            began, cpu = time.perf_counter(), time.process_time()
            calls[name]()
            wait()
            if repeat >= warm_up:
                found[name].append((time.perf_counter() - began, time.process_time() - cpu))
    return found


def spread(seconds: Sequence[float]) -> dict:
    """Median, quartiles and extremes, in milliseconds."""
    first, median, third = statistics.quantiles(seconds, n=4, method='inclusive')
    numbers = dict(median=median, first_quartile=first, third_quartile=third, least=min(seconds), most=max(seconds))
    return {name: round(1000 * number, 3) for name, number in numbers.items()}


def summary(found: dict[str, list]) -> dict:
    """For each detector the spreads, and the median over the repeats of its time over the plain one's."""
    result = {}
    for name in found:
        result[name] = {}
        for kind, place in (('wall_ms', 0), ('cpu_ms', 1)):
            times, plain = ([row[place] for row in found[one]] for one in (name, 'plain'))
            result[name][kind] = spread(times)
            ratio = statistics.median(mine / theirs for mine, theirs in zip(times, plain))
            result[name][kind]['median_over_plain'] = round(ratio, 4)
    return result


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print and write."""
    args = parse_args(argv)
    for path, what in ((args.config, 'config file'), (args.checkpoint, 'checkpoint')):
        require_file(path, what)
    if args.repeats < 2:
        raise UserError(f'--repeats is {args.repeats}, but a spread needs at least 2.')
    MMLogger.get_instance('latency', log_level='ERROR')  # or mmengine lists every weight that it initialises
    torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    load = os.getloadavg()
    models, batch = build(Config.fromfile(args.config), args.checkpoint, args.device), image_batch(args.size, args.seed)
    wait = torch.cuda.synchronize if args.device.startswith('cuda') else lambda: None
    with torch.no_grad():
        calls = {name: lambda model=model: model.test_step(copy.deepcopy(batch)) for name, model in models.items()}
        detections = {name: len(call()[0].pred_instances) for name, call in calls.items()}
        found = measure(calls, args.repeats, args.warm_up, args.seed, wait)
    content = dict(
        command=shlex.join(['python', 'benchmarks/inference_latency.py', *(sys.argv[1:] if argv is None else argv)]),
        **provenance.commit(),
        started=provenance.now(),
        seed=args.seed,
        machine=provenance.machine(),
        versions=provenance.versions(),
        threads=args.threads,
        device=args.device,
        size=list(args.size),
        batch=1,
        repeats=args.repeats,
        weights='random' if args.checkpoint is None else Path(args.checkpoint).name,
        load_average=dict(before=load, after=os.getloadavg()),
        note=args.note,
        detections=detections,
        parameters={name: sum(value.numel() for value in model.parameters()) for name, model in models.items()},
        results=summary(found),
    )
    out = Path(args.out)
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(content, indent=1) + '\n')
    for name, row in content['results'].items():
        print(
            f'{name:10s} median {row["wall_ms"]["median"]:8.2f} ms wall, {row["cpu_ms"]["median"]:8.2f} ms CPU, '
            f'{row["cpu_ms"]["median_over_plain"]:.3f} of plain'
        )
    return 0


if __name__ == '__main__':
    sys.exit(run_cli(main))

"""What the benchmarks share: calls that agree first, then are timed in turn, their peak of memory, and a JSON.

A script makes a :class:`Case` for each row, in which every call returns what has to agree (outputs, gradients) by name:

    args = timing.parser(__doc__, 'losses').parse_args(argv)
    rows = [timing.measured(case, args) for case in cases(args)]
    timing.write(args, 'losses', rows, argv)

``make bench`` runs every script of this folder that imports this module.
"""

import argparse
import json
import os
import random
import shlex
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from sssd import provenance
from sssd.errors import UserError

#: A call that is timed; what it returns is compared before.
Call = Callable[[], Mapping[str, Tensor]]


@dataclass(frozen=True)
class Case:
    """One row of a benchmark.

    Args:
        name: What is done.
        calls: The ways to do it, by name; the first one is what the others are divided by.
        tolerance: How far results may be from the first call's: norm of the difference over its norm.
        compared: Calls whose results have to agree with the first's; None for all.
        facts: Sizes and the like, for the JSON.
    """

    name: str
    calls: Mapping[str, Call]
    tolerance: float = 1e-5
    compared: Sequence[str] | None = None
    facts: Mapping = field(default_factory=dict)


def parser(description: str, name: str) -> argparse.ArgumentParser:
    """A command line with the options of all benchmarks."""
    made = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument('--device', default='cpu', help='cpu or cuda (default: %(default)s)')
    made.add_argument('--repeats', type=int, default=9, help='of every call, in turn (default: %(default)s)')
    made.add_argument('--threads', type=int, default=1, help='threads of torch on a CPU (default: %(default)s)')
    made.add_argument('--seed', type=int, default=0, help='default: %(default)s')
    made.add_argument(
        '--quick', action='store_true', help='small sizes, 2 repeats: does it run?  Writes to --out alone'
    )
    made.add_argument('--note', default='', help='what else is to be known, such as other work on the machine')
    made.add_argument('--out', help=f'default: benchmarks/results/bench_{name}.json')
    return made


def measured(case: Case, args: argparse.Namespace) -> dict:
    """The row of a case: differences, seconds, ratios, peaks. It is printed, too.

    Raises:
        UserError: If results do not agree, before anything is timed.
    """
    torch.set_num_threads(args.threads)
    differences = agreed(case)
    peaks = {name: peak_memory(call, args.device) for name, call in case.calls.items()}
    found = interleaved(case.calls, 2 if args.quick else args.repeats, args.device, args.seed)
    first = next(iter(case.calls))
    row = dict(case=case.name, **case.facts, baseline=first, calls={})
    for name in case.calls:
        row['calls'][name] = dict(
            relative_difference=differences.get(name),
            peak_mib=round(peaks[name] / 2**20, 2),
            peak_over_baseline=round(peaks[name] / peaks[first], 4) if peaks[first] else None,
            **{kind: summary(found[name], found[first], place) for place, kind in enumerate(('wall', 'cpu'))},
        )
        tell(case.name, name, row['calls'][name])
    return row


def tell(case: str, name: str, row: dict) -> None:
    """One line of a call."""
    print(
        f'{case:34s} {name:22s} {row["wall"]["median_ms"]:9.2f} ms wall {row["cpu"]["median_ms"]:9.2f} ms CPU '
        f'{row["cpu"]["over_baseline"]:6.3f} x  peak {row["peak_mib"]:8.1f} MiB',
        flush=True,
    )


def agreed(case: Case) -> dict[str, float]:
    """How far the results of each call are from the first one's; the largest of its tensors.

    Raises:
        UserError: If one is further than the case allows, or lacks a tensor.
    """
    names = list(case.calls)
    compared = names[1:] if case.compared is None else case.compared
    expected, found = case.calls[names[0]](), {}
    # What is 0 but for rounding, such as the gradient of a bias before a norm, is compared with the largest tensor.
    least = 1e-5 * max((value.double().norm().item() for value in expected.values()), default=0.0)
    for name in compared:
        result = case.calls[name]()
        if result.keys() != expected.keys():
            raise UserError(f'{case.name}: {name} gives {sorted(result)}, but {names[0]} {sorted(expected)}.')
        found[name] = max((distance(result[key], value, least) for key, value in expected.items()), default=0.0)
        if not found[name] <= case.tolerance:
            raise UserError(
                f'{case.name}: the results of {name} are {found[name]:.2g} away from those of {names[0]}, more than '
                f'{case.tolerance:.2g}; nothing was timed.'
            )
    return found


def distance(mine: Tensor, theirs: Tensor, least: float) -> float:
    """Norm of the difference over the norm of the second, or over ``least`` if that is larger."""
    if mine.shape != theirs.shape or not theirs.numel():
        return 0.0 if mine.shape == theirs.shape else float('inf')
    mine, theirs = mine.detach().double(), theirs.detach().double()
    return ((mine - theirs).norm() / theirs.norm().clamp(min=max(least, 1e-30))).item()


def interleaved(calls: Mapping[str, Call], repeats: int, device: str, seed: int) -> dict[str, list]:
    """Seconds (on the clock, of this process's CPU) of every call, in turn, in an order drawn anew each time."""
    wait = torch.cuda.synchronize if device.startswith('cuda') else lambda: None
    order, found = random.Random(seed), {name: [] for name in calls}
    for repeat in range(repeats + 1):
        for name in order.sample(list(calls), len(calls)):
            wait()
            began, cpu = time.perf_counter(), time.process_time()
            calls[name]()
            wait()
            if repeat:  # the first is warm-up
                found[name].append((time.perf_counter() - began, time.process_time() - cpu))
    return found


def summary(times: Sequence[tuple], baseline: Sequence[tuple], place: int) -> dict:
    """Median and extremes in ms, and the median over the repeats of the ratio to the baseline."""
    mine, theirs = ([row[place] for row in rows] for rows in (times, baseline))
    ratios = sorted(a / b for a, b in zip(mine, theirs))
    return dict(
        median_ms=round(1000 * statistics.median(mine), 3),
        least_ms=round(1000 * min(mine), 3),
        most_ms=round(1000 * max(mine), 3),
        over_baseline=round(statistics.median(ratios), 4),
        over_baseline_range=[round(ratios[0], 4), round(ratios[-1], 4)],
    )


def peak_memory(call: Call, device: str) -> int:
    """Most bytes that a call has allocated at once, what lives only within one operation included.

    On CUDA as the caching allocator counts them, else as the profiler records allocations.
    """
    if device.startswith('cuda'):
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        call()
        return torch.cuda.max_memory_allocated() - before
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True) as profiler:
        call()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, 'trace.json')
        profiler.export_chrome_trace(str(path))
        events = json.loads(path.read_text())['traceEvents']
    steps = sorted((one['ts'], one['args']['Bytes']) for one in events if one['name'] == '[memory]')
    held = peak = 0
    for _, size in steps:
        held += size
        peak = max(peak, held)
    return peak


def write(
    args: argparse.Namespace, name: str, rows: list[dict], argv: Sequence[str] | None = None, script: str | None = None
) -> None:
    """The JSON of a benchmark, with all that a reader needs to run it again."""
    out = args.out or (None if args.quick else f'benchmarks/results/bench_{name}.json')
    if out is None:
        return
    content = dict(
        command=shlex.join(['python', f'benchmarks/{script or name}.py', *(sys.argv[1:] if argv is None else argv)]),
        **provenance.commit(),
        finished=provenance.now(),
        machine=provenance.machine(),
        versions=provenance.versions(),
        device=args.device,
        threads=args.threads,
        seed=args.seed,
        repeats=2 if args.quick else args.repeats,
        quick=args.quick,
        load_average=os.getloadavg(),
        note=args.note,
        compared_by='CPU time of this process, of calls in turn; wall time stands beside it',
        rows=rows,
    )
    Path(out).parent.mkdir(parents=True, exist_ok=True)
    Path(out).write_text(json.dumps(content, indent=1) + '\n')

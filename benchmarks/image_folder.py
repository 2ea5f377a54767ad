"""What a folder of many images costs a training: seconds of its starts, and memory that each worker has of its own.

A folder of N links to a few tiny JPEG files is made and removed again. Each start is a process of its own: it builds an
``sssd.ImageFolder``, asks for the orientation of all images as the sampler does, and forks a worker that takes many
images' infos in random order. The baseline is what ImageFolder did before: the folder listed and every header read at
each start, and the infos pickled by MMEngine.

    python benchmarks/image_folder.py --images 200000 1000000
"""

import argparse
import json
import os
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from mmdet.datasets import BaseDetDataset
from PIL import Image
from torch import multiprocessing

from sssd import provenance
from sssd.data.image_folder import ImageFolder
from sssd.data.sampler import _portrait
from sssd.errors import UserError, run_cli
from sssd.images import EXTENSIONS, image_size, natural_key

LINKS = 20000  # to one file; ext4 bears 65000
WAYS = ('baseline', 'first', 'second')


class Baseline(BaseDetDataset):
    """ImageFolder as it was: everything is read at each start, and MMEngine keeps it pickled."""

    def load_data_list(self) -> list[dict]:
        paths = [
            os.path.join(parent, name)
            for parent, _, files in os.walk(self.data_root)
            for name in files
            if name.lower().endswith(EXTENSIONS)
        ]
        paths.sort(key=lambda path: natural_key(os.path.relpath(path, self.data_root)))
        Image.preinit()
        with ThreadPoolExecutor(8) as pool:
            sizes = list(pool.map(image_size, paths))
        return [
            dict(img_path=path, img_id=index, seg_map_path=None, width=size[0], height=size[1], instances=[])
            for index, (path, size) in enumerate(zip(paths, sizes))
        ]


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--images', type=int, nargs='+', default=[200_000], help='how many (default: %(default)s)')
    parser.add_argument('--looks', type=int, default=200_000, help='infos a worker takes (default: %(default)s)')
    parser.add_argument('--folder', help='where the images are made for the time (default: that for temporary files)')
    parser.add_argument('--note', default='', help='what else is to be known, such as other work on the machine')
    parser.add_argument('--out', default='benchmarks/results/image_folder.json', help='default: %(default)s')
    parser.add_argument('--one', nargs=2, metavar=('WAY', 'FOLDER'), help=argparse.SUPPRESS)
    return parser.parse_args(argv)


def make_folder(root: Path, count: int) -> None:
    """``count`` images in folders of 10,000, links to files of several sizes."""
    rng = np.random.default_rng(0)
    for number in range(count):
        if number % LINKS == 0:
            source = root / f'source{number}.bin'
            height, width = rng.integers(16, 33, 2)
            Image.fromarray(rng.integers(0, 255, (height, width, 3), np.uint8)).save(source, 'JPEG')
        if number % 10000 == 0:
            folder = root / f'pool/part{number // 10000:03d}'
            folder.mkdir(parents=True)
        os.link(source, folder / f'image_{number:08d}.jpg')


def memory(pid: int | str = 'self') -> dict[str, int]:
    """Megabytes of a process: resident, its share of what several map (PSS), and what is its own alone (USS)."""
    lines = Path(f'/proc/{pid}/smaps_rollup').read_text().splitlines()[1:]
    kilobytes = {line.split(':')[0]: int(line.split()[1]) for line in lines}
    own = kilobytes['Private_Clean'] + kilobytes['Private_Dirty']
    return {
        name: round(value / 1024) for name, value in dict(rss=kilobytes['Rss'], pss=kilobytes['Pss'], uss=own).items()
    }


def look(dataset, looks: int, answers) -> None:
    """A worker's part: infos in random order, then what it has of memory."""
    before = memory()
    for index in np.random.default_rng(0).integers(len(dataset), size=looks).tolist():
        dataset.get_data_info(index)
    answers.put(dict(at_its_start=before, after=memory()))


def start(way: str, folder: str, looks: int) -> dict:
    """One start, in this process."""
    began, spent = time.perf_counter(), time.process_time()
    dataset = (Baseline if way == 'baseline' else ImageFolder)(data_root=folder, pipeline=[])
    portrait = _portrait(dataset)
    row = dict(
        seconds=round(time.perf_counter() - began, 2),
        cpu_seconds=round(time.process_time() - spent, 2),
        images=len(dataset),
        portrait=int(portrait.sum()),
        process=memory(),
    )
    context = multiprocessing.get_context('fork')
    answers = context.Queue()
    worker = context.Process(target=look, args=(dataset, looks, answers))
    worker.start()
    row['worker'] = answers.get()
    worker.join()
    return row


def measure(count: int, looks: int, where: str | None) -> dict:
    """All starts on a folder of ``count`` images, one process after the other."""
    with tempfile.TemporaryDirectory(dir=where, prefix='sssd-images') as root:
        make_folder(Path(root), count)
        found = {}
        for way in WAYS:
            words = [sys.executable, os.path.abspath(__file__), '--looks', str(looks), '--one', way, f'{root}/pool']
            path = os.pathsep.join(filter(None, sys.path))
            done = subprocess.run(
                words, cwd=root, env={**os.environ, 'PYTHONPATH': path}, capture_output=True, text=True
            )
            if done.returncode:
                raise UserError(f'the start {way!r} on {count} images failed: {done.stderr[-500:]}')
            found[way] = json.loads(done.stdout.splitlines()[-1])
        kept = sum(path.stat().st_size for path in Path(root).rglob('*.listing'))
    return dict(images=count, kept_megabytes=round(kept / 2**20, 1), **found)


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print and write after every number of images."""
    args = parse_args(argv)
    if args.one:
        print(json.dumps(start(*args.one, args.looks)))
        return 0
    content = dict(
        command=shlex.join(['python', 'benchmarks/image_folder.py', *(sys.argv[1:] if argv is None else argv)]),
        **provenance.commit(),
        started=provenance.now(),
        machine=provenance.machine(),
        versions=provenance.versions(),
        note=args.note,
        memory_unit='MB; uss is what a process has of its own alone',
        load_average=dict(before=os.getloadavg()),
        rows=[],
    )
    out = Path(args.out)
    out.parent.mkdir(parents=True, exist_ok=True)
    for count in args.images:
        content['rows'].append(measure(count, args.looks, args.folder))
        content['load_average']['after'] = os.getloadavg()
        out.write_text(json.dumps(content, indent=1) + '\n')
        print(json.dumps(content['rows'][-1]))
    return 0


if __name__ == '__main__':
    sys.exit(run_cli(main))

"""How long does `sssd doctor` take for a file of COCO's size, compared with reading it?

Writes a COCO file of so many images and boxes into a temporary folder, with or without images beside it, reads it with
Python's json in a process of its own, and runs the doctor over it in another one. The doctor's time is that of checks;
the start of the command, which imports mmdet, is told beside it.

    python benchmarks/doctor.py --out benchmarks/results/doctor.json
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
from pathlib import Path

import numpy as np

from sssd import provenance
from sssd.datasets.json_io import write_json
from sssd.errors import run_cli

READ = 'import json, sys, time; b = time.perf_counter(); json.load(open(sys.argv[1])); print(time.perf_counter() - b)'
EXAMINE = """
import resource, sys, time
import sssd
from sssd.checks.data import examine
from sssd.cli._config import config_of
from mmengine.registry import init_default_scope
init_default_scope('mmdet')
cfg = config_of(sys.argv[1])
began = time.perf_counter()
found = examine(cfg, ('train',), thorough=True).findings
print(time.perf_counter() - began, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, len(found.of('error')))
"""
CONFIG = """
model = dict()
train_dataloader = dict(batch_size=2, dataset=dict(
    type='CocoDataset', ann_file={file!r}, data_prefix=dict(img={folder!r}), metainfo=dict(classes={classes!r}),
    filter_cfg=dict(filter_empty_gt=True, min_size=32),
    pipeline=[dict(type='LoadImageFromFile'), dict(type='LoadAnnotations', with_bbox=True)]))
"""


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--images', type=int, default=118287, help='default: %(default)s, as in COCO train2017')
    parser.add_argument('--boxes', type=int, default=860001, help='default: %(default)s, likewise')
    parser.add_argument('--points', type=int, default=0, help='points of the polygon of a box; default: %(default)s')
    parser.add_argument('--out', help='write the result there too')
    return parser.parse_args(argv)


def content(images: int, boxes: int, points: int) -> dict:
    """A COCO file's content: 80 classes, sizes and boxes drawn at random, a polygon to each box."""
    rng = np.random.default_rng(0)
    sizes = rng.integers(300, 640, (images, 2))
    owners = np.sort(rng.integers(0, images, boxes))
    sides = np.maximum(2, sizes[owners] * rng.uniform(0.02, 0.4, (boxes, 2))).round(2)
    corners = ((sizes[owners] - sides) * rng.uniform(0, 1, (boxes, 2))).round(2)
    kinds = rng.integers(1, 81, boxes)
    outlines = (corners[:, None] + sides[:, None] * rng.uniform(0, 1, (boxes, points, 2))).round(2).reshape(boxes, -1)
    return dict(
        info=dict(description='drawn at random'),
        images=[
            dict(id=i + 1, file_name=f'{i:012d}.jpg', width=int(w), height=int(h)) for i, (w, h) in enumerate(sizes)
        ],
        annotations=[
            dict(
                segmentation=[outline.tolist()] if points else [],
                area=round(float(side[0] * side[1]), 4),
                iscrowd=0,
                image_id=int(owner) + 1,
                bbox=[*corner.tolist(), *side.tolist()],
                category_id=int(kind),
                id=number + 1,
            )
            for number, (outline, side, owner, corner, kind) in enumerate(zip(outlines, sides, owners, corners, kinds))
        ],
        categories=[dict(id=i, name=f'class {i}') for i in range(1, 81)],
    )


def write_images(folder: Path, images: list[dict]) -> None:
    """Write the header of a JPEG for each image: what the doctor reads of a sound one without EXIF."""
    folder.mkdir()
    for image in images:
        size = image['height'].to_bytes(2, 'big') + image['width'].to_bytes(2, 'big')
        frame = b'\xff\xc0\x00\x11\x08' + size + b'\x03\x01\x22\x00\x02\x11\x01\x03\x11\x01'
        tables = b'\xff\xdb\x00\x43' + bytes(65)
        (folder / image['file_name']).write_bytes(
            b'\xff\xd8' + tables + frame + image['file_name'].encode() + b'\xff\xd9'
        )


def timed(*words: str) -> list[float]:
    """The numbers that a Python program prints, and the seconds that it took as a whole."""
    began = time.perf_counter()
    done = subprocess.run([sys.executable, '-c', *words], capture_output=True, text=True, check=True)
    return [*map(float, done.stdout.split()[-3:]), time.perf_counter() - began]


def measure(args: argparse.Namespace, folder: Path) -> dict:
    """Both times, with images and without."""
    coco = content(args.images, args.boxes, args.points)
    file, config, images = folder / 'train.json', folder / 'config.py', folder / 'images'
    write_json(file, coco)
    classes = tuple(category['name'] for category in coco['categories'])
    config.write_text(CONFIG.format(file=str(file), folder=f'{images}/', classes=classes))
    results = dict(images=args.images, boxes=args.boxes, megabytes=round(file.stat().st_size / 1e6, 1))
    for name in ('without_images', 'with_images'):
        images.mkdir() if name == 'without_images' else (images.rmdir(), write_images(images, coco['images']))
        read = min(timed(READ, str(file))[0] for _ in range(2))
        seconds, gigabytes, errors, whole = timed(EXAMINE, str(config))
        results[name] = dict(
            json_seconds=round(read, 2),
            doctor_seconds=round(seconds, 2),
            ratio=round(seconds / read, 2),
            start_seconds=round(whole - seconds, 2),
            gigabytes=round(gigabytes, 2),
            errors=int(errors),
        )
    return results


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print and write."""
    args = parse_args(argv)
    with tempfile.TemporaryDirectory(prefix='sssd') as folder:
        result = measure(args, Path(folder))
    words = ['python', 'benchmarks/doctor.py', *(sys.argv[1:] if argv is None else argv)]
    report = dict(
        command=shlex.join(words),
        **provenance.commit(),
        started=provenance.now(),
        machine=provenance.machine(),
        cores=os.cpu_count(),
        result=result,
    )
    print(json.dumps(report, indent=1))
    if args.out:
        Path(args.out).write_text(json.dumps(report, indent=1) + '\n')
    return 0


if __name__ == '__main__':
    raise SystemExit(run_cli(main))

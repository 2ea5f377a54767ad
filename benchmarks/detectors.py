"""Which detectors of mmdet train with SED on one's own data: `sssd init` by name, one iteration, an evaluation.

A few small images with boxes and masks are drawn. Each detector is written by `sssd init --detector NAME` with random
weights and images of 128 pixels, trained by `sssd train` for one iteration of one labelled and one unlabelled image,
and evaluated at its end; or init says in one sentence why not. Widths and depths are those of mmdet's config. Rows of
an earlier run stay in the results file unless they are run again, so that what needs a package beside the environment
can be run where that is installed.

    python benchmarks/detectors.py --only atss dino
    python benchmarks/detectors.py --markdown          # the table of docs/detectors.md
"""

import argparse
import contextlib
import importlib.metadata
import io
import json
import os
import tempfile
import time
import traceback
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from sssd import provenance
from sssd.cli import init, train
from sssd.cli._config import config_of
from sssd.errors import UserError, run_cli
from sssd.registry import MODELS
from sssd.studies.own.names import MMDET

RESULTS = Path(__file__).parent / 'results/detectors.json'
#: Names for `--detector` with further arguments, by the name of the row.
CASES = {
    **dict.fromkeys(('faster_rcnn', 'retinanet', 'fcos', 'detr', *MMDET), ()),
    'ddod': ('--image-size', '1024'),  # its deformable convolution wants three cells of stride 128 at half size
    'efficientnet': ('--batch', '2'),  # its batch norm wants more than one value, and stride 128 has one cell
    'mask_rcnn, boxes alone': ('--without-masks',),
    'mask_rcnn, labels without masks': (),
    'swin, Mask R-CNN': (),
}
NAMES = {
    'mask_rcnn, boxes alone': 'mask_rcnn',
    'mask_rcnn, labels without masks': 'mask_rcnn',
    'swin, Mask R-CNN': 'mask-rcnn_swin-t-p4-w7_fpn_1x_coco',
}
#: Packages beside the environment that some detectors need.
NEEDS = dict(paa='scikit-learn', convnext='onedl-mmpretrain', timm='onedl-mmpretrain')
SIZE = 128


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--only', nargs='+', choices=tuple(CASES), metavar='NAME', help='rows to run (default: all)')
    parser.add_argument('--out', default=str(RESULTS), help='results file (default: %(default)s)')
    parser.add_argument('--markdown', action='store_true', help='print the table of the results file, and run nothing')
    return parser.parse_args(argv)


def write_data(root: Path, masks: bool) -> None:
    """Four labelled images, two to evaluate on and two without labels: bright boxes on noise, in COCO form."""
    rng = np.random.default_rng(0)
    for part, count in (('train', 4), ('val', 2), ('unlabeled', 2)):
        folder = root / part
        folder.mkdir(parents=True)
        images, things = [], []
        for number in range(1, count + 1):
            pixels = rng.integers(90, 150, (96, SIZE, 3), dtype=np.uint8)
            for x, y, w, h in ((10, 10, 40, 40), (60, 30, 50, 50)):
                pixels[y : y + h, x : x + w] = 230
                box = dict(bbox=[x, y, w, h], area=w * h, iscrowd=0, image_id=number, category_id=1)
                corners = [[x, y, x + w, y, x + w, y + h, x, y + h]]
                things.append(dict(box, id=len(things) + 1, **(dict(segmentation=corners) if masks else {})))
            Image.fromarray(pixels).save(folder / f'{number}.png')
            images.append(dict(id=number, file_name=f'{number}.png', width=SIZE, height=96))
        content = dict(images=images, annotations=things, categories=[dict(id=1, name='box')])
        if part != 'unlabeled':
            (root / f'{part}.json').write_text(json.dumps(content))


def run_case(name: str, folder: Path) -> dict:
    """One row: what came of a detector.

    Args:
        name: A key of :data:`CASES`.
        folder: An empty folder for data, configs and the run.
    """
    begin = time.perf_counter()
    write_data(folder / 'data', masks='without masks' not in name)
    words = [str(folder / 'configs'), '--detector', NAMES.get(name, name), '--preset', 'paper', '--weights', 'none']
    words += ['--image-size', str(SIZE), '--batch', '1', '--iters', '1', '--no-trial', *CASES[name]]
    for part in ('labeled', 'val'):
        words += [f'--{part}', str(folder / f'data/{"train" if part == "labeled" else part}.json')]
    words += ['--unlabeled', str(folder / 'data/unlabeled')]
    row, said = dict(detector=NAMES.get(name, name), arguments=list(CASES[name])), io.StringIO()
    try:
        with contextlib.redirect_stdout(said):
            init.main(words)
    except UserError as error:
        return dict(row, trains=False, reason=str(error))
    row['warnings'] = [line[9:] for line in said.getvalue().splitlines() if line.startswith('warning: ')]
    config = config_of(str(folder / 'configs/sed.py'))
    head = (folder / 'configs/detector.py').read_text().splitlines()
    row['config'] = head[0].partition('detector of ')[2].partition(', changed')[0]
    row['changes'] = changes_of(head)
    row['backbone'] = config.model.detector.backbone.type
    row['parameters'] = parameters_of(config)
    with contextlib.redirect_stdout(said):
        train.main(
            [
                str(folder / 'configs/sed.py'),
                '--work-dir',
                str(folder / 'run'),
                '--cfg-options',
                *FAST,
                f'visualizer.name={folder.name}',
            ]
        )
    scalars = next((folder / 'run').glob('*/vis_data/scalars.json')).read_text().splitlines()
    terms = {key: value for line in scalars for key, value in json.loads(line).items()}
    losses = {key: value for key, value in terms.items() if '_loss_scale' in key or '_loss_distill' in key}
    row['finite'] = bool(losses) and all(np.isfinite(value) for value in losses.values())
    row['terms'] = sorted(losses)
    ended = (folder / 'run/iter_1.pth').is_file()  # after the evaluation, which has no AP where nothing is found
    return dict(row, trains=row['finite'] and ended, seconds=round(time.perf_counter() - begin, 1))


#: One process, and a log of the one iteration.
FAST = [
    *(f'{part}_dataloader.{key}' for part in ('train', 'val') for key in ('num_workers=0', 'persistent_workers=False')),
    'default_hooks.logger.interval=1',
]


def changes_of(lines: Sequence[str]) -> list[str]:
    """What the head of detector.py says was changed."""
    found = []
    for line in lines[1:]:
        if not line.startswith('#'):
            break
        if line.startswith('# - '):
            found.append(line[4:])
        else:
            found[-1] += ' ' + line[1:].strip()
    return found


def parameters_of(config) -> float:
    """Millions of parameters of the plain detector."""
    detector = MODELS.build(config.model.detector)
    return round(sum(value.numel() for value in detector.parameters()) / 1e6, 1)


def installed() -> dict[str, str | None]:
    """Versions of the packages of :data:`NEEDS` that are there."""
    found = {}
    for name in dict.fromkeys(NEEDS.values()):
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[name] = importlib.metadata.version(name)
    return found


def table(results: dict) -> str:
    """The rows as Markdown: those that train, then those that do not."""
    lines = ["| `--detector` | mmdet's config | backbone | parameters | what init changes beside classes and padding |"]
    lines.append('| :-- | :-- | :-- | --: | :-- |')
    rows = results['rows'].values()
    for row in rows:
        if row['trains']:
            more = [text for text in row['changes'] if not text.startswith(('num_classes=', 'pad_size_divisor='))]
            more += ['warns of batch norm that trains'] * any('batch norms train' in text for text in row['warnings'])
            more += [f'needs {row["needs"]}'] * bool(row['needs'])
            words = ' '.join([row['detector'], *row['arguments']])
            config = row['config'].removeprefix('mmdet::')
            lines.append(
                f'| `{words}` | {config} | {row["backbone"]} | {row["parameters"]:.1f} M | {"; ".join(more)} |'
            )
    lines += ['', '| `--detector` | why not |', '| :-- | :-- |']
    for row in rows:
        if not row['trains']:
            lines.append(f'| `{" ".join([row["detector"], *row["arguments"]])}` | {row.get("reason", "")} |')
    return '\n'.join(lines) + '\n'


def main(argv: Sequence[str] | None = None) -> int:
    """Run the rows, each in a folder of its own, and write the file after each of them."""
    args = parse_args(argv)
    out = Path(args.out)
    results = json.loads(out.read_text()) if out.is_file() else dict(rows={})
    if args.markdown:
        print(table(results), end='')
        return 0
    for name in args.only or CASES:
        with tempfile.TemporaryDirectory() as folder:
            try:
                row = run_case(name, Path(folder))
            except Exception as error:  # a mistake of ours: the others are run all the same
                traceback.print_exc(limit=-4)
                row = dict(detector=name, arguments=[], trains=False, reason=f'crash: {error}')
        row.update(provenance.commit(), extras=installed())
        row['needs'] = NEEDS.get(row['detector'], '')
        results['rows'][name] = row
        results['rows'] = {key: results['rows'][key] for key in CASES if key in results['rows']}
        results.update(versions=provenance.versions(), machine=provenance.machine(), made=provenance.now())
        out.write_text(json.dumps(results, indent=1) + '\n')
        print(name, 'trains' if row['trains'] else f'does not: {row.get("reason")}', row.get('seconds', ''), flush=True)
    return 0


if __name__ == '__main__':
    os.environ.setdefault('OMP_NUM_THREADS', '1')
    raise SystemExit(run_cli(main))

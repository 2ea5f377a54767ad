"""Which way the terms of SED pull: each under each re-weighting, beside what the hidden labels of the same images ask.

At the parameters that all losses share (the neck's), over batches of unlabelled images: the gradient of the detector's
own losses with the true boxes of these images, which training never sees, and those of Eq. 2 and 3, classification and
boxes apart. A cosine of 1 is the way of the labels, 0 says nothing of it, below 0 undoes it. Nothing is trained.

    python benchmarks/directions.py CONFIG CHECKPOINT --labels data/bccd/train.json
"""

import argparse
import json
import os
import shlex
import sys
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmengine.runner import Runner, load_checkpoint
from torch import Tensor

from sssd import provenance
from sssd.cli._config import require_file
from sssd.detectors.gradient_ratios import shared_parameters
from sssd.detectors.sed import SED, build_loss
from sssd.errors import UserError, run_cli
from sssd.losses import branch_gradients, sum_of
from sssd.progress import tracked
from sssd.registry import MODELS
from sssd.whole_files import write_file

REWEIGHTS = ('Histogram', 'Mean', 'OHEM', 'Focal')


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('config', help='config with sssd.SED')
    parser.add_argument('checkpoint', help='one of its training')
    parser.add_argument('--labels', required=True, metavar='JSON', help='COCO file with the boxes of its images')
    parser.add_argument('--batches', type=int, default=24, help='to measure (default: %(default)s)')
    parser.add_argument('--seed', type=int, default=0, help='of batches and augmentation (default: %(default)s)')
    parser.add_argument('--threads', type=int, default=1, help='threads of torch (default: %(default)s)')
    parser.add_argument('--note', default='', help='what else is to be known, such as which run it is')
    parser.add_argument('--out', default='benchmarks/results/directions.json', help='added to (default: %(default)s)')
    return parser.parse_args(argv)


def batches(cfg: Config, labels: str, seed: int) -> Iterator[dict]:
    """Batches as in the training, whose unlabelled images carry their true boxes."""
    loader = cfg.train_dataloader
    unlabelled = loader.dataset.datasets[1]
    unlabelled.ann_file = str(Path(labels).resolve())
    unlabelled.filter_cfg = dict(filter_empty_gt=True)
    steps = unlabelled.pipeline
    empty = [place for place, step in enumerate(steps) if step['type'] == 'LoadEmptyAnnotations']
    if len(empty) != 1:
        raise UserError('the unlabelled pipeline of the config has no LoadEmptyAnnotations: give one that ships here.')
    steps[empty[0]] = dict(type='LoadAnnotations', with_bbox=True)
    loader.update(num_workers=0, persistent_workers=False)
    return iter(Runner.build_dataloader(loader, seed=seed))


def gradients(model: SED, batch: dict, losses: dict) -> tuple[dict[tuple[str, str], Tensor], Tensor]:
    """Gradients (P,) by term and re-weighting, and that of the true labels; boxes are not re-weighted."""
    inputs, samples = batch['inputs'], batch['data_samples']
    passes, shared, terms = model.passes(inputs, samples), shared_parameters(model.student), defaultdict(float)
    for view in model.views:
        scale = view.scale_pair(passes.full, passes.small, model.shift)
        taught = view.scale_pair(passes.weak, passes.small, model.shift)
        distill = view.distill_pair(passes.strong, passes.weak)
        for reweight, (of_scale, of_distill) in losses.items():
            for term, parts in (
                ('scale', of_scale.scale(*scale)),
                ('scale_small_learns', of_scale.scale(scale[0].detached(), scale[1])),
                ('scale_full_learns', of_scale.scale(scale[0], scale[1].detached())),
                ('scale_teacher', of_scale.scale(taught[0].detached(), taught[1])),
                ('distill', of_distill.distill(*distill)),
            ):
                terms[f'{term}_cls', reweight] += parts[0]
                if reweight == REWEIGHTS[0]:
                    terms[f'{term}_bbox', '-'] += parts[1]
    own = sum_of(model.student.loss(inputs['unsup_student'], samples['unsup_student']))
    *rows, labels = branch_gradients([*terms.values(), own], shared)
    return dict(zip(terms, rows)), labels


def losses_of(cfg: Config) -> dict[str, tuple]:
    """The losses of Eq. 2 and 3 as the config has them, under each re-weighting."""
    both = [cfg.model.get(key) or dict(type='SoftLoss') for key in ('scale_loss', 'distill_loss')]
    return {name: tuple(build_loss(dict(one, reweight=dict(type=name))) for one in both) for name in REWEIGHTS}


def measure(model: SED, losses: dict[str, tuple], loader: Iterator[dict], count: int) -> list[dict]:
    """Per term: norm over that of the labels and cosine with it, means over batches; the cosine of the sums too."""
    model.train()
    found, sums, wanted = defaultdict(list), defaultdict(float), 0.0
    for _ in tracked(range(count), 'batches', count):
        terms, labels = gradients(model, model.data_preprocessor(next(loader), True), losses)
        wanted = wanted + labels
        for name, row in terms.items():
            sums[name] = sums[name] + row
            found[name].append((row.norm() / labels.norm(), torch.cosine_similarity(row, labels, dim=0)))
    rows = []
    for (term, reweight), values in found.items():
        ratio, cosine = torch.tensor(values).mean(0).tolist()
        of_sums = torch.cosine_similarity(sums[term, reweight], wanted, dim=0).item()
        figures = dict(ratio=ratio, cosine=cosine, cosine_of_sums=of_sums)
        rows.append(dict(term=term, reweight=reweight) | {key: round(value, 3) for key, value in figures.items()})
    return rows


def main(argv: Sequence[str] | None = None) -> int:
    """Measure one checkpoint and add it to the results."""
    args = parse_args(argv)
    for path, what in ((args.config, 'config file'), (args.checkpoint, 'checkpoint'), (args.labels, '--labels')):
        require_file(path, what)
    torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    began, cfg = time.perf_counter(), Config.fromfile(args.config)
    init_default_scope(cfg.get('default_scope', 'mmdet'))
    model = MODELS.build(cfg.model)
    if not isinstance(model, SED):
        raise UserError(f'{args.config} has {type(model).__name__}: give a config with sssd.SED.')
    model.lambda_s = model.lambda_d = 1.0  # every term is measured
    load_checkpoint(model, args.checkpoint, map_location='cpu', strict=True)
    row = dict(
        command=shlex.join(['python', 'benchmarks/directions.py', *(sys.argv[1:] if argv is None else argv)]),
        environment={key: os.environ[key] for key in ('BCCD_LABELED', 'AQUARIUM_LABELED') if key in os.environ},
        note=args.note,
        **provenance.commit(),
        started=provenance.now(),
        machine=provenance.machine(),
        versions=provenance.versions(),
    )
    row['terms'] = measure(model, losses_of(cfg), batches(cfg, args.labels, args.seed), args.batches)
    row['seconds'] = round(time.perf_counter() - began, 1)
    out = Path(args.out)
    content = json.loads(out.read_text()) if out.exists() else dict(about=__doc__.splitlines()[0], runs=[])
    content['runs'].append(row)
    write_file(out, json.dumps(content, indent=1) + '\n')
    for term in row['terms']:
        print(json.dumps(term))
    return 0


if __name__ == '__main__':
    sys.exit(run_cli(main))

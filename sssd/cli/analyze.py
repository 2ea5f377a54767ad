"""Command: the analyses of the SED paper's figures (2a, 2b, 2c, 4, 5), each as numbers and a picture."""

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from mmengine.logging import MMLogger

from sssd.checkpoints.loading import trusting
from sssd.cli import _subject
from sssd.cli._config import load_config
from sssd.cli._parser import parse
from sssd.cli._report import Report
from sssd.detectors.pseudo_labels import is_factor
from sssd.errors import UserError
from sssd.figures import gradients, object_sizes, passes, pseudo_labels, score_distance, valid_range
from sssd.figures.style import SCALE_LOSS, plain
from sssd.progress import tracked
from sssd.views import build_views


def main(argv: Sequence[str] | None = None) -> int:
    """Run one analysis; returns the exit status."""
    words = ['sssd', 'analyze', *(sys.argv[1:] if argv is None else argv)]
    args = _subject.with_device(parse('analyze', argv))
    _subject.check_numbers(args)
    check_sizes(args)
    MMLogger.get_instance('analyze', log_level='ERROR')  # or mmengine tells of every registry that it searches
    cfg = load_config(args)
    name = args.name or args.what.replace('-', '_')
    given = ('config', 'checkpoint', 'ann', 'images', 'seed', 'batch_size')
    report = Report(words, args.out, name, **{key: getattr(args, key) for key in given if hasattr(args, key)})
    with trusting(getattr(args, 'trust_checkpoint', False)):
        RUNS[args.what](args, cfg, report)
    return 0


def check_sizes(args: argparse.Namespace) -> None:
    """Refuse sizes and overlaps that no image and no anchor can have, and a name that is a path.

    Raises:
        UserError: Naming the argument.
    """
    scale, overlap = getattr(args, 'scale', None), getattr(args, 'pos_iou', None)
    if getattr(args, 'no_mirror', False) and not args.sizes:
        raise UserError('--no-mirror is about further looks and there are none: name their --sizes, or leave it out.')
    for size in getattr(args, 'sizes', ()):
        if not is_factor(size):
            raise UserError(f'--sizes has {size:g}, but a factor lies between 0.25 and 4.')
    if scale is not None and min(scale) < 1:
        raise UserError(f'--scale is {scale[0]} {scale[1]}, but an image has at least one pixel each way.')
    if overlap is not None and not 0 < overlap <= 1:
        raise UserError(f'--pos-iou is {overlap}, but an IoU of foreground is above 0 and at most 1.')
    if args.name is not None and Path(args.name).name != args.name:
        raise UserError(f'--name is {args.name}, but it names files in the folder of --out: give it without a path.')


class Runs:
    """A detector, its views, and labelled batches at two sizes."""

    def __init__(self, args: argparse.Namespace, cfg) -> None:
        self.detector, self.part = _subject.load_detector(cfg, args.checkpoint, args.part, args.device, args.shift)
        self.views = build_views(self.detector, cfg.model.get('views'))
        self.batches = Batches(args, cfg)
        self.shift = args.shift

    def __iter__(self) -> Iterator[passes.ScalePasses]:
        for batch, infos in self.batches:
            yield passes.scale_passes(self.detector, batch, infos, self.shift)


class Batches:
    """Batches of the images asked for, with progress."""

    def __init__(self, args: argparse.Namespace, cfg) -> None:
        self.dataset = _subject.build_dataset(cfg, args.ann, args.img_dir)
        self.indices = passes.choose(self.dataset, args.images, args.seed)
        if not self.indices:
            raise UserError(f'{args.ann or "the test data of " + args.config} holds no image: name another with --ann.')
        self.size, self.what = args.batch_size, args.what

    def __iter__(self):
        total = -(-len(self.indices) // self.size)
        return tracked(passes.batches(self.dataset, self.indices, self.size), f'{self.what}, batches', total)


def run_score_distance(args: argparse.Namespace, cfg, report: Report) -> None:
    """Fig. 2b."""
    runs = Runs(args, cfg)
    view = passes.dense_view(runs.views)
    result = score_distance.score_distances(runs, view, args.shift, args.bins, args.measure)
    result.update(part=runs.part, view=view.name, shift=args.shift, measure=args.measure)
    title = rf'Scores of an image at two sizes: $X$ and $\hat{{X}}$, $1/2^s$ of it, $s = {args.shift}$'
    about = about_of(args, f'{view.name} view', runs.part, f'{result["images"]} images')
    report.write(result, score_distance.draw_score_distances(result, title, about))


def run_pseudo_labels(args: argparse.Namespace, cfg, report: Report) -> None:
    """Fig. 2c."""
    detector, part = _subject.load_detector(cfg, args.checkpoint, args.part, args.device)
    batches = Batches(args, cfg)
    looks = (tuple(args.sizes), not args.no_mirror)
    images = [image for found in pseudo_labels.detections(detector, batches, *looks) for image in found]
    result = pseudo_labels.recall_precision(images, len(batches.dataset.metainfo['classes']))
    result.update(part=part, sizes=args.sizes, mirror=bool(args.sizes) and looks[1])
    seen = [f'seen at {", ".join(f"{size:g}" for size in (1, *args.sizes))}'] if args.sizes else []
    about = about_of(args, part, f'{result["images"]} images', f'{result["objects"]} objects', *seen)
    title = 'Hard pseudo-labels against the score that they have to reach'
    report.write(result, pseudo_labels.draw_recall_precision(result, title, about))


def run_gradients(args: argparse.Namespace, cfg, report: Report) -> None:
    """Fig. 4."""
    runs = Runs(args, cfg)
    result = gradients.gradient_shares(runs, runs.views, args.shift, args.bins)
    result.update(part=runs.part, shift=args.shift)
    title = f'Where the gradient of {SCALE_LOSS} comes from, by score distance $g$ ($s = {args.shift}$)'
    about = about_of(args, runs.part, f'{result["images"]} images', f'$M = {args.bins}$ bins')
    report.write(result, gradients.draw_gradient_shares(result, title, about))


def run_object_sizes(args: argparse.Namespace, cfg, report: Report) -> None:
    """Fig. 2a and 5."""
    dataset = _subject.build_dataset(cfg, args.ann, args.img_dir)
    detector = _subject.build_detector(cfg)
    head = getattr(detector, passes.dense_view(build_views(detector, cfg.model.get('views'))).head)
    assigner = valid_range.assigner_of(head, args.low_quality, args.pos_iou)
    resizing = object_sizes.Resizing.of(dataset) if args.scale is None else object_sizes.Resizing(tuple(args.scale))
    indices = passes.choose(dataset, args.images, args.seed)
    infos = tracked((dataset.get_data_info(index) for index in indices), 'sizes, images', len(indices))
    pixels, relative = object_sizes.object_sizes(infos, resizing)
    shifts = range(args.max_shift + 1)
    valid = list(tracked(valid_range.valid_sizes(head, shifts, assigner), 'label assignment, values of s', len(shifts)))
    result = object_sizes.size_statistics(pixels, relative, valid)
    result.update(
        scale=resizing.scale,
        keep_ratio=resizing.keep_ratio,
        head=type(head).__name__,
        low_quality=args.low_quality,
        pos_iou=getattr(assigner, 'pos_iou_thr', None),
    )
    title = r'Sizes of objects, and those that can be foreground in both $X$ and $\hat{X}$, $1/2^s$ of it'
    about = about_of(args, type(head).__name__, f'{len(pixels)} objects')
    report.write(result, object_sizes.draw_sizes(result, pixels, title, about))


def about_of(args: argparse.Namespace, *parts: str) -> str:
    """The line below a figure's title: config, checkpoint if any, and what else is told."""
    files = [Path(name).name for name in (args.config, getattr(args, 'checkpoint', None)) if name]
    return plain(', '.join(files)) + ', ' + ', '.join(parts)


#: What runs each analysis of the command line.
RUNS = {
    'score-distance': run_score_distance,
    'pseudo-labels': run_pseudo_labels,
    'gradients': run_gradients,
    'object-sizes': run_object_sizes,
}

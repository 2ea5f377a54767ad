"""Evaluate a checkpoint: mmdet's arguments over MMEngine's Runner."""

import argparse
import os
import tempfile
from collections.abc import Sequence
from copy import deepcopy
from importlib import import_module

from mmdet.evaluation import DumpDetResults
from mmengine.config import Config

from sssd.checkpoints.loading import trusting
from sssd.checks.labels import predicts_on_guide
from sssd.checks.semi import check_role
from sssd.cli._config import load_config, require_file
from sssd.cli._dist import process_group
from sssd.cli._parser import parse
from sssd.cli._quiet import Screen, quiet
from sssd.cli._runner import build_runner, missing_files_explained, report_data
from sssd.datasets.json_io import writing
from sssd.errors import UserError
from sssd.studies.trial import META_KEYS, TTA_MODEL

#: What a config needs for a test, with what makes it one on the validation.
TESTED = dict(test_dataloader='val_dataloader', test_evaluator='val_evaluator', test_cfg="dict(type='TestLoop')")


def draw_predictions(cfg: Config, args: argparse.Namespace) -> None:
    """Have the visualization hook draw, for ``--show`` and ``--show-dir``.

    Raises:
        UserError: When the config has no such hook.
    """
    hook = cfg.get('default_hooks', {}).get('visualization')
    if hook is None:
        raise UserError(
            f'--show and --show-dir need the visualization hook, which {args.config} does not have: add '
            "default_hooks = dict(visualization=dict(type='DetVisualizationHook'))."
        )
    hook.draw = True
    if args.show:
        hook.show, hook.wait_time = True, args.wait_time
    if args.show_dir:
        hook.test_out_dir = args.show_dir


def use_tta(cfg: Config) -> None:
    """Wrap the model for test-time augmentation: a flip, unless the config says otherwise.

    Raises:
        UserError: For a label-guided teacher: the labels are not augmented along.
    """
    if predicts_on_guide(cfg.model):
        raise UserError(
            "--tta does not augment labels, which a model with predict_on='guide' is given: leave one of the two out."
        )
    # mmdet registers its model for this in MMEngine's registry, and only when asked to.
    import_module('mmdet.models.test_time_augs')
    if 'tta_model' not in cfg:
        cfg.tta_model = dict(TTA_MODEL)
    dataset = cfg.test_dataloader.dataset
    while 'dataset' in dataset:
        dataset = dataset.dataset
    if 'tta_pipeline' not in cfg:
        # Unflipped first: merged detections are evaluated against the boxes of the first view.
        flips = [dict(type='mmdet.RandomFlip', prob=0.0), dict(type='mmdet.RandomFlip', prob=1.0)]
        pack = [dict(type='mmdet.PackDetInputs', meta_keys=META_KEYS)]
        pipeline = deepcopy(dataset.pipeline)
        pipeline[-1] = dict(type='TestTimeAug', transforms=[flips, pack])
        cfg.tta_pipeline = pipeline
    cfg.model = dict(cfg.tta_model, module=cfg.model)
    dataset.pipeline = cfg.tta_pipeline


def check_out(out: str | None) -> None:
    """Refuse an ``--out`` that is no pickle file, or cannot be written; its folder is made.

    Raises:
        UserError: Naming it and the reason.
    """
    if out is None:
        return
    if not out.endswith(('.pkl', '.pickle')):
        raise UserError(f'--out {out} has to end in .pkl or .pickle: the predictions are written as a pickle.')
    folder = os.path.dirname(out) or '.'
    with writing(f'--out {out}'):
        os.makedirs(folder, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=folder, prefix='.probe'):
            pass
        if os.path.exists(out):
            with open(out, 'ab'):
                pass


def check_test(cfg: Config, config: str) -> None:
    """Refuse a config that does not say on what to test.

    Raises:
        UserError: Naming the keys that it lacks.
    """
    missing = [key for key in TESTED if cfg.get(key) is None]
    if missing:
        raise UserError(
            f'{config} has no {" and no ".join(missing)}, so there is nothing to test on: add '
            f'{", ".join(f"{key} = {TESTED[key]}" for key in missing)} for a test on the validation, or name another '
            'config.'
        )


def evaluate(cfg: Config, args: argparse.Namespace, screen: Screen | None) -> None:
    """Check the data, then test the checkpoint, with its predictions in a file if ``--out`` says so."""
    report_data(cfg, ('test',))
    runner = build_runner(cfg, checkpoint=args.checkpoint, screen=screen, tests=True)
    if args.out is not None:
        runner.test_evaluator.metrics.append(DumpDetResults(out_file_path=args.out))
    runner.test()


def main(argv: Sequence[str] | None = None) -> int:
    """Evaluate; returns the exit status."""
    args = parse('test', argv)
    check_out(args.out)
    cfg = load_config(args)
    require_file(args.checkpoint, 'checkpoint')
    check_test(cfg, args.config)
    check_role(cfg, args.config)
    cfg.load_from, cfg.resume = args.checkpoint, False
    if args.show or args.show_dir:
        draw_predictions(cfg, args)
    if args.tta:
        use_tta(cfg)
    session = quiet(args.verbose, args.launcher)
    trusted = trusting(args.trust_checkpoint)
    with trusted, session as screen, process_group(cfg, args.launcher), missing_files_explained(args.config):
        evaluate(cfg, args, screen)
    return 0

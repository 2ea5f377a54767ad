"""Command: draw what SED's training sees of unlabelled images."""

import contextlib
import copy
import io
from collections.abc import Sequence
from pathlib import Path

from mmdet.registry import DATASETS
from mmengine.config import Config
from mmengine.logging import MMLogger
from mmengine.registry import init_default_scope
from mmengine.runner import set_random_seed

from sssd.checkpoints.loading import trusting
from sssd.checks.checkpoint import compare
from sssd.cli._config import load_config
from sssd.cli._parser import parse
from sssd.cli._report import check_picture
from sssd.cli._runner import missing_files_explained
from sssd.cli._subject import build_model as build
from sssd.cli._subject import check_numbers, read_weights, require_model, with_device
from sssd.detectors import SED
from sssd.errors import UserError
from sssd.figures.passes import dense_view
from sssd.figures.style import plain, plt
from sssd.figures.training_views import choose_alike, training_views, unlabelled_batch, unlabelled_part
from sssd.figures.training_views_figure import draw_training_views


def build_model(cfg: Config, checkpoint: str | None) -> SED:
    """The SED of a config with a checkpoint's weights, or with random ones.

    Raises:
        UserError: If the config is of another model, or the checkpoint does not fit it.
    """
    weights = None if checkpoint is None else read_weights(checkpoint)
    require_model(cfg)
    model = build(cfg, cfg.model)
    if not isinstance(model, SED):
        raise UserError(
            f'{cfg.filename} has a {type(model).__name__}, which sees no unlabelled images: name a config '
            'with an sssd.SED.'
        )
    if weights is None:
        for module in model.modules():
            if 'Pretrained' in str(getattr(module, 'init_cfg', None)):
                module.init_cfg = None  # nothing is fetched for a picture
        model.init_weights()
        return model
    mismatch = compare(model, weights)
    if mismatch:
        raise UserError(
            f'checkpoint {checkpoint} is not of the model in the config: {mismatch}; use the config it was '
            'trained with, or another checkpoint.'
        )
    return model


def main(argv: Sequence[str] | None = None) -> int:
    """Draw; returns the exit status."""
    args = with_device(parse('views', argv))
    check_numbers(args)
    out = Path(args.out)
    check_picture(out)
    MMLogger.get_instance('views', log_level='ERROR')  # or mmengine lists every weight that it initialises
    cfg = load_config(args)
    init_default_scope(cfg.get('default_scope', 'mmdet'))
    set_random_seed(args.seed)
    with trusting(args.trust_checkpoint):
        model = build_model(cfg, args.checkpoint).to(args.device).eval()
    view = dense_view(model.views)
    with contextlib.redirect_stdout(io.StringIO()), missing_files_explained(args.config):
        dataset = unlabelled_part(DATASETS.build(copy.deepcopy(cfg.train_dataloader.dataset)))
    set_random_seed(args.seed)
    batch = unlabelled_batch(dataset, choose_alike(dataset, args.images, args.seed))
    images = training_views(model, view, batch, args.shift)
    what = Path(args.checkpoint).name if args.checkpoint else 'random weights'
    loss = model.scale_losses[view.name]
    loss = f'{type(loss).__name__}, {type(loss.reweight).__name__}'
    about = f'{plain(Path(args.config).name)}, {plain(what)}; {view.name} view, $s = {args.shift}$, {loss}'
    figure = draw_training_views(images, 'What training sees of unlabelled images', about)
    figure.savefig(out)
    plt.close(figure)
    print(f'wrote {out}')
    return 0

"""A detector as a folder that plain mmdet takes: weights, config, model card and a script of ten lines."""

import re
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmengine.config import Config

from sssd.checkpoints.loading import read_checkpoint
from sssd.checkpoints.saving import write_checkpoint
from sssd.checks.checkpoint import compare, weights_of
from sssd.deploy.card import model_card
from sssd.deploy.choose import Choice, better_part, read_history
from sssd.deploy.config import build_plain, classes_of, config_of_checkpoint, detector_config, text_of, validation_of
from sssd.deploy.parts import extract, is_guided, is_pair
from sssd.errors import UserError
from sssd.whole_files import write_file

WEIGHTS, CONFIG, CARD, SCRIPT = 'model.pth', 'config.py', 'README.md', 'predict.py'
FILES = (WEIGHTS, CONFIG, CARD, SCRIPT)
PREDICT = """\
\"\"\"python predict.py IMAGE_OR_FOLDER [OUT]: draws what the detector finds, and writes it as JSON.\"\"\"

import sys
from pathlib import Path

from mmdet.apis import DetInferencer

here = Path(__file__).resolve().parent
detector = DetInferencer(str(here / 'config.py'), str(here / 'model.pth'))
detector(sys.argv[1], out_dir=sys.argv[2] if len(sys.argv) > 2 else 'out', no_save_pred=False)
"""


def export(checkpoint: str | Path, folder: str | Path, cfg: Config | None = None, part: str = 'auto') -> Choice:
    """Write the folder of one detector of a checkpoint.

    Args:
        checkpoint: Of an SED, a guided detector or a plain one.
        folder: Where to; it must be empty or new.
        cfg: The config of the training; None takes it from the checkpoint or from beside it.
        part: ``'teacher'``, ``'student'``, ``'detector'``, or ``'auto'``: of a pair the better one by the validation
            that was logged.

    Returns:
        The part that was taken, and why.

    Raises:
        UserError: If the checkpoint has no such part, does not fit the config, or plain mmdet could not have it.
    """
    refuse_full(folder)
    content = read_checkpoint(checkpoint)
    meta = content.get('meta') or {}
    cfg = cfg or config_of_checkpoint(checkpoint, meta)[0]
    weights, evaluations, iteration = weights_of(content), read_history(checkpoint), iteration_of(checkpoint, meta)
    choice, plain = _part_of(weights, part, evaluations, iteration, checkpoint)
    classes = classes_of(cfg, meta)
    values = detector_config(cfg, classes)
    mismatch = compare(build_plain(values), plain)
    if mismatch:
        raise UserError(
            f'the {choice.part} of checkpoint {checkpoint} is not the detector of the config: {mismatch}; name the '
            'config that it was trained with by --config.'
        )
    told = meta.get('dataset_meta') or {}
    palette = told.get('palette')
    kept: dict[str, Any] = dict(dataset_meta=dict(classes=classes), part=choice.part, iter=iteration)
    if isinstance(palette, (list, tuple)) and len(palette) >= len(classes):
        kept['dataset_meta']['palette'] = [tuple(colour) for colour in palette[: len(classes)]]
    kept['validation'] = validation_of(cfg)
    name = Path(checkpoint).name
    card = model_card(
        part=choice.part,
        why=choice.why,
        checkpoint=name,
        iteration=iteration,
        trained=meta.get('time'),
        model=values['model'],
        classes=classes,
        training=cfg,
        evaluations=evaluations,
    )
    head = f'The {choice.part} of {name} for plain mmdet; README.md tells what it is.'
    write_checkpoint(dict(meta=kept, state_dict=OrderedDict(plain)), Path(folder, WEIGHTS))
    for file, text in ((CONFIG, text_of(values, head)), (CARD, card), (SCRIPT, PREDICT)):
        write_file(Path(folder, file), text)
    return choice


def refuse_full(folder: str | Path) -> None:
    """Refuse a folder to write in that holds something already.

    Raises:
        UserError: Naming it.
    """
    folder = Path(folder)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UserError(f'{folder} is not empty: name a new folder, or move away what is in it.')


def iteration_of(checkpoint: str | Path, meta: Mapping) -> int | None:
    """The iteration at which a checkpoint was written; None if neither it nor its name tells."""
    if isinstance(meta.get('iter'), int):
        return meta['iter']
    found = re.search(r'iter_(\d+)', Path(checkpoint).name)
    return int(found[1]) if found else None


def _part_of(weights, part, evaluations, iteration, checkpoint) -> tuple[Choice, Mapping]:
    """The part that was asked for, or the better one, and its weights without a prefix."""
    if part == 'auto':
        if is_pair(weights):
            choice = better_part(evaluations, iteration)
            return choice, extract(weights, choice.part)
        part = 'detector'
        why = 'the one detector of the checkpoint'
    else:
        why = f'the {part}, as was asked for'
    if part == 'detector' and not is_pair(weights):
        return Choice(part, why), extract(weights, part) if is_guided(weights) else weights
    plain = extract(weights, part)
    if not plain:
        raise UserError(f'checkpoint {checkpoint} has no weights of a {part}: leave --part out to have what it holds.')
    return Choice(part, why), plain

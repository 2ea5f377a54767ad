"""The model card of an exported detector: what it is, what it was trained on, how good it was, what made it."""

import os
from collections.abc import Mapping, Sequence
from typing import Any

from sssd.checks.sources import leaves
from sssd.provenance import commit, now, versions

COLUMNS = ('AP', 'AP50', 'AP75', 'APs', 'APm', 'APl')
SHOWN = 20


def model_card(
    *,
    part: str,
    why: str,
    checkpoint: str,
    iteration: int | None,
    trained: str | None,
    model: Mapping[str, Any],
    classes: Sequence[str],
    training: Mapping[str, Any],
    evaluations: Mapping[str, Sequence[dict]],
) -> str:
    """The text of the card, in Markdown.

    Args:
        part: Which detector of the checkpoint it is.
        why: Why this one.
        checkpoint: Name of the checkpoint file.
        iteration: Its iteration, if known.
        trained: When it was written, as MMEngine notes it, if known.
        model: Config of the detector.
        classes: Names of its classes.
        training: Config of the training.
        evaluations: What was logged, by role, as of :func:`sssd.report.scalars.history`.
    """
    name, backbone = model['type'], (model.get('backbone') or {}).get('type', 'backbone')
    step = 'iteration unknown' if iteration is None else f'iteration {iteration}'
    lines = [
        f'# {name} ({backbone}), {len(classes)} class{"es" * (len(classes) != 1)}',
        '',
        'A detector for plain MMDetection. `python predict.py IMAGE_OR_FOLDER [OUT]` draws what it finds and writes it '
        'as JSON.',
        '',
        '| | |',
        '|---|---|',
        f'| classes | {", ".join(classes)} |',
        f'| taken from | `{checkpoint}`, {step} |',
        f'| part | {why} |',
        f'| trained until | {_time(trained)} |',
        f'| exported | {now()} |',
        f'| commit of sssd | {_code()} |',
        f'| versions | {", ".join(f"{key} {value}" for key, value in versions().items())} |',
        '',
        '## Data',
        '',
        *_data(training),
        '',
        '## Validation',
        '',
        *_table(evaluations, iteration, part),
        '',
        '## Use and licence',
        '',
        'Scores are as good as the images are like those of the training: look at some of yours before relying on it.',
        '',
        f'No licence is stated for these weights: they come from the images above{_starts(training)}, whose licences '
        'decide what may be done with them. The code that trained them is under Apache 2.0.',
    ]
    return '\n'.join(lines) + '\n'


def _code() -> str:
    """The commit that runs, and whether it has changes."""
    source = commit()
    return f'{source["commit"] or "unknown"}{" with changes" if source["dirty"] else ""}'


def _time(told: str | None) -> str:
    """MMEngine's ``20260131_235959`` as ``2026-01-31 23:59:59``."""
    if not told or len(told) != 15:
        return told or 'unknown'
    day, clock = told.split('_')
    return f'{day[:4]}-{day[4:6]}-{day[6:]} {clock[:2]}:{clock[2:4]}:{clock[4:]}'


def _data(training: Mapping) -> list[str]:
    """A row for each data set of the training and its validation."""
    rows = ['| used for | data set | annotations | images |', '|---|---|---|---|']
    for use, key in (('training', 'train_dataloader'), ('validation', 'val_dataloader'), ('test', 'test_dataloader')):
        for _, leaf in leaves(key, (training.get(key) or {}).get('dataset')):
            root, prefix = leaf.get('data_root') or '', leaf.get('data_prefix') or {}
            file, images = leaf.get('ann_file') or '', next(iter(prefix.values()), '')
            told = [f'`{os.path.join(root, place)}`' if place else 'none' for place in (file, images or root)]
            rows.append(f'| {use} | {leaf.get("type", "unknown")} | {told[0]} | {told[1]} |')
    rows = list(dict.fromkeys(rows))
    return rows if len(rows) > 2 else ['The config of the training does not tell.']


def _table(evaluations: Mapping[str, Sequence[dict]], iteration: int | None, part: str) -> list[str]:
    """AP by role and iteration, in percent."""
    rows = sorted(
        (row['iter'], role, row)
        for role, each in evaluations.items()
        for row in each
        if iteration is None or row['iter'] <= iteration
    )
    if not rows:
        return ['No evaluation was logged beside the checkpoint.']
    columns = [name for name in COLUMNS if any(row.get(name) is not None for _, _, row in rows)]
    left = len(rows) - SHOWN
    text = [f'In percent, on the validation images; this is the {part}.']
    text += [f'The last {SHOWN} of {len(rows)} rows.'] if left > 0 else []
    text += ['', f'| iteration | detector | {" | ".join(columns)} |', '|---|---|' + '---|' * len(columns)]
    for step, role, row in rows[max(left, 0) :]:
        values = ' | '.join('' if row.get(name) is None else f'{row[name]:.1f}' for name in columns)
        text.append(f'| {step} | {role} | {values} |')
    return text


def _starts(training: Mapping) -> str:
    """Weights that the training began with."""
    found = dict.fromkeys(_checkpoints(training.get('model')))
    if training.get('load_from'):
        found[str(training['load_from'])] = None
    return f' and from pretrained weights (`{"`, `".join(found)}`)' if found else ''


def _checkpoints(value: Any):
    if isinstance(value, Mapping):
        if value.get('type') == 'Pretrained' and value.get('checkpoint'):
            yield str(value['checkpoint'])
        for inner in value.values():
            yield from _checkpoints(inner)
    elif isinstance(value, (list, tuple)):
        for inner in value:
            yield from _checkpoints(inner)

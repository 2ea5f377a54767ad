# Copyright (c) sssd contributors. Licensed under the Apache License 2.0.
"""Does a pipeline load the labels that a label-guided teacher is made from?"""
from typing import Iterator

from sssd.errors import UserError

#: Transforms after which boxes that were loaded before them are no longer in pixels of the original image.
GEOMETRY = ('Resize', 'Flip', 'Crop', 'Rotate', 'Affine')


def check_labels_loaded(model: dict, part: str, key: str, dataset: dict) -> None:
    """Refuse a pipeline that withholds the labels from a guided model, or gives them in other pixels.

    A guided detector needs labels to train, and, with ``predict_on='guide'``, to be evaluated as well; then in pixels
    of the original image, as mmdet's test pipelines have them.

    Args:
        model: The model's config.
        part: ``'train'``, ``'val'`` or ``'test'``.
        key: The data set's key in the config.
        dataset: The data set's config.

    Raises:
        UserError: Naming the pipeline and what to do.
    """
    training = part == 'train' and _name(model) == 'GuidedDetector'
    if not training and (part == 'train' or model.get('predict_on') != 'guide'):
        return
    steps = list(_names(dataset.get('pipeline') or []))
    loads = [place for place, name in enumerate(steps) if name.startswith('Load') and name.endswith('Annotations')
             and name != 'LoadEmptyAnnotations']
    what = 'trains on' if training else "with predict_on='guide' is given"
    if not loads:
        raise UserError(f"{key}.pipeline loads no labels, but a guided model {what} the labels of every image: add "
                        f"dict(type='LoadAnnotations', with_bbox=True){'' if training else ' after Resize'}.")
    late = [name for name in steps[loads[0] + 1:] if any(word in name for word in GEOMETRY)]
    if not training and late:
        raise UserError(f"{key}.pipeline has {late[0]} after {steps[loads[0]]}, but a model with predict_on='guide' "
                        f'takes boxes in pixels of the original images: put {steps[loads[0]]} behind {late[0]}.')


def _names(steps) -> Iterator[str]:
    """Names of the transforms in order, those inside other transforms too."""
    if isinstance(steps, (list, tuple)):
        for step in steps:
            yield from _names(step)
    elif isinstance(steps, dict):
        yield _name(steps)
        for inner in steps.values():
            yield from _names(inner)


def _name(step: dict) -> str:
    """The name of what a config builds, without its scope."""
    kind = step.get('type', '')
    return (kind if isinstance(kind, str) else kind.__name__).split('.')[-1]

"""Does a pipeline load the labels that a label-guided teacher is made from?"""

from collections.abc import Iterator

from sssd.errors import UserError

#: Transforms after which boxes that were loaded before them are no longer in pixels of the original image.
GEOMETRY = ('Resize', 'Flip', 'Crop', 'Rotate', 'Affine')


def check_labels_loaded(model: dict, part: str, key: str, dataset: dict, labelled: bool = True) -> None:
    """Refuse a pipeline that withholds the labels from a guided model, or gives them in other pixels.

    A label-guided teacher needs labels to train, alone or on SED's labelled branch, and, with ``predict_on='guide'``,
    to be evaluated as well; then in pixels of the original image, as mmdet's test pipelines have them.

    Args:
        model: The model's config.
        part: ``'train'``, ``'val'`` or ``'test'``.
        key: The data set's key in the config.
        dataset: The data set's config.
        labelled: Whether the data set is one that training takes labels from.

    Raises:
        UserError: Naming the pipeline and what to do.
    """
    guided = type_name(model) == 'GuidedDetector' or model.get('guidance') is not None
    training = part == 'train' and labelled and guided
    if not training and (part == 'train' or not predicts_on_guide(model)):
        return
    steps = list(steps_of(dataset.get('pipeline') or []))
    loads = [place for place, step in enumerate(steps) if loads_boxes(step)]
    what = 'trains on' if training else "with predict_on='guide' is given"
    if not loads:
        raise UserError(
            f'{key}.pipeline loads no labels, but a guided model {what} the labels of every image: add '
            f"dict(type='LoadAnnotations', with_bbox=True){'' if training else ' after Resize'}."
        )
    late = [type_name(step) for step in steps[loads[0] + 1 :] if any(word in type_name(step) for word in GEOMETRY)]
    if not training and late:
        load = type_name(steps[loads[0]])
        raise UserError(
            f"{key}.pipeline has {late[0]} after {load}, but a model with predict_on='guide' "
            f'takes boxes in pixels of the original images: put {load} behind {late[0]}.'
        )


def predicts_on_guide(model: dict) -> bool:
    """Whether a model's config evaluates the label-guided teacher itself."""
    return 'guide' in (model.get('predict_on'), (model.get('semi_test_cfg') or {}).get('predict_on'))


def steps_of(pipeline) -> Iterator[dict]:
    """The transforms in order, those inside other transforms too."""
    if isinstance(pipeline, (list, tuple)):
        for step in pipeline:
            yield from steps_of(step)
    elif isinstance(pipeline, dict):
        yield pipeline
        for inner in pipeline.values():
            yield from steps_of(inner)


def loads_boxes(step: dict) -> bool:
    """Whether a transform loads boxes with their classes."""
    name = type_name(step)
    return (
        name.startswith('Load')
        and name.endswith('Annotations')
        and name != 'LoadEmptyAnnotations'
        and step.get('with_bbox', True)
        and step.get('with_label', True)
    )


def type_name(step: dict) -> str:
    """The name of what a config builds, without its scope."""
    kind = step.get('type', '')
    return (kind if isinstance(kind, str) else kind.__name__).split('.')[-1]

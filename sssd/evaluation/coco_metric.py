"""COCO's metric for every annotation file, whatever its annotation ids are."""

import contextlib
import io

from mmdet.evaluation import CocoMetric as MMDetCocoMetric
from pycocotools.coco import COCO

from sssd.registry import METRICS


@METRICS.register_module()
class CocoMetric(MMDetCocoMetric):
    """mmdet's ``CocoMetric`` that numbers the annotations itself, from 1 on.

    pycocotools keeps the id of the annotation that a detection matches in an array in which 0 stands for no match: of a
    file whose ids begin with 0 one object counts as missed and its detection as false. Ids that are text do not fit
    into that array at all.

    Args:
        args: As of mmdet's ``CocoMetric``.
        kwargs: Likewise.
    """

    def __init__(self, *args, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        if self._coco_api is not None:
            number_annotations(self._coco_api)


def number_annotations(coco: COCO) -> None:
    """Number the annotations of a file as it was read from 1 on, if its own ids are of no use to pycocotools."""
    things = coco.dataset.get('annotations', [])
    sound = all(isinstance(thing['id'], int) and thing['id'] > 0 for thing in things)
    if sound and len({thing['id'] for thing in things}) == len(things):
        return
    for number, thing in enumerate(things, 1):
        thing['id'] = number
    with contextlib.redirect_stdout(io.StringIO()):  # it says that it indexes
        coco.createIndex()

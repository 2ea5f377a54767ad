"""COCO's metric for every annotation file, whatever its annotation ids are."""

import contextlib
import io

from mmdet.evaluation import CocoMetric as MMDetCocoMetric

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
        things = self._coco_api.dataset.get('annotations', []) if self._coco_api is not None else []
        if all(isinstance(thing['id'], int) and thing['id'] > 0 for thing in things):
            return
        for number, thing in enumerate(things, 1):
            thing['id'] = number
        with contextlib.redirect_stdout(io.StringIO()):  # it says that it indexes
            self._coco_api.createIndex()

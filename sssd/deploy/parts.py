"""The plain detector in a checkpoint and in a config: teacher or student of a pair, or one without its guide."""

import copy
import math
from collections import OrderedDict
from collections.abc import Mapping

from torch import Tensor

from sssd.checks.checkpoint import GUIDED

PAIR = ('teacher', 'student')


def extract(weights: Mapping[str, Tensor], part: str) -> OrderedDict:
    """The weights under ``part.``, their keys without it."""
    prefix = part + '.'
    return OrderedDict((key[len(prefix) :], value) for key, value in weights.items() if key.startswith(prefix))


def is_guided(weights: Mapping[str, Tensor]) -> bool:
    """Whether weights are those of a guided detector: every key is of the detector or of its label side."""
    return any(key.startswith(GUIDED[0]) for key in weights) and all(key.startswith(GUIDED) for key in weights)


def is_pair(weights: Mapping[str, Tensor]) -> bool:
    """Whether weights are those of a student and a teacher."""
    return all(any(key.startswith(f'{part}.') for key in weights) for part in PAIR)


def plain_part(weights: OrderedDict, part: str | None = None) -> tuple[str, OrderedDict]:
    """The name of a part and its weights, those of one plain detector: no label side is in them.

    Args:
        weights: Weights of the whole checkpoint.
        part: ``'teacher'``, ``'student'`` or ``'detector'``; None takes the detector of a guided one, else the teacher.
    """
    part = part or ('detector' if is_guided(weights) else 'teacher')
    return part, extract(weights, part)


def plain_config(model: Mapping, shift: int = 0) -> dict:
    """Config of the one detector inside a model's config, with the data preprocessor of its training.

    Padding is to a multiple that leaves whole cells in an image of 1/2**shift: what a semi-supervised model's
    preprocessor has is kept, since it was chosen for that, and that of a detector alone is raised by 2**shift.
    """
    outer = model.get('data_preprocessor') or {}
    detector = copy.deepcopy(dict(model.get('detector', model)))
    paired = outer.get('data_preprocessor')
    preprocessor = copy.deepcopy(dict(paired or detector.get('data_preprocessor') or outer))
    divisor = preprocessor.get('pad_size_divisor', 1)
    preprocessor['pad_size_divisor'] = math.lcm(divisor, 2**shift) if paired else divisor * 2**shift
    return dict(detector, data_preprocessor=preprocessor)

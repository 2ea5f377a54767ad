"""The lines of YOLO's label files: a class, and a box or an outline in shares of the image."""

from pathlib import Path

from sssd.datasets.forms import Mistakes, RepeatedError, number_of, read_text, several

#: How far beyond the image Ultralytics takes a coordinate.
TOLERANCE = 0.01


def rows_of(path: Path, classes: int, keypoints: bool, mistakes: Mistakes) -> list[tuple[int, tuple, bool]]:
    """Class, corners from 0 to 1, and whether it was an outline, of each line of a label file without a mistake."""
    lines = ((number, line.split()) for number, line in enumerate(read_text(path).splitlines(), 1))
    rows = (
        mistakes.kept(_row, f'{path}, line {number}', words, classes, keypoints) for number, words in lines if words
    )
    return [row for row in rows if row is not None]


def _row(where: str, words: list[str], classes: int, keypoints: bool) -> tuple[int, tuple, bool]:
    if len(words) < 5 or (len(words) != 5 and not keypoints and (len(words) == 6 or len(words) % 2 == 0)):
        hint = '; a sixth may be the score of a prediction' if len(words) == 6 else ''
        raise RepeatedError(
            f'{where}: it has {several(len(words), "number")}, but a label is a class and x, y, width, height, or '
            f'a class and the corners of an outline{hint}: correct the label.',
            several(len(words), 'number'),
        )
    kind, *values = (number_of(word, where, 'a value') for word in words)
    if kind != int(kind) or not 0 <= kind < classes:
        raise RepeatedError(
            f'{where}: the class is {words[0]}, but the data set has 0 to {classes - 1}: correct one.', 'class'
        )
    is_outline = len(values) != 4 and not keypoints
    used = values if is_outline else values[:4]
    if min(used) < -TOLERANCE or max(used) > 1 + TOLERANCE:
        raise RepeatedError(
            f'{where}: {max(used, key=lambda value: abs(value - 0.5)):g} is not from 0 to 1: coordinates are '
            'shares of the width and height of the image, so correct the label.',
            'range',
        )
    if is_outline:
        corners = (min(used[::2]), min(used[1::2]), max(used[::2]), max(used[1::2]))
    else:
        x, y, width, height = used
        corners = (x - width / 2, y - height / 2, x + width / 2, y + height / 2)
    return int(kind), corners, is_outline

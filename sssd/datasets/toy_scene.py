"""Draws one image of the toy data set: background, distractors, objects; `cameras.py` takes its picture."""

from dataclasses import dataclass

import cv2
import numpy as np

from sssd.datasets.cameras import CAMERAS
from sssd.datasets.toy_shapes import CLASSES, DISTRACTORS, class_outline, distractor_outline, fit_box

MIN_SIZE, MAX_SIZE = 0.07, 0.75  # sqrt(box area) over sqrt(image area)
MIN_VISIBLE = 0.4  # share of an object's pixels that stays visible
EMPTY_SHARE = 0.03  # share of images without any object
AREA_BUDGET = 0.7  # boxes of one image together, over the image area
_MARGIN = 160  # pixels around the image in which a shape's full area is counted
_SUBPIXEL = 4  # fractional bits of cv2's coordinates
COLOUR_CUE = 0.9  # share of the objects in their class's range of hues; any shape may have any colour
_HUE_SPREAD = 10.0  # standard deviation of a class's hues, degrees


@dataclass
class ToyObject:
    """One annotated object: class index, box x1 y1 x2 y2 in pixels, pixel area, visible share."""

    label: int
    box: tuple[float, float, float, float]
    area: int
    visible: float


class _Shape:
    """An outline at its place, with the mask of its pixels inside the image."""

    def __init__(self, outline: np.ndarray, label: int | None, height: int, width: int):
        self.outline = outline
        self.label = label
        canvas = np.zeros((height + 2 * _MARGIN, width + 2 * _MARGIN), np.uint8)
        cv2.fillPoly(canvas, [np.round(outline + _MARGIN).astype(np.int32)], 1)
        self.full_area = cv2.countNonZero(canvas)
        self.mask = canvas[_MARGIN:-_MARGIN, _MARGIN:-_MARGIN].astype(bool)
        self.shown = self.mask.copy()

    def visible_without(self, cover: np.ndarray) -> float:
        """Share of the whole shape that is seen when ``cover`` lies over it as well."""
        return np.count_nonzero(self.shown & ~cover) / self.full_area

    @property
    def visible(self) -> float:
        return np.count_nonzero(self.shown) / self.full_area


def draw_scene(rng: np.random.Generator, camera: str = 'plain') -> tuple[np.ndarray, list[ToyObject]]:
    """Draw an image.

    Objects may cover each other, later ones lie on top. A shape that would hide more than
    ``1 - MIN_VISIBLE`` of an object below it is put elsewhere or left out, so no object is
    painted without being annotated. Boxes are those of the whole shape, hidden parts included,
    clipped to the image.

    Args:
        rng: Source of everything random. The camera draws last, so one state gives one scene for all of them.
        camera: One of ``CAMERAS``.

    Returns:
        The image, (192, 256, 3) or (256, 192, 3) uint8, and its objects.
    """
    height, width = (192, 256) if rng.random() < 0.75 else (256, 192)
    image = _background(rng, height, width)
    for _ in range(rng.integers(1, 5)):
        shape = _place(_random_distractor(rng, height, width), None, rng, height, width, [])
        if shape is not None:
            _paint(image, shape, rng, soft=rng.random() < 0.4)

    shapes: list[_Shape] = []
    for outline, label in _plan(rng, height, width):
        shape = _place(outline, label, rng, height, width, shapes)
        if shape is not None:
            shapes.append(shape)
    for shape in shapes:
        _paint(image, shape, rng)
    objects = [_annotate(shape, height, width) for shape in shapes if shape.label is not None]
    return CAMERAS[camera](image, rng), objects


def _plan(rng, height: int, width: int) -> list:
    """Outlines to place, lowest first: (points, label), label None for a distractor."""
    plan, budget = [], AREA_BUDGET
    wanted = 0 if rng.random() < EMPTY_SHARE else rng.integers(2, 10)
    for _ in range(wanted):
        size = np.exp(rng.uniform(np.log(MIN_SIZE), np.log(MAX_SIZE)))
        if plan and size**2 > budget:
            continue
        budget -= size**2
        label = int(rng.integers(len(CLASSES)))
        points = fit_box(class_outline(CLASSES[label], rng), size * np.sqrt(height * width))
        depth = np.log(size) + rng.normal(0, 0.7)  # large ones tend to lie below
        plan.append((depth, points, label))
    for _ in range(rng.integers(0, 3)):
        plan.append((rng.uniform(-3.0, -0.6), _random_distractor(rng, height, width), None))
    plan.sort(key=lambda item: -item[0])
    return [(points, label) for _, points, label in plan]


def _random_distractor(rng, height: int, width: int) -> np.ndarray:
    size = np.exp(rng.uniform(np.log(MIN_SIZE), np.log(0.35)))
    name = DISTRACTORS[rng.integers(len(DISTRACTORS))]
    return fit_box(distractor_outline(name, rng), size * np.sqrt(height * width))


def _place(points, label, rng, height: int, width: int, below: list[_Shape], tries: int = 12) -> _Shape | None:
    """Find a place that leaves the objects below visible; None if there is none."""
    half = (points.max(0) - points.min(0)) / 2
    for _ in range(tries):
        low, high = 0.55 * half, np.array([width, height]) - 0.55 * half
        centre = np.where(high > low, rng.uniform(low, np.maximum(high, low + 1e-3)), np.array([width, height]) / 2)
        shape = _Shape(points + centre, label, height, width)
        hidden = any(other.label is not None and other.visible_without(shape.mask) < MIN_VISIBLE for other in below)
        if hidden or shape.visible < MIN_VISIBLE:
            continue
        for other in below:
            other.shown &= ~shape.mask
        return shape
    return None


def _annotate(shape: _Shape, height: int, width: int) -> ToyObject:
    limits = np.array([width, height])
    x1, y1 = np.clip(shape.outline.min(0), 0, limits)
    x2, y2 = np.clip(shape.outline.max(0), 0, limits)
    box = tuple(round(float(value), 2) for value in (x1, y1, x2, y2))
    return ToyObject(shape.label, box, int(np.count_nonzero(shape.mask)), round(float(shape.visible), 3))


def _noise(rng, height: int, width: int, coarsest: int, octaves: int) -> np.ndarray:
    """Value noise in [0, 1], (height, width) float32; each octave halves cell and amplitude."""
    total = np.zeros((height, width), np.float32)
    for octave in range(octaves):
        cell = max(coarsest >> octave, 1)
        grid = rng.random((height // cell + 2, width // cell + 2), np.float32)
        layer = cv2.resize(grid, (width, height), interpolation=cv2.INTER_CUBIC)
        total += layer * 0.5**octave
    return cv2.normalize(total, None, 0, 1, cv2.NORM_MINMAX)


def _ramp(rng, height: int, width: int) -> np.ndarray:
    """A linear gradient in [0, 1] in a random direction, (height, width) float32."""
    angle = rng.uniform(0, 2 * np.pi)
    y, x = np.mgrid[:height, :width].astype(np.float32)
    ramp = x * np.float32(np.cos(angle)) + y * np.float32(np.sin(angle))
    return cv2.normalize(ramp, None, 0, 1, cv2.NORM_MINMAX)


def _stripes(rng, height: int, width: int, period: float) -> np.ndarray:
    angle = rng.uniform(0, 2 * np.pi)
    y, x = np.mgrid[:height, :width].astype(np.float32)
    phase = (x * np.cos(angle) + y * np.sin(angle)) * (2 * np.pi / period)
    return (0.5 + 0.5 * np.sin(phase + rng.uniform(0, 6))).astype(np.float32)


def _mix(texture: np.ndarray, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """(h, w) texture in [0, 1] to (h, w, 3) float32 between two colours."""
    return (first + texture[..., None] * (second - first)).astype(np.float32)


def _background(rng, height: int, width: int) -> np.ndarray:
    first, second = rng.uniform(30, 225, (2, 1)) + rng.normal(0, 18, (2, 3))  # mostly grey
    second = first + (second - first) * rng.uniform(0.25, 0.8)
    kind = rng.integers(3)
    if kind == 0:
        texture = _noise(rng, height, width, int(rng.choice([64, 96, 128])), 4)
    elif kind == 1:
        texture = _ramp(rng, height, width)
    else:
        texture = _stripes(rng, height, width, rng.uniform(8, 60))
    image = _mix(texture, first, second)
    grain = _noise(rng, height, width, int(rng.choice([4, 8, 16])), 3)[..., None] - 0.5
    return image + grain * rng.uniform(10, 70, 3).astype(np.float32)


def _contrast_colour(around: np.ndarray, contrast: float, rng) -> np.ndarray:
    """A colour about ``contrast`` (Euclidean, of 0..255) away from ``around``, in range."""
    direction = rng.normal(size=3)
    direction /= np.linalg.norm(direction)
    options = [np.clip(around + sign * contrast * direction, 0, 255) for sign in (1, -1)]
    return max(options, key=lambda colour: np.linalg.norm(colour - around))


def _hue_colour(label: int | None, rng) -> np.ndarray:
    """A saturated colour, BGR in 0..255: in the class's range of hues, any hue for a distractor."""
    hue = rng.uniform(0, 360) if label is None else label * 360 / len(CLASSES) + rng.normal(0, _HUE_SPREAD)
    hue %= 360
    pixel = np.array([[[hue, rng.uniform(0.35, 1.0), rng.uniform(0.35, 1.0)]]], np.float32)
    return cv2.cvtColor(pixel, cv2.COLOR_HSV2BGR)[0, 0].astype(float) * 255


def _paint(image: np.ndarray, shape: _Shape, rng, soft: bool = False) -> None:
    """Fill a shape in place, in a colour and texture of its own; ``soft`` blurs its edge."""
    outline = shape.outline
    size = float(np.sqrt(np.prod(outline.max(0) - outline.min(0))))
    blur = max(1.0, 0.12 * size) if soft else 0.0
    pad = int(3 * blur) + 2
    low = np.maximum(np.floor(outline.min(0)).astype(int) - pad, 0)
    high = np.minimum(np.ceil(outline.max(0)).astype(int) + pad, [image.shape[1], image.shape[0]])
    region = image[low[1] : high[1], low[0] : high[0]]
    height, width = region.shape[:2]
    around = region.reshape(-1, 3).mean(0)
    contrast = np.exp(rng.uniform(np.log(25), np.log(60 if soft else 200)))
    first = _contrast_colour(around, contrast, rng)
    if not soft and rng.random() < COLOUR_CUE:
        first = _hue_colour(shape.label, rng)
    fill = _fill(rng, height, width, first, contrast, size)

    points = [np.round((outline - low) * 2**_SUBPIXEL).astype(np.int32)]
    alpha = np.zeros((height, width), np.uint8)
    cv2.fillPoly(alpha, points, 255, cv2.LINE_AA, _SUBPIXEL)
    if soft:
        alpha = cv2.GaussianBlur(alpha, (0, 0), blur)
    weight = alpha[..., None].astype(np.float32) / 255
    region += weight * (fill - region)
    if not soft and rng.random() < 0.3:
        colour = _contrast_colour(around, rng.uniform(60, 200), rng)
        edge = np.zeros((height, width), np.uint8)
        cv2.polylines(edge, points, True, 255, max(1, round(size * 0.04)), cv2.LINE_AA, _SUBPIXEL)
        region += edge[..., None].astype(np.float32) / 255 * (colour.astype(np.float32) - region)


def _fill(rng, height: int, width: int, first: np.ndarray, contrast: float, size: float) -> np.ndarray:
    """Texture of one shape, (height, width, 3) float32, in and about the colour ``first``."""
    contrast = min(contrast, 80.0)
    second = first + rng.normal(size=3) * (0.35 * contrast + 8)
    kind = rng.integers(4)
    if kind == 0:
        texture = np.zeros((height, width), np.float32)
    elif kind == 1:
        texture = _ramp(rng, height, width)
    elif kind == 2:
        texture = _stripes(rng, height, width, max(4.0, size * rng.uniform(0.15, 0.5)))
    else:
        texture = _noise(rng, height, width, max(2, int(size * rng.uniform(0.1, 0.4))), 3)
    return _mix(texture, first, second)

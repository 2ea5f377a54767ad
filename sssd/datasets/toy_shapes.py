"""Outlines of the toy data set: five classes of shapes, and shapes of no class.

An outline is an ``(N, 2)`` float array of x, y around the origin, of no particular size;
:func:`fit_box` gives it its size.
"""

import numpy as np

CLASSES = ('disc', 'square', 'triangle', 'star', 'cross')
DISTRACTORS = ('blob', 'crescent', 'half_disc', 'corner', 'line', 'needle', 'chevron')


def _polar(angles: np.ndarray, radii) -> np.ndarray:
    return np.stack([np.cos(angles) * radii, np.sin(angles) * radii], axis=1)


def _regular(corners: int, inner: float = 1.0) -> np.ndarray:
    """A regular polygon; with ``inner`` below 1 every second corner is pulled to the centre."""
    angles = np.arange(corners) * (2 * np.pi / corners)
    radii = np.where(np.arange(corners) % 2 == 0, 1.0, inner)
    return _polar(angles, radii)


def _cross(arm: float) -> np.ndarray:
    quarter = np.array([[1, -arm], [1, arm], [arm, arm]])
    turns = [np.array([[c, -s], [s, c]]) for c, s in ((1, 0), (0, 1), (-1, 0), (0, -1))]
    return np.concatenate([quarter @ turn.T for turn in turns])


def class_outline(name: str, rng: np.random.Generator) -> np.ndarray:
    """Outline of a class, its proportions, slant and rotation drawn from ``rng``."""
    if name == 'disc':
        points = _regular(40)
    elif name == 'square':
        points = _regular(4)
    elif name == 'triangle':
        points = _regular(3)
    elif name == 'star':
        points = _regular(10, inner=rng.uniform(0.38, 0.5))
    else:
        points = _cross(rng.uniform(0.24, 0.36))
    stretch = rng.uniform(0.87, 1.15)
    slant = rng.uniform(-0.12, 0.12)
    points = rotate(points, rng)
    points = points @ np.array([[stretch, slant], [0.0, 1 / stretch]])
    return rotate(points, rng)


def distractor_outline(name: str, rng: np.random.Generator) -> np.ndarray:
    """Outline of a shape of no class."""
    if name == 'blob':
        angles = np.arange(36) * (2 * np.pi / 36)
        radii = np.ones(36)
        for wave in range(2, 6):
            radii += rng.uniform(0.1, 0.3) * np.cos(wave * angles + rng.uniform(0, 2 * np.pi))
        points = _polar(angles, np.maximum(radii, 0.2))
    elif name == 'crescent':
        outer = _polar(np.linspace(-0.5, 0.5, 20) * np.pi, 1.0)
        inner = outer[::-1] * np.array([rng.uniform(0.3, 0.7), 1.0])
        points = np.concatenate([outer, inner[1:-1]])
    elif name == 'half_disc':
        points = _polar(np.linspace(-0.5, rng.uniform(0.3, 0.55), 20) * np.pi, 1.0)
    elif name == 'corner':
        arm, other = rng.uniform(0.25, 0.5), rng.uniform(0.6, 1.0)
        points = np.array([[0, 0], [1, 0], [1, arm], [arm, arm], [arm, other], [0, other]])
    elif name == 'line':
        half = rng.uniform(0.02, 0.06)
        points = np.array([[-1, -half], [1, -half], [1, half], [-1, half]])
    elif name == 'needle':
        points = _regular(32) * np.array([1.0, rng.uniform(0.15, 0.35)])
    else:  # chevron
        depth = rng.uniform(0.3, 0.6)
        points = np.array([[-1, 0], [0, 1], [1, 0], [1, -depth], [0, 1 - depth], [-1, -depth]])
    return rotate(points, rng)


def rotate(points: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    angle = rng.uniform(0, 2 * np.pi)
    cos, sin = np.cos(angle), np.sin(angle)
    return points @ np.array([[cos, sin], [-sin, cos]])


def fit_box(points: np.ndarray, size: float) -> np.ndarray:
    """Centre ``points`` on its box and scale it: square root of the box area = ``size`` pixels.

    A box thinner than a fifth of its length counts as a fifth, or a line would be huge.
    """
    low, high = points.min(0), points.max(0)
    extent = high - low
    area = extent.max() * max(extent.min(), extent.max() / 5)
    return (points - (low + high) / 2) * (size / np.sqrt(area))

"""Cameras: what a scene, drawn or photographed before, looks like as a photograph."""

import cv2
import numpy as np

GREY = np.float32([0.114, 0.587, 0.299])  # weights of blue, green and red


def plain(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """One good camera for all images: a little brightness, blur and noise of its own in each.

    Args:
        image: (H, W, 3) of 0..255, any type.
        rng: Source of the camera's settings.

    Returns:
        (H, W, 3) uint8.
    """
    image = image * rng.uniform(0.8, 1.15) + rng.uniform(-12, 12)
    blur = rng.uniform(0, 0.9)
    if blur > 0.3:
        image = cv2.GaussianBlur(image, (0, 0), blur)
    return _noisy(image, 6, rng)


def varied(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Another camera for every image: what :func:`plain` sees through a poor lens, in any light.

    On top of that: gains of the channels (standard deviation 25 %), gamma (35 %), faded colours in 30 % of the images,
    contrast from half to 1.15, brightness by 12 %, Gaussian blur of a sigma up to 1.2 pixels and noise of one up to 8
    of 255. The blur is in pixels: large photographs, which training makes smaller, hardly show it.

    Args:
        image: (H, W, 3) of 0..255, any type.
        rng: Source of the camera's settings.

    Returns:
        (H, W, 3) uint8.
    """
    image = plain(image, rng).astype(np.float32) / 255
    image = image ** np.float32(np.exp(rng.normal(0, 0.35))) * np.exp(rng.normal(0, 0.25, 3)).astype(np.float32)
    if rng.random() < 0.3:
        image = image * np.float32(rng.uniform(0, 0.5)) + (image @ GREY)[..., None] * np.float32(rng.uniform(0.5, 1))
    image = (image - image.mean()) * np.float32(rng.uniform(0.5, 1.15)) + image.mean() + rng.uniform(-0.12, 0.12)
    blur = rng.uniform(0, 1.2)
    if blur > 0.3:
        image = cv2.GaussianBlur(image.astype(np.float32), (0, 0), blur)
    return _noisy(image * 255, 8, rng)


#: By the names that ``make_toy``, ``recapture`` and their commands know.
CAMERAS = dict(plain=plain, varied=varied)


def _noisy(image: np.ndarray, most: float, rng: np.random.Generator) -> np.ndarray:
    """Add sensor noise of a standard deviation up to ``most``, round and clip to uint8."""
    noise = rng.standard_normal(image.shape, np.float32)
    image = image + noise * np.float32(rng.uniform(0, most))
    return np.clip(np.round(image), 0, 255).astype(np.uint8)

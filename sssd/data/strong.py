"""Strong augmentation, the part that neither mmcv nor mmdet has or that takes long there; no geometry.

``CutOut`` is mmdet's. All transforms here take and give ``results['img']``, (H, W, 3) uint8 in BGR order, and write
into no array that they are given.
"""

from collections.abc import Sequence

import cv2
import numpy as np
from mmcv.transforms import BaseTransform

from sssd.errors import UserError
from sssd.registry import TRANSFORMS


def _check_prob(name: str, prob: float) -> float:
    if not 0 <= prob <= 1:
        raise UserError(f'{name}: prob={prob} must lie between 0 and 1.')
    return prob


def _scale_values(image: np.ndarray, factor: float, pivot: float) -> np.ndarray:
    """``pivot + factor * (image - pivot)``, rounded and clipped to uint8."""
    return cv2.addWeighted(image, factor, image, 0.0, pivot * (1 - factor))


def _grey(image: np.ndarray) -> np.ndarray:
    """Luma of the image in all three channels."""
    return cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR)


@TRANSFORMS.register_module()
class ColorJitter(BaseTransform):
    """Change brightness, contrast, saturation and hue, in random order.

    Args:
        brightness: Factor from U(1 - b, 1 + b); likewise ``contrast`` and ``saturation``.
        hue: Shift from U(-h, h), as a share of the colour circle; at most 0.5.
        prob: Probability that the image is changed at all.
    """

    def __init__(
        self,
        brightness: float = 0.4,
        contrast: float = 0.4,
        saturation: float = 0.4,
        hue: float = 0.1,
        prob: float = 0.8,
    ) -> None:
        ranges = dict(brightness=brightness, contrast=contrast, saturation=saturation)
        for name, value in ranges.items():
            if not 0 <= value <= 1:
                raise UserError(f'ColorJitter: {name}={value} must lie between 0 and 1.')
        if not 0 <= hue <= 0.5:
            raise UserError(f'ColorJitter: hue={hue} must lie between 0 and 0.5.')
        self.ranges = dict(ranges, hue=hue)
        self.prob = _check_prob('ColorJitter', prob)

    def transform(self, results: dict) -> dict:
        """Change ``results['img']``."""
        if np.random.rand() >= self.prob:
            return results
        image, dtype = results['img'], results['img'].dtype
        if dtype != np.uint8:  # pixels loaded with to_float32, whose range and hues OpenCV takes for others
            image = np.clip(np.rint(image), 0, 255).astype(np.uint8)
        names = [name for name, value in self.ranges.items() if value > 0]
        for index in np.random.permutation(len(names)):
            name = names[index]
            amount = np.random.uniform(-1, 1) * self.ranges[name]
            image = getattr(self, f'_{name}')(image, amount)
        results['img'] = image.astype(dtype, copy=False)
        return results

    @staticmethod
    def _brightness(image: np.ndarray, amount: float) -> np.ndarray:
        return _scale_values(image, 1 + amount, 0.0)

    @staticmethod
    def _contrast(image: np.ndarray, amount: float) -> np.ndarray:
        mean = cv2.mean(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY))[0]
        return _scale_values(image, 1 + amount, mean)

    @staticmethod
    def _saturation(image: np.ndarray, amount: float) -> np.ndarray:
        return cv2.addWeighted(image, 1 + amount, _grey(image), -amount, 0.0)

    @staticmethod
    def _hue(image: np.ndarray, amount: float) -> np.ndarray:
        # Not mmcv's adjust_hue: that of 2.1.0 fails on negative shifts with numpy 2.
        shifted = cv2.cvtColor(image, cv2.COLOR_BGR2HSV_FULL)
        rows = shifted.reshape(len(shifted), -1)  # of H, S, V, H, S, V: one long sum is faster than a strided one
        rows += np.tile(np.array([int(amount * 255) % 256, 0, 0], np.uint8), shifted.shape[1])  # around the circle
        return cv2.cvtColor(shifted, cv2.COLOR_HSV2BGR_FULL)

    def __repr__(self) -> str:
        return f'{type(self).__name__}({self.ranges}, prob={self.prob})'


@TRANSFORMS.register_module()
class RandomGrayscale(BaseTransform):
    """Take the colours away: mmcv's ``RandomGrayscale`` with ``keep_channels`` and the weights of ITU-R BT.601, by
    OpenCV. Values are rounded, mmcv's are cut off.

    Args:
        prob: Probability that the image is changed.
    """

    def __init__(self, prob: float = 0.2) -> None:
        self.prob = _check_prob('RandomGrayscale', prob)

    def transform(self, results: dict) -> dict:
        """Change ``results['img']``."""
        if np.random.rand() < self.prob:
            results['img'] = _grey(results['img'])
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}(prob={self.prob})'


@TRANSFORMS.register_module()
class GaussianBlur(BaseTransform):
    """Blur with a Gaussian of random width.

    Args:
        sigma: Smallest and largest standard deviation in pixels.
        prob: Probability that the image is blurred.
    """

    def __init__(self, sigma: Sequence[float] | tuple[float, float] = (0.1, 2.0), prob: float = 0.5) -> None:
        if len(sigma) != 2 or not 0 < sigma[0] <= sigma[1]:
            raise UserError(f'GaussianBlur: sigma={sigma} must be two positive numbers, the smaller first.')
        self.sigma = tuple(sigma)
        self.prob = _check_prob('GaussianBlur', prob)

    def transform(self, results: dict) -> dict:
        """Change ``results['img']``."""
        if np.random.rand() < self.prob:
            sigma = np.random.uniform(*self.sigma)
            results['img'] = cv2.GaussianBlur(results['img'], (0, 0), sigma)
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}(sigma={self.sigma}, prob={self.prob})'

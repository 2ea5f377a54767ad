"""mmdet's flip and packing, with the copies of pixels left to OpenCV.

Neither changes what comes out. NumPy copies a mirrored image, and the channels of one, pixel by pixel: that takes as
long as all colour changes of the strong view together.
"""

import cv2
import mmdet.datasets.transforms as mmdet_transforms
import numpy as np

from sssd.registry import TRANSFORMS

#: OpenCV's code of a direction.
CODES = dict(horizontal=1, vertical=0, diagonal=-1)


@TRANSFORMS.register_module()
class RandomFlip(mmdet_transforms.RandomFlip):
    """mmdet's ``RandomFlip`` whose image is an array of its own, not a view of one that is read backwards.

    Every branch of a ``MultiBranch`` copies what it is given, and its transforms read it several times.
    """

    def _flip(self, results: dict) -> None:
        """Flip everything in ``results``."""
        image = results['img']
        super()._flip(results)
        if image.dtype == np.uint8:
            results['img'] = cv2.flip(image, CODES[results['flip_direction']])


@TRANSFORMS.register_module()
class PackDetInputs(mmdet_transforms.PackDetInputs):
    """mmdet's ``PackDetInputs`` that takes the channels of an 8-bit image apart by OpenCV."""

    def transform(self, results: dict) -> dict:
        """``inputs`` (3, H, W) and ``data_samples``, as in mmdet."""
        image = results.get('img')
        if image is not None and image.dtype == np.uint8 and image.ndim == 3 and image.shape[2] == 3:
            planes = np.empty((3, *image.shape[:2]), np.uint8)
            cv2.split(image, list(planes))
            results = dict(results, img=planes.transpose(1, 2, 0))  # which mmdet turns back, without a copy
        return super().transform(results)

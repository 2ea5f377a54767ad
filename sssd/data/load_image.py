"""Loading an image, with an error that names the file."""

import cv2
from mmcv.transforms import LoadImageFromFile

from sssd.errors import LocalError
from sssd.registry import TRANSFORMS


@TRANSFORMS.register_module()
class LoadImage(LoadImageFromFile):
    """mmcv's ``LoadImageFromFile`` that says in one sentence which file cannot be decoded.

    mmcv lets through OpenCV's own error for an empty file, which does not name it.

    Raises:
        LocalError: If the file is missing or cannot be decoded (unless ``ignore_empty``).
    """

    def transform(self, results: dict) -> dict:
        """Load ``results['img_path']`` into ``results['img']``, (H, W, 3) uint8 BGR."""
        try:
            return super().transform(results)
        except (OSError, AssertionError, cv2.error) as error:
            missing = isinstance(error, FileNotFoundError)
            raise LocalError(
                f'image {results["img_path"]} '
                f'{"does not exist" if missing else "cannot be decoded, the file is broken"}; '
                'put the right file there or take it out of the data set.'
            ) from error

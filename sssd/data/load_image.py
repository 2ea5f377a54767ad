"""Loading an image, with an error that names the file, or another image in its place."""

from logging import WARNING

import cv2
from mmcv.transforms import LoadImageFromFile
from mmengine.logging import print_log

from sssd.errors import LocalError
from sssd.registry import TRANSFORMS


@TRANSFORMS.register_module()
class LoadImage(LoadImageFromFile):
    """mmcv's ``LoadImageFromFile`` that says in one sentence which file cannot be decoded.

    mmcv lets through OpenCV's own error for an empty file, which does not name it.

    Args:
        replace: How many files that cannot be loaded a training may meet in each worker; in the place of each another
            image of its data set is drawn, as mmdet does where a pipeline gives None, and the file is named in the
            log. One more stops the training; 0 is none.
        kwargs: As of ``LoadImageFromFile``.

    Raises:
        LocalError: If the file is missing or cannot be decoded (unless ``ignore_empty``).
    """

    def __init__(self, replace: int = 0, **kwargs) -> None:
        super().__init__(**kwargs)
        self.replace, self.broken = replace, set()

    def transform(self, results: dict) -> dict | None:
        """Load ``results['img_path']`` into ``results['img']``, (H, W, 3) uint8 BGR; None to have it replaced."""
        try:
            return super().transform(results)
        except (OSError, AssertionError, cv2.error) as error:
            path = results['img_path']
            what = 'does not exist' if isinstance(error, FileNotFoundError) else 'cannot be decoded, the file is broken'
            if path not in self.broken and len(self.broken) >= self.replace:
                met = f' ({len(self.broken)} others were replaced before)' if self.broken else ''
                raise LocalError(
                    f'image {path} {what}{met}; put the right file there or take it out of the data set.'
                ) from error
            if path not in self.broken:
                self.broken.add(path)
                print_log(
                    f'image {path} {what}: another one is drawn in its place ({len(self.broken)} of at most '
                    f'{self.replace} in this worker).',
                    logger='current',
                    level=WARNING,
                )
            return None

    def __repr__(self) -> str:
        return f'{super().__repr__()[:-1]}, replace={self.replace})'

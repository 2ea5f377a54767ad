"""Loading an image, with an error that names the file, or another image in its place."""

from logging import WARNING

import cv2
import numpy as np
from mmcv.transforms import LoadImageFromFile
from mmengine import fileio
from mmengine.logging import print_log

from sssd.errors import LocalError, UserError
from sssd.registry import TRANSFORMS


@TRANSFORMS.register_module()
class LoadImage(LoadImageFromFile):
    """mmcv's ``LoadImageFromFile`` that says in one sentence which file cannot be decoded.

    mmcv lets through OpenCV's own error for an empty file, which does not name it. And of images with 16 bits to a
    channel it keeps the upper 8, which leaves almost nothing of the 10 or 12 bits that cameras and scanners write into
    such files; here they are divided by what makes the bits in use 8.

    Args:
        replace: How many files that cannot be loaded a training may meet in each worker; in the place of each another
            image of its data set is drawn, as mmdet does where a pipeline gives None, and the file is named in the
            log. One more stops the training; 0 is none.
        bits: How many of 16 bits are in use, from 8 to 16, the same for all images; None takes of each image as many as
            its brightest pixel has, so that a dark one becomes brighter.
        kwargs: As of ``LoadImageFromFile``.

    Raises:
        LocalError: If the file is missing or cannot be decoded (unless ``ignore_empty``).
    """

    def __init__(self, replace: int = 0, bits: int | None = None, **kwargs) -> None:
        super().__init__(**kwargs)
        if bits is not None and not 8 <= bits <= 16:
            raise UserError(f'LoadImage has bits={bits}, but 16 bits are in use from 8 to 16.')
        self.replace, self.bits, self.broken = replace, bits, set()

    def transform(self, results: dict) -> dict | None:
        """Load ``results['img_path']`` into ``results['img']``, (H, W, 3) uint8 BGR; None to have it replaced."""
        try:
            loaded = super().transform(results)
            return loaded if loaded is None else self._scaled(loaded)
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

    def _scaled(self, results: dict) -> dict:
        """Of an image of 16 bits that mmcv has cut to 8, all that fit into 8."""
        path = results['img_path']
        if self.imdecode_backend != 'cv2' or not self.color_type.startswith('color') or not may_be_deep(path):
            return results
        flags = cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH
        if self.color_type.endswith('ignore_orientation'):
            flags |= cv2.IMREAD_IGNORE_ORIENTATION
        content = fileio.get(path, backend_args=self.backend_args)
        image = cv2.imdecode(np.frombuffer(content, np.uint8), flags)
        if image is None or image.dtype != np.uint16:
            return results
        bits = self.bits or max(8, int(image.max()).bit_length())
        image = np.minimum(image >> (bits - 8), 255).astype(np.uint8)
        results['img'] = image.astype(np.float32) if self.to_float32 else image
        return results

    def __repr__(self) -> str:
        return f'{super().__repr__()[:-1]}, replace={self.replace}, bits={self.bits})'


def may_be_deep(path: str) -> bool:
    """Whether a file may have 16 bits to a channel: a PNG that says so, a TIFF or a PNM."""
    name = path.lower()
    if not name.endswith('.png'):
        return name.endswith(('.tif', '.tiff', '.ppm', '.pgm', '.pnm'))
    try:
        with open(path, 'rb') as file:
            return file.read(25)[24:] == b'\x10'  # the depth in IHDR
    except OSError:  # of another backend than the disk
        return False

"""Images of 16 bits keep what is in them."""

import cv2
import numpy as np
import pytest

from sssd.data import LoadImage
from sssd.errors import UserError


def written(tmp_path, name, peak, dtype=np.uint16):
    """A ramp from 0 to ``peak`` in a file."""
    path = tmp_path / name
    image = np.linspace(0, peak, 64 * 48).reshape(48, 64).astype(dtype)
    assert cv2.imwrite(str(path), image)
    return str(path)


def loaded(path, **options):
    return LoadImage(**options)(dict(img_path=path))['img']


@pytest.mark.parametrize('name', ['a.png', 'a.tif', 'a.pgm'])
@pytest.mark.parametrize('bits', [10, 12, 16])
def test_the_bits_in_use_become_eight(tmp_path, name, bits):
    image = loaded(written(tmp_path, name, 2**bits - 1))
    assert image.dtype == np.uint8 and image.shape == (48, 64, 3)
    assert image.max() == 255 and 120 < image.mean() < 135


def test_a_number_of_bits_is_the_same_for_all_images(tmp_path):
    image = loaded(written(tmp_path, 'a.png', 1023), bits=12)
    assert image.max() == 1023 >> 4
    with pytest.raises(UserError, match='bits=7'):
        LoadImage(bits=7)


def test_eight_bits_are_as_mmcv_loads_them(tmp_path):
    image = loaded(written(tmp_path, 'a.png', 100, np.uint8))
    assert image.max() == 100 and image.dtype == np.uint8
    assert loaded(written(tmp_path, 'b.png', 4095), to_float32=True).dtype == np.float32

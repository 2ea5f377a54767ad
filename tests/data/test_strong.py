"""Colour augmentation."""

import cv2
import mmcv
import numpy as np
import pytest
from mmcv.transforms import RandomGrayscale

from sssd.data.strong import ColorJitter, GaussianBlur
from sssd.errors import UserError
from sssd.registry import TRANSFORMS

OFF = dict(brightness=0, contrast=0, saturation=0, hue=0, prob=1)


@pytest.fixture
def image():
    rng = np.random.default_rng(0)
    return cv2.resize(rng.integers(40, 200, (6, 8, 3), dtype=np.uint8), (64, 48))


def hsv(image):
    return cv2.cvtColor(image, cv2.COLOR_BGR2HSV_FULL).astype(int)


def test_brightness_scales_all_values(image):
    factors = []
    for _ in range(20):
        out = ColorJitter(**dict(OFF, brightness=0.2))(dict(img=image))['img']
        factor = out.mean() / image.mean()
        assert np.abs(out - np.clip(factor * image.astype(float), 0, 255)).max() < 2
        factors.append(factor)
    assert 0.8 <= min(factors) < 0.9 and 1.1 < max(factors) <= 1.2


def test_contrast_keeps_the_mean_and_changes_the_spread(image):
    spreads = []
    for _ in range(20):
        out = ColorJitter(**dict(OFF, contrast=0.2))(dict(img=image))['img']
        grey = cv2.cvtColor(out, cv2.COLOR_BGR2GRAY)
        assert abs(grey.mean() - cv2.cvtColor(image, cv2.COLOR_BGR2GRAY).mean()) < 1.5
        spreads.append(out.std() / image.std())
    assert 0.79 < min(spreads) < 0.9 and 1.1 < max(spreads) < 1.21


def test_saturation_keeps_the_grey_values(image):
    changes = []
    for _ in range(20):
        out = ColorJitter(**dict(OFF, saturation=0.5))(dict(img=image))['img']
        difference = cv2.cvtColor(out, cv2.COLOR_BGR2GRAY).astype(int) - cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
        assert np.abs(difference).mean() < 3
        changes.append(hsv(out)[..., 1].mean() - hsv(image)[..., 1].mean())
    assert min(changes) < -15 and max(changes) > 15


def test_hue_shifts_and_keeps_the_value(image):
    shifts = []
    for _ in range(20):
        out = ColorJitter(**dict(OFF, hue=0.1))(dict(img=image))['img']
        assert np.abs(hsv(out)[..., 2] - hsv(image)[..., 2]).max() <= 2
        shift = (hsv(out)[..., 0] - hsv(image)[..., 0] + 128) % 256 - 128
        shifts.append(np.median(shift) / 256)
    assert -0.105 < min(shifts) < -0.04 and 0.04 < max(shifts) < 0.105


def test_off_means_unchanged_and_the_input_is_never_written(image):
    before = image.copy()
    same = ColorJitter(**OFF)(dict(img=image))['img']
    assert np.array_equal(same, before)
    for transform in (ColorJitter(prob=1), GaussianBlur(prob=1), TRANSFORMS.get('sssd.RandomGrayscale')(prob=1)):
        out = transform(dict(img=image))['img']
        assert out.dtype == np.uint8 and out.shape == image.shape
        assert not np.array_equal(out, before) and np.array_equal(image, before)


def test_pixels_in_float_are_changed_as_those_in_8_bits(image):
    """LoadImageFromFile(to_float32=True) gives them, from 0 to 255 as well."""
    for seed in range(5):
        found = []
        for kind in (np.uint8, np.float32):
            np.random.seed(seed)
            found.append(ColorJitter(prob=1)(dict(img=image.astype(kind)))['img'])
            assert found[-1].dtype == kind
        assert np.array_equal(*found)


@pytest.mark.parametrize('kind, prob', [('ColorJitter', 0.8), ('GaussianBlur', 0.5), ('RandomGrayscale', 0.2)])
def test_probability(image, kind, prob):
    transform = TRANSFORMS.build(dict(type=f'sssd.{kind}', prob=prob))
    changed = [transform(dict(img=image))['img'] is not image for _ in range(400)]
    assert abs(np.mean(changed) - prob) < 0.08
    never = TRANSFORMS.build(dict(type=f'sssd.{kind}', prob=0))
    assert all(never(dict(img=image))['img'] is image for _ in range(50))


def test_blur_grows_with_sigma(image):
    def roughness(sigma):
        out = GaussianBlur(sigma=(sigma, sigma), prob=1)(dict(img=image))['img']
        return np.abs(np.diff(out.astype(int), axis=1)).mean()

    assert roughness(4) < roughness(1.5) < np.abs(np.diff(image.astype(int), axis=1)).mean()


def test_the_order_of_the_changes_varies(image, monkeypatch):
    orders = set()
    for _ in range(40):
        calls = []
        for name in ('brightness', 'contrast', 'saturation', 'hue'):
            monkeypatch.setattr(
                ColorJitter,
                f'_{name}',
                staticmethod(lambda img, amount, name=name, calls=calls: calls.append(name) or img),
            )
        ColorJitter(prob=1)(dict(img=image))
        assert len(set(calls)) == len(calls) == 4
        orders.add(tuple(calls))
    assert len(orders) > 5


def test_the_seed_decides(image):
    def draw(seed):
        np.random.seed(seed)
        return GaussianBlur(prob=1)(ColorJitter(prob=1)(dict(img=image)))['img']

    assert np.array_equal(draw(1), draw(1)) and not np.array_equal(draw(1), draw(2))


@pytest.mark.parametrize(
    'config, words',
    [
        (dict(type='ColorJitter', prob=1.5), 'ColorJitter: prob=1.5'),
        (dict(type='ColorJitter', contrast=2), 'contrast=2 must lie between 0 and 1'),
        (dict(type='ColorJitter', hue=0.6), 'hue=0.6 must lie between 0 and 0.5'),
        (dict(type='GaussianBlur', prob=-1), 'GaussianBlur: prob=-1'),
        (dict(type='RandomGrayscale', prob=2), 'RandomGrayscale: prob=2'),
        (dict(type='GaussianBlur', sigma=(2, 1)), r'sigma=\(2, 1\) must be two positive'),
        (dict(type='GaussianBlur', sigma=(0, 1)), r'sigma=\(0, 1\) must be two positive'),
    ],
)
def test_mistakes_are_named(config, words):
    with pytest.raises(UserError, match=words):
        TRANSFORMS.get(f'sssd.{config.pop("type")}')(**config)


def before(name, image, amount):
    """ColorJitter's changes as they were made by tables and by mmcv."""

    def scaled(pivot):
        table = pivot + (1 + amount) * (np.arange(256) - pivot)
        return np.clip(np.round(table), 0, 255).astype(np.uint8)[image]

    if name == 'brightness':
        return scaled(0.0)
    if name == 'contrast':
        return scaled(cv2.mean(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY))[0])
    if name == 'saturation':
        return mmcv.adjust_color(image, 1 + amount, backend='cv2')
    shifted = cv2.cvtColor(image, cv2.COLOR_BGR2HSV_FULL)
    shifted[..., 0] += np.uint8(int(amount * 255) % 256)
    return cv2.cvtColor(shifted, cv2.COLOR_HSV2BGR_FULL)


@pytest.mark.parametrize('name', ['brightness', 'contrast', 'saturation', 'hue'])
def test_changes_are_what_they_were_within_a_grey_level(name):
    """Of all 8-bit values, at amounts all over the range."""
    pixels = np.random.default_rng(0).integers(0, 256, (61, 47, 3), dtype=np.uint8)
    for amount in (-1.0, -0.4, -0.05, 0.0, 0.13, 0.4, 1.0):
        amount = amount / 2 if name == 'hue' else amount
        found = getattr(ColorJitter, f'_{name}')(pixels, amount)
        assert np.abs(found.astype(int) - before(name, pixels, amount)).max() <= 1
        assert name == 'hue' or amount == 0 or not np.array_equal(found, pixels)


def test_grayscale_is_mmcv_s_within_a_grey_level(image):
    pixels = np.random.default_rng(0).integers(0, 256, (61, 47, 3), dtype=np.uint8)
    theirs = RandomGrayscale(prob=1.0, keep_channels=True, channel_weights=(0.114, 0.587, 0.299))
    mine = TRANSFORMS.build(dict(type='sssd.RandomGrayscale', prob=1.0))
    expected, found = (transform(dict(img=pixels.copy()))['img'] for transform in (theirs, mine))
    assert found.dtype == np.uint8 and np.abs(found.astype(int) - expected).max() <= 1
    assert np.ptp(found, axis=2).max() == 0 and np.ptp(found) > 100

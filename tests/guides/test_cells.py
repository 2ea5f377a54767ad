"""Pooling and rendering where half precision would not hold the numbers."""

import pytest
import torch

from sssd.guides.cells import Cells, pool, render

SIDE = 300


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
def test_a_large_box_under_autocast(dtype):
    """A sum over 90,000 cells of 1.25 is beyond 65504, the largest half; its mean is not."""
    row = torch.full((1, 2, SIDE**2), 1.25, dtype=dtype)
    covered = torch.ones(1, 1, 1, SIDE**2, dtype=torch.bool)
    with torch.autocast('cpu', dtype=dtype):
        assert torch.equal(pool(row, covered), torch.full((1, 1, 1, 2), 1.25))


def test_overlaps_under_autocast():
    vectors = torch.full((1, 1, 3, 2), 3e4, dtype=torch.float16)
    covered = torch.ones(1, 1, 3, 4, dtype=torch.bool)
    with torch.autocast('cpu', dtype=torch.float16):
        assert torch.isfinite(render(vectors, covered)).all()


def test_corners_are_pixels_whatever_the_precision_of_the_maps():
    """bfloat16 has no 1028."""
    cells = Cells.of([torch.zeros(1, 2, 1, SIDE, dtype=torch.bfloat16)], [(4, 4)])
    assert cells.corners[:, 0].tolist() == [4.0 * index for index in range(SIDE)]

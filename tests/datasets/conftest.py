"""A COCO set of tiny images, for tests that write it in other forms."""

import pytest


@pytest.fixture
def train(make_tiny_coco, tmp_path, monkeypatch):
    """Six images, the last one without objects; the folder above is the present one."""
    monkeypatch.chdir(tmp_path)
    return make_tiny_coco(tmp_path / 'truth', num_images=6, empty_last=True)


@pytest.fixture
def val(make_tiny_coco, tmp_path):
    return make_tiny_coco(tmp_path / 'truth_val', num_images=3, seed=1)

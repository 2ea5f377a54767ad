"""Fixtures that every test may use: seeds, one CPU thread, a tiny data set."""

import contextlib
import gc
import json
import os
import random
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

for _name in ('OMP_NUM_THREADS', 'MKL_NUM_THREADS', 'OPENBLAS_NUM_THREADS'):
    os.environ.setdefault(_name, '1')
os.environ['PIP_NO_INDEX'] = '1'  # no test fetches anything
os.environ['SSSD_REPORT'] = '0'  # the tests that want a page say so

with contextlib.suppress(ImportError):
    import submitit  # noqa: E402, F401  its import closes all log files that are open: now none is

import forked  # noqa: E402
import numpy as np  # noqa: E402
import pytest  # noqa: E402
import torch  # noqa: E402
from PIL import Image  # noqa: E402

REPO_ROOT = Path(__file__).resolve().parents[1]
COLOURS = ((220, 40, 40), (40, 200, 60), (50, 80, 220))


@dataclass(frozen=True)
class TinyCoco:
    """Where a tiny COCO data set lies, and what is in it."""

    root: Path
    img_dir: Path
    ann_file: Path
    classes: tuple
    num_images: int

    @property
    def metainfo(self):
        """The ``metainfo`` of an mmdet data set over these files."""
        return dict(classes=self.classes)


def _draw_image(rng, width, height, num_boxes, num_classes):
    """A noisy grey image with one coloured rectangle per box."""
    image = rng.integers(90, 150, (height, width, 3), dtype=np.uint8)
    boxes = []
    for _ in range(num_boxes):
        w, h = rng.integers(width // 5, width // 2), rng.integers(height // 5, height // 2)
        x, y = rng.integers(0, width - w), rng.integers(0, height - h)
        label = int(rng.integers(num_classes))
        image[y : y + h, x : x + w] = COLOURS[label]
        boxes.append((label, [int(x), int(y), int(w), int(h)]))
    return image, boxes


def write_tiny_coco(root, num_images=6, classes=('disc', 'bar'), seed=0, empty_last=False):
    """Write small images and their COCO JSON under ``root``.

    Landscape (96 x 72) and portrait (72 x 96) images alternate, so a sampler
    that groups by aspect ratio has both kinds.

    Args:
        root: The folder to write in; made if missing.
        num_images: How many images, one to three boxes each.
        classes: Names of the classes, three at most.
        seed: Seed of the drawing.
        empty_last: Give the last image no box.

    Returns:
        A :class:`TinyCoco`.
    """
    root, rng = Path(root), np.random.default_rng(seed)
    img_dir = root / 'images'
    img_dir.mkdir(parents=True, exist_ok=True)
    images, annotations = [], []
    for i in range(num_images):
        width, height = (96, 72) if i % 2 == 0 else (72, 96)
        count = 0 if empty_last and i == num_images - 1 else 1 + i % 3
        pixels, boxes = _draw_image(rng, width, height, count, len(classes))
        name = f'{i:04d}.png'
        Image.fromarray(pixels).save(img_dir / name)
        images.append(dict(id=i + 1, file_name=name, width=width, height=height))
        for label, box in boxes:
            annotations.append(
                dict(
                    id=len(annotations) + 1,
                    image_id=i + 1,
                    category_id=label + 1,
                    bbox=box,
                    area=box[2] * box[3],
                    iscrowd=0,
                )
            )
    categories = [dict(id=i + 1, name=name) for i, name in enumerate(classes)]
    ann_file = root / 'annotations.json'
    ann_file.write_text(json.dumps(dict(images=images, annotations=annotations, categories=categories)))
    return TinyCoco(root, img_dir, ann_file, tuple(classes), num_images)


@pytest.fixture(autouse=True, scope='module')
def _loaded_is_no_garbage():
    """Keep the collector away from what is there when a module of tests begins: all that was imported, above all.

    Every data set of MMEngine's calls ``gc.collect()``, which takes half a second with mmdet loaded.
    """
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def _reproducible():
    """One seed and one CPU thread for every test."""
    random.seed(0)
    np.random.seed(0)
    torch.manual_seed(0)
    torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def _no_logger_of_another_test():
    """Forget MMEngine's loggers after a test: one of the same name writes to where that test's output went.

    A Runner names its logger by the second in which it began.
    """
    yield
    mmengine_logging = sys.modules.get('mmengine.logging')
    if mmengine_logging:
        mmengine_logging.MMLogger._instance_dict.clear()


@pytest.fixture(autouse=True)
def _skip_gpu_tests(request):
    """Skip tests marked ``gpu`` on a machine without CUDA."""
    if request.node.get_closest_marker('gpu') and not torch.cuda.is_available():
        pytest.skip('needs a CUDA device')


@pytest.fixture(scope='session')
def repo_root():
    """The root of the repository."""
    return REPO_ROOT


@pytest.fixture(scope='session')
def forked_python(repo_root):
    """A program in the place of ``python`` whose commands start loaded; tests/helpers/forked.py says what for."""
    if torch.cuda.is_available():  # CUDA does not live through a fork
        yield sys.executable
        return
    with tempfile.TemporaryDirectory(prefix='sssd') as folder:
        program, server = forked.start(folder, repo_root)
        yield program
        forked.stop(server)


@pytest.fixture
def tiny_coco(tmp_path):
    """Six small images in two classes, every image with a box."""
    return write_tiny_coco(tmp_path / 'tiny_coco')


@pytest.fixture(scope='session')
def make_tiny_coco():
    """The function :func:`write_tiny_coco`, for other sizes and folders."""
    return write_tiny_coco

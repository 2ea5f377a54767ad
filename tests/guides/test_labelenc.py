"""The label encoding function against a plain version with loops; what frozen means; what a checkpoint has to hold."""

from itertools import product

import pytest
import tiny
import torch
from mmengine.structures import InstanceData
from torch._subclasses.fake_tensor import FakeTensorMode

from sssd.errors import UserError
from sssd.guides import LabelEnc, box_labels, cells
from sssd.guides.cells import Cells
from sssd.guides.labelenc import class_maps

SIZE, STRIDES, CHANNELS, CLASSES = (50, 80), ((8, 8), (16, 16), (32, 24)), 16, 3
# Of one class and overlapping, of another, smaller than any cell, as large as the image.
BOXES = (((8, 8, 40, 40), (30, 20, 79, 49), (60, 4, 62, 5)), (), ((0, 0, 80, 50),))
CLASS_OF = ((1, 1, 0), (), (2,))
IMAGES = dict(mixed=slice(0, 3), one=slice(0, 1), empty=slice(1, 2))


def samples(part=slice(0, 3)):
    return [tiny.sample(SIZE, boxes, list(labels)) for boxes, labels in zip(BOXES[part], CLASS_OF[part])]


def pyramid(count):
    """Maps of a batch padded to 64 x 96 pixels."""
    return [torch.randn(count, CHANNELS, 64 // height, 96 // width) for width, height in STRIDES]


def function(**options):
    torch.manual_seed(1)
    return LabelEnc(CHANNELS, CLASSES, STRIDES, **{**dict(dim=0.0), **options})


def painted(sample, brightness):
    """The class maps of one image, level by level, box by box, cell by cell."""
    maps = []
    for width, height in STRIDES:
        level = torch.zeros(CLASSES, 64 // height, 96 // width)
        for index, (box, label) in enumerate(zip(sample.gt_instances.bboxes.tolist(), sample.gt_instances.labels)):
            x1, y1, x2, y2 = box
            for i, j in product(range(level.shape[1]), range(level.shape[2])):
                if x1 < (j + 1) * width and x2 > j * width and y1 < (i + 1) * height and y2 > i * height:
                    x, y = (j + 0.5) * width, (i + 0.5) * height
                    off = max(abs(x - (x1 + x2) / 2) / (x2 - x1), abs(y - (y1 + y2) / 2) / (y2 - y1))
                    colour = max(1 - off, 0.5) * brightness[index]
                    level[label, i, j] = max(level[label, i, j].item(), colour)
        maps.append(level)
    return maps


@pytest.mark.parametrize('images', sorted(IMAGES))
@pytest.mark.parametrize('dimmed', [False, True])
def test_class_maps_agree_with_loops(images, dimmed):
    batch = samples(IMAGES[images])
    labels, features = box_labels(batch), pyramid(len(batch))
    cells = Cells.of(features, STRIDES)
    brightness = torch.rand(labels.valid.shape) if dimmed else torch.ones(labels.valid.shape)
    found = cells.split(class_maps(labels, cells, CLASSES, brightness))
    for image, sample in enumerate(batch):
        for level, expected in zip(found, painted(sample, brightness[image].tolist())):
            torch.testing.assert_close(level[image], expected, rtol=0, atol=1e-6)
    assert images == 'empty' or all(level.amax() > 0.4 * brightness.min() for level in found)


@pytest.mark.parametrize('images', sorted(IMAGES))
def test_the_pyramid_agrees_with_loops_and_has_the_shapes_of_the_student(images):
    made, batch = function(), samples(IMAGES[images])
    features = pyramid(len(batch))
    found = made(features, box_labels(batch))
    assert [level.shape for level in found] == [level.shape for level in features]
    for image, sample in enumerate(batch):
        for level, maps in zip(found, painted(sample, [1.0] * 3)):
            torch.testing.assert_close(level[image], made.encode(maps[None])[0], rtol=0, atol=1e-5)


def test_only_labels_count():
    """Not the student's features, nor the order of boxes, but their place and class."""
    made, batch = function(), samples(slice(0, 1))
    first, second = (made(pyramid(1), box_labels(batch)) for _ in range(2))
    turned = [tiny.sample(SIZE, BOXES[0][::-1], list(CLASS_OF[0][::-1]))]
    other = [tiny.sample(SIZE, BOXES[0], [1, 2, 0])]
    for mine, same, also, different in zip(
        first, second, made(pyramid(1), box_labels(turned)), made(pyramid(1), box_labels(other))
    ):
        assert torch.equal(mine, same)
        torch.testing.assert_close(mine, also, rtol=0, atol=1e-6)
        assert (mine - different).abs().max() > 1e-3


def test_every_box_is_painted_on_every_level():
    labels = box_labels([tiny.sample(SIZE, [(17, 3, 17.5, 3.2)], [2])])
    cells = Cells.of(pyramid(1), STRIDES)
    for level in cells.split(class_maps(labels, cells, CLASSES, torch.ones(1, 1))):
        assert (level > 0).sum() == 1 and level[0, 2].max() == 0.5


def test_a_share_of_the_boxes_is_dimmed_in_training_alone():
    labels = box_labels([tiny.sample(SIZE, [(0, 0, 9, 9)] * 2000, [0] * 2000)])
    made = function(dim=0.5)
    found = made.brightness(labels)
    assert 0 <= found.min() < 0.01 and found.max() == 1
    assert 0.45 < (found == 1).float().mean() < 0.55
    assert (made.eval().brightness(labels) == 1).all() and (function().brightness(labels) == 1).all()


def test_no_value_is_read_back_from_the_device(monkeypatch):
    """Fake tensors have no values: whatever asks for one raises. Nor of large levels, box by box on a CPU."""
    monkeypatch.setattr(cells, 'LARGE', 0)
    monkeypatch.setattr(cells, 'SUMMED', float('inf'))
    monkeypatch.setattr(cells, 'WRITTEN', float('inf'))
    batch = samples()
    with FakeTensorMode(allow_non_fake_inputs=True) as mode:
        fakes = [tiny.sample(SIZE) for _ in batch]
        for fake, sample in zip(fakes, batch):
            fake.gt_instances = InstanceData(
                bboxes=mode.from_tensor(torch.rand(len(sample.gt_instances), 4)),
                labels=mode.from_tensor(torch.zeros(len(sample.gt_instances), dtype=torch.long)),
            )
        made = LabelEnc(CHANNELS, CLASSES, STRIDES)
        features = [torch.empty(3, CHANNELS, 64 // height, 96 // width) for width, height in STRIDES]
        out = made(features, box_labels(fakes))
        with pytest.raises(RuntimeError):
            out[0].sum().item()
    assert [tuple(level.shape) for level in out] == [tuple(level.shape) for level in features]


def pretrained(path, prefix='guidance.guide.'):
    return dict(type='Pretrained', checkpoint=str(path), prefix=prefix)


def test_a_frozen_function_is_the_trained_one_evaluated_and_without_gradients(tmp_path):
    source, path = function(dim=0.5), tmp_path / 'step1.pth'
    torch.save(dict(state_dict={f'guidance.guide.{key}': value for key, value in source.state_dict().items()}), path)
    torch.manual_seed(7)
    made = LabelEnc(CHANNELS, CLASSES, STRIDES, frozen=True, init_cfg=pretrained(path))
    assert not torch.equal(made.encode[0].weight, source.encode[0].weight)
    made.init_weights()
    assert all(torch.equal(value, source.state_dict()[key]) for key, value in made.state_dict().items())
    assert not made.train().training and not any(module.training for module in made.modules())
    labels = box_labels(samples())
    first, second = made(pyramid(3), labels), made(pyramid(3), labels)
    assert not any(level.requires_grad for level in first)
    assert all(torch.equal(*levels) for levels in zip(first, second))


@pytest.mark.parametrize(
    'change, message',
    [
        (lambda state: None, 'step1.pth does not exist'),
        (
            lambda state: {'other': torch.zeros(1)},
            r'guidance.guide.encode.0.weight of shape \(16, 3, 3, 3\) is not in it',
        ),
        (lambda state: {**state, 'guidance.guide.encode.0.weight': torch.zeros(16, 5, 3, 3)}, r'\(16, 5, 3, 3\) in it'),
    ],
)
def test_a_checkpoint_that_is_not_of_step_1_is_told(change, message, tmp_path):
    path = tmp_path / 'step1.pth'
    state = change({f'guidance.guide.{key}': value for key, value in function().state_dict().items()})
    if state is not None:
        torch.save(dict(state_dict=state), path)
    with pytest.raises(UserError, match=message) as caught:
        function(frozen=True, init_cfg=pretrained(path)).init_weights()
    assert 'run step 1' in str(caught.value) and 'init_cfg' in str(caught.value) and '\n' not in str(caught.value)


@pytest.mark.parametrize('content', [b'', b'not a checkpoint', b'PK\x03\x04 cut off'])
def test_a_file_that_is_no_checkpoint_is_told(content, tmp_path):
    (tmp_path / 'step1.pth').write_bytes(content)
    with pytest.raises(
        UserError, match='^LabelEnc: checkpoint .*step1.pth .*take another copy of it; run step 1'
    ) as caught:
        function(frozen=True, init_cfg=pretrained(tmp_path / 'step1.pth')).init_weights()
    assert '\n' not in str(caught.value)


def test_mistakes_are_told():
    for init_cfg in (None, dict(type='Kaiming', layer='Conv2d')):
        with pytest.raises(UserError, match='frozen=True without an init_cfg of type Pretrained.*run step 1'):
            function(frozen=True, init_cfg=init_cfg)
    with pytest.raises(UserError, match='dim is 1.5'):
        function(dim=1.5)

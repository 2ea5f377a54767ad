"""The label side against a plain version with loops, and what its options do."""

import math
from itertools import product

import pytest
import tiny
import torch
from mmengine.structures import InstanceData
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode

from sssd.errors import UserError
from sssd.guides import LGD, box_labels
from sssd.guides.cells import Cells

SIZE, STRIDES, CHANNELS, CLASSES = (50, 80), (8, 16, 32), 16, 3
BOXES = (((8, 8, 40, 40), (30, 20, 79, 49), (60, 4, 62, 5)), (), ((0, 0, 80, 50),))
IMAGES = dict(mixed=BOXES, one=BOXES[:1], empty=((), ()), single_empty=((),))
OPTIONS = [dict(context=context, query=query) for context, query in product((False, True), ('appearance', 'label'))]


def samples(images):
    return [tiny.sample(SIZE, boxes) for boxes in images]


def pyramid(count, seed=0):
    """Maps of a batch padded to 64 x 96 pixels."""
    torch.manual_seed(seed)
    return [torch.randn(count, CHANNELS, 64 // stride, 96 // stride) for stride in STRIDES]


def guide(**options):
    """A guide whose layers, norms included, are no identity."""
    torch.manual_seed(1)
    made = LGD(CHANNELS, CLASSES, STRIDES, **{**dict(heads=4), **options})
    for parameter in made.parameters():
        if parameter.dim() == 1:
            nn.init.uniform_(parameter, -0.5, 0.5)
    return made


class Loops:
    """The label side image by image, level by level, box by box, cell by cell; it shares the guide's weights."""

    def __init__(self, made):
        self.made = made

    def __call__(self, features, samples):
        maps = [[] for _ in features]
        for image, sample in enumerate(samples):
            for found, level in zip(maps, self.image([level[image] for level in features], sample)):
                found.append(level)
        return [torch.stack(level) for level in maps]

    def image(self, features, sample):
        made, (height, width) = self.made, sample.img_shape
        boxes = [(box, int(label)) for box, label in zip(sample.gt_instances.bboxes, sample.gt_instances.labels)]
        if made.context:
            boxes.insert(0, (torch.tensor([0.0, 0.0, width, height]), None))
        boxes = boxes or [(torch.zeros(4), None)]
        embedding = self.encode([self.descriptor(box, label, height, width) for box, label in boxes])
        out = []
        for level, (step, _) in zip(features, made.strides):
            seen = made.appearance(level[None])[0]
            masks = [self.mask(box, seen.shape[1:], step) for box, _ in boxes]
            appearance = [self.average(seen, mask) for mask in masks]
            asks, asked = (appearance, embedding) if made.query == 'appearance' else (embedding, appearance)
            vectors = [self.attend(query, asked) for query in asks]
            drawn = torch.zeros_like(seen)
            for index, (vector, mask) in enumerate(zip(vectors, masks)):
                everywhere = made.context and index == 0
                for i, j in product(*map(range, seen.shape[1:])):
                    if everywhere or mask[i][j]:
                        drawn[:, i, j] = drawn[:, i, j] + vector
            out.append(made.refine(drawn[None])[0])
        return out

    @staticmethod
    def descriptor(box, label, height, width):
        x1, y1, x2, y2 = box.tolist()
        place = [x1 / width, y1 / height, x2 / width, y2 / height]
        return torch.tensor(
            [2 * value - 1 for value in place] + [1.0 if index == label else -1.0 for index in range(CLASSES)]
        )

    def encode(self, descriptors):
        encoder = self.made.encode
        local = [encoder.local(point) for point in self.transformed(encoder.first, descriptors)]
        local = self.transformed(encoder.second, local)
        image = torch.stack([encoder.wide(point) for point in local]).max(0).values
        return [encoder.narrow(torch.cat([point, image])) for point in local]

    @staticmethod
    def transformed(layer, points):
        largest = torch.stack([layer.points(point) for point in points]).max(0).values
        matrix = layer.matrix(largest).reshape(len(points[0]), len(points[0]))
        return [point @ matrix for point in points]

    @staticmethod
    def mask(box, shape, step):
        x1, y1, x2, y2 = box.tolist()
        return [
            [x1 < (j + 1) * step and x2 > j * step and y1 < (i + 1) * step and y2 > i * step for j in range(shape[1])]
            for i in range(shape[0])
        ]

    @staticmethod
    def average(seen, mask):
        cells = [seen[:, i, j] for i, row in enumerate(mask) for j, hit in enumerate(row) if hit]
        return sum(cells) / len(cells) if cells else torch.zeros(len(seen))

    def attend(self, query, others):
        layer = self.made.attention
        weights, biases = layer.in_proj_weight.chunk(3), layer.in_proj_bias.chunk(3)
        q, ks, vs = (
            weights[0] @ query + biases[0],
            *([weights[part] @ other + biases[part] for other in others] for part in (1, 2)),
        )
        width, parts = CHANNELS // layer.num_heads, []
        for head in range(layer.num_heads):
            part = slice(head * width, (head + 1) * width)
            scores = torch.stack([(q[part] * k[part]).sum() / math.sqrt(width) for k in ks]).softmax(0)
            parts.append(sum(score * v[part] for score, v in zip(scores, vs)))
        return layer.out_proj(torch.cat(parts))


@pytest.mark.parametrize('images', sorted(IMAGES))
@pytest.mark.parametrize('options', OPTIONS, ids=str)
def test_agreement_with_loops(images, options):
    made, batch = guide(**options), samples(IMAGES[images])
    features = pyramid(len(batch))
    ours, theirs = made(features, box_labels(batch)), Loops(made)(features, batch)
    assert [level.shape for level in ours] == [level.shape for level in features]
    for mine, other in zip(ours, theirs):
        torch.testing.assert_close(mine, other, rtol=0, atol=1e-5)
    assert all(level.std() > 0.1 for level in ours)


def test_gradients_agree_with_loops():
    made, batch = guide(context=True), samples(BOXES)
    found = []
    for run, labels in ((made, box_labels(batch)), (Loops(made), batch)):
        features = [level.requires_grad_() for level in pyramid(len(batch))]
        sum((level**3).mean() for level in run(features, labels)).backward()
        found.append([value.grad.clone() for value in [*made.parameters(), *features]])
        made.zero_grad()
    assert all(gradient.abs().max() > 0 for gradient in found[0])
    for mine, other in zip(*found):
        torch.testing.assert_close(mine, other, rtol=1e-3, atol=1e-5)


def test_images_do_not_see_each_other_nor_padding():
    """An image's maps are the same alone and beside others with more boxes."""
    made, batch, features = guide(), samples(BOXES), pyramid(3)
    together = made(features, box_labels(batch))
    for image in range(3):
        alone = made([level[image : image + 1] for level in features], box_labels(batch[image : image + 1]))
        for mine, other in zip(alone, together):
            torch.testing.assert_close(mine[0], other[image], rtol=0, atol=1e-5)


def test_order_of_boxes_does_not_matter_and_their_classes_do():
    made, features, image = guide(), pyramid(1), tiny.sample(SIZE, BOXES[0], [0, 1, 2])
    turned = tiny.sample(SIZE, BOXES[0][::-1], [2, 1, 0])
    other = tiny.sample(SIZE, BOXES[0], [0, 1, 1])
    first, second, third = (made(features, box_labels([sample])) for sample in (image, turned, other))
    for mine, same, different in zip(first, second, third):
        torch.testing.assert_close(mine, same, rtol=0, atol=1e-5)
        assert (mine - different).abs().max() > 1e-3


@pytest.mark.parametrize('detach', [False, True])
def test_detach_stops_the_gradient_before_the_student(detach):
    made, features = guide(detach=detach), [level.requires_grad_() for level in pyramid(3)]
    sum(level.square().mean() for level in made(features, box_labels(samples(BOXES)))).backward()
    assert [level.grad is None for level in features] == [detach] * 3
    assert made.appearance[0].weight.grad.abs().max() > 0


@pytest.mark.parametrize('options', OPTIONS, ids=str)
def test_no_value_is_read_back_from_the_device(options):
    """Fake tensors have no values: whatever asks for one raises."""
    batch = samples(BOXES)
    with FakeTensorMode(allow_non_fake_inputs=True) as mode:
        fakes = [tiny.sample(SIZE) for _ in batch]
        for fake, sample in zip(fakes, batch):
            fake.gt_instances = InstanceData(
                bboxes=mode.from_tensor(torch.rand(len(sample.gt_instances), 4)),
                labels=mode.from_tensor(torch.zeros(len(sample.gt_instances), dtype=torch.long)),
            )
        made = LGD(CHANNELS, CLASSES, STRIDES, heads=4, **options)
        features = [torch.empty(3, CHANNELS, 64 // stride, 96 // stride) for stride in STRIDES]
        out = made(features, box_labels(fakes))
        with pytest.raises(RuntimeError):
            out[0].sum().item()
    assert [tuple(level.shape) for level in out] == [tuple(level.shape) for level in features]


def test_labels_are_padded_to_the_largest_count():
    labels = box_labels(samples(BOXES))
    assert labels.boxes.shape == (3, 3, 4)
    assert labels.valid.tolist() == [[True, True, True], [True, False, False], [True, False, False]]
    assert labels.classes.tolist() == [[0, 1, 2], [-1, -1, -1], [0, -1, -1]]
    assert labels.sizes.tolist() == [[80, 50]] * 3
    assert box_labels(samples([()])).boxes.tolist() == [[[0, 0, 0, 0]]]
    context = labels.with_context()
    assert context.boxes[:, 0].tolist() == [[0, 0, 80, 50]] * 3 and context.classes[:, 0].tolist() == [-1] * 3
    assert context.valid.tolist() == [[True] * 4, [True, False, False, False], [True, True, False, False]]


def test_descriptors_lie_in_minus_one_to_one():
    found = box_labels(samples(BOXES)).descriptors(CLASSES)
    assert found.shape == (3, 3, 7)
    assert found[2, 0].tolist() == [-1, -1, 1, 1, 1, -1, -1]
    assert found[1, 0].tolist() == [-1] * 7
    expected = torch.tensor([30 / 40 - 1, 20 / 25 - 1, 79 / 40 - 1, 49 / 25 - 1, -1, 1, -1])
    torch.testing.assert_close(found[0, 1], expected)


def test_boxes_of_the_original_image_are_scaled():
    sample = tiny.sample(SIZE, [(10, 10, 20, 20)])
    sample.set_metainfo(dict(scale_factor=(0.5, 2.0)))
    assert box_labels([sample], original=True).boxes.tolist() == [[[5, 20, 10, 40]]]
    assert box_labels([sample]).boxes.tolist() == [[[10, 10, 20, 20]]]


def test_every_box_covers_a_cell_of_every_level():
    features, labels = pyramid(1), box_labels(samples([((8, 8, 16, 16), (17, 3, 17.5, 3.2))]))
    covered = Cells.of(features, [(stride, stride) for stride in STRIDES]).covered(labels)
    assert covered.sum(-1).tolist() == [[[1, 1]] * 3]
    first = covered[0, 0, 0, :96].view(8, 12)
    assert first.nonzero().tolist() == [[1, 1]]


def test_strides_of_unequal_sides():
    cells = Cells.of([torch.zeros(1, 1, 2, 3)], [(4, 10)])
    assert cells.corners.tolist() == [
        [0, 0, 4, 10],
        [4, 0, 8, 10],
        [8, 0, 12, 10],
        [0, 10, 4, 20],
        [4, 10, 8, 20],
        [8, 10, 12, 20],
    ]


def test_mistakes_are_told():
    with pytest.raises(UserError, match='16 channels do not divide among 5 heads'):
        guide(heads=5)
    with pytest.raises(UserError, match="query is 'both'"):
        guide(query='both')
    sample = tiny.sample(SIZE)
    del sample.gt_instances
    with pytest.raises(UserError, match='LoadAnnotations'):
        box_labels([sample])

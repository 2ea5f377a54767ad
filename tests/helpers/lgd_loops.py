"""LGD's label side image by image, level by level, box by box, cell by cell; it shares a guide's weights alone."""

import math
from itertools import product

import torch

#: The values of all options of the guide that are this project's first form of it.
FIRST_FORM = dict(
    cells='overlap',
    transform='image',
    embed=512,
    box_projection=False,
    context_projection=False,
    norm_affine=True,
    coordinates='image',
)
#: What LGD's public code does, the other values.
PUBLIC = dict(
    cells='index',
    transform='box',
    embed=256,
    box_projection=True,
    context_projection=True,
    norm_affine=False,
    coordinates='batch',
)


def covers(box, shape, stride, batch, rule):
    """Which cells of a map (h, w) a box (x1, y1, x2, y2) covers, as rows of booleans, or of shares.

    Args:
        box: In pixels.
        shape: (h, w) of the map.
        stride: (w, h) of its cells.
        batch: (h, w) of the padded batch.
        rule: 'index', 'overlap' or 'share'.
    """
    (x1, y1, x2, y2), (rows, columns), (width, height) = box, shape, stride
    if rule == 'share':
        return [
            [
                max(0.0, min(x2 / width, j + 1) - max(x1 / width, j))
                * max(0.0, min(y2 / height, i + 1) - max(y1 / height, i))
                for j in range(columns)
            ]
            for i in range(rows)
        ]
    if rule == 'overlap':
        return [
            [
                x1 < (j + 1) * width and x2 > j * width and y1 < (i + 1) * height and y2 > i * height
                for j in range(columns)
            ]
            for i in range(rows)
        ]
    if x1 == x2 or y1 == y2:
        return [[False] * columns] * rows
    step_x, step_y = batch[1] / columns, batch[0] / rows
    return [
        [x1 / step_x <= j <= x2 / step_x and y1 / step_y <= i <= y2 / step_y for j in range(columns)]
        for i in range(rows)
    ]


class Loops:
    """The label side of a guide with plain loops.

    Args:
        made: The guide, for its weights.
        classes: Number of classes.
        batch: (h, w) of the padded batch.
        options: The guide's options but for ``heads`` and ``detach``.
    """

    def __init__(self, made, classes, batch, context=False, query='appearance', **options):
        self.made, self.classes, self.batch = made, classes, batch
        self.context, self.query, self.options = context, query, {**PUBLIC, **options}

    def __call__(self, features, samples):
        maps = [[] for _ in features]
        for image, sample in enumerate(samples):
            for found, level in zip(maps, self.image([level[image] for level in features], sample)):
                found.append(level)
        return [torch.stack(level) for level in maps]

    def image(self, features, sample):
        """The maps (C, h, w) of one image."""
        boxes, (height, width) = self.boxes(sample)
        embedding = self.encode([self.descriptor(box, label, height, width) for box, label in boxes])
        return [
            self.level(level, stride, [box for box, _ in boxes], embedding)
            for level, stride in zip(features, self.made.strides)
        ]

    def boxes(self, sample):
        """Boxes with their classes, the context box first, and the size (h, w) that they are relative to."""
        found = sample.gt_instances
        boxes = [(box, int(label)) for box, label in zip(found.bboxes.tolist(), found.labels)]
        size = self.batch if self.options['coordinates'] == 'batch' else sample.img_shape
        if self.context:
            boxes.insert(0, ([0.0, 0.0, size[1], size[0]], None))
        boxes = boxes or [([0.0] * 4, None)]
        if self.options['coordinates'] == 'batch':
            margin = 0 if self.options['cells'] == 'share' else 1
            limits = [size[1] - margin, size[0] - margin] * 2
            boxes = [([min(max(x, 0.0), limit) for x, limit in zip(box, limits)], label) for box, label in boxes]
        return boxes, size

    def level(self, level, stride, boxes, embedding):
        """One map of the teacher from one of the student's, (C, h, w) both."""
        made, options = self.made, self.options
        seen = made.appearance(level[None])[0]
        masks = [covers(box, seen.shape[1:], stride, self.batch, options['cells']) for box in boxes]
        appearance = [average(seen, mask) for mask in masks]
        asks, asked = (appearance, embedding) if self.query == 'appearance' else (embedding, appearance)
        vectors = [attend(made.attention, query, asked) for query in asks]
        written, added, drawn = list(vectors), 0.0, torch.zeros_like(seen)
        if options['box_projection']:
            written = [made.box_projection(vector) for vector in vectors]
        if self.context and options['context_projection']:
            added = made.context_projection(vectors[0])[:, None, None]
            masks[0] = [[False] * seen.shape[2]] * seen.shape[1]
        elif self.context:
            masks[0] = [[True] * seen.shape[2]] * seen.shape[1]
        for vector, mask in zip(written, masks):
            for i, j in product(*map(range, seen.shape[1:])):
                if mask[i][j]:
                    drawn[:, i, j] = drawn[:, i, j] + float(mask[i][j]) * vector
        map_ = made.refine[0](drawn[None]) + added
        for layer in list(made.refine)[1:]:
            map_ = layer(map_)
        return map_[0]

    def descriptor(self, box, label, height, width):
        x1, y1, x2, y2 = box
        place = [x1 / width, y1 / height, x2 / width, y2 / height]
        one_hot = [1.0 if index == label else -1.0 for index in range(self.classes)]
        return torch.tensor([2 * value - 1 for value in place] + one_hot)

    def encode(self, descriptors):
        encoder = self.made.encode
        local = [encoder.local(point) for point in self.transformed(encoder.first, descriptors)]
        local = self.transformed(encoder.second, local)
        image = torch.stack([encoder.wide(point) for point in local]).max(0).values
        return [encoder.narrow(torch.cat([point, image])) for point in local]

    def transformed(self, layer, points):
        wide = [layer.points(point) for point in points]
        if self.options['transform'] == 'image':
            wide = [torch.stack(wide).max(0).values] * len(wide)
        size = len(points[0])
        return [point @ layer.matrix(each).reshape(size, size) for point, each in zip(points, wide)]


def average(seen, mask):
    """Mean of a map (C, h, w) over some cells, or over parts of them; 0 over none."""
    cells = [(float(part), seen[:, i, j]) for i, row in enumerate(mask) for j, part in enumerate(row) if part]
    total = sum(part * cell for part, cell in cells) if cells else torch.zeros(len(seen))
    return total / sum(part for part, _ in cells) if cells else total


def attend(layer, query, others):
    """Multi-head attention of one query over some vectors, which are key and value."""
    weights, biases = layer.in_proj_weight.chunk(3), layer.in_proj_bias.chunk(3)
    q, ks, vs = (
        weights[0] @ query + biases[0],
        *([weights[part] @ other + biases[part] for other in others] for part in (1, 2)),
    )
    width, parts = len(query) // layer.num_heads, []
    for head in range(layer.num_heads):
        part = slice(head * width, (head + 1) * width)
        scores = torch.stack([(q[part] * k[part]).sum() / math.sqrt(width) for k in ks]).softmax(0)
        parts.append(sum(score * v[part] for score, v in zip(scores, vs)))
    return layer.out_proj(torch.cat(parts))

"""The label side against a plain version with loops, and what its options do."""

from itertools import product

import pytest
import tiny
import torch
from lgd_loops import FIRST_FORM, PUBLIC, Loops
from mmengine.structures import InstanceData
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode

from sssd.errors import UserError
from sssd.guides import LGD, box_labels, cells, lgd
from sssd.guides.cells import render_convolved

#: The last stride does not divide the padded batch.
SIZE, BATCH, STRIDES, CHANNELS, CLASSES = (50, 80), (64, 96), (8, 16, 32, 64), 16, 3
# The third box is thinner than any cell.
BOXES = (((8, 8, 40, 40), (30, 20, 79, 49), (60, 4, 62, 5)), (), ((0, 0, 80, 50),))
IMAGES = dict(mixed=BOXES, one=BOXES[:1], empty=((), ()), single_empty=((),))
FORMS = [dict(context=context, query=query) for context, query in product((False, True), ('appearance', 'label'))]
#: The public form, the first form, and every value of the first form alone.
OPTIONS = [
    *FORMS,
    *(dict(FIRST_FORM, **form) for form in FORMS),
    *({'context': True, key: value} for key, value in FIRST_FORM.items()),
    *(dict(cells='share', context=context) for context in (False, True)),
]


def samples(images):
    return [tiny.sample(SIZE, boxes) for boxes in images]


def pyramid(count, seed=0):
    """Maps of a padded batch."""
    torch.manual_seed(seed)
    return [torch.randn(count, CHANNELS, *(-(-side // stride) for side in BATCH)) for stride in STRIDES]


def guide(**options):
    """A guide whose layers, norms included, are no identity."""
    torch.manual_seed(1)
    made = LGD(CHANNELS, CLASSES, STRIDES, **{**dict(heads=4), **options})
    for parameter in made.parameters():
        if parameter.dim() == 1:
            nn.init.uniform_(parameter, -0.5, 0.5)
    return made


@pytest.mark.parametrize('images', sorted(IMAGES))
@pytest.mark.parametrize('options', OPTIONS, ids=str)
def test_agreement_with_loops(images, options):
    made, batch = guide(**options), samples(IMAGES[images])
    features = pyramid(len(batch))
    ours, theirs = made(features, box_labels(batch)), Loops(made, CLASSES, BATCH, **options)(features, batch)
    assert [level.shape for level in ours] == [level.shape for level in features]
    for mine, other in zip(ours, theirs):
        torch.testing.assert_close(mine, other, rtol=0, atol=1e-5)
    assert all(level.std() > 0.1 for level in ours)


@pytest.mark.parametrize('options', [*FORMS, dict(FIRST_FORM, context=True), dict(cells='share')], ids=str)
def test_gradients_agree_with_loops(options):
    made, batch = guide(**options), samples(BOXES)
    found = []
    for run, labels in ((made, box_labels(batch)), (Loops(made, CLASSES, BATCH, **options), batch)):
        features = [level.requires_grad_() for level in pyramid(len(batch))]
        sum((level**3).mean() for level in run(features, labels)).backward()
        found.append([value.grad.clone() for value in [*made.parameters(), *features]])
        made.zero_grad()
    # On the coarsest level only the context box and that of an image with no other have cells by the index rule.
    everywhere = options.get('context') or options.get('cells') == 'share'
    assert all(gradient.abs().max() > 0 for gradient in found[0][: None if everywhere else -1])
    for mine, other in zip(*found):
        torch.testing.assert_close(mine, other, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize('options', [dict(), dict(context=True), dict(FIRST_FORM, context=True)], ids=str)
def test_beside_many_boxes_the_first_convolution_is_done_cell_by_cell(options, monkeypatch):
    """Above a third of the columns of the finest level, which has 12; maps are those of the loops either way."""
    done = []
    monkeypatch.setattr(lgd, 'render_convolved', lambda *args: done.append(1) or render_convolved(*args))
    made, features, ways = guide(**options), pyramid(1), []
    for count in (2, 3, 4, 5, 9):
        one = tiny.sample(SIZE, [(8 * i, 4 * i, 30 + 5 * i, 20 + 3 * i) for i in range(count)])
        for mine, other in zip(
            made(features, box_labels([one])), Loops(made, CLASSES, BATCH, **options)(features, [one])
        ):
            torch.testing.assert_close(mine, other, rtol=0, atol=1e-5)
        ways.append(len(done))
    written = 1 + (options.get('context', False) and not options.get('context_projection', True))
    assert ways == ([1, 2, 3, 3, 3] if written == 1 else [1, 2, 2, 2, 2])


def test_the_public_form_is_the_default():
    plain, public = (guide(context=True, **options)(pyramid(3), box_labels(samples(BOXES))) for options in ({}, PUBLIC))
    assert all(torch.equal(*levels) for levels in zip(plain, public))


@pytest.mark.parametrize('key', sorted(FIRST_FORM))
def test_every_option_counts(key):
    """Guides that differ in it alone, with the same weights where both have them, make different features."""
    one, other = guide(context=True), guide(context=True, **{key: FIRST_FORM[key]})
    shapes = {name: value.shape for name, value in one.state_dict().items()}
    other.load_state_dict(
        {name: one.state_dict()[name] if shapes.get(name) == v.shape else v for name, v in other.state_dict().items()}
    )
    first, second = (made(pyramid(3), box_labels(samples(BOXES))) for made in (one, other))
    assert max((a - b).abs().max() for a, b in zip(first, second)) > 1e-2


#: Weights of the label side as checkpoints of its first form have them: 16 channels, 3 classes.
FIRST_STATE = {
    **{
        f'encode.{part}.points.{index}': (wide, narrow)
        for part, size in (('first', 7), ('second', 64))
        for index, wide, narrow in ((0, 64, size), (3, 128, 64), (6, 1024, 128))
    },
    **{
        f'encode.{part}.matrix.{index}': (wide, narrow)
        for part, size in (('first', 7), ('second', 64))
        for index, wide, narrow in ((0, 512, 1024), (3, 256, 512), (6, size * size, 256))
    },
    'encode.local.0': (64, 7),
    'encode.wide.0': (128, 64),
    'encode.wide.3': (1024, 128),
    'encode.narrow.0': (512, 1088),
    'encode.narrow.3': (16, 512),
    'appearance.0': (16, 16, 3, 3),
    'attention.out_proj': (16, 16),
    **{f'refine.{index}': (16, 16, 3, 3) for index in (0, 2, 5, 8)},
    **{f'refine.{index}': (16,) for index in (3, 6, 9)},
}


@pytest.mark.parametrize('context', [False, True])
def test_a_checkpoint_of_the_first_form_loads_with_its_options(context):
    state = {f'{key}.weight': torch.rand(shape) for key, shape in FIRST_STATE.items()}
    state.update({f'{key}.bias': torch.rand(shape[0]) for key, shape in FIRST_STATE.items()})
    state.update({'attention.in_proj_weight': torch.rand(48, 16), 'attention.in_proj_bias': torch.rand(48)})
    made = guide(context=context, **FIRST_FORM)
    made.load_state_dict(state, strict=True)
    assert torch.equal(made.refine[3].weight, state['refine.3.weight'])
    with pytest.raises(RuntimeError, match='box_projection'):
        guide(context=context).load_state_dict(state)


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
    for mine, same in zip(first, second):
        torch.testing.assert_close(mine, same, rtol=0, atol=1e-5)
    for mine, different in zip(first[:3], third):  # the coarsest has none of these boxes
        assert (mine - different).abs().max() > 1e-3


@pytest.mark.parametrize('detach', [False, True])
def test_detach_stops_the_gradient_before_the_student(detach):
    made, features = guide(detach=detach), [level.requires_grad_() for level in pyramid(3)]
    sum(level.square().mean() for level in made(features, box_labels(samples(BOXES)))).backward()
    assert [level.grad is None for level in features] == [detach] * 4
    assert made.appearance[0].weight.grad.abs().max() > 0


@pytest.mark.parametrize('options', OPTIONS, ids=str)
def test_no_value_is_read_back_from_the_device(options, monkeypatch):
    """Fake tensors have no values: whatever asks for one raises. Nor of large levels, box by box on a CPU."""
    monkeypatch.setattr(cells, 'LARGE', 0)
    monkeypatch.setattr(cells, 'SUMMED', float('inf'))
    monkeypatch.setattr(cells, 'WRITTEN', float('inf'))
    batch = samples(BOXES)
    with FakeTensorMode(allow_non_fake_inputs=True) as mode:
        fakes = [tiny.sample(SIZE) for _ in batch]
        for fake, sample in zip(fakes, batch):
            fake.gt_instances = InstanceData(
                bboxes=mode.from_tensor(torch.rand(len(sample.gt_instances), 4)),
                labels=mode.from_tensor(torch.zeros(len(sample.gt_instances), dtype=torch.long)),
            )
        made = LGD(CHANNELS, CLASSES, STRIDES, heads=4, **options)
        features = [torch.empty(level.shape) for level in pyramid(3)]
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


def test_labels_of_the_padded_batch():
    labels = box_labels(samples([((-3, 4, 96, 64), (1, 2, 3, 4)), ()])).in_batch((96, 64)).with_context().clamped()
    assert labels.sizes.tolist() == [[96, 64]] * 2
    assert labels.boxes[0].tolist() == [[0, 0, 95, 63], [0, 4, 95, 63], [1, 2, 3, 4]]
    found = labels.descriptors(CLASSES)
    torch.testing.assert_close(found[0, 0], torch.tensor([-1, -1, 95 / 48 - 1, 63 / 32 - 1, -1, -1, -1]))
    assert labels.valid.tolist() == [[True] * 3, [True, False, False]]


def test_a_thin_box_leaves_nothing_on_a_level_by_the_index_rule():
    """Then a level has nothing of the box, and nothing breaks; by overlap it has."""
    thin, none = samples([((60, 4, 62, 5),)]), samples([()])
    for rule, seen in (('index', [False] * 4), ('overlap', [True] * 4)):
        made = guide(cells=rule)
        first, second = made(pyramid(1), box_labels(thin)), made(pyramid(1), box_labels(none))
        assert [not torch.equal(*levels) for levels in zip(first, second)] == seen


def test_a_box_up_to_the_border_covers_the_last_cells_wholly():
    made, last = guide(cells='share'), (BATCH[1] - 20, BATCH[0] - 20, BATCH[1] + 5, BATCH[0])
    features = pyramid(1)
    place = cells.Cells.of(features, [(stride, stride) for stride in STRIDES])
    found = place.covered(made.placed(box_labels([tiny.sample(BATCH, [last])]), place), 'share')
    whole = [
        cover for cover, stride in zip(found, STRIDES) if stride <= 16 and not any(side % stride for side in BATCH)
    ]
    assert whole and all(cover.rows[0, 0, -1] == cover.columns[0, 0, -1] == 1 for cover in whole)


def test_mistakes_are_told():
    with pytest.raises(UserError, match='16 channels do not divide among 5 heads'):
        guide(heads=5)
    for key in ('query', 'cells', 'transform', 'coordinates'):
        with pytest.raises(UserError, match=f"LGD: {key} is 'both'; use "):
            guide(**{key: 'both'})
    sample = tiny.sample(SIZE)
    del sample.gt_instances
    with pytest.raises(UserError, match='LoadAnnotations'):
        box_labels([sample])

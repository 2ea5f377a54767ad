"""Flip and packing: mmdet's results to the last bit, in arrays that are read in order."""

import numpy as np
import pytest
import torch
from mmdet.structures.bbox import HorizontalBoxes
from mmengine.registry import init_default_scope

from sssd.registry import TRANSFORMS

META = dict(img_id=1, img_path='a.png', ori_shape=(31, 45), img_shape=(31, 45), scale_factor=(1.0, 1.0))


@pytest.fixture
def results():
    pixels = np.random.default_rng(0).integers(0, 256, (31, 45, 3), dtype=np.uint8)
    return lambda dtype=np.uint8: dict(
        META,
        img=pixels.astype(dtype),
        gt_bboxes=HorizontalBoxes(torch.tensor([[2.0, 3, 20, 30]])),
        gt_bboxes_labels=np.array([1]),
        gt_ignore_flags=np.array([False]),
    )


@pytest.mark.parametrize('dtype', [np.uint8, np.float32])
@pytest.mark.parametrize('direction', ['horizontal', 'vertical', 'diagonal'])
def test_a_flip_is_mmdet_s(direction, dtype, results):
    init_default_scope('mmdet')
    theirs, mine = (
        TRANSFORMS.build(dict(type=f'{scope}.RandomFlip', prob=1.0, direction=direction))(results(dtype))
        for scope in ('mmdet', 'sssd')
    )
    assert np.array_equal(mine['img'], theirs['img']) and mine['img'].dtype == dtype
    assert torch.equal(mine['gt_bboxes'].tensor, theirs['gt_bboxes'].tensor)
    assert mine['flip'] and mine['flip_direction'] == direction
    assert dtype == np.float32 or mine['img'].flags.c_contiguous


def test_never_flips_with_probability_0(results):
    before = results()
    after = TRANSFORMS.build(dict(type='sssd.RandomFlip', prob=0.0))(results())
    assert np.array_equal(after['img'], before['img']) and not after['flip']


@pytest.mark.parametrize('change', ['none', 'mirrored', 'float', 'grey', 'nothing'])
def test_packing_is_mmdet_s(change, results):
    def given():
        found = results(np.float32 if change == 'float' else np.uint8)
        if change == 'mirrored':
            found['img'] = found['img'][:, ::-1]
        elif change == 'grey':
            found['img'] = found['img'][..., 0]
        elif change == 'nothing':
            del found['img']
        return found

    before = given()
    keys = tuple(META)
    theirs, mine = (
        TRANSFORMS.build(dict(type=f'{scope}.PackDetInputs', meta_keys=keys))(data)
        for scope, data in (('mmdet', given()), ('sssd', before))
    )
    assert list(mine) == list(theirs)
    if change != 'nothing':
        assert torch.equal(mine['inputs'], theirs['inputs']) and mine['inputs'].is_contiguous()
        assert np.array_equal(before['img'], given()['img']), 'what is given stays as it is'
    assert mine['data_samples'].metainfo == theirs['data_samples'].metainfo
    boxes, others = (packed['data_samples'].gt_instances.bboxes.tensor for packed in (mine, theirs))
    assert torch.equal(boxes, others)

"""mmdet's detection transformers, as its own configs set them up but smaller: each takes part in SED."""

import pytest
import tiny
import torch
from mmdet.models import DETR
from mmdet.registry import MODELS as MMDET_MODELS
from mmengine.hub import get_config

from sssd.detectors.sed import shrink
from sssd.errors import UserError
from sssd.registry import MODELS
from sssd.views import QueryView, build_views

#: Detector: config of mmdet, how its queries are scored, and whether its encoder proposes them.
WORKING = dict(
    detr=('detr/detr_r50_8xb2-150e_coco', 'softmax', False),
    conditional=('conditional_detr/conditional-detr_r50_8xb2-50e_coco', 'sigmoid', False),
    dab=('dab_detr/dab-detr_r50_8xb2-50e_coco', 'sigmoid', False),
    deformable=('deformable_detr/deformable-detr_r50_16xb2-50e_coco', 'sigmoid', False),
    refine=('deformable_detr/deformable-detr-refine_r50_16xb2-50e_coco', 'sigmoid', False),
    two_stage=('deformable_detr/deformable-detr-refine-twostage_r50_16xb2-50e_coco', 'sigmoid', True),
    dino=('dino/dino-4scale_r50_8xb2-12e_coco', 'sigmoid', True),
    ddq=('ddq/ddq-detr-4scale_r50_8xb2-12e_coco', 'sigmoid', True),
)
QUERIES = 8
#: What makes a detection transformer small, wherever in its config it stands.
SMALL = dict(
    num_layers=2,
    feedforward_channels=64,
    num_queries=QUERIES,
    dropout=0.0,
    ffn_drop=0.0,
    drop_prob=0.0,
    attn_drop=0.0,
    proj_drop=0.0,
    num_classes=tiny.CLASSES,
    max_per_img=QUERIES,
)


def smaller(node):
    """A config with the settings of :data:`SMALL`."""
    if isinstance(node, dict):
        return {key: SMALL.get(key, smaller(value)) for key, value in node.items()}
    return node


def small(name):
    """mmdet's config of a detector, on a narrow backbone."""
    config = smaller(get_config(f'mmdet::{WORKING[name][0]}.py').model.to_dict())
    config.pop('data_preprocessor')
    channels = config['neck']['in_channels']
    config['neck']['in_channels'] = [32, 64, 128][-len(channels) :]
    return dict(config, backbone=tiny.backbone(config['backbone']['out_indices']))


def sed(name, **options):
    """An SED over a small detector without dropout, whose boxes are not all those that its queries start from."""
    model = tiny.build_sed(small(name), **options)
    for key, value in model.student.named_parameters():
        if value.requires_grad and 'bbox_head' in key:
            torch.nn.init.normal_(value, std=0.1)
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    model.teacher.load_state_dict(model.student.state_dict())
    return model


@pytest.mark.parametrize('name', WORKING)
def test_training_steps(name):
    """With boxes, with one image without any, and with none at all; every parameter has a gradient each time."""
    model = sed(name)
    assert [type(view) for view in model.views] == [QueryView]
    optim_wrapper, before = tiny.sgd(model, 1e-4), tiny.state_of(model.student)
    for boxes in (tiny.BOXES, (tiny.BOXES[0], ()), ((), ())):
        losses = tiny.losses_of(model, tiny.make_batch(boxes=boxes))
        unsupervised = [key for key in losses if key.startswith('query_loss')]
        assert len(unsupervised) == 4 and all(losses[key] > 0 and losses[key].isfinite() for key in unsupervised)
        model.zero_grad()
        model.parse_losses(losses)[0].backward()
        missing = [key for key, value in model.student.named_parameters() if value.requires_grad and value.grad is None]
        assert missing == []
        optim_wrapper.step()
    assert all(value.isfinite().all() for value in model.student.state_dict().values())
    assert any(not torch.equal(before[key], value) for key, value in model.student.state_dict().items())


def passes(model, size=(64, 96), images=((64, 96), (50, 70))):
    """Passes of student and teacher over the same pixels, and of the student over the scaled view."""
    inputs, samples = torch.randn(len(images), 3, *size), [tiny.sample(image) for image in images]
    full, same = [model.run(detector, inputs, samples) for detector in (model.student, model.teacher)]
    return full, same, model.run(model.student, shrink(inputs, 1), samples, 2)


@pytest.mark.parametrize('name', WORKING)
def test_student_in_training_and_evaluated_teacher_give_the_same_rows(name):
    """The queries that predict and no others, though the student trains; so no labels are asked for."""
    model = sed(name)
    full, same, half = passes(model)
    (view,) = model.views
    for pair in (view.distill_pair(full, same), view.scale_pair(full, half, 1)):
        for side in pair:
            columns = tiny.CLASSES + (WORKING[name][1] == 'softmax')
            assert side.logits.shape == (2 * QUERIES, columns) and side.boxes.shape == (2 * QUERIES, 1, 4)
            assert side.activation == WORKING[name][1] and side.valid.all()
            assert side.boxes.min() >= 0 and side.boxes.max() <= 1
    for mine, theirs in zip(view.queries(full), view.queries(same)):
        torch.testing.assert_close(mine, theirs, atol=1e-5, rtol=1e-4)
    assert model.student.training and model.student.bbox_head.training and model.student.decoder.training


@pytest.mark.parametrize('name', [name for name, (_, _, proposes) in WORKING.items() if proposes])
def test_fewer_feature_points_than_proposals_are_told(name):
    model = sed(name)
    run, _, _ = passes(model, size=(16, 16), images=((16, 16),))
    model.student.num_queries = 10**3
    with pytest.raises(UserError, match=f'16, 16.* too few for the 1000 proposals of {type(model.student).__name__}'):
        model.views[0].queries(run)


@MMDET_MODELS.register_module()
class PromptedDETR(DETR):
    """A DETR whose transformer reads a text besides the image, as Grounding DINO's does."""

    def forward_transformer(self, img_feats, text_dict, batch_data_samples=None):
        return super().forward_transformer(img_feats, batch_data_samples)


def test_a_transformer_that_reads_a_text_is_refused():
    with pytest.raises(UserError, match='the transformer of PromptedDETR needs text_dict besides'):
        MODELS.build(tiny.sed_config({**tiny.detr(), 'type': 'PromptedDETR'}))


def test_a_detector_without_queries_is_refused():
    with pytest.raises(UserError, match='RetinaNet has no forward_transformer'):
        build_views(MMDET_MODELS.build(tiny.retinanet()), [dict(type='QueryView')])

"""Multi-scale testing with an NMS ensemble (Table 7): configs/_base_/tta_multiscale.py and ``--tta``."""

import copy

import numpy as np
import pytest
import tiny
import torch
from config_files import CONFIGS, read
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.registry import init_default_scope
from PIL import Image

from sssd.cli import test as test_command
from sssd.registry import MODELS, TRANSFORMS
from sssd.studies.trial import Trial

BASE = '_base_/tta_multiscale.py'


def views_of(path, width, height):
    """What the pipeline makes of an image of this size, its only step being the config's."""
    pixels = np.random.default_rng(0).integers(0, 255, (height // 8, width // 8, 3), dtype=np.uint8)
    Image.fromarray(pixels).resize((width, height)).save(path)
    init_default_scope('mmdet')
    results = dict(img_path=str(path), img_id=0, instances=[])
    for step in copy.deepcopy(read(BASE).tta_pipeline):
        results = TRANSFORMS.build(step)(results)
    return results


@pytest.mark.parametrize(
    'size, shapes',
    [
        ((640, 480), [(480, 640), (800, 1067), (1200, 1600)]),
        ((480, 640), [(640, 480), (1067, 800), (1600, 1200)]),
        ((1000, 300), [(240, 800), (400, 1333), (600, 2000)]),
    ],
    ids=['landscape', 'portrait', 'panorama'],
)
def test_sizes_of_the_views(tmp_path, size, shapes):
    """Shorter sides of 480, 800 and 1200, unless the longer one would pass 1333 / 800 of that."""
    views = views_of(tmp_path / '1.png', *size)
    assert [tuple(view.shape[-2:]) for view in views['inputs']] == shapes
    assert [sample.img_shape for sample in views['data_samples']] == shapes
    assert not any(sample.flip for sample in views['data_samples'])


def nms(boxes, scores, labels, threshold):
    """Indices that greedy NMS keeps, class by class, best first; plain NumPy."""
    kept = []
    for i in np.argsort(-scores, kind='stable'):
        for j in kept:
            w, h = np.minimum(boxes[i, 2:], boxes[j, 2:]) - np.maximum(boxes[i, :2], boxes[j, :2])
            inter = max(w, 0) * max(h, 0)
            areas = [np.prod(boxes[k, 2:] - boxes[k, :2]) for k in (i, j)]
            if labels[i] == labels[j] and inter > threshold * (sum(areas) - inter):
                break
        else:
            kept.append(i)
    return kept


def test_the_ensemble_is_nms_over_the_detections_of_every_size(tmp_path):
    cfg = read(BASE)
    detector = tiny.retinanet(
        anchor_generator=dict(  # large anchors, so that detections of several sizes overlap
            type='AnchorGenerator', octave_base_scale=16, scales_per_octave=2, ratios=[1.0], strides=[8, 16, 32, 64]
        )
    )
    detector['test_cfg'].update(score_thr=0.0, nms_pre=1000, max_per_img=100)
    model = MODELS.build(dict(copy.deepcopy(cfg.tta_model), module=tiny.sed_config(detector))).eval()
    model.module.init_weights()
    data = pseudo_collate([views_of(tmp_path / '1.png', 640, 480)])
    single = []
    for inputs, samples in zip(data['inputs'], data['data_samples']):
        (result,) = model.module.test_step(copy.deepcopy(dict(inputs=inputs, data_samples=samples)))
        single.append(result.pred_instances)
    (result,) = model.test_step(data)
    found = result.pred_instances
    boxes, scores, labels = (
        np.concatenate([view[name].numpy() for view in single]) for name in ('bboxes', 'scores', 'labels')
    )
    kept = nms(boxes.astype(float), scores, labels, 0.5)
    keep = kept[:100]
    assert len(single) == 3 and all(len(view) == 100 for view in single)
    assert {index // 100 for index in keep} == {0, 1, 2}, 'every size gives some of the detections'
    assert len(found) == len(keep) and len(kept) < 300
    assert torch.allclose(found.scores, torch.from_numpy(scores[keep]), atol=1e-6)
    order = np.lexsort((boxes[keep][:, 0], scores[keep]))
    again = np.lexsort((found.bboxes[:, 0].numpy(), found.scores.numpy()))
    assert np.allclose(found.bboxes.numpy()[again], boxes[keep][order], atol=1e-3)


def test_the_command_evaluates_a_checkpoint_so(trained, tmp_path, capsys):
    config = tmp_path / 'multiscale.py'
    config.write_text(f"_base_ = ['{trained.config}', '{CONFIGS / BASE}']\n")
    assert test_command.main([str(config), str(trained.checkpoint), '--tta', '--work-dir', str(tmp_path / 'work')]) == 0
    assert 'coco/bbox_mAP' in capsys.readouterr().out


@pytest.mark.parametrize('parts', [(0.5,), (0.5, 1.0, 1.5)])
def test_a_trial_s_config_can_be_tested(trained, tmp_path, capsys, parts):
    """What `ablate table7` calls for every run."""
    config = tmp_path / 'trial.py'
    Trial('x', parts).config_of(Config.fromfile(trained.config)).dump(config)
    words = ['--tta'] * (len(parts) > 1)
    assert test_command.main([str(config), str(trained.checkpoint), *words, '--work-dir', str(tmp_path / 'work')]) == 0
    assert 'coco/bbox_mAP' in capsys.readouterr().out


@pytest.mark.parametrize('name', sorted(path.name for path in (CONFIGS / 'sed').glob('*.py')))
def test_every_config_of_the_paper_has_it_and_single_sizes_are_an_option(name):
    """``--tta`` for the ensemble; the option that docs/reproduction.md names for Table 7's other columns."""
    cfg = copy.deepcopy(read(f'sed/{name}'))
    assert (cfg.tta_model, cfg.tta_pipeline) == (read(BASE).tta_model, read(BASE).tta_pipeline)
    cfg.merge_from_dict({'test_dataloader.dataset.pipeline.1.scale': (800, 480)})
    (resize,) = [step for step in cfg.test_dataloader.dataset.pipeline if 'scale' in step]
    assert resize.type == 'Resize' and resize.scale == (800, 480)

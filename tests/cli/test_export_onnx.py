"""``sssd export --onnx``: a graph that finds what PyTorch finds, at any size, without PyTorch."""

import json
import subprocess
import sys

import cv2
import mmcv
import numpy as np
import pytest
import shipped
import tiny
import torch
from mmdet.apis import DetInferencer
from mmdet.registry import MODELS
from mmdet.structures import DetDataSample
from mmengine.config import ConfigDict
from mmengine.registry import init_default_scope
from PIL import Image
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from sssd.cli import export
from sssd.deploy import predict_onnx, to_onnx
from sssd.deploy.onnx_graph import refuse_other
from sssd.deploy.to_onnx import Difference, compare_detections, images_to_compare, resize_of, write_graph
from sssd.errors import UserError

onnxruntime = pytest.importorskip('onnxruntime')

#: Runs the written script where nothing but its three packages can be imported.
ALONE = """
import runpy, sys
for name in ('sssd', 'torch', 'mmdet', 'mmcv', 'mmengine', 'onnx', 'PIL', 'pycocotools'):
    sys.modules[name] = None
script, *sys.argv = sys.argv[1:]
sys.argv.insert(0, script)
runpy.run_path(script, run_name='__main__')
"""
LOAD = [
    dict(type='LoadImageFromFile'),
    dict(type='Resize', scale=(96, 96), keep_ratio=True),
    dict(type='PackDetInputs'),
]


@pytest.fixture(scope='module')
def shipped_folder(shipped_job, tmp_path_factory):
    """An exported folder with a graph."""
    folder = tmp_path_factory.mktemp('onnx') / 'detector'
    checkpoint = shipped_job.work_dir / f'iter_{shipped.ITERATIONS}.pth'
    assert export.main([str(checkpoint), str(folder), '--onnx', '--part', 'student']) == 0
    return folder


def ap(found, truth):
    """COCO's AP of what the script wrote, in percent."""
    coco = COCO(str(truth))
    ids = {image['file_name']: key for key, image in coco.imgs.items()}
    kinds = {each['name']: key for key, each in coco.cats.items()}
    rows = [
        dict(
            image_id=ids[path.rsplit('/')[-1]],
            category_id=kinds[label],
            bbox=[box[0], box[1], box[2] - box[0], box[3] - box[1]],
            score=score,
        )
        for path, each in found.items()
        for box, score, label in zip(each['boxes'], each['scores'], each['labels'])
    ]
    evaluated = COCOeval(coco, coco.loadRes(rows), 'bbox')
    evaluated.evaluate()
    evaluated.accumulate()
    evaluated.summarize()
    return 100 * evaluated.stats[0]


def test_the_script_alone_has_the_ap_of_pytorch(shipped_job, shipped_folder, tmp_path, capsys):
    images, truth = shipped_job.config.parent / 'coco/images', shipped_job.config.parent / 'coco/annotations.json'
    out = tmp_path / 'found.json'
    words = [sys.executable, '-c', ALONE, str(shipped_folder / 'predict_onnx.py'), str(images), str(out)]
    done = subprocess.run(words, capture_output=True, text=True, cwd=tmp_path, timeout=120, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads(out.read_text())
    inferencer = DetInferencer(
        str(shipped_folder / 'config.py'), str(shipped_folder / 'model.pth'), device='cpu', show_progress=False
    )
    expected = {}
    for path in found:
        each = inferencer(path)['predictions'][0]
        expected[path] = dict(each, boxes=each['bboxes'], labels=[('disc', 'bar')[label] for label in each['labels']])
        assert found[path]['labels'] == expected[path]['labels'] and found[path]['labels']
        np.testing.assert_allclose(found[path]['scores'], each['scores'], atol=1e-4)
        np.testing.assert_allclose(found[path]['boxes'], each['bboxes'], atol=0.01)
    assert len(found) == len(COCO(str(truth)).imgs)
    assert ap(found, truth) == pytest.approx(ap(expected, truth), abs=0.1) and ap(found, truth) > 1
    card = (shipped_folder / 'README.md').read_text()
    assert '## ONNX' in card and 'detections of 5 images: boxes differ by at most' in card


def alone(folder, *words):
    """Run the script of a folder; returns it with its output as text."""
    command = [sys.executable, '-c', ALONE, str(folder / 'predict_onnx.py'), *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def test_the_script_tells_what_it_does_not_read(shipped_folder, tiny_coco, tmp_path):
    """And reads all that predict does, as it is seen; where there is nothing, an earlier file stays as it is."""
    photos, out = tmp_path / 'photos', tmp_path / 'found.json'
    (photos / 'deep').mkdir(parents=True)
    exif = Image.Exif()
    exif[0x0112] = 6
    with Image.open(tiny_coco.img_dir / '0000.png') as source:
        for name in ('turned.jpg', 'deep/turned.tif', 'größe.png'):
            source.save(photos / name, exif=exif)
    for name, content in (('empty.jpg', b''), ('notes.txt', b'no image')):
        (photos / name).write_bytes(content)
    done = alone(shipped_folder, photos, out)
    assert done.returncode == 0, done.stderr
    told = [line.split(': ')[0] for line in done.stderr.splitlines() if line.startswith('passed over')]
    assert told == [f'passed over {photos}/{name}' for name in ('empty.jpg', 'notes.txt')]
    assert set(json.loads(out.read_text())) == {
        str(photos / name) for name in ('turned.jpg', 'deep/turned.tif', 'größe.png')
    }
    for name in ('turned.jpg', 'deep/turned.tif', 'größe.png'):
        assert np.array_equal(predict_onnx.read(photos / name), mmcv.imread(str(photos / name))), name

    before = out.read_bytes()
    for words, said in (
        ([tmp_path / 'nowhere', out], 'nowhere does not exist'),
        ([photos / 'empty.jpg', out], 'no image could be read in '),
        ([], 'python predict_onnx.py IMAGE_OR_FOLDER [OUT.json]'),
    ):
        done = alone(shipped_folder, *words)
        assert done.returncode == 1 and said in done.stderr and 'Traceback' not in done.stderr
    assert out.read_bytes() == before


def built(name):
    """A tiny detector that is sure of some boxes, with the preprocessor of a training."""
    cfg = {**tiny.DETECTORS, **tiny.OTHERS, 'atss': shipped.atss, 'cascade': shipped.cascade}[name]()
    cfg['data_preprocessor'] = dict(
        type='DetDataPreprocessor', mean=[120.0, 110, 100], std=[60.0, 50, 40], bgr_to_rgb=True, pad_size_divisor=32
    )
    init_default_scope('mmdet')
    torch.manual_seed(0)
    model = MODELS.build(ConfigDict(cfg))
    model.init_weights()
    for key, weight in model.named_parameters():
        if key.endswith('cls.weight'):  # or all scores were the same
            torch.nn.init.normal_(weight, std=0.5)
    return model.eval()


def found_by(model, image):
    """Detections of mmdet."""
    height, width = image.shape[:2]
    sample = DetDataSample(metainfo=dict(img_shape=(height, width), ori_shape=(height, width), scale_factor=(1.0, 1.0)))
    with torch.no_grad():
        pixels = torch.from_numpy(image).permute(2, 0, 1)
        found = model.test_step(dict(inputs=[pixels], data_samples=[sample]))[0].pred_instances
    return tuple(found[key].numpy() for key in ('bboxes', 'scores', 'labels'))


@pytest.mark.parametrize('name', ['retinanet', 'fcos', 'faster_rcnn', 'c4', 'dc5', 'atss'])
def test_the_graph_is_the_detector_at_every_size(name, tmp_path):
    """Also of an image smaller than a cell, and one in which nothing is found."""
    model = built(name)
    cfg = model.roi_head.test_cfg if hasattr(model, 'roi_head') else model.bbox_head.test_cfg
    cfg.update(score_thr=0.001, max_per_img=30)
    refuse_other(model)
    write_graph(model, tmp_path / 'model.onnx', dict(classes=['a', 'b', 'c']))
    session = onnxruntime.InferenceSession(str(tmp_path / 'model.onnx'))
    assert json.loads(session.get_modelmeta().custom_metadata_map['classes']) == ['a', 'b', 'c']
    random = np.random.RandomState(0)
    for size in ((64, 96), (97, 70), (5, 9)):
        image = random.randint(0, 256, (*size, 3)).astype(np.uint8)
        found, expected = session.run(None, dict(image=image)), found_by(model, image)
        assert len(found[0]) == len(expected[0])
        np.testing.assert_allclose(found[1], expected[1], atol=1e-5)
        pairs = list(to_onnx._pairs(expected, found))
        assert len(pairs) >= 0.9 * len(expected[0]) and len(expected[0])  # equal scores may change places
        assert max(box for box, _ in pairs) < 0.01
    cfg.update(score_thr=0.999)
    write_graph(model, tmp_path / 'none.onnx', {})
    session = onnxruntime.InferenceSession(str(tmp_path / 'none.onnx'))
    assert [len(each) for each in session.run(None, dict(image=image))] == [0, 0, 0] and not len(
        found_by(model, image)[0]
    )


def test_what_has_no_graph_is_told():
    with pytest.raises(UserError, match='no ONNX is written of DETR: the graph has RetinaNet, FCOS'):
        refuse_other(built('detr'))
    with pytest.raises(UserError, match='not CascadeRoIHead or masks'):
        refuse_other(built('cascade'))
    model = built('retinanet')
    model.bbox_head.test_cfg.nms = ConfigDict(type='soft_nms', iou_threshold=0.5)
    with pytest.raises(UserError, match='its suppression is soft_nms'):
        refuse_other(model)
    model = built('faster_rcnn')
    model.roi_head.bbox_roi_extractor.roi_layers[0].pool_mode = 'max'
    with pytest.raises(UserError, match='not pooled by RoIAlign with means'):
        refuse_other(model)


def test_a_pipeline_that_the_script_cannot_follow_is_told():
    assert resize_of(LOAD) == dict(scale=[96, 96], keep_ratio=True)
    for changed, said in (
        ([*LOAD, dict(type='Pad', size_divisor=32)], 'has Pad'),
        ([LOAD[0], LOAD[2]], 'by one scale'),
        ([LOAD[0], dict(LOAD[1], interpolation='area'), LOAD[2]], 'by one scale'),
        ([dict(LOAD[0], to_float32=True), *LOAD[1:]], 'by one scale'),
    ):
        with pytest.raises(UserError, match=said):
            resize_of(changed)


def test_a_graph_that_differs_is_not_kept(shipped_job, shipped_folder, tmp_path, monkeypatch):
    from sssd.deploy.predict import load_exported

    inferencer, graph = load_exported(shipped_folder), predict_onnx.Detector(shipped_folder / 'model.onnx')
    paths = images_to_compare(inferencer.cfg.test_dataloader.dataset)
    assert len(paths) == 5 and compare_detections(inferencer, graph, paths).strays <= 2

    def moved(image):
        boxes, scores, labels = graph(image)
        return boxes + 2, scores, labels

    with pytest.raises(UserError, match='does not find what PyTorch finds'):
        compare_detections(inferencer, moved, paths)
    cv2.imwrite(str(tmp_path / 'black.png'), np.zeros((64, 64, 3), np.uint8))
    inferencer.model.bbox_head.test_cfg.score_thr = 0.999
    nothing = np.zeros((0, 4)), np.zeros(0), np.zeros(0)
    with pytest.raises(UserError, match='finds nothing in 1 image, so ONNX and PyTorch'):
        compare_detections(inferencer, lambda image: nothing, [str(tmp_path / 'black.png')])

    checkpoint = str(shipped_job.work_dir / f'iter_{shipped.ITERATIONS}.pth')
    with pytest.raises(UserError, match='nowhere is no file and no folder'):
        export.main([checkpoint, str(tmp_path / 'out'), '--onnx', '--images', 'nowhere'])
    assert not any((tmp_path / 'out').iterdir())
    with pytest.raises(UserError, match='add --onnx'):
        export.main([checkpoint, str(tmp_path / 'out'), '--images', 'nowhere'])
    monkeypatch.setattr(to_onnx.importlib.util, 'find_spec', lambda name: None if name == 'onnx' else True)
    with pytest.raises(UserError, match=r"--onnx needs onnx: pip install 'sssd\[onnx\]'"):
        export.main([checkpoint, str(tmp_path / 'out'), '--onnx'])


def test_the_difference_reads_well():
    assert str(Difference(1, 3, 0.00123, 2e-6, 0)) == (
        '3 detections of 1 image: boxes differ by at most 0.0012 pixels, scores by 2e-06'
    )
    assert str(Difference(2, 3, 0, 0, 1)).endswith(', 1 without a partner')

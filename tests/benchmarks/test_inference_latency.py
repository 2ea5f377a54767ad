"""The latency benchmark runs and writes what a reader needs; how fast anything is, is not tested."""

import json

import guided
import pytest
import tiny
import torch
from mmengine.config import Config

from sssd.errors import UserError


@pytest.fixture(scope='module')
def latency(load_benchmark):
    """The script as a module."""
    return load_benchmark('inference_latency')


def written(tmp_path, model):
    path = tmp_path / 'config.py'
    Config(dict(default_scope='mmdet', model=model)).dump(str(path))
    return str(path)


def guided_config():
    return guided.config({**tiny.retinanet(), 'data_preprocessor': guided.PREPROCESSOR})


def test_three_detectors_with_the_weights_of_a_checkpoint(latency, tmp_path, capsys):
    checkpoint, out = tmp_path / 'weights.pth', tmp_path / 'deep' / 'out.json'
    torch.save(dict(meta={}, state_dict=guided.build(tiny.retinanet(), seed=5).state_dict()), checkpoint)
    config = written(tmp_path, guided_config())
    assert (
        latency.main(
            [
                config,
                str(checkpoint),
                '--repeats',
                '2',
                '--warm-up',
                '0',
                '--size',
                '64',
                '64',
                '--seed',
                '4',
                '--note',
                'a note',
                '--out',
                str(out),
            ]
        )
        == 0
    )
    found = json.loads(out.read_text())
    assert (found['seed'], found['threads'], found['weights'], found['note']) == (4, 1, 'weights.pth', 'a note')
    assert set(found) >= {'command', 'commit', 'machine', 'versions', 'load_average'}
    assert list(found['results']) == ['plain', 'guided', 'extracted']
    for row in found['results'].values():
        assert all(0 < row[kind]['least'] <= row[kind]['median'] <= row[kind]['most'] for kind in ('wall_ms', 'cpu_ms'))
    parameters = found['parameters']
    assert parameters['plain'] == parameters['extracted'] < parameters['guided']
    shown = capsys.readouterr().out
    assert all(f'{name} ' in shown for name in parameters)


def test_all_three_detect_the_same(latency, tmp_path):
    model = guided_config()
    model['detector']['test_cfg']['score_thr'] = 0.0
    models = latency.build(Config.fromfile(written(tmp_path, model)), None, 'cpu')
    with torch.no_grad():
        found = [one.test_step(latency.image_batch((64, 96), 0))[0].pred_instances for one in models.values()]
    assert len(found) == 3 and len(found[0]) > 0
    assert all(torch.equal(one.bboxes, found[0].bboxes) and torch.equal(one.scores, found[0].scores) for one in found)


def test_a_config_without_a_guided_detector_is_refused(latency, tmp_path):
    with pytest.raises(UserError, match='has no model.detector'):
        latency.main([written(tmp_path, tiny.retinanet())])
    with pytest.raises(UserError, match='--repeats is 1'):
        latency.main([written(tmp_path, tiny.retinanet()), '--repeats', '1'])

"""``sssd export``: a folder that plain mmdet takes, with the same detections and the same AP."""

import json
import os
import subprocess
import sys

import pytest
import shipped
import tiny
import torch
from mmdet.apis import inference_detector, init_detector
from mmengine.config import Config

from sssd.cli import export
from sssd.deploy.choose import better_part, read_history
from sssd.deploy.config import classes_of
from sssd.deploy.literals import read_literals, write_literals
from sssd.errors import UserError
from sssd.registry import MODELS

#: What plain mmdet makes of an exported folder, in a process where sssd cannot be imported.
PLAIN = """
import json, runpy, sys, torch
sys.modules['sssd'] = None
from pathlib import Path
from mmengine.config import Config
from mmengine.runner import Runner
from mmdet.apis import DetInferencer, inference_detector, init_detector
from mmdet.registry import MODELS

folder, image, out = sys.argv[1:]
config, weights = f'{folder}/config.py', f'{folder}/model.pth'
model = init_detector(config, weights, device='cpu')
model.load_state_dict(torch.load(weights, weights_only=True)['state_dict'], strict=True)
sample = inference_detector(model, image).pred_instances
found = dict(boxes=sample.bboxes.tolist(), scores=sample.scores.tolist(), classes=model.dataset_meta['classes'])
inferred = DetInferencer(config, weights, device='cpu', show_progress=False)(image)['predictions'][0]
found['inferred'] = inferred['scores']
cfg = Config.fromfile(config)
cfg.work_dir, cfg.load_from = f'{out}/work', weights
found['metrics'] = Runner.from_cfg(cfg).test()
sys.argv = ['predict.py', image, f'{out}/drawn']
runpy.run_path(f'{folder}/predict.py', run_name='__main__')
found['sssd'] = [name for name, module in sys.modules.items() if name.startswith('sssd') and module is not None]
Path(out, 'found.json').write_text(json.dumps(found))
"""


def in_plain_mmdet(folder, image, out):
    """Run :data:`PLAIN`; what it found."""
    env = {key: value for key, value in os.environ.items() if key != 'PYTHONPATH'}
    done = subprocess.run(
        [sys.executable, '-c', PLAIN, str(folder), str(image), str(out)],
        capture_output=True,
        text=True,
        cwd=out,
        env=env,
        timeout=280,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads((out / 'found.json').read_text())


def reference(job, part, image):
    """What a part of the trained pair finds."""
    model = init_detector(Config.fromfile(job.config), str(job.work_dir / 'iter_80.pth'), device='cpu', cfg_options={})
    model.semi_test_cfg = dict(predict_on=part)
    return inference_detector(model, str(image)).pred_instances


@pytest.mark.slow
def test_the_better_one_is_the_same_in_plain_mmdet(shipped_job, tmp_path, capsys):
    checkpoint, folder = shipped_job.work_dir / f'iter_{shipped.ITERATIONS}.pth', tmp_path / 'detector'
    assert export.main([str(checkpoint), str(folder)]) == 0
    rows = {role: each[-1] for role, each in read_history(checkpoint).items()}
    assert rows['teacher']['iter'] == rows['student']['iter'] == shipped.ITERATIONS
    part = 'student' if rows['student']['AP'] > rows['teacher']['AP'] else 'teacher'
    assert f'took the {part}: at iteration {shipped.ITERATIONS}, AP of the teacher was' in capsys.readouterr().out
    assert {path.name for path in folder.iterdir()} == {'model.pth', 'config.py', 'README.md', 'predict.py'}
    config = (folder / 'config.py').read_text()
    assert 'sssd' not in config and len(config.splitlines()) < 60 and max(map(len, config.splitlines())) <= 120
    assert not any(word in config for word in ('init_cfg', 'train_cfg', 'optim', 'train_dataloader'))
    assert len((folder / 'predict.py').read_text().splitlines()) == 10
    card = (folder / 'README.md').read_text()
    assert f'| {shipped.ITERATIONS} | {part} | {rows[part]["AP"]:.1f} |' in card and 'disc, bar' in card
    assert 'annotations.json' in card and 'No licence is stated' in card and 'commit of sssd' in card

    image = sorted((shipped_job.config.parent / 'coco/images').iterdir())[0]
    found, expected = in_plain_mmdet(folder, image, tmp_path), reference(shipped_job, part, image)
    assert found['sssd'] == [] and found['classes'] == ['disc', 'bar']
    assert len(expected) > 0 and found['scores'] == expected.scores.tolist() == found['inferred']
    assert found['boxes'] == expected.bboxes.tolist()
    assert 100 * found['metrics']['coco/bbox_mAP'] == pytest.approx(rows[part]['AP'], abs=0.006)
    assert (tmp_path / 'drawn/vis').is_dir() and (tmp_path / 'drawn/preds').is_dir()


def test_a_part_can_be_named_and_the_optimizer_stays_out(shipped_job, tmp_path):
    checkpoint = shipped_job.work_dir / f'iter_{shipped.ITERATIONS}.pth'
    whole = torch.load(checkpoint, weights_only=False)['state_dict']
    for part in ('teacher', 'student'):
        assert export.main([str(checkpoint), str(tmp_path / part), '--part', part]) == 0
        written = torch.load(tmp_path / part / 'model.pth', weights_only=True)
        assert set(written) == {'meta', 'state_dict'}
        assert all(torch.equal(value, whole[f'{part}.{key}']) for key, value in written['state_dict'].items())
    with pytest.raises(UserError, match='no weights of a detector'):
        export.main([str(checkpoint), str(tmp_path / 'none'), '--part', 'detector'])
    with pytest.raises(UserError, match='teacher is not empty'):
        export.main([str(checkpoint), str(tmp_path / 'teacher')])


def test_without_a_log_the_teacher_is_taken_and_it_is_said(shipped_job, tmp_path, capsys):
    """The config is then that in the checkpoint, which is read and not run; without that, one has to be named."""
    content = torch.load(shipped_job.work_dir / f'iter_{shipped.ITERATIONS}.pth', weights_only=False)
    alone = tmp_path / 'alone' / 'some.pth'
    alone.parent.mkdir()
    meta = {key: content['meta'][key] for key in ('cfg', 'dataset_meta', 'iter')}
    torch.save(dict(meta=meta, state_dict=content['state_dict']), alone)
    assert export.main([str(alone), str(tmp_path / 'one')]) == 0
    assert 'took the teacher: no validation of both' in capsys.readouterr().out
    assert 'No evaluation was logged' in (tmp_path / 'one/README.md').read_text()

    mark = tmp_path / 'was_run'
    torch.save(dict(meta=dict(meta, cfg=f'x = open({str(mark)!r}, "w")'), state_dict=content['state_dict']), alone)
    with pytest.raises(UserError, match='not the plain dump of a config .* is not run: name the config with --config'):
        export.main([str(alone), str(tmp_path / 'two')])
    assert not mark.exists()

    del meta['cfg']
    torch.save(dict(meta=meta, state_dict=content['state_dict']), alone)
    with pytest.raises(UserError, match='holds no config, and its folder has none'):
        export.main([str(alone), str(tmp_path / 'three')])
    assert export.main([str(alone), str(tmp_path / 'three'), '--config', str(shipped_job.config)]) == 0
    one, three = (read_literals((tmp_path / name / 'config.py').read_text(), name) for name in ('one', 'three'))
    assert one == three


def test_a_guided_and_a_plain_detector_are_exported(trained, trained_guided, tmp_path, capsys):
    for name, checkpoint in (('plain', trained.checkpoint), ('guided', trained_guided.last_checkpoint)):
        assert export.main([str(checkpoint), str(tmp_path / name)]) == 0
        assert 'took the one detector of the checkpoint' in capsys.readouterr().out
        written = torch.load(tmp_path / name / 'model.pth', weights_only=True)['state_dict']
        assert not any(key.startswith(('detector.', 'guidance.')) for key in written)
        assert 'sssd' not in (tmp_path / name / 'config.py').read_text()
    with pytest.raises(UserError, match='is not the detector of the config'):
        export.main([str(trained.checkpoint), str(tmp_path / 'other'), '--config', str(other(trained, tmp_path))])


@pytest.mark.parametrize('name', ['faster_rcnn', 'fcos', 'detr', 'c4', 'atss', 'cascade'])
def test_every_kind_of_detector_finds_the_same(make_job, tmp_path, tiny_coco, name):
    """Also without the settings of its training, which the written config leaves out."""
    detector = {**tiny.DETECTORS, **tiny.OTHERS, 'atss': shipped.atss, 'cascade': shipped.cascade}[name]()
    detector['test_cfg'].get('rcnn', detector['test_cfg'])['score_thr'] = 0.0
    views = dict(views=[dict(type='DenseView', head='rpn_head')]) if name == 'cascade' else {}
    text = Config(dict(model=tiny.sed_config(detector, **views))).pretty_text
    job = make_job(extra=text.replace(f'num_classes={tiny.CLASSES}', 'num_classes=2'))
    cfg = Config.fromfile(job.config)
    model = MODELS.build(cfg.model)
    model.init_weights()
    torch.save(dict(meta={}, state_dict=model.state_dict()), tmp_path / 'pair.pth')
    assert export.main([str(tmp_path / 'pair.pth'), str(tmp_path / 'out'), '--config', str(job.config)]) == 0
    written = read_literals((tmp_path / 'out/config.py').read_text(), 'config')
    assert written['model'].get('train_cfg') is None
    image = str(tiny_coco.img_dir / '0000.png')
    plain = init_detector(str(tmp_path / 'out/config.py'), str(tmp_path / 'out/model.pth'), device='cpu')
    pair = init_detector(cfg, str(tmp_path / 'pair.pth'), device='cpu', cfg_options={})
    found, expected = (inference_detector(each, image).pred_instances for each in (plain, pair))
    assert len(expected) > 0
    for key in ('bboxes', 'scores', 'labels'):
        torch.testing.assert_close(found[key], expected[key])


def test_classes_of_coco_are_known_without_being_told():
    cfg = Config(dict(test_dataloader=dict(dataset=dict(type='CocoDataset'))))
    assert len(classes_of(cfg, {})) == 80 and classes_of(cfg, dict(dataset_meta=dict(classes=['a']))) == ('a',)
    with pytest.raises(UserError, match='names the classes'):
        classes_of(Config(dict(model=dict())), {})


def other(job, folder):
    """A config of another number of classes."""
    path = folder / 'other.py'
    path.write_text(job.config.read_text().replace('num_classes=2', 'num_classes=3'))
    return path


@pytest.mark.parametrize(
    'teacher, student, iteration, part, said',
    [
        ([(4, 10.0)], [(4, 20.0)], 4, 'student', 'at iteration 4, AP of the teacher was 10.0'),
        ([(4, 10.0)], [(4, 10.0)], 4, 'teacher', 'at iteration 4,'),
        ([(4, 10.0), (8, 9.0)], [(4, 20.0), (8, 1.0)], 6, 'student', 'iteration 4, the newest evaluation before'),
        ([(4, None)], [(4, None)], 4, 'teacher', 'no validation of both'),
        ([(8, 1.0)], [(8, 2.0)], 4, 'teacher', 'no validation of both'),
        ([(4, 1.0)], [], 4, 'teacher', 'no validation of both'),
    ],
)
def test_the_better_one_by_validation(teacher, student, iteration, part, said):
    found = {
        role: [dict(iter=step, AP=value) for step, value in each]
        for role, each in (('teacher', teacher), ('student', student))
    }
    choice = better_part(found, iteration)
    assert choice.part == part and said in choice.why


def test_values_come_back_from_the_text_that_is_written():
    values = dict(
        a=dict(x=[1, -2.5, None], y=('one',), z=dict(type='A', names=tuple(f'class {i}' for i in range(80)))),
        b=[(-1, 64), (512, float('inf'))],
        c={'a b': True, 'c': "it's"},
        d=[dict(type='Step', value='v' * 30, more=dict(k=list(range(40)))) for _ in range(3)],
        e=(),
    )
    text = write_literals(values)
    assert read_literals(text, 'text') == values and max(map(len, text.splitlines())) <= 120


def test_keys_that_are_no_names_are_read_as_mmengine_writes_them():
    values = dict(paramwise_cfg=dict(custom_keys={'student.backbone': dict(lr_mult=0.2), 'norm': dict(decay_mult=0.0)}))
    assert read_literals(Config(values).pretty_text, 'text') == values


@pytest.mark.parametrize(
    'text',
    [
        'import os',
        'a = __import__("os")',
        'a = dict(**b)',
        'a = b',
        'a.b = 1',
        'a = [',
        'a = dict(1)',
        'a = dict({**b})',
    ],
)
def test_what_is_more_than_values_is_refused(text):
    with pytest.raises(UserError, match='not the plain dump of a config'):
        read_literals(text, 'some.py')

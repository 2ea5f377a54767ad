"""The detections that a training keeps, and the figures of the pages that are made of them."""

import json
import os
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from mmengine.config import Config
from pycocotools.cocoeval import COCOeval

from sssd.cli import compare, study
from sssd.datasets.toy import make_toy
from sssd.errors import run_cli
from sssd.hooks.keep_detections import KEPT, KeepDetectionsHook, arrays, write
from sssd.report import detected, run_page
from sssd.report.detected import AREAS, Images, look
from sssd.report.kept import read_kept
from sssd.report.study_page import Study, write_study_report
from sssd.studies.results import ResultsFile

#: Long enough to find something.
LONGER = """
val_dataloader, val_evaluator, val_cfg = test_dataloader, test_evaluator, dict(type='ValLoop')
train_cfg = dict(type='IterBasedTrainLoop', max_iters=120, val_interval=60)
optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='Adam', lr=0.003))
default_hooks = dict(default_hooks, checkpoint=dict(type='CheckpointHook', by_epoch=False, interval=120))
"""


class Cells(HTMLParser):
    """The cells of all tables of a page, in order."""

    def __init__(self, path):
        super().__init__()
        self.tag, self.found = '', []
        self.feed(Path(path).read_text())

    def handle_starttag(self, tag, attrs):
        self.tag = tag
        if tag in ('td', 'th'):
            self.found.append('')

    def handle_endtag(self, tag):
        self.tag = ''

    def handle_data(self, data):
        if self.tag in ('td', 'th'):
            self.found[-1] += data

    def after(self, name, count):
        place = self.found.index(name)
        return self.found[place + 1 : place + 1 + count]

    def before(self, name, count):
        place = self.found.index(name)
        return self.found[place - count : place]


def figures(cell):
    """A figure and the ends of its interval."""
    return [float(number) for number in re.findall(r'-?[\d.]+', cell)]


@pytest.fixture(scope='module')
def trained(write_job, make_tiny_coco, forked_python, repo_root, tmp_path_factory):
    """A folder with the work directory of a run that finds something; its page was switched off."""
    folder = tmp_path_factory.mktemp('kept')
    job = write_job(folder, make_tiny_coco(folder / 'coco'), extra=LONGER)
    words = [forked_python, '-m', 'sssd', 'train', job.config, '--work-dir', folder / 'one']
    done = subprocess.run(words, cwd=repo_root, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture
def crafted(trained, tmp_path):
    """Two runs on the same images, and what was found: in one nearly all objects, in the other fewer and false ones."""
    images = Images.of(Config.fromfile(trained / 'one/tiny.py'), 100)
    rng, found = np.random.default_rng(3), {}
    for name, noise, missed in (('few', 9.0, 0.4), ('sed teacher', 2.0, 0.1), ('sed student', 4.0, 0.2)):
        found[name] = {}
        for info in images.infos:
            kept = [one for one in info['instances'] if rng.random() > missed]
            corners = [np.asarray(one['bbox']) + rng.normal(0, noise, 4) for one in kept]
            corners += [np.array([5.0, 5.0, 25.0, 30.0])]
            labels = [one['bbox_label'] for one in kept] + [0]
            found[name][info['img_path']] = (
                np.asarray(corners, np.float32),
                rng.random(len(labels)).astype(np.float32),
                np.asarray(labels),
            )
    roles = dict(few=dict(model=found['few']), sed=dict(teacher=found['sed teacher'], student=found['sed student']))
    for run, of_run in roles.items():
        shutil.copytree(trained / 'one', tmp_path / run)
        write(tmp_path / run / KEPT, arrays(of_run, 120))
    return tmp_path, images, found


def drawn_ap(images, found, times):
    """COCO's AP where each image is there so many times, by pycocotools on copies of it."""
    order = [number for number, count in enumerate(times) for _ in range(count)]
    drawn = Images([images.infos[number] for number in order], images.classes)
    results = [
        dict(image_id=place, category_id=int(label), bbox=detected.xywh(corners), score=float(score))
        for place, number in enumerate(order)
        for corners, score, label in zip(*found[images.infos[number]['img_path']])
    ]
    truth = drawn.truth().coco
    evaluation = COCOeval(truth, truth.loadRes(results), 'bbox')
    evaluation.evaluate()
    evaluation.accumulate()
    kept = evaluation.eval['precision'][:, :, :, 0, 2]
    return 100 * kept[kept > -1].mean()


def differences(images, one, other, draws=40):
    """Difference of two APs and its interval, computed draw by draw."""
    weights = np.random.default_rng(0).multinomial(len(images.infos), np.full(len(images.infos), 1 / 6), size=draws)
    apart = [drawn_ap(images, one, times) - drawn_ap(images, other, times) for times in weights]
    every = [1] * len(images.infos)
    return [drawn_ap(images, one, every) - drawn_ap(images, other, every), *np.quantile(apart, [0.025, 0.975])]


def test_what_is_kept_is_what_the_model_finds(trained):
    kept, config = read_kept(trained / 'one'), Config.fromfile(trained / 'one/tiny.py')
    assert kept.iteration == 120 and list(kept.roles) == ['model']
    images = Images.of(config, 100)
    ran = look(config, trained / 'one/iter_120.pth', images)['model'].boxes
    for before, after in zip(kept.of(images.paths)['model'], ran, strict=True):
        assert len(before.scores) and np.array_equal(before.labels, after.labels)
        assert np.allclose(before.corners, after.corners, atol=1e-2) and np.allclose(before.scores, after.scores)


def test_figures_of_the_page_are_those_of_the_log(trained):
    path = run_page.write_report(trained / 'one', trained / 'kept.html', images=1)
    assert 'The validation after iteration 120, on 6 validation images' in path.read_text()
    page, log = Cells(path), next((trained / 'one').glob('*/vis_data/scalars.json')).read_text()
    last = [line for line in map(json.loads, log.splitlines()) if 'coco/bbox_mAP' in line][-1]
    assert last['coco/bbox_mAP'] > 0.05
    for area, size in zip(AREAS, ('mAP', 'mAP_s', 'mAP_m', 'mAP_l')):
        (told,), logged = page.after(f'objects: {area}', 1), last[f'coco/bbox_{size}']
        assert (told == '–') if logged < 0 else figures(told)[0] == pytest.approx(100 * logged, abs=0.11)


def test_without_what_is_kept_the_model_runs(trained, tmp_path):
    shutil.copytree(trained / 'one', tmp_path / 'one')
    kept = tmp_path / 'one' / KEPT
    whole = kept.read_bytes()
    for content in (b'', whole[: len(whole) // 2], b'no archive'):
        kept.write_bytes(content)
        assert read_kept(tmp_path / 'one') is None
    np.savez(kept, paths=np.array([{}], dtype=object), iteration=1)
    assert read_kept(tmp_path / 'one') is None, 'a file runs no code'
    out = run_page.write_report(tmp_path / 'one', images=3)
    assert 'iter_120.pth, on 3 validation images' in out.read_text()


def test_sizes_are_those_of_the_annotation_file(trained, tmp_path):
    config = Config.fromfile(trained / 'one/tiny.py')
    whole = json.loads(Path(config.val_evaluator.ann_file).read_text())
    for one in whole['annotations']:
        one['area'] = 7.0  # as of a thin mask
    (tmp_path / 'thin.json').write_text(json.dumps(whole))
    config.val_evaluator.ann_file = str(tmp_path / 'thin.json')
    images = Images.of(config, 4)
    truth, chosen = images.truth().coco, {info['img_id'] for info in images.infos}
    assert truth.anns and {one['area'] for one in truth.anns.values()} == {7.0}
    assert len(truth.anns) == sum(one['image_id'] in chosen for one in whole['annotations'])
    config.val_evaluator.type = 'VOCMetric'
    boxes = Images.of(config, 4).truth().coco.anns.values()
    assert len(boxes) == len(truth.anns) and 7.0 not in {one['area'] for one in boxes}


def test_differences_are_those_of_pycocotools_on_drawn_images(crafted, monkeypatch, capsys):
    folder, images, found = crafted
    monkeypatch.setattr(detected, 'DRAWS', 40)
    words = [str(folder / 'few'), str(folder / 'sed'), '--out', str(folder / 'both.html')]
    assert run_cli(compare.main, words) == 0, capsys.readouterr().err
    cells = Cells(folder / 'both.html')
    assert cells.before('all', 4) == ['', 'few', 'sed', 'sed less few']
    expected = differences(images, found['sed teacher'], found['few'])
    assert expected[0] > 1
    assert figures(cells.after('all', 3)[2]) == pytest.approx(expected, abs=0.051)


def test_a_study_has_the_student_beside_its_teacher(crafted, monkeypatch):
    folder, images, found = crafted
    monkeypatch.setattr(detected, 'DRAWS', 40)
    places = dict(few={0: folder / 'few'}, sed={0: folder / 'sed'})
    cells = Cells(write_study_report(Study('mine', [], places), folder / 'study.html', images=5))
    models = ['few', 'sed teacher', 'sed student']
    pairs = [('sed teacher', 'few'), ('sed student', 'few'), ('sed teacher', 'sed student')]
    place = cells.found.index('sed teacher')
    assert cells.found[place - 2 : place + 2] == ['', *models]
    told = cells.after('objects: all', 3)
    head = cells.found.index(' less '.join(pairs[0]))
    assert cells.found[head : head + 4] == [*(' less '.join(pair) for pair in pairs), 'all']
    for cell, (one, other) in zip(cells.found[head + 4 :], pairs):
        assert figures(cell) == pytest.approx(differences(images, found[one], found[other]), abs=0.051)
    assert [figures(cell)[0] for cell in told] == pytest.approx(
        [drawn_ap(images, found[name], [1] * 6) for name in models], abs=0.051
    )


def test_figures_of_a_run_are_means_over_its_seeds(crafted, monkeypatch):
    folder, images, found = crafted
    monkeypatch.setattr(detected, 'DRAWS', 40)
    shutil.copytree(folder / 'sed', folder / 'again')
    write(folder / 'again' / KEPT, arrays(dict(teacher=found['few'], student=found['sed student']), 120))
    places = dict(few={0: folder / 'few'}, sed={0: folder / 'sed', 1: folder / 'again'})
    cells = Cells(write_study_report(Study('mine', [], places), folder / 'study.html', images=5))
    expected = np.mean([drawn_ap(images, found[name], [1] * 6) for name in ('sed teacher', 'few')])
    assert figures(cells.after('objects: all', 2)[1])[0] == pytest.approx(expected, abs=0.051)


def test_what_a_longer_training_kept_is_taken_away(tmp_path):
    runner, hook = SimpleNamespace(work_dir=tmp_path, iter=9), KeepDetectionsHook()
    found = (np.ones((1, 4), np.float32), np.array([0.5], np.float32), np.array([1]))
    for iteration, stays in ((9, True), (3, True), (10, False)):
        write(tmp_path / KEPT, arrays(dict(model=dict(a=found)), iteration))
        hook.before_train(runner)
        assert (tmp_path / KEPT).exists() == stays
    (tmp_path / KEPT).write_bytes(b'half')
    hook.before_train(runner)
    assert not (tmp_path / KEPT).exists()
    hook.before_train(runner)


def test_an_image_without_detections_and_one_that_came_twice(tmp_path):
    box = (np.ones((1, 4), np.float32), np.array([0.5], np.float32), np.array([1]))
    none = (np.ones((0, 4), np.float32), np.zeros(0, np.float32), np.zeros(0, int))
    write(tmp_path / KEPT, arrays(dict(teacher=dict(b=none, a=box, c=box), student=dict(a=none, b=none, c=none)), 9))
    kept = read_kept(tmp_path)
    assert kept.iteration == 9 and kept.of(['z']) is None
    numbers = {role: [len(one.scores) for one in boxes] for role, boxes in kept.of(['c', 'b', 'a']).items()}
    assert numbers == dict(teacher=[1, 0, 1], student=[0, 0, 0])


SPEC = """
name = 'tiny'
given = {'train_cfg.max_iters': 2, 'train_cfg.val_interval': 2, 'model.detector.test_cfg.score_thr': 0.0,
         'train_dataloader.batch_size': 4}
runs = dict(
    few=dict(config='configs/quickstart/retinanet_supervised.py', cfg_options=given),
    sed=dict(config='configs/quickstart/retinanet_sed.py',
             cfg_options={**given, 'train_dataloader.sampler.batch_size': 4}))
del given
"""


@pytest.mark.slow
def test_a_real_study_ends_with_its_page(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv('SSSD_REPORT', '1')
    make_toy('data/toy', 8, 2, 4, progress=False)
    Path('spec.py').write_text(SPEC)
    assert run_cli(study.main, ['spec.py', '--work-dir', 'work']) == 0
    assert 'report:     work/report.html' in capsys.readouterr().out
    cells, entries = Cells('work/report.html'), ResultsFile('work/results.json', 'tiny').entries()
    for entry in entries:
        kept = read_kept(f'work/seed0/{entry["run"]}')
        assert kept.iteration == 2 and set(kept.roles) == set(entry['history']) == {'student', 'teacher'}
        assert all(len(boxes) == 2 and any(len(one.scores) for one in boxes.values()) for boxes in kept.roles.values())
    assert cells.after('few teacher', 3) == ['few student', 'sed teacher', 'sed student']
    pairs = ['sed teacher less few teacher', 'sed student less few student']
    pairs += ['few teacher less few student', 'sed teacher less sed student']
    place = cells.found.index(pairs[0])
    assert cells.found[place : place + 5] == [*pairs, 'all']
    text, written = Path('work/report.html').read_text(), Path('work/report.html').stat().st_mtime_ns
    for word in ('How hard each loss pulls', 'What the teacher says of unlabelled', 'What the configs change'):
        assert word in text
    assert (
        'cannot be shown' not in text and 'left out' not in text and '<h2>tiny</h2>' in text.partition('Validation')[0]
    )
    assert run_cli(study.main, ['spec.py', '--work-dir', 'work']) == 0
    assert 'report:     work/report.html (nothing has changed since it was written)' in capsys.readouterr().out
    assert Path('work/report.html').stat().st_mtime_ns == written


@pytest.mark.slow
def test_two_processes_keep_what_one_finds(write_job, make_tiny_coco, forked_python, repo_root, free_port, tmp_path):
    """Five images on two processes: one of them is looked at twice."""
    short = LONGER.replace('120', '2').replace('60', '2') + "env_cfg = dict(env_cfg, dist_cfg=dict(backend='gloo'))\n"
    job = write_job(tmp_path, make_tiny_coco(tmp_path / 'coco', num_images=5), extra=short)
    port, words = free_port(), [forked_python, '-m', 'sssd', 'train', job.config, '--work-dir', tmp_path / 'two']
    addresses = dict(MASTER_ADDR='127.0.0.1', MASTER_PORT=port, WORLD_SIZE='2', CUDA_VISIBLE_DEVICES='-1')
    processes = [
        subprocess.Popen(
            [*words, '--launcher', 'pytorch'],
            env=os.environ | addresses | dict(RANK=str(rank), LOCAL_RANK=str(rank)),
            cwd=repo_root,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for rank in range(2)
    ]
    said = [process.communicate(timeout=120)[0] for process in processes]
    assert [process.returncode for process in processes] == [0, 0], said
    config = Config.fromfile(tmp_path / 'two/tiny.py')
    images = Images.of(config, 100)
    kept = read_kept(tmp_path / 'two')
    assert len(kept.roles['model']) == 5
    ran = look(config, tmp_path / 'two/iter_2.pth', images)['model'].boxes
    for before, after in zip(kept.of(images.paths)['model'], ran, strict=True):
        assert np.allclose(before.scores, after.scores, atol=1e-5)

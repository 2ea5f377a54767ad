"""`sssd report` and `sssd compare`, and the page with which a training and a study end."""

import html
import json
import os
import re
import shutil
import subprocess
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from mmengine.config import Config
from pycocotools.cocoeval import COCOeval

from sssd import progress
from sssd.checks.data import check_data
from sssd.cli import compare, report
from sssd.cli import test as test_command
from sssd.errors import run_cli
from sssd.places import read_base
from sssd.report import run_page
from sssd.report.config_differences import config_differences, keep_base_differences
from sssd.report.detected import AREAS, Images, extremes, look
from sssd.report.page import Page
from sssd.report.scalars import history, read_curves
from sssd.report.study_page import Study, is_current, write_study_report
from sssd.report.tables import Grid

VOID = {'meta', 'img', 'br', 'hr'}


class WellFormed(HTMLParser):
    """Whether tags are closed in order, what the page loads, and its tables."""

    def __init__(self, path):
        super().__init__()
        self.open, self.loaded, self.cells = [], [], []
        self.feed(Path(path).read_text())
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.loaded += [value for name, value in attrs if name in ('src', 'href')]
        if tag not in VOID:
            self.open.append(tag)
        if tag in ('td', 'th'):
            self.cells.append('')

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] in ('td', 'th'):
            self.cells[-1] += data


EVALUATED = """
val_dataloader, val_evaluator, val_cfg = test_dataloader, test_evaluator, dict(type='ValLoop')
train_cfg = dict(type='IterBasedTrainLoop', max_iters=2, val_interval=2)
"""


@pytest.fixture(scope='module')
def runs(write_job, make_tiny_coco, forked_python, repo_root, tmp_path_factory):
    """Work directories of a trained run, page and all, and of a copy whose config differs in one value."""
    folder = tmp_path_factory.mktemp('runs')
    job = write_job(folder, make_tiny_coco(folder / 'coco'), extra=EVALUATED)
    done = subprocess.run(
        [forked_python, '-m', 'sssd', 'train', job.config, '--work-dir', folder / 'one'],
        cwd=repo_root,
        env={**os.environ, 'SSSD_REPORT': '1'},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert f'report:     {folder / "one/report.html"}' in done.stdout.replace('\n', '')
    shutil.copytree(folder / 'one', folder / 'other')
    config = folder / 'other/tiny.py'
    config.write_text(config.read_text() + "\nmodel['test_cfg']['max_per_img'] = 3\n")
    return folder


def test_a_training_ends_with_its_page(runs):
    assert WellFormed(runs / 'one/report.html').loaded  # before any test of this file wrote one


def test_the_page_of_a_run(runs, capsys):
    assert run_cli(report.main, [str(runs / 'one')]) == 0
    path = runs / 'one/report.html'
    assert str(path) in capsys.readouterr().out
    page = WellFormed(path)
    assert page.loaded and all(target.startswith('data:image/') for target in page.loaded)
    logged = [
        json.loads(line)
        for log in (runs / 'one').glob('*/vis_data/scalars.json')
        for line in log.read_text().splitlines()
    ]
    values = [line['coco/bbox_mAP'] for line in logged if 'coco/bbox_mAP' in line]
    assert values and f'{100 * values[-1]:.1f}' in page.cells
    for word in ('By class and by size', 'torch', 'The whole config', 'loss terms'):
        assert word in path.read_text()


def test_a_test_in_the_folder_of_a_run_leaves_its_config_and_its_evaluations(runs, tmp_path, monkeypatch):
    monkeypatch.setenv('LOCAL_RANK', '0')
    folder = tmp_path / 'one'
    shutil.copytree(runs / 'one', folder)
    before = (folder / 'tiny.py').read_text(), history(read_curves(folder))
    words = [str(folder / 'tiny.py'), str(next(folder.glob('*.pth'))), '--work-dir', str(folder), '--tta']
    assert test_command.main([*words, '--cfg-options', 'experiment_name=a_test']) == 0
    assert ((folder / 'tiny.py').read_text(), history(read_curves(folder))) == before
    (written,) = folder.glob('*/tiny.py')
    assert 'DetTTAModel' in written.read_text()


def test_ap_by_class_and_size_is_that_of_pycocotools(runs):
    config = Config.fromfile(runs / 'one/tiny.py')
    images = Images.of(config, 100)
    found = look(config, next((runs / 'one').glob('*.pth')), images)['model']
    results, truth = images.results(found.boxes), images.truth().coco
    assert results
    evaluation = COCOeval(truth, truth.loadRes(results), 'bbox')
    evaluation.evaluate()
    evaluation.accumulate()
    precision = evaluation.eval['precision']  # T, R, K, A, M
    for area in range(len(AREAS)):
        kept = precision[:, :, :, area, 2]
        expected = np.nan if (kept == -1).all() else 100 * kept[kept > -1].mean()
        assert found.ap(area=area).value == pytest.approx(expected, nan_ok=True)
    for label in range(len(images.classes)):
        kept = precision[:, :, label, 0, 2]
        assert found.ap(label).value == pytest.approx(100 * kept[kept > -1].mean())
    values = found.by_image()
    chosen = extremes(found, count=1)
    assert values[chosen['worst'][0]] == np.nanmin(values) and values[chosen['best'][0]] == np.nanmax(values)


def test_two_runs_side_by_side(runs, tmp_path, capsys):
    out = tmp_path / 'both.html'
    assert run_cli(compare.main, [str(runs / 'one'), f'less={runs / "other"}', '--out', str(out)]) == 0
    page, text = WellFormed(out), out.read_text()
    assert 'less less one' in text and 'model.test_cfg.max_per_img' in page.cells
    assert page.cells[page.cells.index('model.test_cfg.max_per_img') + 1 :][:2] == ['10', '3']
    all_row = page.cells[page.cells.index('all') + 1 :][:3]
    one, less, apart = (float(re.match(r'-?[\d.]+', cell)[0]) for cell in all_row)
    assert apart == pytest.approx(less - one, abs=0.11)


def test_progress_is_told_while_a_page_is_written(runs, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(progress, 'QUIET', -1.0)
    other = str(runs / 'other')
    assert run_cli(compare.main, [str(runs / 'one'), other, '--out', str(tmp_path / 'both.html')]) == 0
    told = [line.partition(',')[0] for line in capsys.readouterr().err.splitlines()]
    assert [line for line in told if line.startswith('writing')] == [
        f'writing both.html: {done} of 6' for done in range(1, 6)
    ]
    assert run_cli(report.main, [other, '--out', str(tmp_path / 'page.html')]) == 0
    told = capsys.readouterr().err
    assert 'writing page.html: 4 of 8' in told and 'writing page.html: 7 of 8' in told


def test_progress_is_told_while_a_model_runs_on_the_images(runs, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(progress, 'QUIET', -1.0)
    old = tmp_path / 'old'
    shutil.copytree(runs / 'one', old, ignore=shutil.ignore_patterns('last_detections.npz'))
    assert run_cli(report.main, [str(old), '--images', '2']) == 0
    assert 'detecting with iter_2.pth: 1 of 2, about ' in capsys.readouterr().err


def test_code_in_a_sentence_is_shown_as_code(tmp_path):
    page = Page('one', 'Files in `_base_`, of `sssd doctor` & <co>; a lone ` stays.')
    page.items(['`x`'])
    text = page.write(tmp_path / 'page.html').read_text()
    assert '<code>_base_</code>, of <code>sssd doctor</code> &amp; &lt;co&gt;; a lone ` stays.' in text
    assert '<li><code>x</code></li>' in text


def test_a_run_is_no_different_from_itself(runs):
    configs = {name: Config.fromfile(runs / 'one/tiny.py') for name in ('a', 'b')}
    assert config_differences(configs) == []


@pytest.mark.parametrize(
    ('words', 'sentence'), [(['nowhere'], 'there is no work directory nowhere'), (['.'], '. holds 0 configs, not one')]
)
def test_no_run_no_page(words, sentence, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert run_cli(report.main, words) != 0
    assert sentence in capsys.readouterr().err


def test_a_folder_of_runs_names_them(tmp_path, capsys):
    run = tmp_path / 'study/seed1/few'
    run.mkdir(parents=True)
    (run / 'last_checkpoint').write_text('iter_2.pth')
    assert run_cli(report.main, [str(tmp_path / 'study')]) != 0
    assert f'name the work directory of one run; below it are {run}' in capsys.readouterr().err


def test_compare_wants_two_names(runs, capsys):
    assert run_cli(compare.main, [str(runs / 'one'), str(runs / 'one')]) != 0
    assert 'write NAME=WORK_DIR where their folders' in capsys.readouterr().err


def test_a_page_that_fails_leaves_the_training_done(job, run_python):
    (job.work_dir / 'report.html').mkdir(parents=True)
    done = run_python('-m', 'sssd', 'train', job.config, '--work-dir', job.work_dir, SSSD_REPORT='1')
    assert done.returncode == 0 and 'no report was written' in done.stdout
    assert job.checkpoint.is_file()


def test_what_is_written_is_escaped(tmp_path):
    page = Page('a <b> & "c"')
    page.table(['x<y'], [[None], [float('nan')], [1.25], ['<script>']])
    page.folded('more', '</pre><p>')
    cells = WellFormed(page.write(tmp_path / 'page.html')).cells
    assert cells == ['x<y', '–', '–', '1.2', '<script>']


def test_a_page_whose_validation_images_are_gone_says_so(runs, tmp_path):
    shutil.copytree(runs / 'one', tmp_path / 'one')
    config = tmp_path / 'one/tiny.py'
    config.write_text(config.read_text() + "\nval_dataloader['dataset']['ann_file'] = 'nowhere/val.json'\n")
    text = run_page.write_report(tmp_path / 'one').read_text()
    assert 'Left out: the validation images of ' in text and 'nowhere/val.json' in text and 'Curves' in text


def test_a_page_is_made_of_kept_detections_without_a_checkpoint(runs, tmp_path):
    shutil.copytree(runs / 'one', tmp_path / 'one')
    assert list((tmp_path / 'one').glob('*detections*'))
    for path in [*(tmp_path / 'one').glob('*.pth'), *(tmp_path / 'one').glob('last_checkpoint')]:
        path.unlink()
    assert 'By class and by size' in run_page.write_report(tmp_path / 'one').read_text()


def test_runs_with_other_validation_images_are_not_compared(runs, make_tiny_coco, tmp_path, capsys):
    shutil.copytree(runs / 'one', tmp_path / 'apart')
    data = make_tiny_coco(tmp_path / 'coco', seed=3)
    config, dataset = tmp_path / 'apart/tiny.py', "val_dataloader['dataset']"
    prefix = f"{dataset}['data_prefix'] = dict(img='{data.img_dir}')"
    config.write_text(config.read_text() + f"\n{dataset}['ann_file'] = '{data.ann_file}'\n{prefix}\n")
    words = [str(runs / 'one'), str(tmp_path / 'apart'), '--out', str(tmp_path / 'page.html')]
    assert run_cli(compare.main, words) != 0
    assert 'apart is validated on other images than the first run, such as ' in capsys.readouterr().err
    assert run_cli(compare.main, [*words, '--images', '0']) == 0


def test_a_page_without_detections(runs):
    out = run_page.write_report(runs / 'one', runs / 'plain.html', images=0)
    assert 'By class' not in out.read_text() and 'Curves' in out.read_text()


def test_the_page_says_what_the_data_hold_and_what_the_config_changes(runs):
    config_differences_kept = runs / 'one/config_differences.json'
    assert not config_differences_kept.exists()  # the tiny config has no base
    child = runs / 'child.py'
    child.write_text(f"_base_ = '{runs / 'tiny.py'}'\nmodel = dict(test_cfg=dict(max_per_img=7))\n")
    whole = Config.fromfile(child)
    whole.work_dir = str(runs / 'one')
    keep_base_differences(whole, child)
    try:
        page = WellFormed(run_page.write_report(runs / 'one', runs / 'child.html', images=0))
    finally:
        config_differences_kept.unlink()
    assert page.cells.count('model.test_cfg.max_per_img') == 1
    assert page.cells[page.cells.index('model.test_cfg.max_per_img') + 1 :][:2] == ['10', '7']
    assert check_data(whole)[0] in html.unescape((runs / 'child.html').read_text())


def test_a_base_is_read_by_name_and_by_variable(monkeypatch):
    base = read_base('configs/photos/retinanet_bccd_sed.py')
    whole = Config.fromfile('configs/photos/retinanet_bccd_sed.py')
    rows = config_differences(dict(base=base, here=whole))
    assert [row[0] for row in rows] == ['model.detector.bbox_head.num_classes'] and rows[0][2] == '3'
    monkeypatch.setenv('SED_BASE', 'configs/quickstart/retinanet_sed.py')
    assert read_base('configs/ablations/alpha_constant.py') is not None
    assert read_base('configs/_base_/default_runtime.py') is None


def test_a_part_of_another_type_is_one_row():
    data = dict(type='A', pipeline=[dict(type='x', p=1), dict(type='y')])
    one = Config(dict(data=data, hooks=[dict(type='h', n=1)], work_dir='a'))
    other = Config(dict(data=dict(data, type='B'), hooks=[dict(n=2, type='h'), dict(n=3, type='i')], work_dir='b'))
    rows = config_differences(dict(one=one, other=other))
    assert [row[0] for row in rows] == ['data', 'hooks.0.n', 'hooks.1']
    assert rows[1:] == [['hooks.0.n', '1', '2'], ['hooks.1', None, "{'type': 'i', 'n': 3}"]]
    assert rows[0][1].startswith("{'type': 'A'") and rows[0][2].startswith("{'type': 'B'")


def test_the_page_of_a_study(runs, tmp_path):
    table = Grid('Share of the headroom', ('run', 'AP'), [('few', '12.5'), ('sed', '<17.5>')], 'AP in percent')
    places = dict(few={0: runs / 'one'}, sed={0: runs / 'other', 1: runs / 'other'}, all={1: runs / 'one'})
    study = Study('mine', [table], places)
    out = write_study_report(study, tmp_path / 'study.html', images=5)
    page, text = WellFormed(out), out.read_text()
    assert '12.5' in page.cells and '<17.5>' in page.cells and 'Share of the headroom' in text
    sections = re.findall('<h2>(.*?)</h2>', text)
    assert sections == [
        'Share of the headroom',
        'Validation',
        'Curves',
        'By class and by size',
        'Student against teacher, and both against labels alone',
        'The worst images',
        'The best images',
        'Where they differ most',
        'Data',
        'Where the configs differ',
        'Made with',
    ]
    assert 'cannot be shown' not in text and 'sed less few' in page.cells and 'all less sed' not in page.cells
    assert page.loaded and all(target.startswith('data:image/') for target in page.loaded)


def test_a_study_is_told_with_its_seeds_together_and_a_run_that_cannot_be_read_stops_nothing(runs, tmp_path):
    gone = tmp_path / 'gone'
    shutil.copytree(runs / 'other', gone)
    (gone / 'last_detections.npz').unlink(missing_ok=True)
    for path in gone.glob('*.pth'):
        path.unlink()
    log = next(gone.glob('*/vis_data/scalars.json'))
    last = [json.loads(line) for line in log.read_text().splitlines() if 'coco/bbox_mAP' in line][-1]
    log.write_text(log.read_text() + json.dumps({**last, 'coco/bbox_mAP': 0.2}) + '\n')
    places = dict(few={0: runs / 'one'}, sed={0: runs / 'other', 1: gone})
    study = Study('mine', [], places, [('all', 0, 'not finished; its log ends with: CUDA out of <memory>')])
    page, text = WellFormed(write_study_report(study, tmp_path / 'study.html', images=3)), (tmp_path / 'study.html')
    text = html.unescape(text.read_text())
    assert 'not finished; its log ends with: CUDA out of <memory>' in page.cells and '1 missing, see below' in text
    assert 'sed, seed 1, is left out: ' in text and 'has no checkpoint to compare' in text
    values = [100 * last['coco/bbox_mAP'], 20.0]
    assert f'{np.mean(values):.1f} ± {np.std(values, ddof=1):.1f}' in page.cells
    assert 'sed less few' in page.cells and 'The worst images' in text


def test_the_page_of_a_study_is_known_until_something_changes(runs, tmp_path):
    place, out = tmp_path / 'one', tmp_path / 'study.html'
    shutil.copytree(runs / 'one', place)
    study = Study('mine', [], dict(few={0: place}))
    assert not is_current(study, out)
    write_study_report(study, out, images=0)
    assert is_current(study, out) and not is_current(replace(study, missing=[('sed', 0, 'not run')]), out)
    (place / 'report.html').write_text('the page of the run')
    assert is_current(study, out)
    next(place.glob('*/vis_data/scalars.json')).open('a').write('{"loss": 1.0, "step": 3, "iter": 3}\n')
    assert not is_current(study, out)


@pytest.mark.parametrize(
    ('words', 'sentence'),
    [(['--images', '-1'], '--images is -1'), (['--device', 'moon'], '--device'), (['--out', '.'], '. is a folder')],
)
def test_what_no_page_can_be_made_with_is_told_first(words, sentence, runs, capsys):
    assert run_cli(report.main, [str(runs / 'one'), *words]) != 0
    assert sentence in capsys.readouterr().err


@pytest.mark.parametrize('content', [b'<p>My notes</p>', b'\xff\xd8\xff'])
def test_a_file_that_is_no_page_of_ours_is_not_replaced(runs, tmp_path, capsys, content):
    out = tmp_path / 'notes.html'
    out.write_bytes(content)
    for command, folders in (
        (report.main, [str(runs / 'one')]),
        (compare.main, [str(runs / 'one'), str(runs / 'other')]),
    ):
        assert run_cli(command, [*folders, '--images', '0', '--out', str(out)]) == 2
        assert f'{out} is there and no page of ours' in capsys.readouterr().err and out.read_bytes() == content
    out.write_bytes(b'')
    for _ in range(2):
        assert run_cli(report.main, [str(runs / 'one'), '--images', '0', '--out', str(out)]) == 0
        assert 'Curves' in out.read_text()


def test_a_folder_whose_name_has_an_equals_sign_is_a_run(runs, tmp_path):
    swept = tmp_path / 'sed@lambda_d=1'
    shutil.copytree(runs / 'other', swept)
    out = tmp_path / 'both.html'
    assert run_cli(compare.main, [str(runs / 'one'), str(swept), '--out', str(out), '--images', '0']) == 0
    assert 'sed@lambda_d=1' in WellFormed(out).cells

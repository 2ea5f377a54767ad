"""GPU hours, and what they are reckoned from."""

from pathlib import Path

import pytest
from mmengine.config import Config

from sssd.errors import UserError
from sssd.studies.cost import Forecast, Taken
from sssd.studies.hours import published_seconds, reckon
from sssd.studies.spec import load_config, load_spec

SED = 'configs/sed/faster-rcnn_r50_fpn_sed_180k_coco-10p.py'


def test_a_given_number_of_seconds_counts_images(study):
    jobs = study.runner().all_jobs([0, 1], ['few', 'all'])
    found = reckon(jobs, Forecast(), gpus=8, places=2, image_seconds=600)
    # 3 iterations of 1 image of 10 minutes on 8 GPUs
    assert found.seconds == [1800] * 4 and found.lines()[0] == ('few, seed 0, 3 iterations', '4.0 GPU hours')
    assert found.sentence.startswith('4 runs on 8 GPUs each: about 16 GPU hours, done after 1.0 hours with 2 at once;')
    with pytest.raises(UserError, match='--image-seconds is 0'):
        reckon(jobs, Forecast(), 8, 2, 0)


def test_what_was_measured_comes_before_what_was_published(study):
    jobs = study.runner().all_jobs([0], ['few', 'sed'])
    assert 'not known' in reckon(jobs, Forecast(), 0, 1).sentence
    forecast = Forecast()
    forecast.learn(jobs[0].training(), Taken(None, 7200, None))
    found = reckon(jobs, forecast, 0, 1)
    assert found.seconds == [7200, 7200]
    assert 'about 4.0 hours' in found.sentence and 'what runs of this study took' in found.sentence


def test_the_published_number_is_in_proportion_to_pixels(repo_root):
    config = Config.fromfile(repo_root / SED)
    assert published_seconds(config) == pytest.approx(0.105, rel=0.1)
    assert published_seconds(Config.fromfile(repo_root / 'configs/quickstart/retinanet_sed.py')) < 0.02


def test_a_full_row_on_coco_is_reckoned_before_it_starts(repo_root, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    Path('spec.py').write_text(f"name = 'coco'\nruns = dict(sed=dict(config={SED!r}))\n")
    spec = load_spec('spec.py')
    from sssd.studies.job import make_job

    jobs = [make_job(spec.runs['sed'], 0, tmp_path, data=None, start=None, processes=8)]
    assert load_config(spec.runs['sed'], 0).train_cfg.max_iters == 180000
    # 180k iterations; a GPU takes 2 labelled and 2 unlabelled images, 5.2 labelled ones, of 0.109 s: 28 h on 8 GPUs
    assert reckon(jobs, Forecast(), 8, 1).sentence.startswith('1 run on 8 GPUs each: about 230 GPU hours')

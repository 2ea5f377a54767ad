"""A study with a test part over a real SED: what `sssd train` and `sssd test` leave is what is looked for."""

import json
from pathlib import Path

import pytest

from sssd.datasets.toy import make_toy
from sssd.studies.results import ResultsFile
from sssd.studies.runner import StudyRunner
from sssd.studies.spec import load_spec

SPEC = """
name = 'real'
given = {
    'train_cfg.max_iters': 2, 'train_cfg.val_interval': 1, 'model.detector.test_cfg.score_thr': 0.0,
    'train_dataloader.batch_size': 4, 'train_dataloader.sampler.batch_size': 4}
runs = dict(sed=dict(config='configs/quickstart/retinanet_sed.py', cfg_options=given))
test = dict(ann_file='data/other/val.json', img_prefix='data/other/images/val/', resamples=20)
del given
"""


@pytest.mark.slow
def test_student_and_teacher_of_a_real_run_at_both_checkpoints(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    make_toy('data/toy', 8, 2, 4, progress=False)
    make_toy('data/other', 2, 3, 1, seed=1, progress=False)
    Path('spec.py').write_text(SPEC)
    spec, results = load_spec('spec.py'), ResultsFile('results.json', 'real')
    StudyRunner(spec, results, Path('work')).run()
    (entry,) = results.entries()
    assert [row['iter'] for row in entry['history']['student']] == [1, 2]
    models = entry['trials']['test']['models']
    assert set(models) == {'student', 'teacher'}
    told = results.described('test')
    assert told['images'] == 3
    images = {image['id'] for image in json.loads(Path('data/other/val.json').read_text())['images']}
    for role, found in models.items():
        best = max(entry['history'][role], key=lambda row: (row['AP'], -row['iter']))['iter']
        assert (found['last']['iter'], found['best']['iter']) == (2, best)
        for which, metrics in found.items():
            detections = json.loads((Path('work/seed0/sed') / metrics['predictions']).read_text())
            assert {one['image_id'] for one in detections} == images
            # mmdet logs three decimals of a part, one of a percentage.
            assert told['gains']['sed'][f'{role} {which}']['AP']['value'] == pytest.approx(metrics['AP'], abs=0.06)
    student, teacher = (
        Path('work/seed0/sed', models[role]['last']['predictions']).read_bytes() for role in ('student', 'teacher')
    )
    assert student != teacher

"""The analyses and the viewer from the command line, on real tiny detectors."""

import json

import pytest
import tiny
import torch
from lettering import faults, kept_figures
from mmengine.config import Config

from sssd.cli import analyze, extract, views
from sssd.errors import UserError
from sssd.figures import pseudo_labels
from sssd.registry import MODELS

#: Appended to the tiny config: training data with an unlabelled branch.
UNLABELLED = """
branches = ['sup', 'unsup_teacher', 'unsup_student']
pack = dict(type='PackDetInputs', meta_keys=('img_id', 'img_shape', 'ori_shape'))
labelled = dict(data, pipeline=load + resize + [dict(type='MultiBranch', branch_field=branches, sup=pack)])
unlabelled = dict(data, pipeline=[load[0], dict(type='LoadEmptyAnnotations')] + resize + [
    dict(type='MultiBranch', branch_field=branches, unsup_teacher=[pack], unsup_student=[
        dict(type='sssd.ColorJitter', brightness=0.4, contrast=0.4, saturation=0.2, hue=0.02, prob=1.0), pack])])
train_dataloader = dict(
    batch_size=2, num_workers=0, sampler=dict(type='sssd.MixedSourceSampler', batch_size=2, source_ratio=[1, 1]),
    dataset=dict(type='ConcatDataset', datasets=[labelled, unlabelled]))
"""


@pytest.fixture(params=['retinanet', 'fcos', 'faster_rcnn', 'c4'])
def sed_job(request, make_job):
    """Config and checkpoint of an SED whose teacher is not its student."""
    return job_of(make_job, {**tiny.DETECTORS, **tiny.OTHERS}[request.param]())


@pytest.fixture
def detr_job(make_job):
    """The same of DETR, which has queries and no cells."""
    return job_of(make_job, tiny.detr())


def job_of(make_job, detector):
    """Write an SED of a detector and a checkpoint of it."""
    model = Config(dict(model=tiny.sed_config(detector))).pretty_text
    job = make_job(extra=UNLABELLED + model.replace(f'num_classes={tiny.CLASSES}', 'num_classes=2'))
    built = MODELS.build(Config.fromfile(str(job.config)).model)
    built.init_weights()
    with torch.no_grad():
        for key, value in built.named_parameters():
            if key.endswith(('cls.weight', 'cls.bias')):
                value.add_((0.4 if key.startswith('teacher') else 0.2) * torch.randn_like(value))
    job.work_dir.mkdir()
    torch.save(dict(meta={}, state_dict=built.state_dict()), job.checkpoint)
    return job


def run(out, what, job, *args, checkpoint=True):
    """Run one analysis; what it wrote."""
    words = [what, str(job.config), *([str(job.checkpoint)] if checkpoint else []), '--out', str(out), *args]
    with kept_figures() as figures:
        assert analyze.main(words) == 0
        assert [faults(figure) for figure in figures] == [[]]
    name = what.replace('-', '_')
    assert (out / f'{name}.png').stat().st_size > 5000
    return json.loads((out / f'{name}.json').read_text())


@pytest.mark.parametrize(
    'what, keys',
    [
        ('score-distance', ('foreground', 'background', 'ratio')),
        ('pseudo-labels', ('thresholds', 'iou')),
        ('gradients', ('views', 'batches')),
    ],
)
def test_a_trained_plain_detector(trained, tmp_path, what, keys, capsys):
    found = run(tmp_path, what, trained, '--images', '4', '--batch-size', '3')
    assert found['command'].startswith(f'python -m sssd analyze {what} ') and found['seed'] == 0
    assert set(found) >= {'commit', 'dirty', 'machine', 'versions', 'started', 'seconds', 'config', 'checkpoint'}
    assert found['result']['images'] == 4 and found['result']['part'] == 'detector'
    assert all(key in found['result'] for key in keys)
    assert f'wrote {tmp_path}' in capsys.readouterr().out


def test_sizes_need_no_checkpoint(trained, tmp_path):
    found = run(tmp_path, 'object-sizes', trained, '--max-shift', '1', checkpoint=False)['result']
    assert found['objects'] == 12 and found['scale'] == [64, 64] and found['pos_iou'] == 0.5
    # Anchors of 32, 64 and 128 pixels; with s = 1 the smallest is left out.
    bounds = [32 / 2**0.5, 64 / 2**0.5], 128 * 2**0.5
    for each, low in zip(found['valid'], bounds[0]):
        assert each['intervals'] == [[pytest.approx(low, rel=1e-4), pytest.approx(bounds[1], rel=1e-4)]]


def test_teacher_and_student_of_every_detector(sed_job, tmp_path):
    teacher = run(tmp_path, 'score-distance', sed_job, '--measure', 'g')['result']
    student = run(tmp_path, 'score-distance', sed_job, '--measure', 'g', '--part', 'student')['result']
    assert (teacher['part'], student['part']) == ('teacher', 'student')
    assert teacher['rows'] == student['rows'] and teacher['mean_distance'] != student['mean_distance']
    gradients = run(tmp_path, 'gradients', sed_job, '--images', '2')['result']['views']
    assert all(set(found['reweight']) == {'Mean', 'OHEM', 'Focal', 'Histogram'} for found in gradients.values())
    assert run(tmp_path, 'pseudo-labels', sed_job)['result']['objects'] == 12
    run(tmp_path, 'object-sizes', sed_job, '--max-shift', '1', checkpoint=False)
    plain = tmp_path / 'plain.pth'
    assert extract.main([str(sed_job.checkpoint), str(plain)]) == 0
    assert (
        analyze.main(
            [
                'score-distance',
                str(sed_job.config),
                str(plain),
                '--measure',
                'g',
                '--out',
                str(tmp_path),
                '--name',
                'plain',
            ]
        )
        == 0
    )
    again = json.loads((tmp_path / 'plain.json').read_text())['result']
    assert again.pop('part') == 'detector' and teacher.pop('part') == 'teacher' and again == teacher


def test_pseudo_labels_of_several_sizes(trained, tmp_path, capsys):
    """Looks at other sizes find something else."""
    one = run(tmp_path, 'pseudo-labels', trained)['result']
    several = run(tmp_path, 'pseudo-labels', trained, '--sizes', '0.5', '2')['result']
    plain = run(tmp_path, 'pseudo-labels', trained, '--sizes', '0.5', '2', '--no-mirror')['result']
    assert [found['sizes'] for found in (one, several, plain)] == [[], [0.5, 2.0], [0.5, 2.0]]
    assert [found['mirror'] for found in (one, several, plain)] == [False, True, False]
    assert one['objects'] == several['objects'] == 12
    assert one['pseudo_labels'] != several['pseudo_labels'] != plain['pseudo_labels']
    assert set(one['ap']) == {'all', '50', '75'}
    words = ['pseudo-labels', str(trained.config), str(trained.checkpoint), '--sizes', '9', '--out', str(tmp_path)]
    with pytest.raises(UserError, match='--sizes has 9'):
        analyze.main(words)
    with pytest.raises(UserError, match='--no-mirror is about further looks'):
        analyze.main([*words[:3], '--no-mirror'])


def test_looks_are_in_pixels_of_the_files(trained, tmp_path, monkeypatch):
    """The first look by itself, through the code of several, is what the detector's own test step finds."""
    one = run(tmp_path, 'pseudo-labels', trained)['result']
    of_all = pseudo_labels.found_at_sizes
    monkeypatch.setattr(
        pseudo_labels, 'found_at_sizes', lambda inputs, samples, done, *_: of_all(inputs, samples, done, ())
    )
    same = run(tmp_path, 'pseudo-labels', trained, '--sizes', '0.5')['result']
    assert any(one['pseudo_labels']) and any(one['iou']['0.5']['recall'])
    assert all(one[key] == same[key] for key in ('pseudo_labels', 'iou', 'ap'))


def test_what_training_sees(sed_job, tmp_path, capsys):
    out = tmp_path / 'new' / 'seen.png'
    with kept_figures() as figures:
        assert views.main([str(sed_job.config), str(sed_job.checkpoint), '--out', str(out), '--images', '2']) == 0
        assert [faults(figure) for figure in figures if figure.axes] == [[]]
    assert out.stat().st_size > 5000 and f'wrote {out}' in capsys.readouterr().out
    assert views.main([str(sed_job.config), '--out', str(tmp_path / 'random.png'), '--images', '1']) == 0
    assert (tmp_path / 'random.png').stat().st_size > 5000


def test_pseudo_labels_and_gradients_of_queries(detr_job, tmp_path):
    found = run(tmp_path, 'pseudo-labels', detr_job)['result']
    assert (found['objects'], found['part']) == (12, 'teacher') and found['pseudo_labels'][0] > 0
    assert list(run(tmp_path, 'gradients', detr_job, '--images', '2')['result']['views']) == ['query']


@pytest.mark.parametrize(
    'main, words',
    [
        (analyze.main, ['score-distance', 'CONFIG', 'CHECKPOINT']),
        (analyze.main, ['object-sizes', 'CONFIG']),
        (views.main, ['CONFIG', 'CHECKPOINT']),
    ],
)
def test_queries_have_no_cells_to_draw_or_to_assign(detr_job, tmp_path, main, words):
    places = dict(CONFIG=str(detr_job.config), CHECKPOINT=str(detr_job.checkpoint))
    reason = r'a dense head .* the detector has none \(its views: query\): take RetinaNet'
    with pytest.raises(UserError, match=reason) as said:
        main(
            [
                *(places.get(word, word) for word in words),
                '--out',
                str(tmp_path / 'new' / ('seen.png' if main is views.main else '')),
            ]
        )
    assert '\n' not in str(said.value) and not list(tmp_path.glob('new/*'))


def test_a_picture_of_random_weights_fetches_none(make_job, tmp_path):
    """Neither for the backbone nor for the shared head of C4, which is pretrained too."""
    job, parts = job_of(make_job, tiny.c4()), ('backbone', 'roi_head.shared_head')
    options = [
        f'model.detector.{part}.init_cfg.{item}'
        for part in parts
        for item in ('type=Pretrained', 'checkpoint=nowhere.pth')
    ]
    out = tmp_path / 'random.png'
    assert views.main([str(job.config), '--images', '1', '--out', str(out), '--cfg-options', *options]) == 0
    assert out.stat().st_size > 5000


@pytest.mark.parametrize(
    'args, said',
    [
        (['--images', '0'], '--images is 0'),
        (['--shift', '0'], '--shift is 0'),
        (['--shift', '24'], '--shift is 24, but it can be at most 8'),
        (['--seed', '-1'], '--seed is -1'),
        (['--device', 'foo'], '--device foo cannot be used here'),
        (['--device', 'cuda:7'], '--device cuda:7 cannot be used here'),
        (['--name', 'a/b'], '--name is a/b'),
        (['--cfg-options', 'model.type=Foo'], 'cannot be built'),
        (['--cfg-options', 'model=None'], 'has no model: name a config'),
        (['--part', 'student'], 'leave --part out'),
        (['--ann', 'nowhere.json'], 'annotation file nowhere.json does not exist'),
        (['--img-dir', 'nowhere'], 'image folder nowhere does not exist'),
        (['--out', __file__], 'is no folder'),
        (['--cfg-options', 'model.bbox_head.feat_channels=8'], 'is not of the detector in the config'),
    ],
)
def test_mistakes(trained, tmp_path, args, said):
    with pytest.raises(UserError) as caught:
        analyze.main(['score-distance', str(trained.config), str(trained.checkpoint), '--out', str(tmp_path), *args])
    assert said in str(caught.value) and '\n' not in str(caught.value)


def test_checkpoints_that_are_not_there(trained, tmp_path):
    with pytest.raises(UserError, match='checkpoint gone.pth does not exist'):
        analyze.main(['gradients', str(trained.config), 'gone.pth', '--out', str(tmp_path)])
    with pytest.raises(UserError, match='checkpoint gone.pth does not exist'):
        views.main([str(trained.config), 'gone.pth', '--out', str(tmp_path / 'seen.png')])


def test_a_plain_config_has_no_unlabelled_images(trained, tmp_path):
    with pytest.raises(UserError, match='has a RetinaNet, which sees no unlabelled images'):
        views.main([str(trained.config), '--out', str(tmp_path / 'seen.png')])


@pytest.mark.parametrize(
    'args, said',
    [
        (['--scale', '0', '0'], '--scale is 0 0'),
        (['--scale', '-5', '5'], '--scale is -5 5'),
        (['--pos-iou', '0'], '--pos-iou is 0.0'),
        (['--pos-iou', '1.5'], '--pos-iou is 1.5'),
        (['--max-shift', '-1'], '--max-shift is -1'),
        (['--max-shift', '99'], '--max-shift is 99'),
    ],
)
def test_sizes_that_no_image_has(trained, tmp_path, args, said):
    with pytest.raises(UserError) as caught:
        analyze.main(['object-sizes', str(trained.config), '--out', str(tmp_path / 'new'), *args])
    assert said in str(caught.value) and '\n' not in str(caught.value) and not (tmp_path / 'new').exists()


@pytest.mark.parametrize(
    'args, said',
    [
        (['--out', 'seen.xyz'], '--out seen.xyz is no name of a picture: let it end in .png'),
        (['--out', 'seen'], '--out seen is no name of a picture'),
        (['--out', f'{__file__}/a.png'], 'is no folder'),
        (['--device', 'foo'], '--device foo cannot be used here'),
        (['--seed', '-1'], '--seed is -1'),
        (['--shift', '24'], '--shift is 24'),
        (['--cfg-options', 'model.type=Foo'], 'cannot be built'),
        (['--cfg-options', 'model=None'], 'has no model'),
    ],
)
def test_pictures_that_cannot_be_drawn(trained, tmp_path, monkeypatch, args, said):
    monkeypatch.chdir(tmp_path)
    before = set(tmp_path.iterdir())
    with pytest.raises(UserError) as caught:
        views.main([str(trained.config), *args])
    assert said in str(caught.value) and '\n' not in str(caught.value) and set(tmp_path.iterdir()) == before


def test_files_of_coco_for_a_config_of_voc(tmp_path, repo_root):
    config = repo_root / 'configs/sed/faster-rcnn_r50_fpn_supervised_40k_voc07.py'
    with pytest.raises(UserError, match='--ann and --img-dir name a COCO file and its images, but .* VOCDataset'):
        analyze.main(['object-sizes', str(config), '--ann', str(config), '--out', str(tmp_path)])

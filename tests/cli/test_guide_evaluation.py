"""A trained checkpoint, evaluated as the plain detector and as the teacher that is given the labels."""

import json
import pickle

import pytest
import torch

from sssd.cli import test as test_command
from sssd.errors import UserError

GUIDE = 'model.predict_on=guide'


@pytest.fixture(autouse=True)
def _in_tmp_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv('LOCAL_RANK', '0')


def evaluate(job, out, *options):
    """Scores of the detections of every image, through ``python -m sssd test``."""
    name = f'experiment_name=evaluate_{out.name}'  # mmengine's name has the time in it, to the second
    args = [str(job.config), str(job.last_checkpoint), '--work-dir', str(out), '--out', f'{out}.pkl']
    assert test_command.main([*args, '--cfg-options', name, *options]) == 0
    predictions = pickle.loads(out.with_suffix('.pkl').read_bytes())
    return [image['pred_instances']['scores'] for image in predictions]


def relabelled(job):
    """The option for other labels of the same images: every box has the other class, and a corner moved."""
    root = job.config.parent / 'coco'
    coco = json.loads((root / 'annotations.json').read_text())
    for thing in coco['annotations']:
        thing['category_id'] = 3 - thing['category_id']
        thing['bbox'][2:] = [side / 2 for side in thing['bbox'][2:]]
        thing['area'] /= 4
    (root / 'others.json').write_text(json.dumps(coco))
    return ['test_dataloader.dataset.ann_file=others.json', f'test_evaluator.ann_file={root / "others.json"}']


def same(first, second):
    return [torch.equal(one, other) for one, other in zip(first, second)]


def test_other_labels_change_the_teacher_and_not_the_student(trained_guided, tmp_path):
    others = relabelled(trained_guided)
    student = evaluate(trained_guided, tmp_path / 'student')
    assert len(student) == 6 and all(len(scores) == 10 for scores in student)
    assert all(same(student, evaluate(trained_guided, tmp_path / 'student2', *others)))
    teacher = evaluate(trained_guided, tmp_path / 'teacher', GUIDE)
    assert all(same(teacher, evaluate(trained_guided, tmp_path / 'again', GUIDE)))
    assert not any(same(teacher, student))
    assert not any(same(teacher, evaluate(trained_guided, tmp_path / 'teacher2', GUIDE, *others)))


@pytest.mark.parametrize(
    'pipeline, said',
    [
        ('load[:1] + resize', 'test_dataloader.dataset.pipeline loads no labels.*after Resize'),
        ('load + resize', 'test_dataloader.dataset.pipeline has Resize after LoadAnnotations'),
    ],
)
def test_a_pipeline_that_withholds_the_labels_is_refused(make_guided, trained_guided, tmp_path, pipeline, said):
    job = make_guided(extra=f"test_dataloader['dataset']['pipeline'] = {pipeline} + [dict(type='PackDetInputs')]\n")
    args = [str(job.config), str(trained_guided.last_checkpoint), '--work-dir', str(tmp_path / 'work')]
    with pytest.raises(UserError, match=said) as caught:
        test_command.main([*args, '--cfg-options', GUIDE])
    assert '\n' not in str(caught.value)


def test_labels_are_not_augmented(trained_guided):
    with pytest.raises(UserError, match='--tta does not augment labels'):
        test_command.main(
            [str(trained_guided.config), str(trained_guided.last_checkpoint), '--tta', '--cfg-options', GUIDE]
        )

"""``sssd doctor``: one report of all that is wrong, for people and for programs."""

import json

import pytest

from sssd.__main__ import main


def spoil(tiny_coco):
    """An image and its boxes under the id of another one, a box far outside, and something to know."""
    coco = json.loads(tiny_coco.ann_file.read_text())
    coco['images'][1]['id'] = 1
    coco['annotations'][-1]['bbox'] = [5, 5, 500, 5]
    coco['annotations'][2]['iscrowd'] = 1
    tiny_coco.ann_file.write_text(json.dumps(coco))


def test_a_sound_config(job, capsys):
    assert main(['doctor', str(job.config), '--decode', '--workers', '1']) == 0
    out = capsys.readouterr().out
    assert 'train_dataloader.dataset: 6 images, 12 boxes, 2 classes' in out
    assert '6 images decoded, 0 of them failed' in out
    assert out.endswith('0 errors, 1 warning, 0 notes: nothing stands against training\n'), (
        'it is tested on what it is trained with'
    )


def test_all_mistakes_and_the_exit_status(job, tiny_coco, capsys):
    spoil(tiny_coco)
    assert main(['doctor', str(job.config)]) == 1
    out = capsys.readouterr().out
    places = [out.index(words) for words in ('duplicate-id: ', 'outside: ', 'same-file: ', 'boxes-unused: ')]
    assert places == sorted(places) and out.endswith('mend the errors before training\n')


def test_json(job, tiny_coco, capsys):
    spoil(tiny_coco)
    assert main(['doctor', str(job.config), '--json']) == 1
    report = json.loads(capsys.readouterr().out)
    assert report['config'] == str(job.config) and report['counts']['error'] == 3
    (found,) = [finding for finding in report['findings'] if finding['kind'] == 'duplicate-id']
    assert found['level'] == 'error' and found['where'] == str(tiny_coco.ann_file) and found['examples'] == [1]
    assert found['count'] == 1 and found['text'].endswith('.') and len(report['data']) == 2


def test_training_and_testing_tell_the_same(job, tiny_coco, capsys):
    spoil(tiny_coco)
    assert main(['train', str(job.config), '--work-dir', str(job.work_dir)]) == 2
    said = capsys.readouterr()
    assert 'sssd: error: the data have 3 mistakes:\n' in said.err and 'note: ' in said.out
    assert '  1. ' in said.err and '  3. ' in said.err and 'Traceback' not in said.err


@pytest.mark.parametrize(
    'words, said',
    [
        (['nowhere.py'], 'config file nowhere.py does not exist'),
        (['CONFIG', '--workers', '0'], '--workers is 0, but must be above 0'),
        (['CONFIG', '--cfg-options', 'model.a.b.c=1'], None),
        (['CONFIG', '--cfg-options', 'train_dataloader=None', 'test_dataloader=None'], 'has no train_dataloader'),
    ],
)
def test_a_config_that_says_nothing(job, capsys, words, said):
    status = main(['doctor', *[str(job.config) if word == 'CONFIG' else word for word in words]])
    assert status == (2 if said else 0)
    assert said is None or said in capsys.readouterr().err


@pytest.mark.parametrize(
    'option', ['train_dataloader.dataset=7', 'train_dataloader=[1]', 'train_dataloader.dataset.type=Nothing',
               'train_dataloader.dataset.ann_file=3', 'train_dataloader.dataset.metainfo=3', 'model=3']
)  # fmt: skip
def test_configs_of_another_form(job, capsys, option):
    assert main(['doctor', str(job.config), '--cfg-options', option]) in (1, 2)
    said = capsys.readouterr()
    assert 'Traceback' not in said.err and (said.err or 'error' in said.out)

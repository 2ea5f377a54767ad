"""``python -m sssd init``: configs for one's own images that train, and mistakes in them that are told."""
import json
import shutil

import pytest
from mmengine.registry import init_default_scope

from sssd.__main__ import main
from sssd.cli._config import config_of
from sssd.registry import DATASETS

SMALL = [f'{part}.pipeline.{step}.scale=[(96,64),(96,64)]' for part, step in (
    ('train_dataloader.dataset.datasets.0', 2), ('train_dataloader.dataset.datasets.1', 2))]


@pytest.fixture
def mine(tmp_path, make_tiny_coco, monkeypatch):
    """data/mine as docs/your_own_data.md lays it out, in the present folder."""
    monkeypatch.chdir(tmp_path)
    root = tmp_path / 'data/mine'
    for name, count, seed in (('train', 6, 0), ('val', 3, 1), ('unlabeled', 4, 2)):
        data = make_tiny_coco(tmp_path / name, num_images=count, seed=seed)
        (root / name / 'deep').mkdir(parents=True)
        shutil.move(data.ann_file, root / f'{name}.json')
        for image in data.img_dir.iterdir():
            shutil.move(image, root / name / ('deep' if name == 'unlabeled' else '') / image.name)
    (root / 'unlabeled.json').unlink()
    return root


def arguments(**changes):
    """A command line over ``mine``; an argument that is None is left out."""
    given = dict(labeled='data/mine/train.json', labeled_images='data/mine/train', unlabeled='data/mine/unlabeled',
                 val='data/mine/val.json', val_images='data/mine/val', detector='retinanet_r18') | changes
    return ['init', 'configs/mine', *(word for key, value in given.items() if value is not None
                                      for word in (f'--{key.replace("_", "-")}', str(value)))]


@pytest.mark.parametrize('detector', ['faster-rcnn_r50', 'retinanet_r50', 'retinanet_r18', 'fcos_r50'])
def test_the_data_sets_and_heads_are_the_users(mine, detector, capsys):
    assert main(arguments(detector=detector, iters=1000, batch=3, gpus=4)) == 0
    out = capsys.readouterr().out
    assert '6 images, 12 boxes, 2 classes' in out and '4 images, unlabelled' in out
    assert 'torchrun --nproc_per_node 4 -m sssd train configs/mine/sed.py --launcher pytorch' in out
    sed, supervised = (config_of(f'configs/mine/{name}.py') for name in ('sed', 'supervised'))
    init_default_scope('mmdet')
    both = DATASETS.build(sed.train_dataloader.dataset)
    assert [len(part) for part in both.datasets] == [6, 4] and both.metainfo['classes'] == ('disc', 'bar')
    assert len(DATASETS.build(supervised.train_dataloader.dataset)) == 6
    assert len(DATASETS.build(sed.val_dataloader.dataset)) == 3
    head = sed.model.detector.get('roi_head', sed.model.detector).bbox_head
    assert head.num_classes == 2
    assert (sed.train_dataloader.batch_size, sed.train_dataloader.sampler.batch_size) == (6, 6)
    assert supervised.train_dataloader.batch_size == 3
    assert [cfg.optim_wrapper.optimizer.lr for cfg in (sed, supervised)] == [pytest.approx(0.01 * 12 / 16)] * 2
    assert (sed.auto_scale_lr.base_batch_size, supervised.auto_scale_lr.base_batch_size) == (24, 12)
    assert sed.train_cfg.max_iters == 1000 and sed.param_scheduler[1].milestones == [700, 900]


@pytest.mark.slow
def test_what_is_written_trains(mine):
    assert main(arguments(iters=1)) == 0
    small = ['model.detector.backbone.init_cfg=None', 'train_dataloader.num_workers=0',
             'train_dataloader.persistent_workers=False', 'val_dataloader.num_workers=0',
             'val_dataloader.persistent_workers=False', 'val_dataloader.dataset.pipeline.1.scale=(96,64)']
    assert main(['train', 'configs/mine/sed.py', '--work-dir', 'work', '--cfg-options', *small, *SMALL]) == 0
    assert (mine.parents[1] / 'work/iter_1.pth').is_file()


def test_unlabelled_images_may_be_listed(mine, make_tiny_coco):
    listed = json.loads((mine / 'train.json').read_text())
    listed.update(images=listed['images'][:2], annotations=[])
    (mine / 'rest.json').write_text(json.dumps(listed))
    assert main(arguments(unlabeled='data/mine/rest.json')) == 0
    init_default_scope('mmdet')
    both = DATASETS.build(config_of('configs/mine/sed.py').train_dataloader.dataset)
    assert [len(part) for part in both.datasets] == [6, 2]


def test_configs_that_are_there_stay(mine, capsys):
    assert main(arguments()) == 0
    config = mine.parents[1] / 'configs/mine/sed.py'
    config.write_text('edited = True\n')
    assert main(arguments()) == 2
    assert 'sed.py exists: name another folder' in capsys.readouterr().err and config.read_text() == 'edited = True\n'
    assert main([*arguments(), '--overwrite']) == 0 and 'edited' not in config.read_text()


def test_a_mistake_in_the_data_leaves_no_config_behind(mine, capsys):
    (mine / 'train/0001.png').unlink()
    assert main(arguments()) == 2
    assert '1 of 6 images looked for of data/mine/train.json are missing' in capsys.readouterr().err
    assert not list(mine.parents[1].glob('configs/mine/*.py'))


def test_a_mistake_in_the_data_leaves_older_configs_as_they_were(mine):
    assert main(arguments()) == 0
    config = mine.parents[1] / 'configs/mine/sed.py'
    config.write_text('edited = True\n')
    (mine / 'train/0001.png').unlink()
    assert main([*arguments(), '--overwrite']) == 2 and config.read_text() == 'edited = True\n'


def test_images_that_are_evaluated_on_and_trained_with_are_refused(mine, capsys):
    shutil.copytree(mine / 'val', mine / 'unlabeled/again')
    assert main(arguments()) == 0, 'copies are other files, which names do not tell'
    (mine / 'unlabeled/linked').symlink_to(mine / 'val')
    assert main([*arguments(), '--overwrite']) == 2
    assert '3 images of data/mine/val.json are also in data/mine/unlabeled, such as ' in capsys.readouterr().err


def test_classes_of_another_file_are_told(mine, capsys):
    other = json.loads((mine / 'val.json').read_text())
    other['categories'][0]['name'] = 'ring'
    (mine / 'val.json').write_text(json.dumps(other))
    assert main(arguments()) == 2
    assert "names 'disc', which data/mine/val.json does not have" in capsys.readouterr().err


@pytest.mark.parametrize('changes, words', [
    (dict(labeled='nothing.json'), 'nothing.json does not exist'),
    (dict(unlabeled='nowhere'), '--unlabeled nowhere is neither a folder nor a file'),
    (dict(unlabeled_images='data/mine/train'), '--unlabeled-images goes with a COCO file'),
    (dict(iters=0), '--iters is 0'),
    (dict(val_images='data/mine/train/deep'), 'are missing'),
])
def test_mistakes_in_arguments_are_told(mine, capsys, changes, words):
    assert main(arguments(**changes)) == 2
    assert words in capsys.readouterr().err

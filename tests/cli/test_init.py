"""``python -m sssd init``: configs for one's own images that train, and mistakes in them that are told."""

import json
import re
import shlex
import shutil
from pathlib import Path

import pytest
import torch
from mmengine.registry import init_default_scope

from sssd.__main__ import main
from sssd.checkpoints import pretrained
from sssd.cli import init
from sssd.cli._config import config_of
from sssd.cli.init import fewer_iterations
from sssd.registry import DATASETS, MODELS
from sssd.studies.own import configs
from sssd.studies.own.configs import name_of
from sssd.studies.spec import load_config, load_spec

SMALL = [
    f'{part}.pipeline.{step}.scale=[(96,64),(96,64)]'
    for part, step in (('train_dataloader.dataset.datasets.0', 2), ('train_dataloader.dataset.datasets.1', 2))
]


@pytest.fixture
def mine(tmp_path, make_tiny_coco, monkeypatch):
    """data/mine as docs/your_own_data.md lays it out, in the present folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv('TORCH_HOME', str(tmp_path / 'torch'))
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
    given = (
        dict(
            labeled='data/mine/train.json',
            labeled_images='data/mine/train',
            unlabeled='data/mine/unlabeled',
            val='data/mine/val.json',
            val_images='data/mine/val',
            detector='retinanet_r18',
            weights='imagenet',
        )
        | changes
    )
    return [
        'init',
        'configs/mine',
        '--no-trial',
        *(
            word
            for key, value in given.items()
            if value is not None
            for word in (f'--{key.replace("_", "-")}', str(value))
        ),
    ]


@pytest.mark.parametrize('detector', ['faster-rcnn_r50', 'retinanet_r50', 'retinanet_r18', 'fcos_r50'])
def test_the_data_sets_and_heads_are_the_users(mine, detector, capsys):
    assert main(arguments(detector=detector, iters=1000, batch=3, gpus=4)) == 0
    out = capsys.readouterr().out
    assert '6 images, 12 boxes, 2 classes' in out and '4 images, unlabelled' in out
    command = 'torchrun --nproc_per_node 4 -m sssd train configs/mine/sed.py'
    assert f'  {command} --work-dir work_dirs/mine_sed --launcher pytorch\n' in out
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
    rate = 0.02 if detector.startswith('faster') else 0.01
    assert [cfg.optim_wrapper.optimizer.lr for cfg in (sed, supervised)] == [
        pytest.approx(0.01 * 12 / 16),
        pytest.approx(rate * 12 / 16),
    ]
    command = 'python -m sssd study configs/mine/study.py --gpus-per-run 4'
    assert f'next: {command}\ntrains both, and writes a table and a page; with --quick' in out
    text = Path('configs/mine/study.py').read_text()
    assert f'#     {command}\n' in text and 'each run on 4 GPUs, for which the learning rates are' in text
    assert (sed.auto_scale_lr.base_batch_size, supervised.auto_scale_lr.base_batch_size) == (24, 12)
    assert sed.train_cfg.max_iters == 1000 and sed.param_scheduler[1].milestones == [700, 900]


def test_the_study_for_several_gpus_is_planned_by_the_command_that_init_prints(mine, capsys):
    assert main(arguments(gpus=4)) == 0
    (line,) = re.findall('^next: (.*)', capsys.readouterr().out, flags=re.MULTILINE)
    words = shlex.split(line)
    assert words[:3] == ['python', '-m', 'sssd'] and main([*words[3:], '--dry-run']) == 0
    planned = [line for line in capsys.readouterr().out.splitlines() if '--nproc-per-node=4' in line]
    assert [word in line for line, word in zip(planned, ('supervised.py', 'sed.py'), strict=True)] == [True, True]


def test_a_first_look_is_offered_where_all_takes_hours():
    assert fewer_iterations(7.7, 1500) == 97
    assert fewer_iterations(1.9, 1500) is None  # an evening is no trouble
    assert fewer_iterations(100, 1500) is None  # seven iterations show nothing
    assert fewer_iterations(7.7, None) is None  # counted in epochs


def test_the_first_look_is_told_with_the_estimate(mine, monkeypatch, capsys):
    monkeypatch.setattr(init, 'hours', lambda *_: dict(few=2.0, sed=5.0))
    words = arguments(detector='retinanet', preset='small', weights='none', image_size=64, iters=1400)
    assert main([word for word in words if word != '--no-trial']) == 0
    out = capsys.readouterr().out
    assert 'estimate: 7.0 hours in all' in out and '`init` with --iters 100 --overwrite trains half an hour' in out


@pytest.mark.parametrize('iters, evaluated, logged', [(1, 1, 1), (90, 23, 5), (1000, 500, 50), (8000, 800, 50)])
def test_a_short_training_has_curves_as_well(mine, iters, evaluated, logged):
    assert main(arguments(iters=iters)) == 0
    for name in ('sed', 'supervised'):
        cfg = config_of(f'configs/mine/{name}.py')
        assert cfg.train_cfg.val_interval == cfg.default_hooks.checkpoint.interval == evaluated
        assert cfg.default_hooks.logger.interval == logged


@pytest.mark.parametrize(
    'kind, iters, alphas',
    [
        ('small', 20000, dict(value=0.99)),
        ('small', 1000, dict(value=0.99)),
        ('small', 100, dict(value=0.9)),
        ('small', 1, dict(value=0)),
        ('paper', 1000, dict(start=0.99, end=0.9)),
        ('scratch', 500, dict(start=0.98, end=0.9)),
        ('scratch', 50, dict(start=0.8, end=0.8)),
    ],
)
def test_the_teacher_of_a_short_training_follows_sooner(kind, iters, alphas):
    schedule = eval(configs.alpha_of(kind, iters), dict(dict=dict))
    assert schedule.pop('type') == ('Constant' if kind == 'small' else 'StepAtDecay')
    assert schedule == alphas


@pytest.mark.parametrize(
    'name, detector, labelled, unlabeled',
    [('bccd', 'faster_rcnn', 6, 4), ('bccd_retinanet', 'retinanet', 6, 4), ('aquarium', 'faster_rcnn', 90, 358)],
)
def test_the_studies_on_photographs_train_what_init_writes(
    mine, make_tiny_coco, repo_root, monkeypatch, name, detector, labelled, unlabeled
):
    """The studies whose figures docs/results.md gives for init's defaults, with as many images as they have."""
    with_images(mine, make_tiny_coco, labelled, unlabeled)
    assert main(arguments(detector=detector, preset='small', weights='imagenet')) == 0
    written = [config_of(f'configs/mine/{part}.py') for part in ('supervised', 'sed')]
    assert written[0].custom_hooks[0].pop('lambda_p') == 0, (
        "the study's labels alone have no pseudo-labels to leave out"
    )
    monkeypatch.chdir(repo_root)
    runs = load_spec(f'configs/photos/{name}_init_study.py').runs
    for mine_, theirs in zip(written, (load_config(runs[run], 1) for run in ('few', 'sed_pseudo'))):
        for key in ('custom_hooks', 'train_cfg', 'param_scheduler', 'optim_wrapper'):
            assert mine_[key] == theirs[key]
        for cfg in (mine_, theirs):
            classifier = cfg.model.detector.get('roi_head', cfg.model.detector).bbox_head
            classifier.num_classes = 0
        assert mine_.model.detector == theirs.model.detector
    for key in ('views', 'scale_loss', 'distill_loss', 'pseudo_labels'):
        assert mine_.model.get(key) == theirs.model.get(key)


def with_images(mine, make_tiny_coco, labelled, unlabeled):
    """Gives ``mine`` so many labelled and so many unlabelled images."""
    data = make_tiny_coco(mine.parent / 'more', num_images=labelled)
    shutil.copy(data.ann_file, mine / 'train.json')
    shutil.copytree(data.img_dir, mine / 'train', dirs_exist_ok=True)
    image = next((mine / 'unlabeled/deep').iterdir())
    for path in (mine / 'unlabeled/deep').iterdir():
        if path != image:
            path.unlink()
    for index in range(1, unlabeled):
        shutil.copy(image, image.with_stem(f'copy_{index}'))


def put_weights(mine):
    """Weights of the backbone where torch.hub would keep them, put there by hand; returns them."""
    backbone = config_of('configs/mine/sed.py').model.detector.backbone
    weights = MODELS.build(dict(backbone, init_cfg=None)).state_dict()
    path = mine.parents[1] / 'torch/hub/checkpoints/resnet18-f37072fd.pth'
    path.parent.mkdir(parents=True)
    torch.save(weights | {'fc.weight': torch.zeros(2)}, path)
    return weights


@pytest.mark.slow
def test_what_is_written_trains_from_weights_that_were_put_there_by_hand(mine, capsys):
    assert main(arguments(iters=1)) == 0
    weights = put_weights(mine)
    assert main([*arguments(iters=1), '--overwrite']) == 0
    assert capsys.readouterr().out.count('note: torchvision://resnet18') == 1
    small = [
        'train_dataloader.num_workers=0',
        'train_dataloader.persistent_workers=False',
        'val_dataloader.num_workers=0',
        'val_dataloader.persistent_workers=False',
        'val_dataloader.dataset.pipeline.1.scale=(96,64)',
    ]
    sizes = dict(sed=SMALL, supervised=['train_dataloader.dataset.pipeline.2.scale=[(96,64),(96,64)]'])
    for name, size in sizes.items():
        words = ['train', f'configs/mine/{name}.py', '--work-dir', name, '--cfg-options', *small, *size]
        assert main(words) == 0
        state = torch.load(mine.parents[1] / name / 'iter_1.pth', weights_only=False)['state_dict']
        frozen = {key: value for key, value in weights.items() if key.startswith(('conv1', 'layer1'))}
        for part in ('student', 'teacher'):
            assert all(torch.equal(state[f'{part}.backbone.{key}'], value) for key, value in frozen.items())


def test_weights_that_cannot_be_had_are_told_by_init_train_and_study_before_anything_is_built(
    mine, capsys, monkeypatch
):
    monkeypatch.setattr(pretrained, '_download', no_network)
    told = 'torchvision://resnet18, which model.detector.backbone.init_cfg of configs/mine/'
    place = f'is not at {mine.parents[1]}/torch/hub/checkpoints/resnet18-f37072fd.pth'
    remedy = '--cfg-options model.detector.backbone.init_cfg=None.\n'
    assert main(arguments()) == 0
    out = capsys.readouterr().out
    assert f'note: {told}sed.py names, {place}: training downloads it from https://' in out and remedy in out
    for words in (['train', 'configs/mine/sed.py'], ['study', 'configs/mine/study.py']):
        assert main(words) == 2
        said = capsys.readouterr()
        assert said.err.startswith(f'sssd: error: {told}') and place in said.err and said.err.endswith(remedy)
        assert 'Temporary failure' in said.err and said.err.count('\n') == 1
    assert not Path('work_dirs').exists()


def no_network(*args):
    raise OSError(-3, 'Temporary failure in name resolution')


@pytest.mark.parametrize('folder', ["configs/o'neil and co", 'configs/back\\new'])
def test_the_study_names_both_configs_wherever_they_are(mine, capsys, folder):
    assert main([word if word != 'configs/mine' else folder for word in arguments()]) == 0
    spec = load_spec(f'{folder}/study.py')
    assert {name: run.config for name, run in spec.runs.items()} == {
        'few': f'{folder}/supervised.py',
        'sed': f'{folder}/sed.py',
    }
    commands = [shlex.split(line) for line in capsys.readouterr().out.splitlines() if line.startswith('  python')]
    assert [words[4] for words in commands] == [f'{folder}/supervised.py', f'{folder}/sed.py']


def test_within_a_checkout_mmengine_alone_reads_what_is_written(repo_root, tmp_path):
    (tmp_path / 'configs').mkdir()
    base = 'sed/retinanet_r50_fpn_sed_180k_coco-10p.py'
    assert name_of(base, repo_root / 'configs/mine') == f'../{base}'
    assert name_of(base, repo_root / 'work_dirs/deep/mine') == f'../../../configs/{base}'
    assert name_of(base, tmp_path / 'configs/mine') == base
    (tmp_path / 'linked').symlink_to(repo_root / 'configs')
    assert name_of(base, tmp_path / 'linked/mine') == f'../{base}'


def test_unlabelled_images_may_be_listed(mine, make_tiny_coco):
    listed = json.loads((mine / 'train.json').read_text())
    listed.update(images=listed['images'][:2], annotations=[])
    (mine / 'rest.json').write_text(json.dumps(listed))
    assert main(arguments(unlabeled='data/mine/rest.json')) == 0
    init_default_scope('mmdet')
    both = DATASETS.build(config_of('configs/mine/sed.py').train_dataloader.dataset)
    assert [len(part) for part in both.datasets] == [6, 2]


@pytest.mark.parametrize('where', ['beside', 'here', 'absolute', 'option'])
def test_a_text_file_may_name_the_unlabelled_images(mine, capsys, where):
    """Labelled images are left out if validation images among them are chosen here."""
    labelled = [f'train/000{number}.png' for number in range(6)]
    names = ['unlabeled/deep/0002.png', *labelled, 'unlabeled/deep/0000.png']
    before = dict(beside='', here='data/mine/', absolute=f'{mine}/', option='')[where]
    place = mine / 'list.txt' if where == 'beside' else mine.parents[1] / 'list.txt'
    place.write_text('\n'.join(f'{before}{name} ' for name in names) + '\n\n')
    more = dict(unlabeled_images='data/mine') if where == 'option' else {}
    assert main(arguments(unlabeled=place, val=0.4, val_images=None, **more)) == 0
    assert '6 of the images that' in capsys.readouterr().out
    listed = (mine.parents[1] / 'configs/mine/data/unlabeled.txt').read_text().split()
    assert listed == ['unlabeled/deep/0002.png', 'unlabeled/deep/0000.png']
    init_default_scope('mmdet')
    both = DATASETS.build(config_of('configs/mine/sed.py').train_dataloader.dataset)
    images = [Path(both.datasets[1].get_data_info(index)['img_path']) for index in range(len(both.datasets[1]))]
    assert [path.resolve() for path in images] == [mine / 'unlabeled/deep/0000.png', mine / 'unlabeled/deep/0002.png']


@pytest.mark.parametrize(
    'name, text, words',
    [
        ('list.txt', 'unlabeled/deep/0000.png\ngone.png\n', '1 of them are not there, such as gone.png'),
        ('list.txt', '\n', 'names 0 images, a path a line, and so there are none'),
        ('list.txt', 'val/0000.png\nunlabeled/deep/0000.png\n', 'val.json'),
        ('film.mp4', 'x', 'is no folder of images, and neither a COCO file'),
    ],
)
def test_lists_of_unlabelled_images_with_mistakes(mine, capsys, name, text, words):
    (mine / name).write_text(text)
    assert main(arguments(unlabeled=f'data/mine/{name}')) == 2
    assert re.search(words, capsys.readouterr().err)


def test_configs_that_are_there_stay(mine, capsys, monkeypatch):
    """And nothing is fetched, before that is said."""
    assert main(arguments()) == 0
    config = mine.parents[1] / 'configs/mine/sed.py'
    config.write_text('edited = True\n')
    with monkeypatch.context() as patched:
        patched.setattr('sssd.cli.init.fetched_features', lambda: pytest.fail('weights were fetched'))
        assert main(arguments(detector='faster_rcnn', preset='small', weights='auto')) == 2
    assert 'sed.py exists: name another folder' in capsys.readouterr().err and config.read_text() == 'edited = True\n'
    assert main([*arguments(), '--overwrite']) == 0 and 'edited' not in config.read_text()


def test_a_mistake_in_the_data_leaves_no_config_behind(mine, capsys):
    (mine / 'train/0001.png').unlink()
    assert main(arguments()) == 2
    assert '1 of 6 images looked for of data/mine/train.json is missing' in capsys.readouterr().err
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
    (mine / 'unlabeled/other name.png').symlink_to(mine / 'val/0000.png')
    assert main([*arguments(), '--overwrite']) == 2
    assert '1 images of data/mine/val.json are also in data/mine/unlabeled, such as ' in capsys.readouterr().err
    (mine / 'unlabeled/linked').symlink_to(mine / 'val')
    assert main([*arguments(), '--overwrite']) == 2
    assert '3 images of data/mine/val.json are also in data/mine/unlabeled, such as ' in capsys.readouterr().err


def change(path, edit):
    """Edit a JSON file in place."""
    content = json.loads(path.read_text())
    edit(content)
    path.write_text(json.dumps(content))


def rename(content):
    content['categories'][0]['name'] = 'ring'


def reverse(content):
    content['categories'].reverse()


def name_twice(content):
    content['categories'][1]['name'] = 'disc'


def without_area(content):
    content['annotations'][3].pop('area')


@pytest.mark.parametrize(
    'file, edit, words',
    [
        ('val', rename, "names 'disc', which data/mine/val.json does not have"),
        ('val', reverse, "data/mine/val.json of val_dataloader.dataset lists its categories as 'bar', 'disc'"),
        ('train', name_twice, "train.json has several categories called 'disc'"),
        ('train', without_area, 'has annotations without an area'),
        ('train', lambda content: content.update(annotations=[]), 'train.json has no box of its categories'),
    ],
)
def test_classes_that_would_be_taken_wrongly_are_told(mine, capsys, file, edit, words):
    change(mine / f'{file}.json', edit)
    assert main(arguments()) == 2
    assert words in capsys.readouterr().err


def test_classes_are_in_the_order_of_the_files_and_those_without_a_box_left_out(mine, capsys):
    for file in ('train', 'val'):
        change(mine / f'{file}.json', reverse)
        change(mine / f'{file}.json', lambda content: content['categories'].insert(0, dict(id=0, name='objects')))
    assert main(arguments()) == 0
    found = capsys.readouterr().out.splitlines()[0]
    cfg = config_of('configs/mine/sed.py')
    init_default_scope('mmdet')
    both = DATASETS.build(cfg.train_dataloader.dataset)
    assert both.metainfo['classes'] == ('bar', 'disc') and cfg.model.detector.bbox_head.num_classes == 2
    things = json.loads((mine / 'train.json').read_text())['annotations']
    count = {name: sum(thing['category_id'] == place for thing in things) for place, name in ((2, 'bar'), (1, 'disc'))}
    assert found == f'labelled boxes: bar {count["bar"]}, disc {count["disc"]}'
    labels = [thing['bbox_label'] for i in range(6) for thing in both.datasets[0].get_data_info(i)['instances']]
    assert [labels.count(label) for label in (0, 1)] == list(count.values())


@pytest.mark.parametrize(
    'changes, words',
    [
        (dict(labeled='nothing.json'), '--labeled nothing.json is no file'),
        (dict(val='data/mine/val'), '--val data/mine/val holds no labels of a form that is known here'),
        (dict(unlabeled='nowhere'), '--unlabeled nowhere is neither a folder nor a file'),
        (dict(unlabeled='data'), '3 images of data/mine/val.json are also in data, such as '),
        (dict(unlabeled='configs'), '--unlabeled configs has no image in it'),
        (dict(unlabeled='phone'), 'phone has no image in it, but files that are passed over (.heic: 1): convert'),
        (dict(unlabeled_images='data/mine/train'), '--unlabeled-images goes with a file that names images'),
        (dict(iters=0), '--iters is 0'),
        (dict(labeled_images='data'), 'are missing, such as data/0000.png; check --labeled-images.'),
        (dict(val_images='nope'), 'are missing, such as nope/0000.png; check --val-images.'),
        (dict(val='data/mine/more.json', val_images=None), 'check --val-images, which is not given'),
    ],
)
def test_mistakes_in_arguments_are_told(mine, capsys, changes, words):
    (mine.parents[1] / 'configs').mkdir()
    (mine.parents[1] / 'phone').mkdir()
    (mine.parents[1] / 'phone/IMG_1.HEIC').write_bytes(b'x')
    change(
        shutil.copy(mine / 'val.json', mine / 'more.json'),
        lambda content: content['images'][0].update(file_name='of val.png'),
    )
    assert main(arguments(**changes)) == 2
    assert words in capsys.readouterr().err
    assert not Path('configs/mine').exists()

"""An installed wheel at work from a folder without a checkout, with real trainings of two iterations."""

import json

import pytest
import torch

pytestmark = pytest.mark.slow

#: What makes a quick-start config small, for ``--cfg-options``.
SMALL = (
    'train_cfg.max_iters=2',
    'train_cfg.val_interval=2',
    'train_dataloader.num_workers=0',
    'train_dataloader.persistent_workers=False',
    'val_dataloader.num_workers=0',
    'val_dataloader.persistent_workers=False',
    'default_hooks.logger.interval=1',
)
#: A config of the user's own over one that comes with the package.
OWN = "_base_ = ['configs/sizes/toy_supervised.py']\ndefault_hooks = dict(logger=dict(interval=1))\n"


@pytest.fixture(autouse=True)
def only_the_installed_package(installed):
    """Afterwards, every process so far has to have imported sssd from the installed package alone, if at all."""
    yield
    told = [json.loads(path.read_text()) for path in installed.seen.glob('*.json')]
    used = [entry for entry in told if entry['seen']]
    assert used
    for entry in used:
        outside = {name: path for name, path in entry['seen'].items() if not path.startswith(f'{installed.target}/')}
        assert not outside, entry['argv']


@pytest.fixture(scope='module')
def demo(installed):
    """What the quick demo printed; it draws the data and trains `configs/sizes/toy_sed.py`, among others."""
    return installed.run('demo', '--quick', '--work-dir', 'demo')


def test_usage_tells_where_configs_and_launchers_are(installed):
    assert f'{installed.target}/sssd/.mim' in installed.run('--help')


def test_demo_draws_its_data_trains_and_compares(installed, demo):
    assert 'supervised' in demo and 'demo/contact_sheet.png' in demo
    entries = json.loads((installed.folder / 'demo/results.json').read_text())['runs']
    assert [entry['run'] for entry in entries] == ['start', 'few', 'sed']
    assert str(installed.folder) not in json.dumps(entries) and str(installed.target) not in json.dumps(entries)
    words = [path.read_text() for path in installed.seen.glob('*.json')]
    assert sum('configs/sizes/toy_sed.py' in text for text in words) == 1  # a process of its own


def test_test_extract_split_and_toy(installed, demo):
    checkpoint = 'demo/seed0/sed/iter_2.pth'
    out = installed.run(
        'test', 'sizes/toy_sed.py', checkpoint, '--cfg-options', 'model.detector.test_cfg.score_thr=0.0', *SMALL
    )
    assert 'coco/bbox_mAP: ' in out
    installed.run('extract', checkpoint, 'teacher.pth')
    weights = torch.load(installed.folder / 'teacher.pth', weights_only=True)['state_dict']
    assert weights and all(value.isfinite().all() for value in weights.values())
    out = installed.run('split', 'data/toy_small/labeled.json', '--count', '2', '--folds', '1')
    assert [(installed.folder / line).is_file() for line in out.splitlines()[-2:]] == [True, True]
    out = installed.run('toy', 'more', '--num-train', '2', '--num-val', '1', '--num-labeled', '1')
    assert (installed.folder / 'more/labeled.json').is_file()


def test_analyses_and_views_of_a_checkpoint(installed, demo):
    config, checkpoint = 'sizes/toy_sed.py', 'demo/seed0/sed/iter_2.pth'
    for what in ('score-distance', 'pseudo-labels', 'gradients'):
        installed.run('analyze', what, config, checkpoint, '--images', '2')
    installed.run('analyze', 'object-sizes', config, '--images', '4')
    written = {path.name for path in (installed.folder / 'analysis').iterdir()}
    assert written == {
        f'{what}.{kind}'
        for kind in ('json', 'png')
        for what in ('score_distance', 'pseudo_labels', 'gradients', 'object_sizes')
    }
    installed.run('views', config, checkpoint, '--images', '1')
    assert (installed.folder / 'views.png').stat().st_size > 5000


def test_a_row_of_a_table_of_ablations(installed, demo):
    out = installed.run('ablate', 'table9', '--quick', '--only', 'alpha_cosine', '--seeds', '0')
    assert 'Cosine' in out
    entries = json.loads(
        (installed.folder / 'work_dirs/ablations/toy_quick/ablation_table9_toy_quick.json').read_text()
    )['runs']
    assert [entry['run'] for entry in entries] == ['start', 'alpha_cosine']


def test_a_data_set_that_is_not_there(installed):
    err = installed.run('prepare', 'coco', '--check', status=2)
    assert 'sssd: error: data/coco/train2017 (missing), ' in err and 'unpack these' in err
    assert not (installed.folder / 'data/coco').exists()


def test_torchrun_starts_the_module_with_a_config_over_one_of_the_package(installed, demo):
    (installed.folder / 'own.py').write_text(OWN)
    out = installed.run(
        'train',
        'own.py',
        '--verbose',
        '--launcher',
        'pytorch',
        '--cfg-options',
        *SMALL,
        launcher=('-m', 'torch.distributed.run', '--standalone', '--nproc_per_node', '2', '-m', 'sssd'),
    )
    assert "backend='gloo'" in out and 'GPU number: 2' in out  # in MMEngine's words
    assert (installed.folder / 'work_dirs/own/iter_2.pth').is_file()

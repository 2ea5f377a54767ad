"""The options of BCCD's configs, which the environment gives."""

import pytest
from config_files import CONFIGS
from mmengine.config import Config

OPTIONS = dict(BCCD_ROOT='other/bccd/', BCCD_SPLITS='other/splits/', BCCD_LABELED='train.2@10')


@pytest.mark.parametrize(
    'given, root, splits, labeled',
    [({}, 'data/bccd/', 'data/bccd_splits/', 'trainval.1@5'), (OPTIONS, 'other/bccd/', 'other/splits/', 'train.2@10')],
)
@pytest.mark.parametrize('name', ['sed', 'supervised'])
def test_root_splits_and_labels(monkeypatch, given, root, splits, labeled, name):
    for option in OPTIONS:
        monkeypatch.delenv(option, raising=False)
    for option, value in given.items():
        monkeypatch.setenv(option, value)
    cfg = Config.fromfile(str(CONFIGS / f'bccd/retinanet_{name}.py'))
    dataset = cfg.train_dataloader.dataset
    leaves = dataset.get('datasets', [dataset])
    files = [f'{splits}{labeled}{part}.json' for part in ('', '-unlabeled')][: len(leaves)]
    assert len(leaves) == (2 if name == 'sed' else 1)
    assert [leaf.data_root + leaf.ann_file for leaf in leaves] == files
    assert {leaf.data_prefix.img for leaf in leaves} == {f'{root}images/'}
    assert cfg.val_evaluator.ann_file == cfg.test_evaluator.ann_file == f'{root}test.json'

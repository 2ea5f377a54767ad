"""What sssd replaces in MMEngine is still there, is replaced everywhere, and nothing goes past it."""

import ast
import inspect
import re
import sys
import textwrap
from pathlib import Path

import evil
import mmengine.runner
import pytest
import torch
from mmengine.hooks import CheckpointHook
from mmengine.runner import CheckpointLoader, Runner
from mmengine.runner import checkpoint as module

from sssd.checkpoints import pretrained, seam
from sssd.errors import UserError

SEAMS = [pytest.param(one, id=f'{one.owner.__name__}.{one.name}') for one in seam.SEAMS]


def installed(one):
    held = vars(one.owner)[one.name]
    return held.__func__ if isinstance(held, classmethod) else held


@pytest.mark.parametrize('one', SEAMS)
def test_mmengine_has_the_function_as_it_was(one):
    function = installed(one)
    assert seam.is_installed(function)
    assert tuple(inspect.signature(function.__wrapped__).parameters) == one.parameters
    assert function.__wrapped__.__module__.startswith('mmengine.')


@pytest.mark.parametrize('one', SEAMS)
def test_no_module_has_mmengine_s_own_function_left(one):
    assert seam.references(installed(one).__wrapped__) == []


def test_a_second_call_changes_nothing():
    before = [installed(one) for one in seam.SEAMS]
    seam.install()
    assert [installed(one) for one in seam.SEAMS] == before


def test_a_function_that_has_moved_is_told(monkeypatch):
    moved = seam.Seam(CheckpointHook, '_save', print, (), '')
    monkeypatch.setattr(seam, 'SEAMS', (moved,))
    with pytest.raises(ImportError, match='MMEngine has no CheckpointHook._save, which sssd replaces'):
        seam.install()


def test_a_module_that_is_loaded_later_gets_ours():
    """MMEngine's other modules import the functions from where they are replaced."""
    from mmengine._strategy import single_device
    from mmengine.runner import _flexible_runner

    assert seam.is_installed(_flexible_runner.find_latest_checkpoint) and single_device
    assert seam.is_installed(mmengine.runner.save_checkpoint) and seam.is_installed(
        mmengine.runner.runner.save_checkpoint
    )


def calls(function):
    """The names of what a function calls."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    return [
        node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, 'id', None)
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
    ]


@pytest.mark.parametrize(
    'function, through',
    [
        (Runner.load_checkpoint, '_load_checkpoint'),
        (module._load_checkpoint, 'load_checkpoint'),
        (module.load_checkpoint, '_load_checkpoint'),
        (module._load_checkpoint_with_prefix, '_load_checkpoint'),
        (Runner.save_checkpoint, 'save_checkpoint'),
        (Runner.load_or_resume, 'find_latest_checkpoint'),
        (CheckpointHook._save_checkpoint, '_save_checkpoint_with_step'),
        (CheckpointHook.after_val_epoch, '_save_best_checkpoint'),
    ],
    ids=lambda value: value if isinstance(value, str) else value.__qualname__,
)
def test_mmengine_goes_through_what_is_replaced(function, through):
    assert through in calls(inspect.unwrap(function))


def test_no_other_module_of_mmengine_reads_or_writes_checkpoints():
    """``torch.load`` and ``torch.save`` are called where we know it, and nowhere else."""
    known = {
        ('mmengine.runner.checkpoint', 'load'),
        ('mmengine.runner.checkpoint', 'save'),
        ('mmengine.utils.dl_utils.hub', 'load'),  # of torch below 1.7
    }
    found = set()
    for name, loaded in list(sys.modules.items()):
        if name.split('.')[0] not in ('mmengine', 'mmdet', 'mmcv') or not (
            getattr(loaded, '__file__', None) or ''
        ).endswith('.py'):
            continue
        text = Path(loaded.__file__).read_text('utf-8')
        for node in ast.walk(ast.parse(text)) if re.search(r'torch\.(load|save)\b', text) else ():
            if isinstance(node, ast.Attribute) and node.attr in ('load', 'save') and ast.unparse(node.value) == 'torch':
                found.add((name, node.attr))
    assert found <= known


@pytest.mark.parametrize(
    'address', ['https://x/iter.pth', 'torchvision://x', 'open-mmlab://x', 'mmcls://x', 's3://x/y']
)
def test_every_scheme_ends_in_the_safe_reader(address, tmp_path, monkeypatch):
    """With all that is between it and the network in place, but for the network."""
    path = evil.write_evil(tmp_path / 'iter.pth', tmp_path / 'marker')
    (tmp_path / 'checkpoints').mkdir()
    path.rename(tmp_path / 'checkpoints' / 'iter.pth')  # downloaded before
    monkeypatch.setattr(torch.hub, 'get_dir', lambda: str(tmp_path))
    known = pretrained.Remote(address, 'https://x/iter.pth', tmp_path / 'checkpoints' / 'iter.pth')
    monkeypatch.setattr(pretrained, 'SCHEMES', {name: lambda *args: known for name in pretrained.SCHEMES})
    content = (tmp_path / 'checkpoints' / 'iter.pth').read_bytes()
    backend = type('Backend', (), dict(get=lambda self, name: content))()
    monkeypatch.setattr(module, 'get_file_backend', lambda *args, **kwargs: backend)
    with pytest.raises(UserError, match=f'^checkpoint {address}.* asks for io.open'):
        CheckpointLoader.load_checkpoint(address)
    assert not (tmp_path / 'marker').exists()


def test_a_scheme_that_somebody_adds_ends_there_too(tmp_path, monkeypatch):
    monkeypatch.setattr(CheckpointLoader, '_schemes', dict(CheckpointLoader._schemes))
    path = evil.write_evil(tmp_path / 'iter.pth', tmp_path / 'marker')

    @CheckpointLoader.register_scheme('ours://')
    def load_from_ours(name, map_location=None):
        return torch.load(path, map_location, weights_only=False)

    with pytest.raises(UserError, match='^checkpoint ours://x, read from .*iter.pth, asks for io.open'):
        CheckpointLoader.load_checkpoint('ours://x')
    assert not (tmp_path / 'marker').exists()

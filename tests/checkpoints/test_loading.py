"""Tensors, numbers and logs come out of a file, and nothing in it runs."""

import contextlib
import io
import os
import pickle

import evil
import numpy as np
import pytest
import torch
from mmengine.logging import HistoryBuffer
from mmengine.runner import CheckpointLoader, load_checkpoint

from sssd.checkpoints.loading import TORCH_LOAD, read_checkpoint, safe_load, trusting
from sssd.errors import UserError

WEIGHTS = {'weight': torch.arange(4000.0), 'bias': torch.ones(3)}


@pytest.fixture
def path(tmp_path):
    return tmp_path / 'iter_2.pth'


def refused(path, said, **options):
    with pytest.raises(UserError, match=said) as caught:
        read_checkpoint(path, **options)
    assert str(path) in str(caught.value) and '\n' not in str(caught.value)
    return str(caught.value)


@pytest.fixture(params=evil.KINDS)
def harmful(request, path):
    return evil.write_evil(path, path.with_name('marker'), request.param)


def test_a_file_that_runs_code_is_refused(harmful):
    said = refused(harmful, r'(asks for|old tar format)')
    assert '--trust-checkpoint' in said and not harmful.with_name('marker').exists()


def test_a_file_that_one_trusts_is_read_whatever_it_does(harmful):
    """And the files of the test above are what they are said to be."""
    with trusting(), contextlib.suppress(Exception):
        read_checkpoint(harmful)
    assert harmful.with_name('marker').exists()


def test_getattr_alone_is_enough_for_a_file_where_it_is_allowed(path):
    evil.write_evil(path, path.with_name('marker'), 'getattr')
    with torch.serialization.safe_globals([getattr, HistoryBuffer]):
        TORCH_LOAD(path, weights_only=True)
    assert path.with_name('marker').exists()


@pytest.mark.parametrize('kind', evil.KINDS)
def test_what_the_process_allows_is_not_allowed_here(path, kind):
    evil.write_evil(path, path.with_name('marker'), kind)
    with torch.serialization.safe_globals([getattr, HistoryBuffer, open]):
        allowed = set(torch.serialization.get_safe_globals())
        with pytest.raises(UserError):
            safe_load(path)
        assert set(torch.serialization.get_safe_globals()) == allowed
        refused(path, '.')
    assert not path.with_name('marker').exists()


def test_an_environment_variable_does_not_open_the_door(path, monkeypatch):
    monkeypatch.setenv('TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD', '1')
    evil.write_evil(path, path.with_name('marker'))
    refused(path, 'asks for')
    assert not path.with_name('marker').exists()


def test_text_of_a_config_is_not_run(path):
    """MMEngine's Runner.resume runs ``meta['config']`` as Python."""
    torch.save(dict(meta=dict(config='import os', iter=3), state_dict=WEIGHTS), path)
    assert read_checkpoint(path)['meta'] == dict(iter=3)
    with trusting():
        assert read_checkpoint(path)['meta'] == dict(config='import os', iter=3)


@pytest.mark.parametrize(
    'value',
    [
        np.arange(3), np.array([], 'f4'), np.float32(2), np.float64(2), np.int64(2), np.array([2], 'u4'),
        np.array([True]), np.array(1, 'f2'), slice(1, 2), {'a': [1, (2.0, None, 'b')]}, b'bytes', b'', {1, 2},
    ],
)  # fmt: skip
def test_what_mmengine_writes_is_read(path, value):
    torch.save(dict(meta={}, state_dict=WEIGHTS, log=HistoryBuffer([1.0, 2.0], [1, 1]), value=value), path)
    loaded = read_checkpoint(path)
    assert type(loaded['log']) is HistoryBuffer and loaded['log'].statistics('mean') == 1.5
    loaded['log'].update(3.0)
    assert loaded['log'].current() == 3.0
    assert type(loaded['value']) is type(value) and np.array_equal(loaded['value'], value)


def test_a_file_gives_no_functions_to_the_logs_of_the_process(path):
    log = HistoryBuffer([1.0, 2.0], [1, 1])
    log._statistics_methods = dict(mean=torch.Size)
    log.extra = 'something'
    torch.save(dict(state_dict=WEIGHTS, log=log), path)
    loaded = read_checkpoint(path)['log']
    assert HistoryBuffer._statistics_methods['mean'] is HistoryBuffer.mean
    assert loaded.statistics('mean') == 1.5 and not hasattr(loaded, 'extra')


def test_a_log_without_numbers_is_refused(path):
    log = HistoryBuffer()
    log._log_history = 'numbers'
    torch.save(dict(state_dict=WEIGHTS, log=log), path)
    refused(path, 'has a HistoryBuffer that holds no numbers')


@pytest.mark.parametrize('name', ['__init__', '__globals__', 'register_statistics'])
def test_other_attributes_of_a_log_are_refused(path, name):
    torch.save(dict(state_dict=WEIGHTS, harm=evil.Calls(getattr, HistoryBuffer, name)), path)
    refused(path, f'asks for {name!r} of')


def _bytes(**options):
    buffer = io.BytesIO()
    torch.save(dict(meta={}, state_dict=WEIGHTS), buffer, **options)
    return buffer.getvalue()


OLD = dict(_use_new_zipfile_serialization=False)


NO_CHECKPOINTS = dict(
    empty=(b'', r'is empty \(0 bytes\)'),
    html=(b'\n<!DOCTYPE html><html>Not found</html>', r'is a web page \(HTML\)'),
    bare_html=(b'<html><body>', r'is a web page \(HTML\)'),
    lfs=(b'version https://git-lfs.github.com/spec/v1\noid sha256:0', 'is a pointer of Git LFS'),
    text=(b'not a checkpoint', 'is damaged or no checkpoint'),
    json=(b'{"a": 1}', 'is damaged or no checkpoint'),
    zeros=(b'\0' * 5000, 'is filled with zeros'),
    bytes=(bytes(range(256)) * 40, 'is damaged or no checkpoint'),
    start_alone=(b'PK\x03\x04 cut off', 'is damaged or cut off'),
    cut=(_bytes()[:3000], 'is damaged or cut off'),
    cut_by_one=(_bytes()[:-1], 'is damaged or cut off'),
    cut_old=(_bytes(**OLD)[:3000], 'is damaged or no checkpoint'),
    cut_old_early=(_bytes(**OLD)[:40], 'is damaged or no checkpoint'),
)


@pytest.mark.parametrize('content, said', NO_CHECKPOINTS.values(), ids=NO_CHECKPOINTS)
def test_a_file_that_is_no_checkpoint_is_named(path, content, said):
    path.write_bytes(content)
    assert '--trust-checkpoint' not in refused(path, said)


@pytest.mark.parametrize(
    'content, said',
    [
        ([1, 2], 'holds a list and no weights'),
        (torch.zeros(3), 'holds a Tensor and no weights'),
        (dict(optimizer=dict(state=torch.zeros(1)), meta={}), "holds no weights of a model, but 'optimizer', 'meta'"),
        (dict(state_dict={}), 'holds no weights'),
        (dict(state_dict=dict(a=torch.ones(2), b=torch.tensor([1, float('nan')]))), r'has NaN in 1 of 2 .*first: b'),
        (dict(a=torch.ones(2).half() * float('nan')), 'has NaN in 1 of 1'),
    ],
)
def test_a_file_of_something_else_is_named(path, content, said):
    torch.save(content, path)
    refused(path, said)


def test_weights_of_other_makes_pass(path):
    for content in (WEIGHTS, dict(model=WEIGHTS), dict(state_dict=dict(WEIGHTS, mask=torch.tensor(-float('inf'))))):
        torch.save(content, path)
        assert read_checkpoint(path).keys() == content.keys()


def test_a_program_of_torchscript_is_named(path):
    torch.jit.script(torch.nn.Linear(2, 2)).save(path)
    refused(path, r'is a program \(TorchScript\)')


def test_every_bit_of_the_weights_counts(path):
    """PyTorch itself reads the file without a word."""
    content = bytearray(_bytes())
    place = content.index(np.arange(4000, dtype='f4').tobytes()) + 8001
    content[place] ^= 4
    path.write_bytes(content)
    assert not torch.equal(TORCH_LOAD(path, weights_only=True)['state_dict']['weight'], WEIGHTS['weight'])
    refused(path, r'is damaged \(its record .*/data/0 is not as it was written\)')


def test_flipped_bits_never_end_in_a_traceback(path):
    """Wherever they are: the file is refused, or nothing that is read of it has changed."""
    content = _bytes()
    generator, taken = np.random.default_rng(0), 0
    for place in [*range(40), *generator.integers(len(content), size=200), *range(len(content) - 100, len(content))]:
        broken = bytearray(content)
        broken[place] ^= 1 << int(generator.integers(8))
        path.write_bytes(broken)
        try:
            loaded = read_checkpoint(path)
        except UserError as error:
            assert '\n' not in str(error)
        else:
            taken += 1
            assert all(torch.equal(value, WEIGHTS[key]) for key, value in loaded['state_dict'].items())
            assert len(loaded['state_dict']) == 2
    assert taken < 100


def test_a_file_that_is_not_there_is_not_damaged(path):
    with pytest.raises(FileNotFoundError):
        read_checkpoint(path)


def test_a_folder_and_a_file_that_may_not_be_read(path, monkeypatch):
    path.mkdir()
    with pytest.raises(UserError, match='cannot be read .*Is a directory'):
        safe_load(path)


def test_the_name_and_the_file_that_was_read_are_told(path):
    path.write_bytes(b'<html>')
    with pytest.raises(UserError, match=f'^checkpoint torchvision://resnet50, read from {path}, is a web page'):
        safe_load(path, name='torchvision://resnet50')


def test_every_way_of_mmengine_leads_here(path):
    evil.write_evil(path, path.with_name('marker'))
    for read in (CheckpointLoader.load_checkpoint, lambda name: load_checkpoint(torch.nn.Linear(1, 1), name)):
        with pytest.raises(UserError, match='asks for'):
            read(str(path))
    assert not path.with_name('marker').exists() and torch.load is TORCH_LOAD


def test_an_open_file_is_read_as_safely(path):
    evil.write_evil(path, path.with_name('marker'))
    with open(path, 'rb') as handle, pytest.raises(UserError, match='asks for'):
        safe_load(handle)
    assert torch.equal(safe_load(io.BytesIO(_bytes()))['state_dict']['weight'], WEIGHTS['weight'])
    assert not path.with_name('marker').exists()


def test_a_pickle_that_is_none_of_pytorch_s_is_refused(path):
    path.write_bytes(pickle.dumps(evil.calls_open(path.with_name('marker'))))
    refused(path, '.')
    assert not path.with_name('marker').exists()
    assert os.listdir(path.parent) == ['iter_2.pth']

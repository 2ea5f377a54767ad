"""The check of the MM stack at import."""

import sys

import pytest
import torch
from mmengine.registry import MODELS

import sssd
from sssd import compat

FORKS = dict(mmengine='0.10.12', mmcv='2.3.6', mmdet='3.5.1')
OFFICIAL = dict(mmengine='0.10.7', mmcv='2.1.0', mmdet='3.3.0')


@pytest.mark.parametrize(
    'versions, title',
    [
        (FORKS, 'maintained forks'),
        (OFFICIAL, 'official releases'),
        (dict(FORKS, mmcv='2.3.6+cu128'), 'maintained forks'),
    ],
)
def test_both_stacks_are_accepted(versions, title):
    assert compat.find_stack(versions) == title


@pytest.mark.parametrize(
    'versions', [dict(FORKS, mmcv='2.1.0'), dict(OFFICIAL, mmdet='3.5.1'), dict(FORKS, mmdet='2.28.0')]
)
def test_a_mix_of_stacks_is_refused_with_what_was_found_and_what_to_do(versions):
    with pytest.raises(ImportError) as caught:
        compat.find_stack(versions)
    text = str(caught.value)
    assert f'found mmengine {versions["mmengine"]}, mmcv {versions["mmcv"]}, mmdet {versions["mmdet"]}' in text
    assert 'pip install' in text and 'onedl-mmcv==2.3.6' in text
    assert '\n' not in text


def test_two_distributions_of_one_module_are_refused():
    compat.check_rivals({'onedl-mmcv': '2.3.6', 'mmengine': '0.10.7', 'mmdet': '3.3.0'})
    with pytest.raises(ImportError, match='onedl-mmcv and mmcv are both installed.*pip uninstall onedl-mmcv mmcv'):
        compat.check_rivals({'onedl-mmcv': '2.3.6', 'mmcv': '2.1.0'})


@pytest.mark.parametrize(
    'module, trouble',
    [
        ('torch', 'PyTorch 2 is missing'),
        ('mmengine', 'mmengine is missing'),
        ('mmcv', 'mmcv is missing'),
        ('mmcv.ops', "mmcv's compiled operators are missing"),
        ('mmdet', 'mmdet is missing'),
    ],
)
def test_a_missing_part_is_named_with_its_remedy(monkeypatch, module, trouble):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ImportError, match=trouble) as caught:
        compat.check_stack()
    assert 'make env' in str(caught.value) and '\n' not in str(caught.value)


def test_an_assertion_of_mmdet_about_versions_becomes_an_import_error(monkeypatch):
    def refuse(name):
        raise AssertionError('MMCV==9.9 is used but incompatible\nmore')

    monkeypatch.setattr(compat.importlib, 'import_module', refuse)
    with pytest.raises(ImportError, match=r'mmdet is missing or .*\(MMCV==9.9 is used but incompatible\): run'):
        compat._import('mmdet', 'mmdet is missing or broken', 'run it')


@pytest.mark.parametrize('version', ['1.13.1', '2.5.1+cu121'])
def test_a_torch_that_reads_checkpoints_unsafely_is_named(monkeypatch, version):
    monkeypatch.setattr(torch, '__version__', version)
    with pytest.raises(ImportError, match=r'^sssd needs torch 2.6 or newer, .* but found .*: install torch') as caught:
        compat.check_stack()
    assert '\n' not in str(caught.value)


def test_the_installed_stack_is_supported():
    assert compat.check_stack() in compat.STACKS


def test_importing_sssd_registers_its_detector():
    assert sssd.__version__
    assert MODELS.get('sssd.SED') is not None

"""``python -m sssd`` and its commands."""

from importlib import import_module

import pytest

from sssd.__main__ import COMMANDS, main


def test_help_lists_every_command(capsys):
    assert main(['--help']) == 0
    out = capsys.readouterr().out
    assert all(f'\n  {name} ' in out for name in COMMANDS)


def test_no_command_is_a_mistake(capsys):
    assert main([]) == 2
    assert 'usage' in capsys.readouterr().out


def test_an_unknown_command_is_named(capsys):
    assert main(['trian']) == 2
    assert "no command 'trian'" in capsys.readouterr().err


@pytest.mark.parametrize('name', COMMANDS)
def test_every_command_exists(name, capsys):
    with pytest.raises(SystemExit) as left:
        import_module(f'sssd.cli.{name}').main(['--help'])
    assert left.value.code == 0
    assert 'usage' in capsys.readouterr().out


def test_a_mistake_in_a_command_is_one_sentence(capsys):
    assert main(['train', 'no_such_config.py']) == 2
    err = capsys.readouterr().err
    assert err.startswith('sssd: error: config file no_such_config.py does not exist')
    assert err.count('\n') == 1

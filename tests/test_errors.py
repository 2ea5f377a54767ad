"""A user's mistake is one sentence and status 2; anything else is a traceback."""

import pytest

from sssd.errors import LocalError, UserError, first_line, run_cli


def _fail(argv):
    raise UserError(f'{argv[0]} is wrong: mend it.')


def test_a_user_error_becomes_one_line_and_status_2(capsys):
    assert run_cli(_fail, ['this']) == 2
    captured = capsys.readouterr()
    assert captured.err == 'sssd: error: this is wrong: mend it.\n'
    assert captured.out == ''


@pytest.mark.parametrize('words, variables', [(['--launcher', 'slurm'], {}), ([], {'TORCHELASTIC_RUN_ID': '7'})])
def test_only_the_first_process_of_a_launcher_prints(capsys, monkeypatch, words, variables):
    for name, value in {'RANK': '1', **variables}.items():
        monkeypatch.setenv(name, value)
    assert run_cli(_fail, ['this', *words]) == 2
    assert capsys.readouterr().err == ''


@pytest.mark.parametrize('name', ['RANK', 'SLURM_PROCID'])
def test_a_process_by_itself_prints_whatever_rank_its_environment_has(capsys, monkeypatch, name):
    monkeypatch.delenv('TORCHELASTIC_RUN_ID', raising=False)
    monkeypatch.setenv(name, '1')
    assert run_cli(_fail, ['this']) == 2
    assert capsys.readouterr().err.startswith('sssd: error: ')


def test_what_one_process_meets_alone_is_printed_by_it(capsys, monkeypatch):
    monkeypatch.setenv('RANK', '1')

    def main(argv):
        raise LocalError('this image is broken.')

    assert run_cli(main) == 2
    assert capsys.readouterr().err == 'sssd: error: this image is broken.\n'


@pytest.mark.parametrize('returned, status', [(None, 0), (0, 0), (3, 3)])
def test_the_status_of_a_command_is_passed_on(returned, status):
    assert run_cli(lambda argv: returned) == status


def test_an_interruption_is_no_traceback(capsys):
    def interrupted(argv):
        raise KeyboardInterrupt

    assert run_cli(interrupted) == 130
    assert capsys.readouterr().err == 'sssd: interrupted\n'


def test_other_errors_are_not_hidden():
    def broken(argv):
        raise ValueError('a bug')

    with pytest.raises(ValueError, match='a bug'):
        run_cli(broken)
    assert issubclass(UserError, ValueError)


@pytest.mark.parametrize(
    ('error', 'line'),
    [(ValueError('\n one. \n two'), 'one'), (KeyError(), 'KeyError'), (OSError(2, 'gone'), '[Errno 2] gone')],
)
def test_the_first_line_of_an_error(error, line):
    assert first_line(error) == line

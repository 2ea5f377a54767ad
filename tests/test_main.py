"""The command ``sssd``: its parser, its light start, its exit statuses."""

import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

import sssd
from sssd.__main__ import main
from sssd.cli._parser import COMMANDS, arguments_of, module_of

HEAVY = ('torch', 'mmengine', 'mmcv', 'mmdet', 'cv2', 'matplotlib', 'numpy')


def left(words, capsys):
    """The status with which the parser ends the process, and what was printed."""
    with pytest.raises(SystemExit) as caught:
        main(words)
    return caught.value.code, capsys.readouterr()


def test_help_lists_every_command_with_its_purpose(capsys):
    status, said = left(['--help'], capsys)
    assert status == 0 and said.out.startswith('usage: sssd ')
    words = ' '.join(said.out.split())
    assert all(f' {name} {arguments_of(name).HELP} ' in words for name in COMMANDS)


def test_every_module_of_a_command_is_one(repo_root):
    for folder in ('sssd/cli', 'sssd/cli/arguments'):
        found = {path.stem for path in (repo_root / folder).glob('*.py') if not path.stem.startswith('_')}
        assert found == {module_of(name) for name in COMMANDS}


def test_the_docs_name_every_command_with_its_purpose(repo_root):
    text = (repo_root / 'docs/commands.md').read_text()
    rows = dict(re.findall(r'^\| `([\w-]+)` \| (.+?) \|$', text, flags=re.M))
    assert rows == {name: arguments_of(name).HELP for name in COMMANDS}


def test_no_command_is_a_mistake(capsys):
    assert main([]) == 2
    assert capsys.readouterr().out.startswith('usage: sssd ')


@pytest.mark.parametrize(
    'word, said', [('trian', 'did you mean train?'), ('contact_sheet', 'did you mean contact-sheet?'), ('x', 'study.')]
)
def test_an_unknown_command_is_told_with_the_nearest(capsys, word, said):
    assert main([word]) == 2
    err = capsys.readouterr().err
    assert err.startswith(f'sssd: error: there is no command {word!r}; ') and err.endswith(f'{said}\n')
    assert err.count('\n') == 1


def test_the_version_is_told(capsys):
    assert left(['--version'], capsys)[1].out == f'sssd {sssd.__version__}\n'
    assert left(['--versoin'], capsys)[0] == 2


@pytest.mark.parametrize('name', COMMANDS)
def test_every_command_has_its_help_and_its_name(name, capsys):
    status, said = left([name, '--help'], capsys)
    assert status == 0 and said.out.startswith(f'usage: sssd {name} ')
    with pytest.raises(SystemExit) as caught:  # as tools/ call it
        import_module(f'sssd.cli.{module_of(name)}').main(['--help'])
    assert caught.value.code == 0 and capsys.readouterr() == said
    assert left([name, '--no-such-option'], capsys)[0] == 2


def test_a_mistake_in_a_command_is_one_sentence(capsys):
    assert main(['train', 'no_such_config.py']) == 2
    err = capsys.readouterr().err
    assert err.startswith('sssd: error: config file no_such_config.py does not exist')
    assert err.count('\n') == 1
    assert main(['train', 'no_such_config.py', '--cfg-options', 'lr']) == 2
    assert 'not of the form key=value' in capsys.readouterr().err


def test_what_the_light_parser_repeats_is_what_the_library_has():
    from sssd.cli.arguments import _shared, analyze, init, prepare
    from sssd.datasets.cameras import CAMERAS
    from sssd.datasets.published import DATA_SETS
    from sssd.figures.score_distance import MEASURES
    from sssd.studies.own.plan import PRESETS

    assert tuple(CAMERAS) == _shared.CAMERAS and MEASURES == analyze.MEASURES and PRESETS == init.PRESETS
    assert {name: data.root for name, data in DATA_SETS.items()} == {
        name: root for name, (root, _) in prepare.DATA_SETS.items()
    }


#: Starts as Python's own -m does, for all commands in one process, and tells what is imported in the end.
LIGHT = """
import sys
sys.argv, sys.orig_argv = ['-m'], [*sys.orig_argv[:1], '-m', 'sssd']
from sssd.__main__ import main
from sssd.cli._parser import COMMANDS
for words in ([], ['--help'], ['--version'], ['trian'], ['train'], *([name, '--help'] for name in COMMANDS)):
    try:
        main(words)
    except SystemExit:
        pass
print('imported', *sys.modules)
"""


def in_a_process(repo_root, *words, python=sys.executable, cwd=None):
    """Run Python over this checkout."""
    env = {'PYTHONPATH': str(repo_root), 'PATH': '/usr/bin:/bin'}
    done = subprocess.run(
        [str(python), *map(str, words)], cwd=cwd or repo_root, env=env, text=True, capture_output=True, check=False
    )
    assert 'Traceback' not in done.stderr, done.stderr
    return done


def test_help_and_mistakes_of_all_commands_import_nothing_heavy(repo_root):
    done = in_a_process(repo_root, '-c', LIGHT)
    loaded = set(done.stdout.splitlines()[-1].split())
    assert 'sssd.cli.arguments.train' in loaded and loaded.isdisjoint(HEAVY)


@pytest.mark.parametrize('start', ['-m', 'script'])
def test_both_ways_to_start_it_are_light(repo_root, tmp_path, start):
    """The console script, as pip writes it, lies beside an interpreter that has no packages at all."""
    (tmp_path / 'python').symlink_to(Path(sys.executable).resolve())
    script = tmp_path / 'sssd'
    script.write_text(f'#!{tmp_path}/python\nfrom sssd.__main__ import main\nimport sys\nsys.exit(main())\n')
    words = ['-m', 'sssd'] if start == '-m' else [script]
    done = in_a_process(repo_root, '-X', 'importtime', *words, 'train', '--help', python=tmp_path / 'python')
    loaded = {line.rpartition('|')[2].strip() for line in done.stderr.splitlines()}
    assert done.stdout.startswith('usage: sssd train') and 'sssd.errors' in loaded and loaded.isdisjoint(HEAVY)


#: As :data:`LIGHT`, where neither PyTorch nor the MM stack is installed.
BARE = """
import sys
sys.argv, sys.orig_argv = ['-m'], [*sys.orig_argv[:1], '-m', 'sssd']
sys.modules.update(dict.fromkeys(('torch', 'mmengine', 'mmcv', 'mmdet')))
from sssd.__main__ import main
assert main(['toy', 'drawn', '--num-train', '2', '--num-val', '1', '--num-labeled', '1']) == 0
assert main(['split', 'drawn/train.json', '--count', '1', '--folds', '1']) == 0
assert main(['recapture', 'drawn/val.json', 'drawn/images/val', 'seen']) == 0
assert main(['curves', 'a=nowhere']) == 2
assert main(['shares', 'nowhere']) == 2
sys.exit(main(['train', 'config.py']))
"""


def test_commands_on_files_alone_need_no_stack_and_the_others_say_what_is_missing(repo_root, tmp_path):
    done = in_a_process(repo_root, '-c', BARE, cwd=tmp_path)
    assert done.returncode == 2 and (tmp_path / 'seen').is_dir()
    assert done.stderr.splitlines()[-1].startswith('sssd: error: PyTorch 2 is missing or broken')


@pytest.mark.parametrize(
    'program, words, expected',
    [
        ('-m', ['python', '-m', 'sssd', 'train'], True),
        ('-m', ['python', '-u', '-m', 'sssd', 'train'], True),
        ('-m', ['python', '-m', 'sssd.cli.toy'], False),
        ('-m', ['python', '-m', 'pytest'], False),
        ('-c', ['python', '-c', 'import sssd'], False),
        ('', ['python'], False),
        ('{bin}/sssd', ['python', '{bin}/sssd', 'train'], True),
        ('{bin}/sssd.py', ['python', '{bin}/sssd.py'], False),
        ('elsewhere/sssd', ['python', 'elsewhere/sssd'], False),
        ('links/sssd', ['python', 'links/sssd'], True),
        ('tools/train.py', ['python', 'tools/train.py'], False),
    ],
)
def test_a_process_is_the_command_only_where_that_is_sure(tmp_path, monkeypatch, program, words, expected):
    monkeypatch.chdir(tmp_path)
    scripts = tmp_path / 'venv/bin'
    scripts.mkdir(parents=True)
    (scripts / 'sssd').touch()
    (tmp_path / 'links').mkdir()
    (tmp_path / 'links/sssd').symlink_to(scripts / 'sssd')
    monkeypatch.setattr(sys, 'executable', str(scripts / 'python'))
    monkeypatch.setattr(sys, 'argv', [program.format(bin=scripts)])
    monkeypatch.setattr(sys, 'orig_argv', [word.format(bin=scripts) for word in words])
    assert sssd.is_command() is expected
    import multiprocessing

    monkeypatch.setattr(multiprocessing, 'parent_process', lambda: object())
    assert not sssd.is_command(), 'a worker that multiprocessing has spawned'


def test_the_shell_completes_commands_options_and_choices(capsys):
    for shell in ('bash', 'zsh', 'tcsh'):
        status, said = left(['--print-completion', shell], capsys)
        assert status == 0 and 'contact-sheet' in said.out
    script = left(['--print-completion', 'bash'], capsys)[1].out
    for line, expected in (
        ('sssd tra', 'train'),
        ('sssd contact', 'contact-sheet'),
        ('sssd train --auto', '--auto-scale-lr'),
        ('sssd analyze object', 'object-sizes'),
        ('sssd toy --camera var', 'varied'),
        ('sssd train pypro', 'pyproject.toml'),
    ):
        ask = (
            f'COMP_WORDS=({line}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); compopt() {{ :; }}\n'
            '_shtab_sssd\nprintf "%s\\n" "${COMPREPLY[@]}"'
        )
        done = subprocess.run(['bash', '-c', f'{script}\n{ask}'], capture_output=True, text=True, check=False)
        assert done.stdout.split() == [expected], (line, done.stderr)

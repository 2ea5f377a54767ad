"""A forked command is as one of the real Python, and knows nothing of those before it."""

import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import forked
import pytest
import torch

pytestmark = pytest.mark.skipif(torch.cuda.is_available(), reason='with a GPU nothing is forked')


def run(python, folder, code, *words, **options):
    """Run a script of these lines from a folder with both streams in one pipe."""
    (folder / 'script.py').write_text(f'import os, sys\n{code}\n')
    return subprocess.run(
        [python, 'script.py', *words],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=60,
        check=False,
        **options,
    )


@pytest.mark.parametrize(
    'code',
    [
        'print(sys.argv, __name__, __file__, os.getcwd())',
        'print(sys.path)',
        'os.environ.pop("PWD", ""); print(sorted(os.environ.items()))',  # which the program's shell sets
        'print(sys.stdin.read())',
        'import module; print(module.__file__)',
        'sys.stdout.write("1 "); sys.stderr.write("2 "); os.write(1, b"3 "); print(4)',
        'sys.exit()',
        'sys.exit(3)',
        'sys.exit(-1)',
        'sys.exit("told")',
        'import subprocess; subprocess.run([sys.executable, "-c", "print(1)"]); sys.exit(256)',
        'import subprocess; print(subprocess.run([sys.executable, __file__ + ".py"]).returncode)',
        'import atexit; atexit.register(print, "last"); print("first")',
        'import threading, time; threading.Timer(0.1, print, ["last"]).start(); print("first")',
        'print("first"); os._exit(7)',
        'print("lost", end=""); os.kill(os.getpid(), 9)',
        'os.abort()',
        'os.kill(os.getpid(), 15)',
        'print(os.getsid(0) == os.getpid(), os.getpgid(0) == os.getpid())',
        'import multiprocessing as mp; print(mp.get_start_method(), mp.parent_process())',
    ],
)
def test_as_with_the_real_python(forked_python, tmp_path, code):
    (tmp_path / 'modules').mkdir()
    (tmp_path / 'modules/module.py').touch()
    env = dict(os.environ, PYTHONPATH=f'{tmp_path}/modules{os.pathsep}more', PYTHONUNBUFFERED='1')
    options = dict(env=env, input='a line', start_new_session=True)
    forked, real = (run(python, tmp_path, code, 'a', 'b c', **options) for python in (forked_python, sys.executable))
    assert (forked.returncode, forked.stdout) == (real.returncode, real.stdout)


@pytest.mark.parametrize('error', ['ValueError("told")', 'KeyboardInterrupt', 'SyntaxError("x")'])
def test_an_error_is_told_as_python_does(forked_python, tmp_path, error):
    """The lines of the traceback but those above the script, which are of forked.py."""
    found, real = (run(python, tmp_path, f'raise {error}') for python in (forked_python, sys.executable))
    assert found.returncode == real.returncode
    first, *last = real.stdout.splitlines()
    assert found.stdout.splitlines()[0] == first and found.stdout.splitlines()[-len(last) :] == last


LEAK = """
import logging, random, signal, warnings
import matplotlib, mmengine, numpy, torch
from mmengine.registry import DefaultScope, MODELS
from mmengine.logging import MMLogger, MessageHub
import sssd
scope = DefaultScope.get_current_instance()
print(scope, MMLogger._instance_dict, MessageHub._instance_dict, torch.initial_seed(), torch.get_default_dtype(),
    torch.is_grad_enabled(), len(warnings.filters), logging.root.level, logging.root.handlers, matplotlib.get_backend(),
    signal.getsignal(signal.SIGTERM), os.environ.get('LEFT'), os.getcwd(), MODELS.get('Left'), sys.modules.get('left'),
    hasattr(sssd, 'left'), os.umask(0o22), sorted(os.listdir('/proc/self/fd')), sorted(logging.root.manager.loggerDict))
DefaultScope.get_instance('mmdet', scope_name='mmdet')
MMLogger.get_instance('left'), MessageHub.get_instance('left')
torch.manual_seed(5), torch.set_default_dtype(torch.float64), torch.set_grad_enabled(False)
warnings.simplefilter('error'), logging.basicConfig(level=10), matplotlib.use('pdf')
signal.signal(signal.SIGTERM, signal.SIG_IGN)
os.environ['LEFT'] = '1'
MODELS.register_module('Left', module=torch.nn.ReLU)
sys.modules['left'] = sssd.left = os.umask(0o77)
os.open('script.py', 0), os.chdir('/')
"""


def test_nothing_is_left_of_a_command_for_the_next(forked_python, tmp_path):
    first, second = (run(forked_python, tmp_path, LEAK) for _ in range(2))
    assert first.returncode == 0 and first.stdout == second.stdout
    assert first.stdout.startswith('None ') and f' None {tmp_path} None None False 18 ' in first.stdout


def test_what_is_not_seeded_differs(forked_python, tmp_path):
    code = 'import random, numpy, uuid; print(random.random()); print(numpy.random.rand()); print(uuid.uuid4())'
    first, second = (run(forked_python, tmp_path, code).stdout.splitlines() for _ in range(2))
    assert len(first) == 3 and not set(first) & set(second)


@pytest.mark.parametrize(
    'words, expected',
    [
        (['-m', 'sssd', 'train'], True),
        (['-m', 'sssd.cli.train'], True),
        (['tools/train.py', '--help'], True),
        (['tools/gone.py'], False),
        (['-m', 'sssdx'], False),
        (['-m', 'torch.distributed.run', 'tools/train.py'], False),
        (['-c', 'import sssd', 'tools/train.py'], False),
        (['-X', 'importtime', '-m', 'sssd'], False),
        (['-u', 'tools/train.py'], True),
        (['-u'], False),
        ([], False),
    ],
)
def test_what_is_forked(words, expected, repo_root, monkeypatch):
    monkeypatch.chdir(repo_root)
    assert forked.is_forked(words) is expected


def test_all_is_loaded_and_the_real_python_starts_bare(forked_python, tmp_path):
    tell = 'import sys; print([name in sys.modules for name in ("torch", "mmdet.models", "sssd.cli.train")])'
    assert run(forked_python, tmp_path, tell).stdout == '[True, True, True]\n'
    bare = subprocess.run([forked_python, '-c', tell], capture_output=True, text=True, cwd=tmp_path, check=True)
    assert bare.stdout == '[False, False, False]\n'


def test_a_module_is_run_from_its_folder_with_its_words(forked_python, tmp_path):
    done = subprocess.run(
        [forked_python, '-m', 'sssd', 'toy', '--nothing'], capture_output=True, text=True, cwd=tmp_path
    )
    assert done.returncode == 2 and 'unrecognized arguments: --nothing' in done.stderr and done.stdout == ''
    words = ['toy', 'drawn', '--num-train', '2', '--num-val', '1', '--num-labeled', '1']
    done = subprocess.run([forked_python, '-m', 'sssd', *words], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0 and (tmp_path / 'drawn/labeled.json').is_file(), done.stderr


def wait_for(condition):
    """Wait some seconds at most until something is true."""
    for _ in range(200):
        if condition():
            return True
        time.sleep(0.05)
    return False


def is_running(pid):
    """Whether there is a process that is not only waiting to be waited for."""
    try:
        return Path(f'/proc/{pid}/stat').read_text().rpartition(')')[2].split()[0] != 'Z'
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_two_commands_run_at_a_time(forked_python, tmp_path):
    code = 'import time\nopen(sys.argv[1], "w").close()\nwhile not os.path.exists(sys.argv[2]): time.sleep(0.01)'
    (tmp_path / 'script.py').write_text(f'import os, sys\n{code}')
    both = [subprocess.Popen([forked_python, 'script.py', *words], cwd=tmp_path) for words in ('ab', 'ba')]
    assert [one.wait(timeout=60) for one in both] == [0, 0]


@pytest.mark.parametrize('end, status', [('terminate', -15), ('kill', -9)])
def test_a_command_and_its_workers_end_with_the_program(forked_python, tmp_path, end, status):
    code = 'import subprocess, time\nworker = subprocess.Popen(["sleep", "60"])\n'
    code += 'open("new", "w").write(f"{os.getpid()} {worker.pid}")\nos.rename("new", "pids")\ntime.sleep(60)'
    (tmp_path / 'script.py').write_text(f'import os\n{code}')
    program = subprocess.Popen([forked_python, 'script.py'], cwd=tmp_path)
    assert wait_for((tmp_path / 'pids').exists)
    pids = [int(pid) for pid in (tmp_path / 'pids').read_text().split()]
    assert all(is_running(pid) for pid in pids)
    getattr(program, end)()
    assert program.wait(timeout=60) == status
    assert wait_for(lambda: not any(is_running(pid) for pid in pids))


def test_a_training_step_is_that_of_the_real_python(forked_python, tmp_path):
    """Gradients, a worker that loads data, and a generator in a fork of a fork."""
    seed = random.randrange(1000)
    code = f"""
import torch
torch.manual_seed({seed})
model = torch.nn.Conv2d(3, 4, 3)
loader = torch.utils.data.DataLoader([torch.full((3, 8, 8), float(i)) for i in range(4)], 2, True, num_workers=1)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for batch in loader:
    model(batch).square().mean().backward()
    optimizer.step()
print(model.bias.tolist())
"""
    found, real = (run(python, tmp_path, code) for python in (forked_python, sys.executable))
    assert found.returncode == 0 and found.stdout == real.stdout


def test_it_ends_beside_a_process_that_holds_its_stdin(repo_root):
    with tempfile.TemporaryDirectory(prefix='sssd') as folder:  # a short name, which tmp_path is not
        _, server = forked.start(folder, repo_root)
        left_behind = os.fork()  # as a data loader's worker is, it has all that is open
        if left_behind == 0:
            time.sleep(60)
            os._exit(0)
        try:
            forked.stop(server)
            assert server.poll() is not None
        finally:
            os.kill(left_behind, signal.SIGKILL)
            os.waitpid(left_behind, 0)

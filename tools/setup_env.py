#!/usr/bin/env python3
"""Build the virtual environment that `make env` promises.

Standard library only, and no syntax newer than Python 3.6, so that a Python
that is too old can still say so.  The versions stand in constraints.txt.
torch is installed first and by its exact version; mmcv's operators are then
compiled against it, which takes minutes and is shown as one line of progress.
"""

import os
import platform
import queue
import re
import shutil
import subprocess
import sys
import sysconfig
import threading
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
CONSTRAINTS = os.path.join(ROOT, 'constraints.txt')
MIN_PYTHON = (3, 10)
NINJA_STEP = re.compile(r'\[(\d+)/(\d+)\]')
BUILDING = re.compile(r"building '.+' extension")
TAIL_LINES = 40
CHECK_IMPORTS = (
    'import torch, mmengine, mmcv, mmcv.ops, mmdet; '
    'print("torch", torch.__version__, "| mmengine", mmengine.__version__, '
    '"| mmcv", mmcv.__version__, "| mmdet", mmdet.__version__)'
)


class SetupError(Exception):
    """Something the user has to mend; the message is one sentence."""


def check_python():
    """Refuse a Python that is too old or lacks the venv module."""
    if sys.version_info < MIN_PYTHON:
        raise SetupError(
            'Python %s is too old: sssd needs %d.%d or newer, so install one and run '
            '`make env PYTHON=/path/to/python3`.' % ((platform.python_version(),) + MIN_PYTHON)
        )
    try:
        import ensurepip  # noqa: F401
        import venv  # noqa: F401
    except ImportError:
        raise SetupError(
            'this Python (%s) has no venv module: install it (Debian and Ubuntu: '
            '`apt-get install python3-venv`) and run `make env` again.' % sys.executable
        ) from None


def check_compiler():
    """Refuse a machine that cannot compile mmcv's operators."""
    candidates = [os.environ.get('CXX', '').split(' ')[0], 'c++', 'g++', 'clang++']
    if not any(name and shutil.which(name) for name in candidates):
        raise SetupError(
            "no C++ compiler was found, and mmcv's operators are compiled here: install one "
            '(Debian and Ubuntu: `apt-get install g++`) or name it in CXX.'
        )
    include = sysconfig.get_paths()['include']
    if not os.path.isfile(os.path.join(include, 'Python.h')):
        raise SetupError(
            "Python's headers are missing (no Python.h in %s), and mmcv's operators need them: "
            'install them (Debian and Ubuntu: `apt-get install python3-dev`).' % include
        )


def pinned(name):
    """The requirement ``name==version`` as constraints.txt pins it."""
    with open(CONSTRAINTS) as lines:
        for line in lines:
            requirement = line.split('#')[0].split(';')[0].strip()
            if requirement.split('==')[0].strip() == name:
                return requirement
    raise SetupError('constraints.txt pins no version of %s: add a line `%s==<version>`.' % (name, name))


def installed(python, requirement):
    """Whether ``name==version`` is what the environment already has."""
    name, version = requirement.split('==')
    code = 'import importlib.metadata as m; print(m.version(%r))' % name
    result = subprocess.run(
        [python, '-c', code], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, universal_newlines=True
    )
    return result.stdout.strip().split('+')[0] == version


def cores():
    """How many cores this process may use; a container or `taskset` may leave it fewer than there are."""
    if hasattr(os, 'sched_getaffinity'):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def clock(seconds):
    """Seconds as ``m:ss``."""
    return '%d:%02d' % divmod(int(seconds), 60)


class Progress:
    """One line that says how far a step is; plain lines where no terminal is."""

    def __init__(self, title):
        self.title = title
        self.start = self.last_print = time.time()
        self.compile_start = None
        self.done = self.total = 0
        self.tty = sys.stdout.isatty()
        self.every = 1.0 if self.tty else 30.0

    def feed(self, line):
        """Take one line of the step's output."""
        match = NINJA_STEP.search(line)
        if self.compile_start is None and (match or BUILDING.search(line)):
            self.compile_start = time.time()
        if match:
            self.done, self.total = int(match.group(1)), int(match.group(2))

    def text(self):
        """The line as it stands now."""
        elapsed = time.time() - self.start
        text = '%s: %s' % (self.title, clock(elapsed))
        if self.total:
            compiling = time.time() - self.compile_start
            left = compiling / max(self.done, 1) * (self.total - self.done)
            text += ' elapsed, compiled %d of %d (%d %%), about %s left' % (
                self.done,
                self.total,
                100 * self.done // self.total,
                clock(left),
            )
        elif self.compile_start is not None:
            text += ' elapsed, compiling; how many files and how long is told after the first'
        return text

    def tick(self):
        """Print the line when it is due."""
        if time.time() - self.last_print < self.every:
            return
        self.last_print = time.time()
        self._write(self.text(), end=not self.tty)

    def finish(self, word):
        """Print the last line: ``word`` and the time it took."""
        compiled = ', %d files compiled' % self.done if self.total else ''
        self._write('%s: %s (%s%s)' % (self.title, word, clock(time.time() - self.start), compiled), end=True)

    def _write(self, text, end):
        text = '  ' + text
        if self.tty:
            text = '\r' + text.ljust(shutil.get_terminal_size().columns - 1)
        sys.stdout.write(text + ('\n' if end else ''))
        sys.stdout.flush()


def run_step(title, command, log_path, env=None):
    """Run a command, show its progress, keep its output in a log.

    Raises:
        SetupError: When the command fails; the tail of its output is printed.
    """
    progress, tail = Progress(title), []
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        universal_newlines=True,
        errors='replace',
        env=env,
        cwd=ROOT,
    )
    lines = queue.Queue()

    def read():
        for line in process.stdout:
            lines.put(line)
        lines.put(None)

    threading.Thread(target=read, daemon=True).start()
    with open(log_path, 'a') as log:
        log.write('\n$ %s\n' % ' '.join(command))
        while True:
            try:
                line = lines.get(timeout=1)
            except queue.Empty:
                progress.tick()
                continue
            if line is None:
                break
            log.write(line)
            log.flush()
            tail = (tail + [line])[-TAIL_LINES:]
            progress.feed(line)
            progress.tick()
    if process.wait() != 0:
        progress.finish('FAILED')
        sys.stderr.write(''.join(tail))
        raise SetupError(
            'the step "%s" failed: its last lines are above, all of them in %s.'
            % (title, os.path.relpath(log_path, ROOT))
        )
    progress.finish('done')


def make_venv(path):
    """The environment's Python; the environment is made, or made anew if broken."""
    python = os.path.join(path, 'bin', 'python')
    works = (
        os.path.exists(python)
        and subprocess.call([python, '-m', 'pip', '--version'], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        == 0
    )
    if not works:
        if os.path.exists(path) and not os.path.exists(os.path.join(path, 'pyvenv.cfg')):
            raise SetupError(
                '%s exists and is no virtual environment: move it away, or name '
                'another folder with `make env VENV=<folder>`.' % path
            )
        check_python()
        check_compiler()
        shutil.rmtree(path, ignore_errors=True)
        subprocess.check_call([sys.executable, '-m', 'venv', path])
    return python


def install(python, log_path, stack_only=False):
    """Install the stack in the one order that works, then sssd, unless ``stack_only``."""
    env = dict(os.environ, MMCV_WITH_OPS='1')
    env.setdefault('MAX_JOBS', str(cores()))
    env.pop('PYTHONPATH', None)
    # torch looks for ninja on PATH; without it one file is compiled after the other, and no progress is told.
    env['PATH'] = os.path.dirname(os.path.abspath(python)) + os.pathsep + env.get('PATH', os.defpath)
    pip = [python, '-m', 'pip', 'install', '--disable-pip-version-check', '-c', CONSTRAINTS]

    def step(title, *args):
        run_step(title, pip + list(args), log_path, env)

    step('build tools', '--upgrade', 'pip', 'setuptools', 'wheel', 'ninja', 'psutil')
    step(pinned('torch'), pinned('torch'))
    step(pinned('onedl-mmengine'), pinned('onedl-mmengine'))
    mmcv = pinned('onedl-mmcv')
    if not installed(python, mmcv):
        check_compiler()
        print(
            '  %s comes next; unless pip has it in its cache it is compiled, which takes about '
            'ten minutes on two free cores. It may be stopped: `make env` begins this step anew.' % mmcv
        )
    step(mmcv, '-v', '--no-build-isolation', mmcv)
    mmdet = pinned('onedl-mmdetection')
    step(mmdet, '--no-build-isolation', mmdet)
    if not stack_only:
        step('sssd and its tools', '--no-build-isolation', '-e', '.[dev]')
    run_step('check that all of it imports', [python, '-c', CHECK_IMPORTS], log_path, env)


def main():
    """Build the environment in the folder named on the command line; ``--stack-only`` leaves sssd out."""
    folders = [argument for argument in sys.argv[1:] if argument != '--stack-only']
    try:
        check_python()
        path = os.path.abspath(folders[0] if folders else os.path.join(ROOT, '.venv'))
        print('environment: %s' % os.path.relpath(path))
        python = make_venv(path)
        log_path = os.path.join(path, 'setup.log')
        open(log_path, 'w').close()
        install(python, log_path, stack_only='--stack-only' in sys.argv)
    except SetupError as error:
        sys.stderr.write('error: %s\n' % error)
        return 1
    except KeyboardInterrupt:
        sys.stderr.write('\nstopped; `make env` goes on where it was.\n')
        return 130
    return 0


if __name__ == '__main__':
    sys.exit(main())

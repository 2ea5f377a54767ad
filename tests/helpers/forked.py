"""A Python that has everything loaded: each command runs in a process forked from one that imported torch and mmdet.

Python's start and the imports of a command take seconds, a training of two iterations less.  So one process imports
them, runs nothing, and forks for each command.  :func:`start` gives a program that takes the place of ``python``::

    python, server = start(folder, repo_root)
    subprocess.run([python, '-m', 'sssd', 'train', ...], cwd=..., env=..., capture_output=True)

The command runs in a process and a session of its own, with the folder, the environment (``PYTHONPATH`` as well), the
streams and the exit status or signal that it would have with ``python``.  SIGTERM and SIGINT reach it, and it is killed
when the program is.  What it starts as ``sys.executable`` is forked, too.  Only ``-m sssd``, its submodules and scripts
(``FILE.py``), with or without ``-u``, are; anything else (``-c``, ``-X``, ``-m torch.distributed.run``) the program
hands to the real Python.

A test needs the real Python, ``sys.executable``, where it is about what is left out here: the start and what it imports
(``sssd --help`` is quick, a package is missing), another sssd than the checkout's (the wheel), parents and process
groups (launchers and what they kill, Ctrl-C), or a GPU, as CUDA does not live through a fork.
"""

import os
import signal
import socket
import sys

#: What commands import beside sssd, some of it late: torch._dynamo comes with the first optimizer.
LOADED = (
    'matplotlib.pyplot',
    'mmdet.apis',
    'mmdet.datasets',
    'mmdet.engine',
    'mmdet.evaluation',
    'mmdet.models',
    'mmdet.visualization',
    'torch._dynamo',
    'torch.utils.tensorboard',
)


def start(folder, repo_root):
    """Start the process that has everything loaded.

    Args:
        folder: An empty folder with a short name: the address of a socket has at most 107 bytes.
        repo_root: The checkout whose sssd is loaded.

    Returns:
        The path of the program in Python's place, and the process, for :func:`stop`.
    """
    import subprocess

    program, address = os.path.join(folder, 'python'), os.path.join(folder, 'socket')
    with open(program, 'w') as file:
        file.write(f'#!/bin/sh\nexec "{sys.executable}" -I -S "{os.path.abspath(__file__)}" "{address}" "$@"\n')
    os.chmod(program, 0o755)
    paths = [str(repo_root), *filter(None, [os.environ.get('PYTHONPATH')])]
    server = subprocess.Popen(
        [sys.executable, __file__, '--serve', address, program],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,
        env=dict(os.environ, PYTHONPATH=os.pathsep.join(paths)),
    )
    if b'ready\n' not in server.stdout:  # an import may print something before
        raise RuntimeError(f'the process that has everything loaded ended with status {server.wait()}')
    return program, server


def stop(server):
    """End the process that has everything loaded, also when somebody else has its stdin open.

    Processes that a test left behind, a data loader's workers say, are forks that hold all that was open.
    """
    server.terminate()
    server.wait(timeout=30)
    server.stdin.close()
    server.stdout.close()


# The program in Python's place.  It starts each time, so it imports little.


def is_forked(words):
    """Whether these words after ``python`` are for a fork."""
    words = words[1:] if words[:1] == ['-u'] else words
    module = words[1] if words[:1] == ['-m'] and len(words) > 1 else ''
    return module.split('.')[0] == 'sssd' or bool(words) and words[0].endswith('.py') and os.path.isfile(words[0])


def ask(address, words):
    """Have a command run, and end as it ends."""
    import json

    request = json.dumps(dict(words=words, cwd=os.getcwd(), env=dict(os.environ))).encode()
    with socket.socket(socket.AF_UNIX) as server:
        server.connect(address)
        socket.send_fds(server, [len(request).to_bytes(4, 'big')], [0, 1, 2])
        server.sendall(request)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda number, frame: server.sendall(bytes([number])))
        status = int(server.recv(16) or -signal.SIGKILL)
    if status >= 0:
        os._exit(status)
    if status != -signal.SIGKILL:
        signal.signal(-status, signal.SIG_DFL)
    os.kill(os.getpid(), -status)


# The process that has everything loaded, and those that it forks.


def load():
    """Import all that commands need."""
    import gc
    import importlib
    import pkgutil

    for name in LOADED:
        importlib.import_module(name)
    sssd = importlib.import_module('sssd')
    for module in pkgutil.walk_packages(sssd.__path__, 'sssd.'):
        if not module.name.endswith('__main__'):
            importlib.import_module(module.name)
    gc.collect()
    gc.freeze()
    if len(os.listdir('/proc/self/task')) > 1:
        sys.exit('forked.py: an import has started a thread, which a fork would not have')


def serve(address):
    """Fork for every command that is asked for until stdin is closed; returns the command, in its process alone."""
    import select

    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(address)
        listener.listen()
        load()
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for those that watch
        os.write(1, b'ready\n')
        while True:
            ready, _, _ = select.select([listener, 0], [], [])
            if 0 in ready:
                os._exit(0)
            connection, _ = listener.accept()
            with connection:
                if os.fork() == 0:
                    listener.close()
                    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                    return watched(connection)


def watched(connection):
    """Take a request, start a process for it and watch that to its end; returns the request, in that process alone."""
    import json

    size, streams, _, _ = socket.recv_fds(connection, 4, 3)
    request = json.loads(connection.recv(int.from_bytes(size, 'big'), socket.MSG_WAITALL))
    child = os.fork()
    if child == 0:
        os.setsid()
        for number, stream in enumerate(streams):
            os.dup2(stream, number)
    for stream in streams:
        os.close(stream)
    if child == 0:
        return request
    watch(child, connection)
    os._exit(0)


def watch(child, connection):
    """Hand signals on to a process, kill it when nobody waits any more, tell how it ended."""
    import contextlib
    import select

    end = os.pidfd_open(child)
    with contextlib.suppress(OSError):  # what is gone needs no signal, who is gone no answer
        while end not in select.select([end, connection], [], [])[0]:
            wanted = connection.recv(1)
            if not wanted:
                os.killpg(child, signal.SIGKILL)
                break
            os.killpg(child, wanted[0])
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    with contextlib.suppress(OSError):
        connection.sendall(str(status).encode())


def run(words, cwd, env):
    """Be ``python WORDS`` in a folder and an environment."""
    import random
    import runpy

    import numpy

    global status
    if words[0] == '-u' or env.get('PYTHONUNBUFFERED'):
        sys.stdout.reconfigure(write_through=True)
    words = words[1:] if words[0] == '-u' else words
    ours = [sys.path[0], *os.environ.get('PYTHONPATH', '').split(os.pathsep)]
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(env)
    first = cwd if words[0] == '-m' else os.path.dirname(os.path.realpath(words[0]))
    paths = map(os.path.abspath, filter(None, env.get('PYTHONPATH', '').split(os.pathsep)))
    sys.path[:] = [first, *paths, *(path for path in sys.path if path not in ours)]
    sys.argv[:] = words[1:] if words[0] == '-m' else words
    random.seed()
    numpy.random.seed()
    try:
        if words[0] == '-m':
            runpy.run_module(words[1], run_name='__main__', alter_sys=True)
        else:
            run_script(os.path.abspath(words[0]))
        status = 0
    except SystemExit as end:
        status = 0 if end.code is None else end.code if isinstance(end.code, int) else 1
        raise
    except Exception:
        status = 1
        raise


def run_script(path):
    """What ``runpy.run_path`` does, but that the module stays, for what is called at exit."""
    import types

    module = sys.modules['__main__'] = types.ModuleType('__main__')
    module.__file__ = path
    with open(path, 'rb') as file:
        exec(compile(file.read(), path, 'exec'), vars(module))


#: With what a command ended; None while it runs, and where Python itself knows what to do.
status = None


def leave():
    """End a command when Python has told an error, waited for threads and called all that is to be called at exit.

    What it would do next, to take thousands of modules apart, takes longer than most commands.
    """
    if status is not None:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status & 0xFF)


if __name__ == '__main__':
    if sys.argv[1] == '--serve':
        import atexit

        atexit.register(leave)  # the first that is registered is the last that is called
        sys.executable = sys.argv[3]
        run(**serve(sys.argv[2]))
    elif is_forked(sys.argv[2:]):
        ask(sys.argv[1], sys.argv[2:])
    else:
        os.execv(sys.executable, [sys.executable, *sys.argv[2:]])

"""Two nodes with addresses of their own, as two network namespaces of this machine; one is lost while it trains."""

import os
import shutil
import subprocess
import sys
import time

import elastic
import pytest

NODES = ('10.77.13.1', '10.77.13.2')


def ip(*args):
    subprocess.run(['ip', *args], check=True, capture_output=True, text=True)


@pytest.fixture(scope='module')
def nodes():
    """Names of two namespaces that a pair of virtual interfaces joins; skipped where they are not allowed."""
    if shutil.which('ip') is None:
        pytest.skip('two network namespaces need ip (package iproute2), which is not here')
    names = [f'sssd-{os.getpid()}-{number}' for number in range(2)]
    made = []
    try:
        try:
            for name in names:
                ip('netns', 'add', name)
                made.append(name)
            ip('link', 'add', 'cable', 'netns', names[0], 'type', 'veth', 'peer', 'name', 'cable', 'netns', names[1])
            for name, address in zip(names, NODES):
                ip('-n', name, 'addr', 'add', f'{address}/24', 'dev', 'cable')
                for device in ('lo', 'cable'):
                    ip('-n', name, 'link', 'set', device, 'up')
        except subprocess.CalledProcessError as error:
            pytest.skip(f'network namespaces are not allowed here: {error.stderr.strip()}')
        yield names
    finally:
        for name in made:
            ip('netns', 'del', name)


class Node:
    """The launcher of one node, started in its namespace."""

    def __init__(self, namespace, number, script, args, folder, **env):
        settings = dict(
            os.environ,
            PYTHON=sys.executable,
            PYTHONPATH=elastic.write_hook(folder),
            OMP_NUM_THREADS='1',
            CUDA_VISIBLE_DEVICES='-1',
            GLOO_SOCKET_IFNAME='cable',
            NNODES='2',
            MAX_RESTARTS='3',
            RDZV_ENDPOINT=f'{NODES[0]}:29400',
            RDZV_CONF=f'is_host={1 - number},join_timeout=200',
            LOCAL_ADDR=NODES[number],
            MARK=str(folder / 'lost'),
            **env,
        )
        self.log = folder / f'node{number}.log'
        with self.log.open('a') as log:
            self.process = subprocess.Popen(
                ['ip', 'netns', 'exec', namespace, str(script), *map(str, args)],
                cwd=folder,
                env=settings,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def wait(self, seconds):
        """Its exit status."""
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            pytest.fail(f'{self.log.name} did not end:\n{self.text()[-3000:]}')

    def text(self):
        return self.log.read_text()


def kill_all_in(namespace):
    """End what still runs in a namespace."""
    pids = subprocess.run(['ip', 'netns', 'pids', namespace], capture_output=True, text=True, check=True).stdout
    for pid in pids.split():
        try:
            os.kill(int(pid), 9)
        except ProcessLookupError:
            pass


@pytest.mark.slow
def test_a_node_is_lost_and_comes_back(nodes, undisturbed, assert_same_weights, repo_root, tmp_path):
    """The other node waits for it; both go on from the newest checkpoint and end where an undisturbed run ends."""
    script = repo_root / 'tools/dist_train.sh'
    args = [undisturbed.config, '1', '--work-dir', tmp_path / 'cut']
    try:
        first = Node(nodes[0], 0, script, args, tmp_path, LOSE='node')
        time.sleep(8)  # the first to come is rank 0, on a busy machine too
        lost = Node(nodes[1], 1, script, args, tmp_path, LOSE='node')
        assert lost.wait(200) != 0, 'it was killed in the fifth iteration'
        assert (tmp_path / 'lost').exists() and first.process.poll() is None
        again = Node(nodes[1], 1, script, args, tmp_path)
        assert [first.wait(200), again.wait(200)] == [0, 0], first.text()[-3000:] + again.text()[-3000:]
    finally:
        for name in nodes:
            kill_all_in(name)
    log = ''.join(path.read_text() for path in (tmp_path / 'cut').glob('*/*.log'))
    assert 'resumed epoch' in log
    assert_same_weights(tmp_path / 'cut', undisturbed.work_dir)

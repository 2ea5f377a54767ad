"""The tests on each of the two supported stacks, in environments of their own: ``nox -s official``, ``nox -s forks``.

``nox -s official -- tests/cli -k resume`` hands arguments on to pytest; ``-R`` uses the environment as it is.
The first run compiles mmcv's operators, which takes minutes. Where torch should come from another index than PyPI, set
pip's own PIP_EXTRA_INDEX_URL or PIP_FIND_LINKS.
"""

import nox

nox.needs_version = '>=2024.3.2'
nox.options.reuse_existing_virtualenvs = True

#: To each stack its pinned versions, and mmengine, mmcv and mmdet under the names of their distributions.
STACKS = {
    'forks': ('constraints.txt', ('onedl-mmengine', 'onedl-mmcv', 'onedl-mmdetection')),
    'official': ('constraints-official.txt', ('mmengine', 'mmcv', 'mmdet')),
}
#: What depends on the stack: training, checkpoints, resuming, testing, extracting, several processes, heads, figures.
WORKFLOW = (
    'tests/test_compat.py',
    'tests/test_places.py',
    'tests/test_configs.py',
    'tests/test_extending.py',
    'tests/test_schedules.py',
    'tests/test_silence.py',
    'tests/checkpoints',
    'tests/cli',
    'tests/detectors',
    'tests/configs',
    'tests/data',
    'tests/datasets',
    'tests/checks',
    'tests/deploy',
    'tests/evaluation',
    'tests/hooks',
    'tests/views',
    'tests/figures',
    'tests/report',
    'tests/hardware',
    'tests/calibration',
    'tests/packaging',
)
#: One thread per process: the tests start several and the models are tiny.
THREADS = dict.fromkeys(('OMP_NUM_THREADS', 'MKL_NUM_THREADS', 'OPENBLAS_NUM_THREADS'), '1')


def install(session, stack):
    """Install a stack and this checkout in the one order that works: torch before mmcv, which is compiled against it.

    Args:
        session: The nox session.
        stack: A key of :data:`STACKS`.
    """
    constraints, (mmengine, mmcv, mmdet) = STACKS[stack]

    def pip(*words):
        """``pip install`` within the constraints."""
        session.install('-c', constraints, *words, env={'MMCV_WITH_OPS': '1'})

    pip('--upgrade', 'pip', 'setuptools', 'wheel', 'ninja', 'psutil')
    pip('torch')
    pip(mmengine)
    pip('--no-build-isolation', mmcv)
    pip('--no-build-isolation', mmdet)
    pip('--no-build-isolation', '-e', '.[dev]')


def check(session, stack):
    """Run the tests that depend on the stack, or those of the command line, with the stack that was asked for."""
    title = {'forks': 'maintained forks', 'official': 'official releases'}[stack]
    session.run('python', '-c', f'from sssd.compat import check_stack as c; assert c() == {title!r}, c()')
    session.run('python', '-m', 'pytest', '-q', *(session.posargs or WORKFLOW), env=THREADS)


@nox.session
def forks(session):
    """The maintained forks, which `make env` installs as well."""
    install(session, 'forks')
    check(session, 'forks')


@nox.session
def official(session):
    """The official last releases: mmengine 0.10.7, mmcv 2.1.0, mmdet 3.3.0."""
    install(session, 'official')
    check(session, 'official')

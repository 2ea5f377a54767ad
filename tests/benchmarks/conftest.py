"""Scripts of benchmarks/ as modules."""

import importlib.util
import sys

import pytest


@pytest.fixture(scope='session')
def load_benchmark(repo_root):
    """A function that loads ``benchmarks/NAME.py``."""

    folder = str(repo_root / 'benchmarks')  # where Python finds what they share, as when they are run

    def load(name):
        spec = importlib.util.spec_from_file_location(name, repo_root / 'benchmarks' / f'{name}.py')
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    sys.path.insert(0, folder)
    yield load
    sys.path.remove(folder)

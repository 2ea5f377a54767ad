"""Scripts of benchmarks/ as modules."""

import importlib.util

import pytest


@pytest.fixture(scope='session')
def load_benchmark(repo_root):
    """A function that loads ``benchmarks/NAME.py``."""

    def load(name):
        spec = importlib.util.spec_from_file_location(name, repo_root / 'benchmarks' / f'{name}.py')
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    return load

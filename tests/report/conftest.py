"""Scalar files as MMEngine writes them."""

import json

import pytest


@pytest.fixture
def write_log():
    """Write the lines of one start of a run into its work directory."""

    def write(work_dir, start, lines, name='vis_data/scalars.json'):
        path = work_dir / start / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(''.join(json.dumps(line) + '\n' for line in lines))
        return path

    return write

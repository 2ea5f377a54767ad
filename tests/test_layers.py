"""Imports run from detectors down to views, losses and guides, never back."""

import ast

import pytest

#: The floors of the package, the highest first; a part imports from itself and from the floors below it.
FLOORS = (
    {'__main__'},
    {'cli'},
    {'studies'},
    {'calibration'},
    {'deploy'},
    {'report'},
    {'figures'},
    {'checks'},
    {'checkpoints'},
    {'hardware'},
    {'datasets'},
    {'detectors'},
    {'views', 'guides', 'hooks', 'data', 'evaluation'},
    {'losses', 'optim'},
    {'listing'},
    {'schedules', 'places', 'progress', 'provenance', 'locks', 'images', 'silence', 'whole_files'},
    {'registry', 'compat'},
    {'errors'},
)
#: What is used of the package itself, by the command line alone: any other part would import all of it.
ITSELF = {'', '__version__'}
#: Floors are not enough here: parts of training that know nothing of each other.
NARROWER = dict(
    hooks={'schedules', 'errors', 'registry', 'whole_files'},
    data={'listing', 'images', 'errors', 'registry'},
    evaluation={'errors', 'registry'},
    losses={'errors', 'registry'},
    optim={'errors', 'registry'},
    views={'losses', 'errors', 'registry'},
    guides={'losses', 'errors', 'registry'},
)


def allowed(part):
    """The parts of the package that a part may import from, besides itself."""
    level = next(level for level, floor in enumerate(FLOORS) if part in floor)
    return NARROWER.get(part, set().union(*FLOORS[level + 1 :])) | (ITSELF if part in ('__main__', 'cli') else set())


#: Other packages that a part must not import, since it works on tensors or numbers alone.
FORBIDDEN = dict(
    losses={'mmdet', 'mmcv'},
    schedules={'mmdet', 'mmcv', 'torch', 'mmengine'},
    errors={'mmdet', 'mmcv', 'torch', 'mmengine'},
    registry={'mmdet', 'mmcv', 'torch'},
)


def sources(root, part):
    package = root / 'sssd'
    return sorted((package / part).rglob('*.py')) if (package / part).is_dir() else [package / f'{part}.py']


def imported(path, root):
    """Dotted names that a file imports, relative ones resolved, wherever in the file they stand."""
    parents = path.relative_to(root).with_suffix('').parts[:-1]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = '.'.join(parents[: len(parents) + 1 - node.level]) if node.level else ''
            module = '.'.join(filter(None, (base, node.module)))
            yield from ([f'{module}.{alias.name}' for alias in node.names] if module == 'sssd' else [module])


def breaches(root, part):
    """Imports of one part that its layer does not allow."""
    found = []
    for path in sources(root, part):
        for name in imported(path, root):
            top, _, rest = name.partition('.')
            own = rest.split('.')[0]
            if top in FORBIDDEN.get(part, ()) or (top == 'sssd' and own not in allowed(part) | {part}):
                found.append(f'{path.name}: {name}')
    return found


@pytest.mark.parametrize('part', sorted(set().union(*FLOORS)))
def test_imports_run_downwards(part, repo_root):
    assert sources(repo_root, part)
    assert breaches(repo_root, part) == []


def test_every_part_has_its_floor(repo_root):
    found = {path.stem for path in (repo_root / 'sssd').iterdir() if path.suffix == '.py' or path.is_dir()}
    assert found - {'__init__', '.mim', '__pycache__'} == set().union(*FLOORS)


def test_a_breach_is_seen(tmp_path):
    folder = tmp_path / 'sssd' / 'losses'
    folder.mkdir(parents=True)
    (folder / 'bad.py').write_text(
        'import torch\nfrom sssd import views\nfrom ..detectors.sed import SED\nfrom . import fine\n'
        'def late():\n    import mmdet.models\n    from sssd.errors import UserError\n'
    )
    assert breaches(tmp_path, 'losses') == ['bad.py: sssd.views', 'bad.py: sssd.detectors.sed', 'bad.py: mmdet.models']

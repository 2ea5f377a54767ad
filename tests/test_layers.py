"""Imports run from detectors down to views, losses and guides, never back."""
import ast

import pytest

BASE = {'errors', 'registry'}
#: What each part of the package may import from the package, besides itself.
ALLOWED = dict(
    errors=set(), compat=set(), registry=set(), optim=BASE, schedules=BASE, losses=BASE, data=BASE,
    views=BASE | {'losses'}, guides=BASE | {'losses'}, hooks=BASE | {'schedules'},
    detectors=BASE | {'losses', 'views', 'guides'})
#: Other packages that a part must not import, since it works on tensors or numbers alone.
FORBIDDEN = dict(losses={'mmdet', 'mmcv'}, schedules={'mmdet', 'mmcv', 'torch', 'mmengine'},
                 errors={'mmdet', 'mmcv', 'torch', 'mmengine'}, registry={'mmdet', 'mmcv', 'torch'})


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
            base = '.'.join(parents[:len(parents) + 1 - node.level]) if node.level else ''
            module = '.'.join(filter(None, (base, node.module)))
            yield from ([f'{module}.{alias.name}' for alias in node.names] if module == 'sssd' else [module])


def breaches(root, part):
    """Imports of one part that its layer does not allow."""
    found = []
    for path in sources(root, part):
        for name in imported(path, root):
            top, _, rest = name.partition('.')
            own = rest.split('.')[0]
            if top in FORBIDDEN.get(part, ()) or (top == 'sssd' and own not in ALLOWED[part] | {part}):
                found.append(f'{path.name}: {name}')
    return found


@pytest.mark.parametrize('part', sorted(ALLOWED))
def test_imports_run_downwards(part, repo_root):
    if part == 'guides' and not (repo_root / 'sssd' / part).exists():
        pytest.skip('this checkout has no guides')
    assert sources(repo_root, part)
    assert breaches(repo_root, part) == []


def test_a_breach_is_seen(tmp_path):
    folder = tmp_path / 'sssd' / 'losses'
    folder.mkdir(parents=True)
    (folder / 'bad.py').write_text(
        'import torch\nfrom sssd import views\nfrom ..detectors.sed import SED\nfrom . import fine\n'
        'def late():\n    import mmdet.models\n    from sssd.errors import UserError\n')
    assert breaches(tmp_path, 'losses') == [
        'bad.py: sssd.views', 'bad.py: sssd.detectors.sed', 'bad.py: mmdet.models']

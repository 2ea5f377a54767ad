"""docs/doctor.md explains every kind of finding."""

import ast
import re

#: Which argument of a call is the kind.
PLACES = dict(error=0, warning=0, note=0, add=1, _tell=2)


def kinds_told(folder):
    """The kinds that the checks name where they tell a finding."""
    for path in folder.glob('*.py'):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call):
                name = getattr(node.func, 'attr', getattr(node.func, 'id', None))
                for kind in node.args[PLACES[name] : PLACES[name] + 1] if name in PLACES else ():
                    if isinstance(kind, ast.Constant) and len(node.args) > 2:
                        yield kind.value


def test_every_kind_is_in_the_table(repo_root):
    page = (repo_root / 'docs/doctor.md').read_text()
    explained = set(re.findall('`([a-z0-9-]+)`', ''.join(re.findall(r'^\| (.*?) \|', page, re.M))))
    told = set(kinds_told(repo_root / 'sssd/checks'))
    assert len(told) > 50 and told - explained == set()

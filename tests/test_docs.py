"""The documentation builds as a site without a warning, from this repository alone, and links lead somewhere."""

import os
import re
import subprocess
import sys
from html.parser import HTMLParser

import pytest

pytest.importorskip('mkdocs', reason='mkdocs is not installed')
pytest.importorskip('material', reason='mkdocs-material is not installed')
pytest.importorskip('mkdocstrings', reason='mkdocstrings is not installed')


@pytest.fixture(scope='module')
def site(repo_root, tmp_path_factory):
    out = tmp_path_factory.mktemp('site')
    done = subprocess.run(
        [sys.executable, '-m', 'mkdocs', 'build', '--strict', '--quiet', '--site-dir', out],
        cwd=repo_root,
        env={**os.environ, 'NO_MKDOCS_2_WARNING': '1'},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return out


def test_every_page_is_there(site, repo_root):
    pages = [page.relative_to(repo_root / 'docs') for page in (repo_root / 'docs').rglob('*.md')]
    assert len(pages) > 20
    for page in pages:
        assert (site / page.with_suffix('.html')).is_file()
    assert all((site / f'{name}.html').is_file() for name in ('ARCHITECTURE', 'CONTRIBUTING', 'CHANGELOG'))


def test_the_reference_has_the_docstrings(site):
    assert (
        'Eq. 5' in (site / 'api/losses.html').read_text() and 'EMATeacherHook' in (site / 'api/hooks.html').read_text()
    )


class Targets(HTMLParser):
    """What a page links to, and what it loads."""

    def __init__(self, page):
        super().__init__()
        self.links, self.loaded = [], []
        self.feed(page.read_text())

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        if attrs.get('src') or (tag == 'link' and attrs.get('rel') == 'stylesheet'):
            self.loaded.append(attrs.get('src') or attrs['href'])
        elif attrs.get('href'):
            self.links.append(attrs['href'])


def test_local_links_and_pictures_lead_somewhere_and_nothing_is_fetched(site):
    for page in site.rglob('*.html'):
        if page.name == '404.html':  # whose links are from the root
            continue
        targets = Targets(page)
        assert targets.loaded and not [target for target in targets.loaded if '://' in target], page
        for target in targets.links + targets.loaded:
            path = re.split('[#?]', target)[0]
            if path and '://' not in path and not path.startswith(('mailto:', 'data:')):
                assert (page.parent / path).exists(), f'{page.relative_to(site)}: {target}'

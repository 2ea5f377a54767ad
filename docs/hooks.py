"""MkDocs hooks: the pages at the root of the repository, and links to its files, which a site does not have."""

import re
from pathlib import Path

from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parents[1]
PAGES = ('ARCHITECTURE.md', 'CONTRIBUTING.md', 'CHANGELOG.md')
LINK = re.compile(r'\[([^\]]+)\]\(([^)\s]+)\)')


def on_files(files: Files, config) -> Files:
    """The pages at the root become pages of the site."""
    for name in PAGES:
        files.append(File.generated(config, name, content=(ROOT / name).read_text()))
    return files


def on_page_markdown(markdown: str, page, **_) -> str:
    """Links to pages at the root stay links; those to other files of the repository become their names.

    Raises:
        PluginError: If a link names a file that the repository does not have.
    """
    folder = ROOT if page.file.src_uri in PAGES else ROOT / 'docs' / Path(page.file.src_uri).parent

    def link(found: re.Match) -> str:
        text, target = found.groups()
        path, _, anchor = target.partition('#')
        if not path or '://' in path or path.startswith('mailto:'):
            return found[0]
        file = (folder / path).resolve()
        if not file.is_relative_to(ROOT) or not file.exists():
            raise PluginError(f'{page.file.src_uri}: the link to {path} leads nowhere')
        name = file.relative_to(ROOT).as_posix()
        if name in PAGES or name.startswith('docs/'):
            here = Path(page.file.src_uri).parent
            up = '../' * len(here.parts)
            return f'[{text}]({up}{name.removeprefix("docs/")}{"#" * bool(anchor)}{anchor})'
        return text if name in text else f'{text} (`{name}`)'

    return LINK.sub(link, markdown)

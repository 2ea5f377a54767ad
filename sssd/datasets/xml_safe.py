"""XML of others, read without anything that a document could make the reader do."""

import re
from pathlib import Path
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat

from sssd.errors import UserError

#: Elements in one another; an annotation file has about four.
MAX_DEPTH = 50
#: Bytes of a file; one with a thousand objects has 0.3 MB.
MAX_BYTES = 50_000_000
LINE = '{line}'  # no attribute of a document can have this name
_ENCODING = re.compile(rb"""\s*<\?xml[^>]*?\sencoding\s*=\s*["']([\w.:-]+)["']""", re.ASCII)
#: What programs of Windows mean by these names: more characters than the standards have.
WIDER = {'gb2312': 'gb18030', 'gbk': 'gb18030', 'shift_jis': 'cp932', 'shift-jis': 'cp932', 'euc-kr': 'cp949'}


def parse_xml(path: str | Path) -> Element:
    """The root of an XML file; :func:`line_of` tells where an element stands.

    No entities are declared or expanded, nothing outside of the file is read.

    Raises:
        UserError: Naming file and line, if it is no XML, declares entities, or is deeper or larger than any label.
    """
    path = Path(path)
    content, encoding = _content(path)
    builder, parser, depth = TreeBuilder(), expat.ParserCreate(encoding), 0

    def refuse(*_):
        raise UserError(
            f'{path}, line {parser.CurrentLineNumber}: it declares entities, which no label needs: remove them.'
        )

    def begin(tag, attributes):
        """Begin an element that knows its line, unless it lies too deep."""
        nonlocal depth
        depth += 1
        if depth > MAX_DEPTH:
            raise UserError(f'{path}, line {parser.CurrentLineNumber}: elements are nested too deep for a label.')
        builder.start(tag, {**attributes, LINE: str(parser.CurrentLineNumber)})

    def end(tag):
        nonlocal depth
        depth -= 1
        builder.end(tag)

    parser.EntityDeclHandler = refuse
    parser.StartElementHandler, parser.EndElementHandler, parser.CharacterDataHandler = begin, end, builder.data
    try:
        parser.Parse(content, True)
    except (expat.ExpatError, ValueError, LookupError) as error:
        if isinstance(error, UserError):
            raise
        raise UserError(
            f'{path}, line {parser.CurrentLineNumber}: it is no XML ({error}): export the label again, or take the '
            'file and its image out.'
        ) from error
    return builder.close()


def _content(path: Path) -> tuple[bytes, str | None]:
    """The bytes of a file and their encoding, None if expat sees to it.

    It knows no encoding of several bytes a character but UTF-8 and UTF-16, so text in another one, such as GBK or
    Shift-JIS, is handed over as UTF-8.
    """
    try:
        if not path.is_file() or path.stat().st_size > MAX_BYTES:
            raise UserError(f'{path} is no file, or larger than any label ({MAX_BYTES >> 20} MB): check the path.')
        content = path.read_bytes()
    except OSError as error:
        raise UserError(f'{path} cannot be read ({error.strerror}): check its permissions.') from error
    told = _ENCODING.match(content)
    name = '' if told is None else told[1].decode('ascii').lower()
    if name in ('', 'utf-8') or name.startswith(('utf-16', 'utf_16')):
        return content, None
    try:
        return content.decode(WIDER.get(name, name)).encode(), 'utf-8'
    except LookupError:
        return content, None  # expat has the sentence
    except UnicodeDecodeError as error:
        raise UserError(
            f'{path} says that it is in {name}, but is not ({error.reason} at byte {error.start}): save it as UTF-8.'
        ) from error
    except (UnicodeError, ValueError) as error:
        raise UserError(
            f'{path} says that it is in {name}, which no text is in ({error}): save it as UTF-8.'
        ) from error


def line_of(element: Element) -> int:
    """The line in which an element begins."""
    return int(element.get(LINE))

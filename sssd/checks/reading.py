"""Reading an annotation file for the checks: once, whatever it holds, with all that is wrong in its form."""

import codecs
import json
import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from sssd.checks.findings import Findings, number_of, shown, some
from sssd.checks.table import Table, table_of
from sssd.datasets.coco_form import Fault, faults_of, without
from sssd.datasets.json_io import parse_json, read_bytes
from sssd.errors import UserError
from sssd.progress import say

#: Of a file of so many bytes it is told that it is read.
LONG = 20_000_000
_MARKS = (
    (codecs.BOM_UTF8, 'UTF-8 with a byte-order mark'),
    (codecs.BOM_UTF32_LE, 'UTF-32'),
    (codecs.BOM_UTF32_BE, 'UTF-32'),
    (codecs.BOM_UTF16_LE, 'UTF-16'),
    (codecs.BOM_UTF16_BE, 'UTF-16'),
)


class Files:
    """Annotation files that were read, so that each is read once however many data sets and metrics name it.

    Args:
        findings: Where what is wrong with them goes.
        told: Whether to say on the terminal that a long one is read.
    """

    def __init__(self, findings: Findings, told: bool = False) -> None:
        self.findings, self.told, self._tables = findings, told, {}

    def table(self, path: str, annotations: bool = True, fields: Sequence[str] | None = None) -> Table | None:
        """The table of a COCO file; None if there is nothing that could be looked into, which is a finding then.

        Args:
            path: The file.
            annotations: Whether it has to have annotations.
            fields: What each image has to have; None is all that a data set reads. A file that was read for a data set
                before is taken as it is.
        """
        real = os.path.realpath(path)
        for key in ((real, True, None), (real, annotations, None), (real, annotations, fields)):
            if key in self._tables:
                return self._tables[key]
        self._tables[key] = self._read(path, annotations, fields)
        return self._tables[key]

    def _read(self, path: str, annotations: bool, fields: Sequence[str] | None) -> Table | None:
        try:
            content = read_bytes(path)
            if self.told and len(content) > LONG:
                say(Console(stderr=True), f'reading {shown(path)}: {len(content) / 1e6:.0f} MB')
            coco = parse_json(path, content)
        except UserError as error:
            self.findings.error('unreadable', path, str(error))
            return None
        self._check_encoding(path, content)
        self._look_for_keys_twice(path, content, coco)
        del content
        columns = {}
        faults = list(faults_of(path, coco, annotations, fields, columns))
        for fault in faults:
            self.findings.error('form', path, fault.sentence, max(1, len(fault.positions)), fault.positions)
        if _is_hopeless(faults):
            return None
        return table_of(path, without(coco, faults), None if faults else columns)

    def _check_encoding(self, path: str, content: bytes) -> None:
        """Find another encoding than UTF-8 without a mark, which mmdet and pycocotools read alone."""
        found = next((name for mark, name in _MARKS if content.startswith(mark)), None)
        if found is None and json.detect_encoding(content) != 'utf-8':
            found = json.detect_encoding(content).upper()
        if found:
            self.findings.error(
                'encoding',
                path,
                f'{path} is {found}, which pycocotools does not read: save it as UTF-8 without one, such as by '
                f'`python -c "import json, pathlib; p = pathlib.Path({str(path)!r}); '
                'p.write_text(json.dumps(json.loads(p.read_bytes())))"`.',
            )

    def _look_for_keys_twice(self, path: str, content: bytes, coco) -> None:
        """Find keys that one object has twice, of which Python keeps the last in silence."""
        if not isinstance(coco, dict):
            return
        expected = {key: 1 for key in ('images', 'annotations') if key in coco}
        entries = coco.get('annotations')
        if isinstance(entries, list):
            expected['bbox'] = len(entries)
        if all(content.count(b'"%s"' % key.encode()) <= number for key, number in expected.items()):
            return
        twice = _keys_twice(content)
        if twice:
            number = sum(twice.values())
            self.findings.error(
                'duplicate-key',
                path,
                f'{path} has {number_of(number, "object")} with a key twice ({some([repr(key) for key in twice])}), of '
                'which the last alone counts: leave one of each.',
                number,
                list(twice),
            )


def _is_hopeless(faults: list[Fault]) -> bool:
    """Whether a fault is of the file as a whole."""
    return any(not fault.name for fault in faults)


def _keys_twice(content: bytes) -> Counter:
    """How many objects have a key twice, by the key."""
    twice = Counter()

    def gather(pairs):
        """An object as a dict, its repeated keys counted."""
        counts = Counter(key for key, _ in pairs)
        if len(counts) < len(pairs):
            twice.update(key for key, count in counts.items() if count > 1)
        return dict(pairs)

    json.loads(content, object_pairs_hook=gather)
    return twice


def text_lines(path: str) -> list[str]:
    """Lines of a text file.

    Raises:
        UserError: If it cannot be read or is no text.
    """
    try:
        return Path(path).read_text('utf-8-sig').splitlines()
    except UnicodeDecodeError as error:
        raise UserError(f'{path} is no text in UTF-8: save it as such.') from error
    except OSError as error:
        raise UserError(f'{path} cannot be read ({error.strerror}): permit it, or name another file.') from error

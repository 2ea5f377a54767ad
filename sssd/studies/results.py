"""The results file of a study: read, merge and write without losing a run."""

import json
from collections.abc import Sequence
from pathlib import Path

from sssd.errors import UserError
from sssd.locks import directory_lock
from sssd.whole_files import write_file

#: The name of a study's results file in its work directory.
RESULTS = 'results.json'


class ResultsFile:
    """A JSON file with one entry per (run, seed).

    Every write reads the file again under a lock and replaces it in one
    step, so that several studies may fill the same file at once and a killed
    one leaves it whole.
    """

    def __init__(self, path: str | Path, study: str = '') -> None:
        self.path = Path(path)
        self.study = study

    def entries(self) -> list[dict]:
        """All entries, ordered as they were first written."""
        return self._read()['runs']

    def find(self, run: str, seed: int) -> dict | None:
        """The entry of a run and a seed, or None."""
        for entry in self.entries():
            if (entry['run'], entry['seed']) == (run, seed):
                return entry
        return None

    def put(self, entry: dict, order: Sequence[tuple[str, int]] = ()) -> None:
        """Add an entry, or replace the one of the same run and seed.

        Args:
            entry: The entry.
            order: Runs and seeds in their order: a new entry goes before the first that comes later in it, so that
                runs that end in any order leave the file that they leave one after the other.
        """
        key = (entry['run'], entry['seed'])
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with directory_lock(self.path.parent):
            content = self._read()
            runs = content['runs']
            places = [(old['run'], old['seed']) for old in runs]
            if key in places:
                runs[places.index(key)] = entry
            else:
                later = set(order[order.index(key) + 1 :]) if key in order else set()
                runs.insert(next((i for i, place in enumerate(places) if place in later), len(runs)), entry)
            self._write(content)

    def describe(self, key: str, value) -> None:
        """Say something of the study itself, beside its runs; what is said already is not written again."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with directory_lock(self.path.parent):
            content = self._read()
            if content.get(key) != value:
                self._write(
                    {**{name: content[name] for name in content if name != 'runs'}, key: value, 'runs': content['runs']}
                )

    def described(self, key: str):
        """What is said of the study itself under this key; None if nothing."""
        return self._read().get(key)

    def _read(self) -> dict:
        if self.path.is_dir():
            raise UserError(f'the results file {self.path} is a folder: name a file in it')
        if not self.path.is_file():
            return {'study': self.study, 'format': 1, 'runs': []}
        try:
            content = json.loads(self.path.read_text())
            content['runs']
        except (json.JSONDecodeError, KeyError, TypeError):
            raise UserError(
                f'{self.path} is no results file of a study: move it away or name another with --results'
            ) from None
        return content

    def _write(self, content: dict) -> None:
        write_file(self.path, json.dumps(content, indent=1) + '\n')

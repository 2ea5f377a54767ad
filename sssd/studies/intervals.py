"""What a study's test part says: intervals of every AP, gain and share, from the detections that its runs left."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from sssd.errors import UserError
from sssd.report.bootstrap import LEVEL, Estimate, Truth, draw
from sssd.report.final_tables import TEST
from sssd.report.gains import gains
from sssd.studies.final_test import FinalTest
from sssd.studies.results import ResultsFile

#: The files of detections by run, seed, role and checkpoint.
Files = Mapping[tuple[str, int, str, str], Path]


def summarise(
    test: FinalTest,
    folders: Mapping[tuple[str, int], Path],
    results: ResultsFile,
    compare: Mapping[str, str] | None = None,
) -> str:
    """Write the intervals of a study into its results file, beside its runs.

    Args:
        test: The study's test part.
        folders: The work directories, which have the detections, of the runs and seeds that count.
        results: Its results file; what it says of the same detections already is not computed again.
        compare: The names of the runs ``few`` and ``all``.

    Returns:
        Why they were not computed, or ''.

    Raises:
        UserError: If the runs know different classes.
    """
    entries = {(entry['run'], entry['seed']): entry for entry in results.entries()}
    tested = {
        key: (folder, entries[key]['trials'][TEST])
        for key, folder in folders.items()
        if key in entries and test.is_in(entries[key])
    }
    files = {
        (*key, role, which): work_dir / found['predictions']
        for key, (work_dir, models) in tested.items()
        for role, by_checkpoint in models['models'].items()
        for which, found in by_checkpoint.items()
    }
    gone = [path for path in files.values() if not path.is_file()]
    if gone or not files:
        return f'no intervals: the detections {gone[0]} are gone, run the study where they are' if gone else ''
    known = [models['classes'] for _, models in tested.values()]
    if any(classes != known[0] for classes in known):
        raise UserError(f'the runs of {results.study} know different classes: give their data the same metainfo.')
    settings = dict(resamples=test.resamples, seed=test.seed, level=LEVEL, compare=dict(compare or {}))
    inputs = _fingerprint([test.ann_file, *files.values()], [list(files), settings])
    if (results.described(TEST) or {}).get('inputs') == inputs:
        return ''
    truth = Truth(test.ann_file, known[0])
    found = gains(_estimates(truth, draw(len(truth.images), test.resamples, test.seed), files), compare)
    about = dict(ann_file=test.ann_file, images=len(truth.images), **settings, inputs=inputs)
    about['of'] = {f'{run}, seed {seed}': entries[run, seed]['hash'] for run, seed in tested}
    results.describe(TEST, {**about, 'gains': found})
    return ''


def _estimates(truth: Truth, weights: np.ndarray, files: Files) -> dict:
    """AP of each run, seed and model; a file that stands for the last and for the best one is read once."""
    by_path: dict[Path, Estimate] = {}
    found: dict = {}
    for (run, seed, role, which), path in files.items():
        if path not in by_path:
            by_path[path] = Estimate.of(truth.match(json.loads(path.read_text())), weights)
        found.setdefault(run, {}).setdefault(seed, {})[role, which] = by_path[path]
    return found


def _fingerprint(files: Sequence[str | Path], said: Sequence) -> str:
    digest = hashlib.sha256(json.dumps(said).encode())
    for path in files:
        digest.update(hashlib.sha256(Path(path).read_bytes()).digest())
    return digest.hexdigest()[:16]

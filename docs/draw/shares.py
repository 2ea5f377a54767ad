"""The picture of docs/results.md: from labels alone to all labels, and where the runs between end, study by study."""

import json
from pathlib import Path

import matplotlib.pyplot as plt

from sssd.figures.style import COLOURS, DPI, WIDTH

RESULTS = Path(__file__).resolve().parents[2] / 'benchmarks/results'
#: File, title, and the runs between labels alone and all labels that are drawn.
STUDIES = (
    (
        'photos_bccd_faster_rcnn.json',
        'BCCD, Faster R-CNN\nImageNet features',
        ('sed', 'sed_pseudo', 'pseudo', 'few_longer'),
    ),
    ('photos_bccd_init.json', 'BCCD, what init writes\nImageNet features', ('sed_pseudo',)),
    ('photos_bccd_retinanet_init.json', 'BCCD, RetinaNet, what init writes\nImageNet features', ('sed_pseudo',)),
    ('photos_aquarium_init.json', 'Aquarium, what init writes\nImageNet features', ('sed_pseudo',)),
    ('photos_bccd.json', 'BCCD, RetinaNet\nImageNet features', ('sed', 'pseudo', 'few_longer')),
    ('bccd_retinanet_5p.json', 'BCCD, RetinaNet\nrandom weights', ('sed',)),
    ('quickstart.json', 'toy, RetinaNet\nrandom weights', ('sed',)),
    ('camera_bccd.json', 'BCCD, other cameras\nRetinaNet', ('sed', 'few_strong')),
    ('sizes_toy.json', 'toy, unseen sizes\nRetinaNet', ('sed', 'few_jitter')),
)
NAMES = dict(
    sed='SED',
    pseudo="mmdet's pseudo-labels",
    few_longer='labels alone, as many seconds',
    few_strong='labels alone, the strong view',
    few_jitter='labels alone, a wide jitter',
    sed_pseudo='SED with pseudo-labels',
)


def draw(results: Path = RESULTS):
    """A line for each seed from labels alone (left) to all labels (right), in AP, with the runs between as marks."""
    figure, axes = plt.subplots(figsize=(WIDTH, 7), dpi=DPI, layout='constrained')
    ticks, titles, row, drawn = [], [], 0, set()
    for file, title, between in STUDIES:
        seeds = by_seed(results / file)
        if not seeds:
            continue
        first = row
        for runs in seeds:
            few, all_ = best(runs['few']), best(runs['all'])
            axes.plot([few, all_], [row, row], color='0.75', linewidth=5, solid_capstyle='round', zorder=1)
            for run in between:
                if run in runs:
                    drawn.add(run)
                    axes.scatter(last(runs[run]), row, s=70, color=COLOURS[list(NAMES).index(run)], zorder=2)
            row += 1
        ticks.append((first + row - 1) / 2)
        titles.append(title)
        row += 1
    axes.set_yticks(ticks, titles)
    axes.invert_yaxis()
    axes.set_xlabel('AP: a grey line goes from labels alone to all labels, one for each seed')
    axes.grid(axis='x', color='0.9')
    for place, (run, name) in enumerate(NAMES.items()):
        if run in drawn:
            axes.scatter([], [], s=70, color=COLOURS[place], label=name)
    figure.legend(loc='outside upper center', ncols=3, frameon=False)
    return figure


def by_seed(path: Path) -> list[dict]:
    """The runs of every seed that has both ends, by name; of the test part where it was run."""
    if not path.is_file():
        return []
    seeds: dict = {}
    for run in json.loads(path.read_text())['runs']:
        seeds.setdefault(run['seed'], {})[run['run']] = tested(run)
    return [runs for _, runs in sorted(seeds.items()) if {'few', 'all'} <= set(runs)]


def tested(run: dict) -> dict:
    """AP of student and teacher at the end, in percent: on the test part, or the last evaluation while training."""
    for trial in run.get('trials', {}).values():
        return {part: values['last']['AP'] for part, values in trial['models'].items()}
    return {part: values['AP'] for part, values in run['metrics'].items()}


def best(run: dict) -> float:
    """The better of student and teacher."""
    return max(run.values())


def last(run: dict) -> float:
    """The teacher's, or that of the one model."""
    return run.get('teacher', best(run))

"""The figures of docs/analysis.md, drawn anew from the numbers in benchmarks/results.

That of the sizes needs the objects themselves, the toy set (``python -m sssd toy``), that of the views a checkpoint of
``bccd.py``; what is not there is left out.
"""

import json
import tempfile
from pathlib import Path

from method.png import save, shrink
from PIL import Image

from sssd.cli import views
from sssd.figures.gradients import draw_gradient_shares
from sssd.figures.object_sizes import Resizing, draw_sizes, object_sizes
from sssd.figures.pseudo_labels import draw_recall_precision
from sssd.figures.score_distance import draw_score_distances
from sssd.figures.style import SCALE_LOSS

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / 'benchmarks' / 'results'
#: The titles that ``sssd analyze`` gives, and what draws.
KINDS = {
    'score_distance': (
        r'Scores of an image at two sizes: $X$ and $\hat{X}$, $1/2^s$ of it, $s = 1$',
        draw_score_distances,
    ),
    'pseudo_labels': ('Hard pseudo-labels against the score that they have to reach', draw_recall_precision),
    'gradients': (
        f'Where the gradient of {SCALE_LOSS} comes from, by score distance $g$ ($s = 1$)',
        draw_gradient_shares,
    ),
}
#: Pictures, by the results that they show, and what these are of.
PICTURES = {
    'toy_score_distance_few': 'RetinaNet, labels alone',
    'toy_score_distance_sed': 'RetinaNet, SED',
    'toy_pseudo_labels_faster_rcnn_few': 'Faster R-CNN, labels alone',
    'toy_gradients_few': 'RetinaNet, labels alone',
    'toy_gradients_sed': 'RetinaNet, SED',
}


def main(out: Path, toy: Path, config: Path, checkpoint: str | None) -> None:
    """Draw all of them into a folder; ``toy`` is that of the toy set, config and checkpoint are what the views show."""
    for name, about in PICTURES.items():
        result = result_of(name)
        title, draw = next(kind for part, kind in KINDS.items() if part in name)
        figure = draw(result, title, f'{about}, toy set, {result["part"]}, {result["images"]} images')
        print(f'wrote {save(figure, out / f"{name}.png")}')
    if (toy / 'train.json').is_file():
        print(f'wrote {save(sizes(toy), out / "toy_object_sizes.png")}')
    else:
        print(f'left out: toy_object_sizes.png, for which there is no {toy}; make it with python -m sssd toy')
    if checkpoint is None:
        print('left out: views.png, for which there is no --checkpoint')
        return
    with tempfile.TemporaryDirectory() as folder:
        whole = Path(folder) / 'views.png'
        views.main([str(config), checkpoint, '--images', '2', '--seed', '5', '--out', str(whole)])
        with Image.open(whole) as image:
            print(f'wrote {shrink(image.convert("RGB"), out / "views.png")}')


def sizes(toy: Path):
    """The figure of the sizes."""
    result = result_of('toy_object_sizes')
    pixels, _ = object_sizes(infos_of(toy / 'train.json'), Resizing(tuple(result['scale']), result['keep_ratio']))
    title = r'Sizes of objects, and those that can be foreground in both $X$ and $\hat{X}$, $1/2^s$ of it'
    about = f'toy set, {result["head"]} at IoU {result["pos_iou"]}, {len(pixels)} objects'
    return draw_sizes(result, pixels, title, about)


def result_of(name: str) -> dict:
    """The numbers of an analysis."""
    return json.loads((RESULTS / f'analysis_{name}.json').read_text())['result']


def infos_of(path: Path) -> list[dict]:
    """A COCO file as mmdet's data set knows its images."""
    content = json.loads(path.read_text())
    infos = {image['id']: dict(image, instances=[]) for image in content['images']}
    for item in content['annotations']:
        x, y, width, height = item['bbox']
        infos[item['image_id']]['instances'].append(dict(bbox=[x, y, x + width, y + height]))
    return list(infos.values())

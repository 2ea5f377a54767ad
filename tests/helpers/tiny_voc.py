"""A tiny data set in the shape of VOCdevkit: 2007 labelled and to test on, 2012 unlabelled."""

from pathlib import Path

import numpy as np
from PIL import Image

SIZE = (96, 72)
COLOURS = dict(dog=(220, 40, 40), car=(40, 200, 60), cat=(50, 80, 220))
#: Objects of an image by its name: class, whether it is difficult, 1-based inclusive box. The third image of each set
#: has a difficult object alone, the fourth has none.
TRAINVAL = {
    '000001': [('dog', 0, (11, 11, 50, 40)), ('car', 1, (60, 30, 90, 60))],
    '000002': [('cat', 0, (5, 20, 44, 69)), ('dog', 0, (50, 5, 92, 40))],
    '000003': [('car', 1, (20, 20, 60, 60))],
    '000004': [],
}
TEST = {
    '000011': [('dog', 0, (21, 11, 60, 50)), ('dog', 1, (65, 40, 94, 70))],
    '000012': [('car', 0, (8, 8, 50, 60))],
    '000013': [('dog', 1, (30, 20, 80, 60))],
    '000014': [],
}
UNLABELED = ('2008_000001', '2008_000002', '2008_000003')

XML = """<annotation>
  <folder>VOC2007</folder><filename>{name}.jpg</filename>
  <size><width>{width}</width><height>{height}</height><depth>3</depth></size>
  {objects}
</annotation>
"""
OBJECT = """<object><name>{name}</name><pose>Left</pose><truncated>0</truncated><difficult>{difficult}</difficult>
    <bndbox><xmin>{box[0]}</xmin><ymin>{box[1]}</ymin><xmax>{box[2]}</xmax><ymax>{box[3]}</ymax></bndbox>
    <part><name>head</name><bndbox><xmin>1</xmin><ymin>1</ymin><xmax>9</xmax><ymax>9</ymax></bndbox></part>
  </object>"""


def write_tiny_voc(root):
    """Write the data set below ``root`` and return ``root`` as a path; one image of 2012 is in no list."""
    root = Path(root)
    year07, year12 = root / 'VOC2007', root / 'VOC2012'
    for folder in (
        year07 / 'JPEGImages',
        year07 / 'Annotations',
        year07 / 'ImageSets/Main',
        year12 / 'JPEGImages',
        year12 / 'ImageSets/Main',
    ):
        folder.mkdir(parents=True)
    for objects in (TRAINVAL, TEST):
        for name, things in objects.items():
            _draw(year07 / f'JPEGImages/{name}.jpg', things)
            (year07 / f'Annotations/{name}.xml').write_text(xml_of(name, things))
    for name in (*UNLABELED, '2008_000009'):
        _draw(year12 / f'JPEGImages/{name}.jpg', [('cat', 0, (11, 11, 50, 40))])
    for path, names in (
        (year07 / 'ImageSets/Main/trainval.txt', TRAINVAL),
        (year07 / 'ImageSets/Main/test.txt', TEST),
        (year12 / 'ImageSets/Main/trainval.txt', UNLABELED),
    ):
        path.write_text('\n'.join(names) + '\n')
    return root


def xml_of(name, things):
    """The annotation file of an image."""
    objects = [OBJECT.format(name=kind, difficult=flag, box=box) for kind, flag, box in things]
    return XML.format(name=name, width=SIZE[0], height=SIZE[1], objects='\n  '.join(objects))


def _draw(path, things):
    pixels = np.random.default_rng(0).integers(90, 150, (SIZE[1], SIZE[0], 3), dtype=np.uint8)
    for kind, _, (x1, y1, x2, y2) in things:
        pixels[y1 - 1 : y2, x1 - 1 : x2] = COLOURS[kind]
    Image.fromarray(pixels).save(path)

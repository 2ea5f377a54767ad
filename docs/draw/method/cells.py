r"""What a box covers of a level of the pyramid, by the three rules of the guide (``cells`` of ``LGD``). LGD's public
code takes the cells whose index times the stride lies in the box, the first form of this guide those that it overlaps:
both say where a side is to within a cell. ``share``, no part of LGD, writes a vector by the part of each cell that lies
in the box, from which the heads can tell where its sides are.
"""

import torch
from matplotlib.patches import Rectangle
from mmdet.structures import DetDataSample
from mmengine.structures import InstanceData

from sssd.figures.style import colour, heading, new_figure, styled
from sssd.guides import box_labels
from sssd.guides.cells import RULES, Cells

#: x1 y1 x2 y2 of the box, width and height of the image, and the stride, in pixels.
BOX, SIZE, STRIDE = (39.0, 20.0, 103.0, 73.0), (144, 96), 16
TITLES = dict(index="'index': LGD's public code", overlap="'overlap': the first form", share="'share': parts of cells")


def covered(rule: str) -> torch.Tensor:
    """What part of each cell counts as covered, (h, w)."""
    sample = DetDataSample(metainfo=dict(img_shape=SIZE[::-1]))
    sample.gt_instances = InstanceData(bboxes=torch.tensor([BOX]), labels=torch.zeros(1, dtype=torch.long))
    level = torch.zeros(1, 1, SIZE[1] // STRIDE, SIZE[0] // STRIDE)
    cover = Cells.of([level], [(STRIDE, STRIDE)]).covered(box_labels([sample]), rule)[0].to(torch.float)
    return cover.rows[0, 0, :, None] * cover.columns[0, 0]


def draw():
    """The figure."""
    x1, y1, x2, y2 = BOX
    with styled():
        figure = new_figure(3.4)
        for axes, rule in zip(figure.subplots(1, len(RULES)), RULES, strict=True):
            parts = covered(rule)
            for row, column in parts.nonzero().tolist():
                cell = Rectangle((column * STRIDE, row * STRIDE), STRIDE, STRIDE, color=colour(0), linewidth=0)
                cell.set_alpha(0.75 * float(parts[row, column]))
                axes.add_patch(cell)
            axes.add_patch(Rectangle((x1, y1), x2 - x1, y2 - y1, fill=False, edgecolor=colour(1), linewidth=2))
            axes.set(xlim=(0, SIZE[0]), ylim=(SIZE[1], 0), aspect='equal', title=TITLES[rule])
            axes.set_xticks(range(0, SIZE[0] + 1, STRIDE), [])
            axes.set_yticks(range(0, SIZE[1] + 1, STRIDE), [])
        heading(figure, 'The cells into which the vector of a box is written')
    return figure

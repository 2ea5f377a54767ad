"""A guide of your own: a vector for each class, written into the boxes of that class."""

from mmengine.model import BaseModule
from torch import nn

from sssd.guides.cells import Cells, render
from sssd.registry import MODELS


@MODELS.register_module()
class ClassGuide(BaseModule):
    """The teacher's features are the student's plus, inside every box, a learned vector of the box's class.

    Args:
        channels, num_classes, strides: Of the detector; the guided detector gives all three.
    """

    def __init__(self, channels, num_classes, strides, init_cfg=None) -> None:
        super().__init__(init_cfg=init_cfg)
        self.strides = [stride if isinstance(stride, tuple) else (stride, stride) for stride in strides]
        self.vectors = nn.Embedding(num_classes + 1, channels)  # the last one: no class, as in an image without boxes

    def forward(self, features, labels):
        """Maps of the shapes of ``features``, (n, C, h, w) a level, from these and the images' labels."""
        cells = Cells.of(features, self.strides)
        covered = cells.covered(labels, 'overlap')
        classes = labels.classes % self.vectors.num_embeddings  # NO_CLASS, -1, becomes the last
        vectors = self.vectors(classes)[:, None].expand(-1, len(features), -1, -1)
        written = render(vectors, covered)
        return [level + row.view_as(level) for level, row in zip(features, written)]

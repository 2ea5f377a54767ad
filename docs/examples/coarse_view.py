"""A view of your own: dense rows without those of the finest level, which has most cells and fewest objects."""

from dataclasses import replace

from sssd.registry import VIEWS
from sssd.views.dense import DenseView


@VIEWS.register_module()
class CoarseView(DenseView):
    """As DenseView; rows of the finest level that takes part count as invalid, so no loss sees them."""

    def distill_pair(self, student, teacher):
        """Rows of the student's and the teacher's pass over one geometry (Eq. 3)."""
        return tuple(without_finest(rows) for rows in super().distill_pair(student, teacher))

    def scale_pair(self, full, small, shift):
        """Rows of X and of the smaller X^ that are the same places of the image (Eq. 2)."""
        return tuple(without_finest(rows) for rows in super().scale_pair(full, small, shift))


def without_finest(rows):
    """The rows with the first level of every image invalid; they come image by image, level by level."""
    valid = rows.valid.clone().view(-1, sum(rows.levels))
    valid[:, : rows.levels[0]] = False
    return replace(rows, valid=valid.flatten())

"""The score above which a box of the teacher is a pseudo-label, found from how many objects there should be."""

from collections.abc import Sequence

import torch
from mmengine.dist import all_reduce
from torch import Tensor, nn

#: By how much the score moves if no box is found where as many as wanted should be, and at most, where many more are;
#: over so many steps labelled boxes are averaged.
RATE, MOST, STEPS = 0.01, 0.03, 100


class SureScore(nn.Module):
    """A score in a range with which unlabelled images have a part of the boxes that labelled ones have on average.

    One score does not suit all data: where few labels make an unsure teacher, hardly any box reaches one that is right
    for a sure teacher, and what is not found is not learnt (docs/results.md). As in LabelMatch (Chen et al., CVPR
    2022) the labelled images say how many boxes there should be; here of all classes together, and with a range, so
    that unlabelled images with fewer objects do not make labels of noise. The score begins at its most, and moves with
    every step by 0.01 of what is missing or too much, 0.03 at most, on all ranks alike. It is in the checkpoint.

    Args:
        least: Lowest score.
        most: Highest.
        found: The part of the boxes that is wanted.

    Attributes:
        score: The present score.
        labelled: Boxes of a labelled image, a running mean; 0 before the first step.
    """

    score: Tensor
    labelled: Tensor

    def __init__(self, least: float, most: float, found: float) -> None:
        super().__init__()
        self.least, self.most, self.found = least, most, found
        self.register_buffer('score', torch.tensor(float(most)))
        self.register_buffer('labelled', torch.tensor(0.0))
        self.register_buffer('steps', torch.tensor(0.0))
        self.noted: list[int] = []

    def note(self, found: Sequence[int]) -> None:
        """Keep how many boxes above the score each unlabelled image of this step has."""
        self.noted = list(found)

    @torch.no_grad()
    def update(self, labelled: Sequence[int]) -> Tensor:
        """Move the score by what was noted; every rank calls it in every step, with unlabelled images or without.

        Args:
            labelled: Boxes of each labelled image of the step.

        Returns:
            A copy of the score.
        """
        sums = torch.tensor([float(value) for some in (self.noted, labelled) for value in (sum(some), len(some))])
        sums, self.noted = sums.to(self.score.device, non_blocking=True), []
        all_reduce(sums)
        found, labels = sums[0::2] / sums[1::2].clamp(min=1)
        self.steps += 1
        self.labelled += (labels - self.labelled) / self.steps.clamp(max=STEPS)
        wanted = self.found * self.labelled
        moved = RATE * (found - wanted) / wanted.clamp(min=1e-6)
        self.score += torch.where((wanted > 0) & (sums[1] > 0), moved.clamp(max=MOST), 0.0)
        return self.score.clamp_(self.least, self.most).clone()

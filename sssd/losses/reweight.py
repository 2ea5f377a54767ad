"""Weights that turn per-row divergences into one classification loss: sum_i w_i KL_i (Sec. 3.3, Table 10).

Every class here is called with the divergences, the score distances g and the validity mask, all of shape
(N,), and returns weights (N,) without gradient.
"""

import torch
from mmengine.dist import all_reduce, get_world_size
from torch import Tensor, nn

from sssd.errors import UserError
from sssd.registry import LOSSES


def mean_over_ranks(value: Tensor, sync: bool, floor: float = 0.0) -> Tensor:
    """The mean of ``value`` over ranks if ``sync`` and there are several, else ``value`` itself.

    DDP averages gradients over ranks, so a loss divided by the mean of the ranks' counts becomes, averaged,
    the loss over the whole batch.

    Args:
        value: Counts, none below 0.
        sync: Whether those of all ranks count as one batch.
        floor: Least value of the whole batch's count, the sum over ranks; each rank has its share of it.
    """
    ranks = get_world_size() if sync else 1
    if ranks > 1:
        value = value.clone()
        all_reduce(value, op='mean')
    return value.clamp(min=floor / ranks)


class Reweight(nn.Module):
    """Base of the weights: modules, so that what they remember is in the checkpoint.

    Args:
        sync: Whether counts are taken over all ranks instead of each rank's own rows.
    """

    #: Whether weights are a function of g and the mask alone. Both directions of Eq. 2 then have the same.
    of_distance = False

    def __init__(self, sync: bool = False) -> None:
        super().__init__()
        self.sync = sync

    def forward(self, divergence: Tensor, distance: Tensor, valid: Tensor) -> Tensor:
        """Weights (N,) of the rows; invalid rows get 0."""
        valid = valid.to(divergence.dtype)
        return self.weights(divergence.detach(), distance.detach(), valid)

    def weights(self, divergence: Tensor, distance: Tensor, valid: Tensor) -> Tensor:
        """The plain mean over valid rows (Table 10, "Vanilla")."""
        return valid / mean_over_ranks(valid.sum(), self.sync, floor=1)


@LOSSES.register_module()
class Mean(Reweight):
    """The plain mean over valid rows (Table 10, "Vanilla")."""

    of_distance = True


@LOSSES.register_module()
class Histogram(Reweight):
    """Eq. 5: ``L = 1/M sum_i KL_i / R_idx(g_i)`` over M equal bins of g in [0, 1].

    Each bin that holds a row contributes its mean, whatever its size, so the summed gradient of a bin is
    proportional to its g (Fig. 4).

    Args:
        bins: M.
        momentum: Running average of the counts over calls, as in GHM; 0 takes each batch on its own.
        sync: Whether counts are summed over ranks.
    """

    def __init__(self, bins: int = 30, momentum: float = 0.0, sync: bool = False) -> None:
        super().__init__(sync)
        if bins < 1:
            raise UserError(f'Histogram: bins is {bins}, but Eq. 5 needs at least one; the default is 30.')
        if not 0 <= momentum < 1:
            raise UserError(f'Histogram: momentum is {momentum}, but it must lie in [0, 1); 0 switches it off.')
        self.bins, self.momentum = bins, momentum
        self.of_distance = momentum == 0  # a running average moves with every call
        if momentum > 0:
            self.register_buffer('running', torch.zeros(bins))

    def weights(self, divergence: Tensor, distance: Tensor, valid: Tensor) -> Tensor:
        """Weights (N,) of Eq. 5: ``1 / (M R_idx(g))``."""
        index = (distance * self.bins).long().clamp(0, self.bins - 1)
        counts = mean_over_ranks(valid.new_zeros(self.bins).index_add(0, index, valid), self.sync)
        if self.momentum > 0:
            counts = self._average(counts)
        return valid / (self.bins * counts[index].clamp(min=torch.finfo(counts.dtype).tiny))

    def _average(self, counts: Tensor) -> Tensor:
        """Running counts of the bins in use; a bin that holds no row now keeps its last value."""
        counts = counts.to(self.running)
        old = torch.where(self.running > 0, self.running, counts)
        self.running = torch.where(counts > 0, self.momentum * old + (1 - self.momentum) * counts, old)
        return self.running


@LOSSES.register_module()
class OHEM(Reweight):
    """Online hard example mining: the mean over the rows of largest divergence (Table 10).

    Args:
        ratio: Share of the valid rows that is kept, at least one row.
        sync: Whether the number of kept rows is averaged over ranks.
    """

    def __init__(self, ratio: float = 0.01, sync: bool = False) -> None:
        super().__init__(sync)
        if not 0 < ratio <= 1:
            raise UserError(f'OHEM: ratio is {ratio}, but the share of rows to keep lies in (0, 1].')
        self.ratio = ratio

    def weights(self, divergence: Tensor, distance: Tensor, valid: Tensor) -> Tensor:
        """Weights (N,): 1/k for the k hardest valid rows, 0 for the others."""
        if divergence.numel() == 0:
            return valid
        rank = torch.where(valid > 0, divergence, divergence.new_full((), -1.0)).argsort(descending=True).argsort()
        kept = (rank < (valid.sum() * self.ratio).ceil().clamp(min=1)).to(valid.dtype) * valid
        return kept / mean_over_ranks(kept.sum(), self.sync, floor=1)


@LOSSES.register_module()
class Focal(Reweight):
    """Focal weights ``g ** gamma``, normalised by the mass of the targets' gap (Table 10).

    Args:
        gamma: Exponent; 0 is the plain mean.
        sync: Whether the normaliser is averaged over ranks.
    """

    of_distance = True

    def __init__(self, gamma: float = 2.0, sync: bool = False) -> None:
        super().__init__(sync)
        self.gamma = gamma

    def weights(self, divergence: Tensor, distance: Tensor, valid: Tensor) -> Tensor:
        """Weights (N,): ``g**gamma / sum_i g_i**gamma``."""
        focal = distance.pow(self.gamma) * valid
        return focal / mean_over_ranks(focal.sum(), self.sync, floor=1e-6)

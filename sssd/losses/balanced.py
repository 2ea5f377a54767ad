"""The unsupervised losses with every class counting alike: an alternative to Eq. 5 that keeps scores calibrated."""

from collections.abc import Sequence

import torch
from mmengine.dist import get_world_size
from torch import Tensor

from sssd.errors import UserError
from sssd.losses.distances import SIGMOID, bernoulli_divergence, kl_divergence, probabilities
from sssd.losses.fused import compared_rows, with_gradient
from sssd.losses.reweight import mean_over_ranks
from sssd.losses.soft import SoftLoss, foreground, mean_probability
from sssd.registry import LOSSES


@LOSSES.register_module()
class BalancedSoftLoss(SoftLoss):
    """Eq. 2 and 3 divided by how much there is of each class, instead of Eq. 5 (ours).

    Why: benchmarks/results/diary.md. With the objects of a class counted softly, ``n_c = sum_i p'_ic``, as a running
    mean over calls:

    - sigmoid heads: ``L = 1/K sum_c 1/n_c sum_i KL_ic``, the Bernoulli divergence of row i and class c;
    - softmax heads: ``L = 1/(sum_c n_c) sum_i KL_i``;
    - boxes: ``1/K sum_c 1/n_c sum_i p'_ic || R'_i - R_i ||``, so rows count by their probability of being an object.

    Neither a rare class nor the few foreground rows drown in the many others, as with Eq. 5. Unlike there, no weight
    depends on how far a row's prediction is from its target, so where a target cannot be told from the view the best
    prediction stays its mean. Weights of ``1 / R(g)`` lead to the middle of the targets' range instead: likely
    backgrounds rise, likely objects fall, and a teacher made of such students follows.

    Args:
        momentum: Of the running counts; 0 takes each batch on its own.
        floor: Least count of a class in the whole batch, in rows: keeps one that is hardly seen from ruling the loss.
        sync: Whether counts are averaged over ranks.
        kwargs: ``target``, ``threshold``, ``temperature``, ``box_weight``, ``class_boxes``, ``fused`` of SoftLoss.

    Raises:
        UserError: If momentum or floor are out of range, or options that this loss has no use for are given.
    """

    def __init__(self, momentum: float = 0.9, floor: float = 4.0, sync: bool = False, **kwargs) -> None:
        for key in ('reweight', 'box_rows', 'levels'):
            if key in kwargs:
                raise UserError(f'BalancedSoftLoss: {key} has no meaning here; leave it out, or use SoftLoss.')
        if not 0 <= momentum < 1 or floor <= 0:
            raise UserError(
                f'BalancedSoftLoss: momentum is {momentum} and floor {floor}, but momentum must lie in '
                '[0, 1) and floor above 0.'
            )
        super().__init__(reweight=dict(type='Mean', sync=sync), **kwargs)
        self.momentum, self.floor, self.sync = momentum, floor, sync
        self.register_buffer('running', torch.zeros(0))

    def classification(self, target: Tensor, pred: Tensor, valid: Tensor, activation: str) -> Tensor:
        """Divergence over the soft counts, a scalar; see the class."""
        counts = self.counts(foreground(probabilities(target, activation), activation), valid)
        valid, each = valid.to(counts.dtype), 1 / (counts * len(counts))
        if self.fused:
            rows = compared_rows(target, pred.detach(), activation, classes=each if activation == SIGMOID else None)
            weight = valid if activation == SIGMOID else valid / counts.sum()
            return with_gradient((weight * rows.divergence).sum(), rows.gradient, weight, pred)
        if activation != SIGMOID:
            return (valid * kl_divergence(target, pred, activation)).sum() / counts.sum()
        return (valid[:, None] * bernoulli_divergence(target, pred) * each).sum()

    def both_directions(self, first: Tensor, second: Tensor, valid: Tensor, activation: str) -> Tensor:
        """Both directions, each over the counts of its own target."""
        return self.classification(first.detach(), second, valid, activation) + self.classification(
            second.detach(), first, valid, activation
        )

    def regression(self, target: Tensor, pred: Tensor, logits: Sequence[Tensor], rows) -> Tensor:
        """Mean over classes of the mean distance of a class's boxes, a scalar; counts are those of the scores."""
        distance = self._row_distance(target, pred, logits, rows)
        classes = foreground(mean_probability(logits, rows.activation), rows.activation)
        weight = rows.valid.to(distance.dtype) * (classes / self._divisor()).mean(1)
        return self.box_weight * (weight * distance).sum()

    def counts(self, classes: Tensor, valid: Tensor) -> Tensor:
        """The running counts (K,) after a batch of class probabilities (N, K), not below the floor."""
        fresh = mean_over_ranks((classes * valid[:, None]).sum(0).detach(), self.sync)
        old = self.running if self.running.numel() else torch.zeros_like(fresh)
        if self.running.numel():
            fresh = self.momentum * old + (1 - self.momentum) * fresh
        self.running = torch.where(fresh.isfinite(), fresh, old)  # of a step that is left out nothing stays
        return self._divisor()

    def _divisor(self) -> Tensor:
        """The running counts, not below a rank's share of the floor."""
        return self.running.clamp(min=self.floor / (get_world_size() if self.sync else 1))

    def _load_from_state_dict(self, state_dict, prefix, *args, **kwargs) -> None:
        """Counts are empty until the first batch, so they take the shape of those that are loaded."""
        saved = state_dict.get(prefix + 'running')
        if saved is not None:
            self.running = self.running.new_zeros(saved.shape)
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)

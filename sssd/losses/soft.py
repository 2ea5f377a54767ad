"""The unsupervised losses of SED: scale consistency (Eq. 2) and self-distillation (Eq. 3), re-weighted (Eq. 5)."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn

from sssd.errors import UserError
from sssd.losses.distances import SIGMOID, box_distance, kl_divergence, probabilities, score_distance
from sssd.losses.fused import compared_rows, with_gradient
from sssd.losses.reweight import mean_over_ranks
from sssd.registry import LOSSES

#: Logit of a hard label: its sigmoid is 1 to float precision.
HARD_LOGIT = 30.0


@LOSSES.register_module()
class SoftLoss(nn.Module):
    """Eq. 2 and 3 over rows; every view of a detector has one of its own.

    Args:
        reweight: Config of the weights of the classification part; default :class:`Histogram` with 30 bins.
        target: ``'soft'``, the target's probabilities as they are, or ``'hard'``, its most likely class where that
            scores at least ``threshold`` and background elsewhere, with boxes for these objects alone (Table 4).
        threshold: Score from which a hard target is an object.
        temperature: Divides the logits of a soft distillation target; below 1 it sharpens. 1 as in Eq. 3.
        box_weight: Factor on the regression part; 1 as in the equations.
        box_rows: ``'valid'`` averages the regression part over all valid rows; ``'foreground'`` weights each row
            by the target's probability of being an object, since boxes of background rows were never supervised.
        class_boxes: Which boxes count where every class has its own: ``'probability'`` weights each class's
            distance by the target's probability of the class, ``'argmax'`` takes the likeliest class,
            ``'all'`` one norm over all channels.
        levels: How the levels f of a pyramid are joined; the paper writes both equations for one of them, L^f, and
            says nothing of it. ``'pooled'``: all rows are one set, each part is reduced over it once. ``'sum'``: every
            level has its own classification part, re-weighted by its own rows, and its own mean for boxes, and the
            levels add up. Its gradient has a similar direction as the pooled one and is larger, so another lambda
            goes with it. The rows of a second stage and of queries have no levels.
        fused: Whether the classification part's gradient is made with its value (:mod:`sssd.losses.fused`): the same
            numbers in a fraction of the time and memory. False leaves it to autograd, for second derivatives and for
            ``torch.compile``.

    Raises:
        UserError: If an option is not one of those named, or running counts would be shared by several levels.
    """

    def __init__(
        self,
        reweight: dict | None = None,
        target: str = 'soft',
        threshold: float = 0.7,
        temperature: float = 1.0,
        box_weight: float = 1.0,
        box_rows: str = 'valid',
        class_boxes: str = 'probability',
        levels: str = 'pooled',
        fused: bool = True,
    ) -> None:
        for key, value, known in (
            ('target', target, ('soft', 'hard')),
            ('box_rows', box_rows, ('valid', 'foreground')),
            ('class_boxes', class_boxes, ('probability', 'argmax', 'all')),
            ('levels', levels, ('pooled', 'sum')),
        ):
            if value not in known:
                raise UserError(f'SoftLoss: {key} is {value!r}; use one of {", ".join(known)}.')
        super().__init__()
        self.reweight = LOSSES.build(reweight or dict(type='Histogram'))
        if temperature <= 0:
            raise UserError(f'SoftLoss: temperature is {temperature}, but it divides logits and must be above 0.')
        self.target, self.threshold, self.temperature = target, threshold, temperature
        self.box_weight, self.box_rows, self.class_boxes = box_weight, box_rows, class_boxes
        if levels == 'sum' and getattr(self.reweight, 'momentum', 0) > 0:
            raise UserError(
                "SoftLoss: levels='sum' has counts for every level, but reweight has one running average of them; set "
                "its momentum to 0, or take levels='pooled'."
            )
        self.levels, self.fused = levels, fused

    def distill(self, student, teacher) -> tuple[Tensor, Tensor]:
        """Eq. 3: ``KL(sg P_t || P_s)`` and ``|| sg R_t - R_s ||``.

        Args:
            student: :class:`PredictionView` of the strong view.
            teacher: The teacher's rows of the weak view.

        Returns:
            Classification and regression part, two scalars.
        """
        return added(self._distill(*rows) for rows in self.reduced_together(student, teacher))

    def scale(self, full, small) -> tuple[Tensor, Tensor]:
        """Eq. 2: both directions of the KL, each with a detached target, and ``|| R(X) - R(X^) ||``.

        Args:
            full: Rows of X.
            small: Rows of X^, paired with them.

        Returns:
            Classification and regression part, two scalars.
        """
        return added(self._scale(*rows) for rows in self.reduced_together(full, small))

    def reduced_together(self, first, second) -> list[tuple]:
        """The pair of views as it is, or one pair for each level, as ``levels`` says."""
        if self.levels == 'pooled':
            return [(first, second)]
        return list(zip(first.by_level(), second.by_level(), strict=True))

    def _distill(self, student, teacher) -> tuple[Tensor, Tensor]:
        target, boxed = teacher.logits.detach(), student
        labels = target if self.temperature == 1 else target / self.temperature
        if self.target == 'hard':
            labels = self.hard_labels(target, teacher.activation)
            scores = foreground(probabilities(target, teacher.activation), teacher.activation)
            boxed = replace(student, valid=student.valid & (scores.amax(1) >= self.threshold))
        score = self.classification(labels, student.logits, student.valid, student.activation)
        return score, self.regression(teacher.boxes.detach(), student.boxes, [target], boxed)

    def _scale(self, full, small) -> tuple[Tensor, Tensor]:
        score = self.both_directions(full.logits, small.logits, full.valid, full.activation)
        targets = [full.logits.detach(), small.logits.detach()]
        return score, self.regression(small.boxes, full.boxes, targets, full)

    def classification(self, target: Tensor, pred: Tensor, valid: Tensor, activation: str) -> Tensor:
        """Sum over rows of weight times ``KL(target || pred)``, a scalar; 0 with a graph if there are no rows."""
        if self.fused:
            rows = compared_rows(target, pred.detach(), activation)
            weight = self.reweight(rows.divergence, rows.distance, valid)
            return with_gradient((weight * rows.divergence).sum(), rows.gradient, weight, pred)
        divergence = kl_divergence(target, pred, activation)
        distance = score_distance(target, pred.detach(), activation)
        return (self.reweight(divergence, distance, valid) * divergence).sum()

    def both_directions(self, first: Tensor, second: Tensor, valid: Tensor, activation: str) -> Tensor:
        """``KL(sg first || second) + KL(sg second || first)``, each with its weights, a scalar.

        Where both directions have the same weights, their sum is taken at once.
        """
        if self.fused and self.reweight.of_distance:
            rows = compared_rows(first.detach(), second.detach(), activation, both=True)
            weight = self.reweight(rows.divergence, rows.distance, valid)
            return with_gradient((weight * rows.divergence).sum(), rows.gradient, weight, second, first)
        return self.classification(first.detach(), second, valid, activation) + self.classification(
            second.detach(), first, valid, activation
        )

    def regression(self, target: Tensor, pred: Tensor, logits: Sequence[Tensor], rows) -> Tensor:
        """Mean over rows of the Euclidean distance of boxes, a scalar; never re-weighted by g.

        Args:
            target: Boxes (N, G, 4).
            pred: Boxes (N, G, 4).
            logits: Those (N, C) whose mean probability weighs classes and rows, where an option asks for it.
            rows: The view that tells mask and activation.
        """
        distance, weight = self._row_distance(target, pred, logits, rows), rows.valid.to(pred.dtype)
        if self.box_rows == 'foreground':
            weight = weight * objectness(mean_probability(logits, rows.activation), rows.activation)
        total = mean_over_ranks(weight.sum(), self.reweight.sync, floor=1)
        return self.box_weight * (weight * distance).sum() / total

    def _row_distance(self, target: Tensor, pred: Tensor, logits: Sequence[Tensor], rows) -> Tensor:
        """Boxes (N, G, 4) twice and the logits of :meth:`regression` to (N,)."""
        of_class = rows.class_boxes or pred.shape[1] > 1
        if not of_class or self.class_boxes == 'all':
            return box_distance(target.flatten(1), pred.flatten(1))
        classes = foreground(mean_probability(logits, rows.activation), rows.activation)
        if self.class_boxes == 'argmax':
            classes = torch.zeros_like(classes).scatter(1, classes.argmax(1, keepdim=True), 1.0)
        return (classes * box_distance(target, pred)).sum(1)

    def hard_labels(self, target: Tensor, activation: str) -> Tensor:
        """Logits of the hard target: the likeliest class of rows scoring at least the threshold, else background."""
        probability = foreground(probabilities(target, activation), activation)
        score, label = probability.max(1, keepdim=True)
        is_object = score >= self.threshold
        hard = torch.full_like(target, -HARD_LOGIT)
        if activation == SIGMOID:
            return hard.scatter(1, label, torch.where(is_object, HARD_LOGIT, -HARD_LOGIT).to(hard))
        background = torch.full_like(label, target.shape[1] - 1)
        return hard.scatter(1, torch.where(is_object, label, background), HARD_LOGIT)


def added(terms: Iterable[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
    """Sums of the classification and of the regression parts."""
    scores, boxes = zip(*terms)
    return sum(scores), sum(boxes)


def mean_probability(logits: Sequence[Tensor], activation: str) -> Tensor:
    """The mean of the probabilities of one or two sets of logits (N, C)."""
    return sum(probabilities(some, activation) for some in logits) / len(logits)


def foreground(probability: Tensor, activation: str) -> Tensor:
    """Probabilities of the object classes: all columns of a sigmoid head, all but the last of a softmax."""
    return probability if activation == SIGMOID else probability[:, :-1]


def objectness(probability: Tensor, activation: str) -> Tensor:
    """Probability (N,) that a row is an object: the largest Bernoulli, or one minus background."""
    return probability.amax(1) if activation == SIGMOID else 1 - probability[:, -1]

"""Distances between the feature pyramids of student and label-guided teacher (SSSD, Sec. 2.1).

The functions are pure: maps (n, C, h, w) in, one value per element out, nothing detached.
:class:`FeatureDistance` normalises both sides, detaches the teacher and reduces to a scalar.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from sssd.errors import UserError
from sssd.registry import LOSSES

#: Dimensions of a map (n, C, h, w) that one distribution covers.
SUPPORTS = dict(channels=(1,), space=(2, 3), map=(1, 2, 3))
KINDS, ROOTS = ('mse', 'kl', 'js'), ('element', 'cell', 'level')
#: Below this the Jensen-Shannon contribution of an element is rounding, and its root counts as 0.
TINY = 1e-14
#: Difference of log-probabilities below which the Jensen-Shannon contribution is taken from its series.
CLOSE = 0.4


def instance_normalise(features: Tensor, eps: float = 1e-5) -> Tensor:
    """Mean 0 and variance 1 over the cells of every channel of every image, (n, C, h, w) to the same in float.

    As LGD does before it compares maps. A map of one cell becomes 0.
    """
    variance, mean = torch.var_mean(features.float(), dim=(2, 3), correction=0, keepdim=True)
    return (features.float() - mean) * (variance + eps).rsqrt()


def log_distribution(features: Tensor, over: str) -> Tensor:
    """Logarithm of the softmax over channels, space or the whole map of each image, (n, C, h, w) to the same."""
    return features - features.logsumexp(SUPPORTS[over], keepdim=True)


def mse_elements(teacher: Tensor, student: Tensor) -> Tensor:
    """``(k_e - phi(k))^2`` of every element, LGD's distance."""
    return (teacher - student).square()


def kl_elements(teacher: Tensor, student: Tensor) -> Tensor:
    """What every element adds to ``KL(k_e || phi(k))``, from log-probabilities; single ones may be negative."""
    return teacher.exp() * (teacher - student)


def js_elements(teacher: Tensor, student: Tensor) -> Tensor:
    """What every element adds to ``D_JS = 1/2 KL(k || m) + 1/2 KL(k_e || m)``, ``m = (k + k_e) / 2``.

    From log-probabilities; no element is below 0 (log-sum inequality; rounding is cut off), and the elements of one
    distribution sum to at most ln 2. Where the two are close, their difference would cancel in float and the root
    magnify what is left: there it is ``m/2 (x^2 + x^4/6 + x^6/15 + x^8/28)``, ``x = tanh((log k - log k_e) / 2)``.
    """
    gap, middle = student - teacher, torch.logaddexp(teacher, student) - math.log(2)
    far = (teacher.exp() * (teacher - middle) + student.exp() * (student - middle)).clamp(min=0)
    square = torch.tanh(gap / 2).square()
    near = middle.exp() * square * (1 + square * (1 / 6 + square * (1 / 15 + square / 28)))
    return torch.where(gap.abs() < CLOSE, near, far) / 2


def safe_root(value: Tensor) -> Tensor:
    """Square root whose value and gradient are 0 where the argument is 0 up to rounding."""
    positive = value > TINY
    return torch.where(positive, torch.where(positive, value, 1.0).sqrt(), 0.0)


def js_root_sum(elements: Tensor, over: str, root: str) -> Tensor:
    """The sum of roots of Jensen-Shannon divergences of one level, a scalar.

    Args:
        elements: Contributions (n, C, h, w) from :func:`js_elements`.
        over: What one distribution covers.
        root: ``'element'`` roots every contribution; ``'cell'`` the divergence of every distribution (with
            ``over='channels'`` that is one for each cell); ``'level'`` the mean divergence of the level, counted
            once for each of its distributions, so that it is comparable to the root of each.
    """
    if root == 'element':
        return safe_root(elements).sum()
    divergences = elements.sum(SUPPORTS[over])
    if root == 'cell':
        return safe_root(divergences).sum()
    return safe_root(divergences.mean()) * divergences.numel()


@LOSSES.register_module()
class FeatureDistance(nn.Module):
    """L_distill: a distance of two pyramids, averaged over all N elements of all levels.

    ``mse``: ``1/N sum (k_e - phi(k))^2``. ``kl``: the same sum of ``KL(k_e || phi(k))``. ``js``, the paper's:
    ``1/N sum_p sqrt(D_JS(k^p || k_e^p))``. The paper says neither how maps become distributions nor how fine the
    roots are; the defaults (softmax over the channels of a cell, one root per element) fit its calibration, where
    lambda 75 weighs as LGD's 1. The ``js`` distance lies in [0, sqrt(ln 2)] with every option.

    Args:
        kind: ``'js'``, ``'mse'`` or ``'kl'``.
        over: What one distribution covers: ``'channels'``, ``'space'`` or ``'map'``; unused by ``mse``.
        root: How fine the roots of ``js`` are: ``'element'``, ``'cell'`` or ``'level'``.
        normalise: Whether both sides are instance-normalised first.

    Raises:
        UserError: If an option is not one of those named.
    """

    def __init__(self, kind: str = 'js', over: str = 'channels', root: str = 'element', normalise: bool = True) -> None:
        super().__init__()
        for key, value, known in (('kind', kind, KINDS), ('over', over, SUPPORTS), ('root', root, ROOTS)):
            if value not in known:
                raise UserError(f'FeatureDistance: {key} is {value!r}; use one of {", ".join(known)}.')
        self.kind, self.over, self.root, self.normalise = kind, over, root, normalise

    def forward(self, student: Sequence[Tensor], teacher: Sequence[Tensor]) -> Tensor:
        """Mean distance over all elements, a scalar.

        Args:
            student: Adapted student features phi(k), one (n, C, h, w) for each level.
            teacher: Label-guided features k_e of the same shapes; no gradient reaches them.
        """
        total = sum(self.level_sum(mine, theirs.detach()) for mine, theirs in zip(student, teacher, strict=True))
        return total / sum(features.numel() for features in student)

    def level_sum(self, student: Tensor, teacher: Tensor) -> Tensor:
        """The sum over the elements of one level, in float whatever the precision of the maps."""
        student, teacher = student.float(), teacher.float()
        if self.normalise:
            student, teacher = instance_normalise(student), instance_normalise(teacher)
        if self.kind == 'mse':
            return mse_elements(teacher, student).sum()
        student, teacher = log_distribution(student, self.over), log_distribution(teacher, self.over)
        if self.kind == 'kl':
            return kl_elements(teacher, student).sum()
        return js_root_sum(js_elements(teacher, student), self.over, self.root)

    def extra_repr(self) -> str:
        """The options, for the printed model."""
        return f'{self.kind}, over={self.over}, root={self.root}, normalise={self.normalise}'

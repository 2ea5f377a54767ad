"""Distances between the feature pyramids of student and label-guided teacher (SSSD, Sec. 2.1).

The functions are pure: maps (n, C, h, w) in, one value per element out, nothing detached.
:class:`FeatureDistance` normalises both sides, detaches the teacher and reduces to a scalar.
"""

import math
from collections.abc import Iterator, Sequence
from itertools import product

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sssd.errors import UserError
from sssd.losses.fused import chunk_size, with_gradient
from sssd.registry import LOSSES

#: Dimensions of a map (n, C, h, w) that one distribution covers.
SUPPORTS = dict(channels=(1,), space=(2, 3), map=(1, 2, 3))
#: The same of a map (n, C, K).
FLAT = dict(channels=(1,), space=(2,), map=(1, 2))
KINDS, ROOTS = ('mse', 'kl', 'js'), ('element', 'cell', 'level')
#: Below this the Jensen-Shannon contribution of an element is rounding, and its root counts as 0.
TINY = 1e-14
#: Difference of log-probabilities below which the Jensen-Shannon contribution is taken from its series.
CLOSE = 0.4


def instance_normalise(features: Tensor, eps: float = 1e-5) -> Tensor:
    """Mean 0 and variance 1 over the cells of every channel of every image, (n, C, h, w) to the same in float.

    As LGD does before it compares maps. A map of one cell becomes 0.
    """
    return torch.group_norm(features.float(), features.shape[1], eps=eps)


def log_distribution(features: Tensor, over: str) -> Tensor:
    """Logarithm of the softmax over channels, space or the whole map of each image, (n, C, h, w) to the same."""
    return features - features.logsumexp(SUPPORTS[over], keepdim=True)


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


def js_root_sum_of(student: Tensor, teacher: Tensor, over: str, root: str) -> Tensor:
    """:func:`js_root_sum` of two maps (n, C, h, w), whose gradient in the student's is made with it, chunk by chunk.

    Autograd would keep a dozen maps; this keeps the gradient alone.

    Args:
        student: A map before its softmax, in single precision or more.
        teacher: One of the same shape; no gradient reaches it.
        over: What one distribution covers.
        root: How fine the roots are.
    """
    with torch.no_grad():
        flat = student.detach().flatten(2)
        gradient, total = torch.empty_like(flat), flat.new_zeros(())
        for part in parts(flat.shape, over, chunk_size(flat)):
            total += js_part(flat[part], teacher.flatten(2)[part], over, root, gradient[part])
        weight = torch.full_like(total, 1 / 4)
        if root == 'level':  # the root comes last: until here, value and gradient are those of the sum of divergences
            count = flat.numel() // math.prod(flat.shape[dim] for dim in FLAT[over])
            mean, total = total / count, safe_root(total / count) * count
            weight *= reciprocal_root(4 * mean)
    return with_gradient(total, gradient.view(student.shape), weight, student)


def js_part(student: Tensor, teacher: Tensor, over: str, root: str, gradient: Tensor) -> Tensor:
    """Sum of the roots (for ``'level'`` of the divergences) of whole distributions.

    With ``u = (k_e - k) / (k_e + k)`` an element is ``(k + k_e) / 4`` times ``log(1 - u^2) + 2 u artanh(u)``, which
    does not cancel where u is small; it grows by ``k / 4`` times ``log(1 - u^2) - 2 artanh(u)`` with log k. A softmax
    turns slopes s per log k into gradients ``s - k sum(s)``.

    Args:
        student: A part of a map (n, C, K) before its softmax.
        teacher: The same part of the other.
        over: What one distribution covers.
        root: How fine the roots are.
        gradient: Where 4 times the gradient in the student is written.
    """
    dims = FLAT[over]
    k, other = (distribution(part, dims) for part in (student, teacher))
    both, limit = k + other, 1 - torch.finfo(k.dtype).eps
    u = other.sub_(k).div_(both.clamp(min=torch.finfo(k.dtype).tiny)).clamp_(-limit, limit)
    logarithm, artanh = (u * u).neg_().log1p_(), u.atanh()
    elements = torch.addcmul(logarithm, u, artanh, value=2).mul_(both)  # 4 times each
    slope = logarithm.sub_(artanh, alpha=2).mul_(k)
    if root == 'level':
        value = elements.sum() / 4
    else:
        elements = elements if root == 'element' else elements.sum(dims, keepdim=True)
        reciprocal = reciprocal_root(elements)
        value = elements.flatten().dot(reciprocal.flatten()) / 2
        slope.mul_(reciprocal)
    torch.addcmul(slope, k, slope.sum(dims, keepdim=True), value=-1, out=gradient)
    return value


def distribution(part: Tensor, dims: Sequence[int]) -> Tensor:
    """The softmax of (n, C, K) over some of its dimensions, as a tensor of its own."""
    return part.softmax(dims[0]) if len(dims) == 1 else part.flatten(1).softmax(1).view(part.shape)


def reciprocal_root(value: Tensor) -> Tensor:
    """``1 / sqrt(value)`` of 4 times what :func:`safe_root` is given, and 0 where that is: the derivative of that."""
    return torch.where(value > 4 * TINY, value, math.inf).rsqrt_()


def parts(shape: Sequence[int], over: str, size: int) -> Iterator[tuple[slice, ...]]:
    """Parts of maps (n, C, K) of about ``size`` elements, each of whole distributions."""
    images, channels, cells = shape
    whole = slice(None)
    if over == 'channels':
        for image, start in product(range(images), range(0, cells, step := max(size // channels, 1))):
            yield slice(image, image + 1), whole, slice(start, start + step)
    elif over == 'space':
        for image, start in product(range(images), range(0, channels, step := max(size // cells, 1))):
            yield slice(image, image + 1), slice(start, start + step), whole
    else:
        yield from ((slice(image, image + 1), whole, whole) for image in range(images))


@LOSSES.register_module()
class FeatureDistance(nn.Module):
    """L_distill: a distance of two pyramids, averaged over all N elements of all levels.

    ``mse``, LGD's: ``1/N sum (k_e - phi(k))^2``. ``kl``: the same sum of ``KL(k_e || phi(k))``. ``js``, the paper's:
    ``1/N sum_p sqrt(D_JS(k^p || k_e^p))``. The paper says neither how maps become distributions nor how fine the
    roots are; the defaults (softmax over the channels of a cell, one root per element) fit its calibration, where
    lambda 75 weighs as LGD's 1. The ``js`` distance lies in [0, sqrt(ln 2)] with every option.

    Args:
        kind: ``'js'``, ``'mse'`` or ``'kl'``.
        over: What one distribution covers: ``'channels'``, ``'space'`` or ``'map'``; unused by ``mse``.
        root: How fine the roots of ``js`` are: ``'element'``, ``'cell'`` or ``'level'``.
        normalise: Whether both sides are instance-normalised first.
        fused: Whether the gradient of ``js`` is made with its value, which takes less time and memory
            (:func:`js_root_sum_of`); False leaves it to autograd, for second derivatives and ``torch.compile``.

    Raises:
        UserError: If an option is not one of those named.
    """

    def __init__(
        self,
        kind: str = 'js',
        over: str = 'channels',
        root: str = 'element',
        normalise: bool = True,
        fused: bool = True,
    ) -> None:
        super().__init__()
        for key, value, known in (('kind', kind, KINDS), ('over', over, SUPPORTS), ('root', root, ROOTS)):
            if value not in known:
                raise UserError(f'FeatureDistance: {key} is {value!r}; use one of {", ".join(known)}.')
        self.kind, self.over, self.root, self.normalise = kind, over, root, normalise
        self.fused = fused

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
            return F.mse_loss(student, teacher, reduction='sum')
        if self.kind == 'js' and self.fused:
            return js_root_sum_of(student, teacher, self.over, self.root)
        student, teacher = log_distribution(student, self.over), log_distribution(teacher, self.over)
        if self.kind == 'kl':
            return kl_elements(teacher, student).sum()
        return js_root_sum(js_elements(teacher, student), self.over, self.root)

    def extra_repr(self) -> str:
        """The options, for the printed model."""
        return f'{self.kind}, over={self.over}, root={self.root}, normalise={self.normalise}'

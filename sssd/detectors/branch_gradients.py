"""Gradients of one branch of a loss after the other, so that no two branches' activations are alive at once."""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import partial

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from sssd.losses.gradients import flat, tell_once


class BranchGradients:
    """The gradient of losses that are computed, differentiated and let go one by one, carried by one scalar.

    A pass through a detector is cut at its features (:meth:`cut`): what comes after them is differentiated loss by loss
    (:meth:`add`) up to the cut, and the passes themselves at last, one by one (:meth:`finish`). Rows that a head makes
    of a second pass are cut as well (:meth:`cut_rows`), so its head is differentiated after that of the first. Hooks
    that run once a gradient is accumulated, DistributedDataParallel's among them, do not run meanwhile; tensor hooks of
    parameters do. :meth:`carried` gives the sum of all gradients to whatever differentiates the total loss: to the
    training it looks as if the branches were in its graph. So it is scaled, accumulated, clipped and, under
    DistributedDataParallel, reduced together with the rest, once.

    Args:
        parameters: Those that train.
        scale: Losses are multiplied by it here and gradients divided in the end: the loss scale of float16.
        measured: Some of the parameters, for which the gradients of named parts of the losses are kept apart as well,
            and are in ``parts`` at last.
    """

    def __init__(
        self, parameters: Sequence[nn.Parameter], scale: Tensor | None = None, measured: Sequence[nn.Parameter] = ()
    ) -> None:
        self.parameters, self.scale = list(parameters), scale
        self.measured, self.apart = list(measured), {}
        self.parts: dict[str, Tensor] | None = None
        self.found: list[Tensor | None] = [None] * len(self.parameters)
        self.passes: list[tuple[list[Tensor], list[Tensor]]] = []
        self.rows: list[tuple[list[Tensor], list[Tensor]]] = []

    def cut(self, feats: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """The same features without their graph, which waits for their gradients.

        Nothing here holds their values: they go as soon as no head needs them.
        """
        pairs = [(Shape.apply(level), shape_of(level).requires_grad_()) for level in feats if level.requires_grad]
        if pairs:
            self.passes.append(tuple(map(list, zip(*pairs))))
        leaves = iter([leaf for _, leaf in pairs])
        return tuple(Values.apply(level.detach(), next(leaves)) if level.requires_grad else level for level in feats)

    def cut_rows(self, *rows: Tensor) -> tuple[Tensor, ...]:
        """The same rows of one pass without their graph, which waits for the end of the next :meth:`add`."""
        leaves = tuple(some.detach().requires_grad_(some.requires_grad) for some in rows)
        pairs = [(some, leaf) for some, leaf in zip(rows, leaves) if some.requires_grad]
        if pairs:
            self.rows.append(tuple(map(list, zip(*pairs))))
        return leaves

    def add(self, loss: Tensor, **parts: Tensor) -> None:
        """Differentiate a scalar down to the cuts; its graph is freed. ``parts`` are those of it to be kept apart."""
        leaves = [leaf for _, ls in self.rows for leaf in ls]
        for name, part in parts.items() if self.measured else ():
            if part.requires_grad:
                apart = self.apart.setdefault(name, Apart(self.measured, self.grad))
                apart.down([self._scaled(part)], None, [*leaves, *self._cuts()])
        if loss.requires_grad:
            self._down([self._scaled(loss)], None, leaves)
        while self.rows:
            self._onward(*self.rows.pop(0))

    def finish(self) -> None:
        """Differentiate the passes from their cuts on, the first one first; each one's graph is freed."""
        while self.passes:
            self._onward(*self.passes.pop(0))
        if self.measured:
            self.parts = self._in_parts()

    def carried(self, value: Tensor) -> Tensor:
        """A scalar of this value whose gradient in the parameters is the sum of what was found."""
        parameters = [value for value, gradient in zip(self.parameters, self.found) if gradient is not None]
        gradients = [gradient for gradient in self.found if gradient is not None]
        self.found = [None] * len(self.parameters)
        return Carried.apply(value.detach(), self.scale, gradients, *parameters)

    @staticmethod
    def grad(
        outputs: list[Tensor], inputs: list[Tensor], gradients: list[Tensor] | None = None, keep: bool = False
    ) -> list:
        """Gradients of outputs in inputs, None where there is none; in the precision that the forward pass had.

        Each may share its array with another. The graph is freed unless told to ``keep`` it.
        """
        with torch.autocast(outputs[0].device.type, enabled=False):
            return list(torch.autograd.grad(outputs, inputs, gradients, allow_unused=True, retain_graph=keep))

    def _onward(self, outputs: list[Tensor], leaves: list[Tensor]) -> None:
        """Go on from a cut, with the gradients that its leaves have."""
        for apart in self.apart.values():
            apart.onward(outputs, leaves, self._cuts())
        pairs = [(output, leaf.grad) for output, leaf in zip(outputs, leaves) if leaf.grad is not None]
        if pairs:
            self._down(*map(list, zip(*pairs)), [])

    def _down(self, outputs: list[Tensor], gradients: list[Tensor] | None, leaves: list[Tensor]) -> None:
        """Differentiate outputs down to the parameters, these leaves and the cuts of the passes, and keep all of it.

        The gradient of a parameter that has one from before is added to it as soon as it comes, and is gone before the
        next layer's: the gradients of two passes are never there at once.
        """
        new = [place for place, kept in enumerate(self.found) if kept is None]
        had = [place for place, kept in enumerate(self.found) if kept is not None]
        leaves = [*leaves, *self._cuts()]
        inputs = [*(self.parameters[place] for place in new), *leaves]
        with ExitStack() as hooks:
            for place in had:
                hook = self.parameters[place].register_hook(partial(self._add_at_once, place))
                hooks.callback(hook.remove)
            found = self.grad(outputs, [*inputs, *(self.parameters[place] for place in had)], gradients)
        found = own(found[: len(inputs)])
        for place, gradient in zip(new, found):
            self.found[place] = gradient
        for leaf, gradient in zip(leaves, found[len(new) :]):
            if gradient is not None:
                leaf.grad = gradient if leaf.grad is None else leaf.grad.add_(gradient)

    def _add_at_once(self, place: int, gradient: Tensor | None) -> Tensor | None:
        """Hook of a parameter: keep its gradient, if it has one, and leave one number in the place of it."""
        if gradient is None:
            return None
        self.found[place].add_(gradient)
        return shape_of(gradient)

    def _in_parts(self) -> dict[str, Tensor]:
        """Gradients (P,) in the measured parameters of the parts kept apart, NaN where that failed, and the rest."""
        found = {id(one): value for one, value in zip(self.parameters, self.found)}
        parts = {name: flat(self.measured, apart.found) for name, apart in self.apart.items()}
        rest = flat(self.measured, [found[id(one)] for one in self.measured]) - sum(parts.values())
        return {name: row if self.scale is None else row / self.scale for name, row in {**parts, 'rest': rest}.items()}

    def _cuts(self) -> list[Tensor]:
        """The leaves of the passes that wait."""
        return [leaf for _, leaves in self.passes for leaf in leaves]

    def _scaled(self, loss: Tensor) -> Tensor:
        return loss if self.scale is None else loss * self.scale


class Apart:
    """The gradient of a part of the losses in some parameters, followed through the same cuts; the graph stays.

    Args:
        measured: The parameters.
        grad: As :meth:`BranchGradients.grad`.
    """

    def __init__(self, measured: Sequence[nn.Parameter], grad: Callable) -> None:
        self.measured, self.grad = list(measured), grad
        self.found: list[Tensor | None] = [None] * len(self.measured)
        self.at: dict[int, Tensor] = {}

    def down(self, outputs: list[Tensor], gradients: list[Tensor] | None, leaves: list[Tensor]) -> None:
        """Differentiate outputs down to the parameters and these leaves."""
        try:
            found = self.grad(outputs, [*self.measured, *leaves], gradients, keep=True)
        except RuntimeError as error:
            tell_once(error)
            self.found = [torch.full_like(value, torch.nan) for value in self.measured]
            return
        count = len(self.measured)
        self.found = [new if old is None else old if new is None else old + new for old, new in zip(self.found, found)]
        for leaf, gradient in zip(leaves, found[count:]):
            if gradient is not None:
                self.at[id(leaf)] = self.at[id(leaf)] + gradient if id(leaf) in self.at else gradient

    def onward(self, outputs: list[Tensor], cut: list[Tensor], leaves: list[Tensor]) -> None:
        """Go on from a cut, down to the leaves of those that wait."""
        pairs = [(output, self.at.pop(id(leaf))) for output, leaf in zip(outputs, cut) if id(leaf) in self.at]
        if pairs:
            self.down(*map(list, zip(*pairs)), leaves)


def own(gradients: Sequence[Tensor | None]) -> list[Tensor | None]:
    """The same, each an array of its own: autograd may give out one for two inputs, parts of one, or one number.

    PyTorch adds further gradients to them in place only where nothing else holds their storage: no base of a view,
    and no storage object of Python's, so none is asked for. Sparse gradients are not for this.
    """
    seen, found = set(), []
    for gradient in gradients:
        if gradient is not None:
            shared = gradient.data_ptr() in seen or part_of_another(gradient) or not dense(gradient)
            gradient = gradient.clone() if shared else gradient.detach()
            seen.add(gradient.data_ptr())
        found.append(gradient)
    return found


def part_of_another(value: Tensor) -> bool:
    """Whether it is a part of a larger array, such as what autograd gives to the parts of a concatenation."""
    return value.storage_offset() > 0 or (value._base is not None and value._base.numel() > value.numel())


def dense(value: Tensor) -> bool:
    """Whether its elements lie side by side in memory, each in a place of its own, in whatever order of dimensions."""
    extent = 1
    for stride, size in sorted(zip(value.stride(), value.shape)):
        if size != 1 and stride != extent:
            return False
        extent *= size
    return True


def shape_of(value: Tensor) -> Tensor:
    """A tensor of this shape that holds one number."""
    return value.new_zeros(()).expand(value.shape)


class Shape(torch.autograd.Function):
    """The shape of a value in its place: it is differentiated as if it were the value, and does not hold it."""

    @staticmethod
    def forward(ctx, value: Tensor) -> Tensor:
        """One number, as often as there are."""
        return shape_of(value)

    @staticmethod
    def backward(ctx, grad_output: Tensor) -> Tensor:
        """The value's gradient."""
        return grad_output


class Values(torch.autograd.Function):
    """A value whose gradient goes to a leaf of its shape."""

    @staticmethod
    def forward(ctx, value: Tensor, leaf: Tensor) -> Tensor:
        """The value."""
        return value.view_as(value)

    @staticmethod
    def backward(ctx, grad_output: Tensor) -> tuple[None, Tensor]:
        """The leaf's gradient."""
        return None, grad_output


class Carried(torch.autograd.Function):
    """A scalar with gradients that are known; it can be differentiated once, and holds them until then."""

    @staticmethod
    def forward(ctx, value: Tensor, scale: Tensor | None, gradients: list[Tensor], *parameters: nn.Parameter):
        """The value; ``gradients`` are those of ``scale`` times it in the parameters."""
        ctx.scale, ctx.gradients = scale, gradients
        return value.clone()

    @staticmethod
    @once_differentiable
    def backward(ctx, grad_output: Tensor) -> tuple:
        """The gradients, times what the total loss is multiplied by."""
        if ctx.gradients is None:
            raise RuntimeError(
                "SED with backward='branch' can be differentiated once, as if its graph were freed; "
                "set backward='joint' to keep the graph."
            )
        factor = grad_output if ctx.scale is None else grad_output / ctx.scale
        gradients, ctx.gradients = ctx.gradients, None
        if factor.device.type != 'cpu' or factor != 1:  # elsewhere the host would wait for its value
            for gradient in gradients:
                gradient.mul_(factor)
        return None, None, None, *gradients

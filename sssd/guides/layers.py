"""Layers that the parts of a guide share."""

from collections.abc import Sequence

from torch import Tensor, nn


def point_layers(*widths: int) -> nn.Sequential:
    """Linear, LayerNorm without affine and ReLU for each step of ``widths``; they see every box alone."""
    layers = []
    for before, after in zip(widths, widths[1:]):
        layers += [nn.Linear(before, after), nn.LayerNorm(after, elementwise_affine=False), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers)


def conv(channels: int) -> nn.Conv2d:
    """A 3x3 convolution that keeps size and channels."""
    return nn.Conv2d(channels, channels, 3, padding=1)


def conv_stack(channels: int, depth: int = 3, norm: bool = False, affine: bool = True) -> nn.Sequential:
    """3x3 convolutions with ReLU between them, each followed by GroupNorm of one group if ``norm``.

    It ends without ReLU, as the outputs of a pyramid do, and leaves its input as it is. ``affine`` is the norm's.
    """
    layers = []
    for index in range(depth):
        layers += [nn.ReLU(inplace=True)] if index else []
        layers += [conv(channels), nn.GroupNorm(1, channels, affine=affine)] if norm else [conv(channels)]
    return nn.Sequential(*layers)


def on_every_level(module: nn.Module, features: Sequence[Tensor]) -> list[Tensor]:
    """One module on the maps of every level; maps of unequal sizes have no common convolution."""
    return [module(level) for level in features]

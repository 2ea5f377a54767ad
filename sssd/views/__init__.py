"""Prediction views: a detector's raw output as rows that two passes can be compared in."""

from collections.abc import Sequence

from torch import nn

from sssd.registry import VIEWS
from sssd.views.base import Pass, PredictionView, View, require
from sssd.views.dense import DenseView
from sssd.views.query import QueryView
from sssd.views.roi import RoIView

__all__ = ['DenseView', 'Pass', 'PredictionView', 'QueryView', 'RoIView', 'View', 'build_views']


def build_views(detector: nn.Module, configs: Sequence[dict] | None = None) -> list[View]:
    """Views for a detector, checked against it.

    Args:
        detector: The built detector.
        configs: Configs of views; None takes :func:`default_views`.

    Raises:
        UserError: If the detector has none of these heads, or a view refuses it.
    """
    configs = default_views(detector) if configs is None else configs
    require(
        len(configs) > 0,
        f'{type(detector).__name__} has neither bbox_head nor rpn_head nor roi_head, so there '
        "is no view of its predictions; give `views` in the model's config.",
    )
    views = [VIEWS.build(dict(config)) for config in configs]
    for view in views:
        view.check(detector)
    return views


def default_views(detector: nn.Module) -> list[dict]:
    """Configs of one view for every head that is there.

    Queries where there is a transformer that makes them; else ``bbox_head`` and ``rpn_head`` as dense rows,
    ``roi_head`` as proposals.
    """
    if hasattr(detector, 'forward_transformer'):
        return [dict(type='QueryView')]
    configs = [
        dict(type='DenseView', head=head)
        for head in ('bbox_head', 'rpn_head')
        if getattr(detector, head, None) is not None
    ]
    if getattr(detector, 'roi_head', None) is not None:
        configs.append(dict(type='RoIView'))
    return configs

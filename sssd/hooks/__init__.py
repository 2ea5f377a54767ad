"""Hooks: each carries one thing from the state of training to where it is used."""

from sssd.hooks.compile_parts import CompilePartsHook
from sssd.hooks.ema_teacher import EMATeacherHook
from sssd.hooks.freeze_backbone import FreezeBackboneHook
from sssd.hooks.gradient_ratio import GradientRatioHook
from sssd.hooks.lambda_schedule import LambdaScheduleHook
from sssd.hooks.recompute import RecomputeHook
from sssd.hooks.scale_draw import ScaleDrawHook

__all__ = [
    'CompilePartsHook',
    'EMATeacherHook',
    'FreezeBackboneHook',
    'GradientRatioHook',
    'LambdaScheduleHook',
    'RecomputeHook',
    'ScaleDrawHook',
]

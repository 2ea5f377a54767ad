"""Hooks: each carries one thing from the state of training to where it is used."""

from sssd.hooks.calibrate_lambda import CalibrateLambdaHook
from sssd.hooks.compile_parts import CompilePartsHook
from sssd.hooks.ema_teacher import EMATeacherHook
from sssd.hooks.freeze_backbone import FreezeBackboneHook
from sssd.hooks.gradient_ratio import GradientRatioHook
from sssd.hooks.health import HealthHook
from sssd.hooks.keep_detections import KeepDetectionsHook
from sssd.hooks.lambda_schedule import LambdaScheduleHook
from sssd.hooks.recompute import RecomputeHook
from sssd.hooks.scale_draw import ScaleDrawHook
from sssd.hooks.stop_on_signal import StopOnSignalHook

__all__ = [
    'CalibrateLambdaHook',
    'CompilePartsHook',
    'EMATeacherHook',
    'FreezeBackboneHook',
    'GradientRatioHook',
    'HealthHook',
    'KeepDetectionsHook',
    'LambdaScheduleHook',
    'RecomputeHook',
    'ScaleDrawHook',
    'StopOnSignalHook',
]

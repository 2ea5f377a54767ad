"""Metrics of an evaluation."""

from sssd.evaluation.coco_metric import CocoMetric

__all__ = ['CocoMetric']

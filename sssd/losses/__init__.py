"""Losses on tensors alone: they know neither detectors nor runners."""

from sssd.losses.balanced import BalancedSoftLoss
from sssd.losses.distances import box_distance, kl_divergence, probabilities, score_distance, share_above_half
from sssd.losses.feature_distances import FeatureDistance
from sssd.losses.gradients import branch_gradients
from sssd.losses.reweight import OHEM, Focal, Histogram, Mean, Reweight
from sssd.losses.soft import SoftLoss
from sssd.losses.totals import sum_of, total_of

__all__ = [
    'BalancedSoftLoss',
    'FeatureDistance',
    'Focal',
    'Histogram',
    'Mean',
    'OHEM',
    'Reweight',
    'SoftLoss',
    'box_distance',
    'branch_gradients',
    'kl_divergence',
    'probabilities',
    'score_distance',
    'share_above_half',
    'sum_of',
    'total_of',
]

"""Training-time detectors: they hold mmdet detectors and change none of them."""

from sssd.detectors.guidance import Guidance
from sssd.detectors.guided import GuidedDetector
from sssd.detectors.pseudo_labels import PseudoLabels
from sssd.detectors.sed import SED
from sssd.detectors.sure_score import SureScore
from sssd.detectors.synced_heads import SyncedRetinaHead, SyncedRPNHead, SyncedTargets

__all__ = [
    'Guidance',
    'GuidedDetector',
    'PseudoLabels',
    'SED',
    'SureScore',
    'SyncedRPNHead',
    'SyncedRetinaHead',
    'SyncedTargets',
]

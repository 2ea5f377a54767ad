"""Guided detectors over the tiny ones, and batches of labelled images as one branch."""
import tiny
import torch
from mmengine.config import ConfigDict

from sssd.registry import MODELS

PREPROCESSOR = tiny.PREPROCESSOR['data_preprocessor']


def config(detector, **options):
    """Config of a GuidedDetector over a detector's config."""
    return {**dict(type='sssd.GuidedDetector', detector=ConfigDict(detector), data_preprocessor=PREPROCESSOR),
            **options}


def build(detector, seed=0, **options):
    """A built and initialised guided detector in training mode; the same weights for the same seed."""
    torch.manual_seed(seed)
    model = MODELS.build(config(detector, **options))
    model.init_weights()
    return model.train()


def batch(boxes=tiny.BOXES, seed=0):
    """A collated batch with one image for each entry of ``boxes``."""
    whole = tiny.make_batch(boxes, seed=seed, branches=False)
    return {key: branches['sup'] for key, branches in whole.items()}

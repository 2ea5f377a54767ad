"""Guided detectors over the tiny ones, and batches of labelled images as one branch."""

import uuid
from types import SimpleNamespace

import tiny
import torch
from mmengine.config import ConfigDict
from mmengine.logging import MessageHub
from mmengine.optim import OptimWrapper

from sssd.registry import MODELS

PREPROCESSOR = tiny.PREPROCESSOR['data_preprocessor']


def config(detector, **options):
    """Config of a GuidedDetector over a detector's config."""
    return {
        **dict(type='sssd.GuidedDetector', detector=ConfigDict(detector), data_preprocessor=PREPROCESSOR),
        **options,
    }


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


def fake_runner(model, iteration=0):
    """What hooks need of a Runner, over SGD with momentum and weight decay."""
    wrapper = OptimWrapper(torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9, weight_decay=0.1))
    return SimpleNamespace(
        model=model,
        optim_wrapper=wrapper,
        iter=iteration,
        max_iters=4,
        message_hub=MessageHub.get_instance(uuid.uuid4().hex),
    )

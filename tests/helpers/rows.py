"""Rows of two passes, and the distances between them in plain NumPy."""

import numpy as np
import torch

from sssd.views import PredictionView


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def softmax(z):
    return np.exp(z) / np.exp(z).sum(-1, keepdims=True)


def kl(p, q, activation):
    """Divergence of one row from probabilities."""
    if activation == 'softmax':
        return (p * np.log(p / q)).sum()
    return (p * np.log(p / q) + (1 - p) * np.log((1 - p) / (1 - q))).sum()


def chances(view):
    logits = view.logits.detach().double().numpy()
    return sigmoid(logits) if view.activation == 'sigmoid' else softmax(logits)


def make_views(activation='sigmoid', rows=30, classes=3, groups=1, seed=0, levels=()):
    rng = torch.Generator().manual_seed(seed)
    columns = classes + (activation == 'softmax')
    valid = torch.rand(rows, generator=rng) < 0.7
    return [
        PredictionView(
            torch.randn(rows, columns, generator=rng).requires_grad_(),
            torch.randn(rows, groups, 4, generator=rng).requires_grad_(),
            valid,
            activation,
            levels,
        )
        for _ in range(2)
    ]


def mean_kl(target, pred, valid, activation):
    terms = [kl(p, q, activation) for p, q, counted in zip(target, pred, valid) if counted]
    return sum(terms) / len(terms)


def norm(a, b):
    return np.sqrt(((a - b) ** 2).sum())


def boxes_of(view):
    return view.boxes.detach().double().numpy()


def close(ours, expected):
    np.testing.assert_allclose(ours.item(), expected, rtol=1e-5)

"""Checks before training: data, labels, evaluators, XML files and checkpoints."""

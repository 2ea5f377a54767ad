"""The checkpoints in a work directory."""

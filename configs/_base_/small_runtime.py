# Runs of minutes: checkpoints often enough to go on from.
_base_ = './default_runtime.py'
default_hooks = dict(checkpoint=dict(interval=250))

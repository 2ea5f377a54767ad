"""Anchor heads whose supervised loss does not depend on how a batch is spread over ranks.

mmdet's anchor heads divide their losses by the rank's own number of samples, so a rank with few boxes weighs
each of them more. Its FCOS and ATSS heads take the mean over ranks instead, and so do these.
"""

from mmdet.models.dense_heads import RetinaHead, RPNHead
from mmdet.utils import reduce_mean
from mmengine.dist import get_world_size

from sssd.registry import MODELS

#: Places of the label weights by level and of the normaliser in what ``AnchorHead.get_targets`` returns.
LABEL_WEIGHTS, AVG_FACTOR = 1, 4


class SyncedTargets:
    """Mixin before an ``AnchorHead``: its losses are divided by the mean of the ranks' numbers of samples.

    DDP averages gradients over ranks; a loss divided by that mean becomes the loss of the whole batch. On one
    rank nothing changes.
    """

    def get_targets(self, *args, **kwargs) -> tuple:
        """Targets as in mmdet, the normaliser as its mean over ranks."""
        targets = list(super().get_targets(*args, **kwargs))
        if get_world_size() > 1:  # a tensor: its value is not read back from the device
            targets[AVG_FACTOR] = reduce_mean(targets[LABEL_WEIGHTS][0].new_zeros(()) + targets[AVG_FACTOR])
        return tuple(targets)


@MODELS.register_module()
class SyncedRetinaHead(SyncedTargets, RetinaHead):
    """RetinaNet's head with the normaliser of the whole batch."""


@MODELS.register_module()
class SyncedRPNHead(SyncedTargets, RPNHead):
    """The region proposal network with the normaliser of the whole batch; which anchors it samples stays random."""

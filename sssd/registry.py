"""Child registries of scope ``sssd``: configs say ``type='sssd.SED'``.

``VIEWS``, ``SCHEDULES`` and ``LOSSES`` hold what MMEngine has no registry for (or, for
losses, what is no ``nn.Module``); the others are children of MMEngine's own, so that a
config may mix modules of mmdet and of this package.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from mmengine.registry import DATA_SAMPLERS as MMENGINE_DATA_SAMPLERS
from mmengine.registry import DATASETS as MMENGINE_DATASETS
from mmengine.registry import HOOKS as MMENGINE_HOOKS
from mmengine.registry import METRICS as MMENGINE_METRICS
from mmengine.registry import MODELS as MMENGINE_MODELS
from mmengine.registry import OPTIM_WRAPPERS as MMENGINE_OPTIM_WRAPPERS
from mmengine.registry import TRANSFORMS as MMENGINE_TRANSFORMS
from mmengine.registry import DefaultScope, Registry


class OwnRegistry(Registry):
    """A registry outside of MMEngine's trees: a config's default scope, ``mmdet``, is not looked for in it."""

    @contextmanager
    def switch_scope_and_registry(self, scope: str | None) -> Iterator[Registry]:
        """This registry, whatever the default scope; ``scope`` becomes that of what is built meanwhile."""
        with DefaultScope.overwrite_default_scope(scope):
            yield self


MODELS = Registry('model', parent=MMENGINE_MODELS, scope='sssd', locations=['sssd.detectors', 'sssd.guides'])
HOOKS = Registry('hook', parent=MMENGINE_HOOKS, scope='sssd', locations=['sssd.hooks'])
DATASETS = Registry('dataset', parent=MMENGINE_DATASETS, scope='sssd', locations=['sssd.data'])
METRICS = Registry('metric', parent=MMENGINE_METRICS, scope='sssd', locations=['sssd.evaluation'])
DATA_SAMPLERS = Registry('data sampler', parent=MMENGINE_DATA_SAMPLERS, scope='sssd', locations=['sssd.data'])
TRANSFORMS = Registry('transform', parent=MMENGINE_TRANSFORMS, scope='sssd', locations=['sssd.data'])
OPTIM_WRAPPERS = Registry('optimizer wrapper', parent=MMENGINE_OPTIM_WRAPPERS, scope='sssd', locations=['sssd.optim'])

VIEWS = OwnRegistry('prediction view', scope='sssd', locations=['sssd.views'])
SCHEDULES = OwnRegistry('schedule', scope='sssd', locations=['sssd.schedules'])
LOSSES = OwnRegistry('unsupervised loss', scope='sssd', locations=['sssd.losses'])

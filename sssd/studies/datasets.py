"""The data sets that a study asks for."""

import inspect
from collections.abc import Callable, Mapping
from pathlib import Path

from sssd.errors import UserError
from sssd.locks import directory_lock
from sssd.studies.spec import StudySpec


def make_data(spec: StudySpec) -> None:
    """Make a study's data sets, one or several, if its specification names any.

    Raises:
        UserError: If one is of a kind that cannot be made here, or has other arguments.
    """
    from sssd.datasets.recapture import recapture
    from sssd.datasets.splits import make_splits
    from sssd.datasets.toy import make_toy

    makers = {'toy': (make_toy, 'root'), 'recapture': (recapture, 'out_dir'), 'splits': (make_splits, 'out_dir')}
    data = spec.data or []
    for settings in data if isinstance(data, (list, tuple)) else [data]:
        settings = dict(settings)
        kind = settings.pop('type', None)
        if kind not in makers:
            raise UserError(
                f'the study {spec.name} asks for data of the type {kind!r}: those that can be made here are '
                f'{", ".join(makers)}'
            )
        make, place = makers[kind]
        if place not in settings:
            raise UserError(f'the study {spec.name}: data of the type {kind!r} lack the key {place!r}: add it')
        _require_arguments(make, settings, f'the study {spec.name}: data of the type {kind!r}')
        with directory_lock(Path(settings[place]).parent):
            make(**settings)


def _require_arguments(make: Callable, settings: Mapping, where: str) -> None:
    """Refuse arguments that what makes the data does not take."""
    try:
        inspect.signature(make).bind(**settings)
    except TypeError as error:
        known = ', '.join(inspect.signature(make).parameters)
        raise UserError(
            f'{where} have an argument that is not known or lack one ({error}); known are {known}'
        ) from None

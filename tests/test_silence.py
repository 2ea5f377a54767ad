"""Without what others print."""

import warnings

import pytest
from mmengine.logging import MMLogger

from sssd.silence import silence


def test_nothing_is_heard_within_and_all_afterwards(capfd):
    logger = MMLogger.get_current_instance()
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter('always')
        with pytest.raises(ValueError), silence():
            print('printed')
            logger.warning('logged')
            warnings.warn('warned', stacklevel=1)
            raise ValueError
        assert warned == [] and 'ed' not in ''.join(capfd.readouterr())
        print('printed')
        logger.warning('logged')
        warnings.warn('warned', stacklevel=1)
    heard = ''.join(capfd.readouterr())
    assert 'printed' in heard and 'logged' in heard and len(warned) == 1

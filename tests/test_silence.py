"""Without what others print."""

import logging
import warnings

import pytest
from mmengine.logging import MMLogger

from sssd.silence import silence


class Records(logging.Handler):
    """Keeps what reaches a logger."""

    def __init__(self):
        super().__init__()
        self.found = []

    def emit(self, record):
        self.found.append(record.getMessage())


@pytest.fixture
def logged():
    """What MMEngine's logger tells; its level is that of a training."""
    logger, handler = MMLogger.get_current_instance(), Records()
    level = logger.level
    logger.setLevel(logging.INFO)
    logger.addHandler(handler)
    yield logger, handler.found
    logger.removeHandler(handler)
    logger.setLevel(level)


def test_nothing_is_heard_within_and_all_afterwards(logged, capsys):
    logger, found = logged
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter('always')
        with pytest.raises(ValueError), silence():
            print('printed')
            logger.warning('logged')
            warnings.warn('warned', stacklevel=1)
            raise ValueError
        assert warned == [] and found == [] and capsys.readouterr().out == ''
        print('printed')
        logger.warning('logged')
        warnings.warn('warned', stacklevel=1)
    assert capsys.readouterr().out == 'printed\n' and found == ['logged'] and len(warned) == 1

"""Without what others print: pycocotools, MMEngine and mmdet tell much that is of no use to who asked for a result."""

import io
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout

from mmengine.logging import MMLogger


@contextmanager
def silence() -> Iterator[None]:
    """Keep what is printed, warned of, or logged by MMEngine below an error, from the terminal for a while."""
    logger = MMLogger.get_current_instance()
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), redirect_stdout(io.StringIO()):
            warnings.simplefilter('ignore')
            yield
    finally:
        logger.setLevel(level)

"""Does a file have boxes twice, as exports that were put together have them?"""

import numpy as np

from sssd.checks.table import Table

#: So large a part of the boxes is no slip.
MANY = 0.05
#: Factors by which a row of image, box and class becomes one number, equal rows the same one.
_FACTORS = np.sqrt(np.array([2.0, 3, 5, 7, 11, 13]))


def twice(table: Table) -> tuple[np.ndarray, np.ndarray]:
    """(N,) boxes that repeat one before them, of the same image and class; and those that do of another class."""
    with np.errstate(invalid='ignore'):
        known = table.finite & (table.image >= 0) & ~table.crowd & (table.boxes[:, 2:] >= 1).all(axis=1)
    rows = np.column_stack([table.image, table.boxes, table.category])[known]
    found = []
    for columns in (6, 5):
        places = np.zeros(len(known), bool)
        places[np.flatnonzero(known)[_repeated(rows[:, :columns])]] = True
        found.append(places)
    return found[0], found[1] & ~found[0]


def _repeated(rows: np.ndarray) -> np.ndarray:
    """Places of the rows that stand before, too."""
    with np.errstate(over='ignore', invalid='ignore'):
        keys = (rows * _FACTORS[: rows.shape[1]]).sum(axis=1)
    order = np.argsort(keys, kind='stable')
    same = (rows[order[1:]] == rows[order[:-1]]).all(axis=1)
    return np.sort(order[1:][same])

"""The two parts of COCO val2014 that COCO-35k needs: 35k images to learn from and minival to be tested on.

minival is val2017 (SED, Sec. 4.1: "identical"), so both files follow from two of COCO's own; nothing else is needed.
"""

from pathlib import Path

from sssd.datasets.json_io import read_coco, write_json
from sssd.datasets.splits import part_of
from sssd.errors import UserError

VAL_2014 = 'annotations/instances_val2014.json'
VAL_2017 = 'annotations/instances_val2017.json'
MINIVAL = 'annotations/instances_minival2014.json'
VAL_MINUS_MINIVAL = 'annotations/instances_valminusminival2014.json'


def make_minival(root: str | Path) -> list[Path]:
    """Write minival and the rest of val2014 below ``root``, each unless it is there.

    Args:
        root: Folder with ``annotations/``.

    Returns:
        The files written: none if both are there, or if val2014's or val2017's annotations, which they are made from,
        are not.

    Raises:
        UserError: If val2017 is no part of val2014, or the two parts then share images.
    """
    root = Path(root)
    parts = {root / MINIVAL: True, root / VAL_MINUS_MINIVAL: False}
    written = [path for path in parts if not path.is_file()]
    if written:
        if not all((root / name).is_file() for name in (VAL_2014, VAL_2017)):
            return []
        coco, tested = read_coco(root / VAL_2014), _ids(root / VAL_2017)
        foreign = tested - {image['id'] for image in coco['images']}
        if foreign:
            raise UserError(
                f'{root / VAL_2017} has {len(foreign)} images that {root / VAL_2014} lacks, such as id '
                f"{min(foreign)}; take both from COCO's annotation archives again."
            )
        for path in written:
            write_json(path, part_of(coco, tested, parts[path]))
    _check_apart(*parts)
    return written


def _ids(path: Path) -> set:
    return {image['id'] for image in read_coco(path)['images']}


def _check_apart(minival: Path, labelled: Path) -> None:
    shared = _ids(minival) & _ids(labelled)
    if shared:
        raise UserError(
            f'{labelled} and {minival} share {len(shared)} images, such as id {min(shared)}, so that the '
            'test would be on images learnt from; remove both files, and they are made again.'
        )

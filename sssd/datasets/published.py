"""The paper's data sets as they are published: what belongs where, how much it is, which page has it.

Numbers are those of the data sets' own pages and of the survey of Liu et al., IJCV 2020, Table 3. The MD5 sums are of
the archives: those that public code such as torchvision and LAVIS checks, since the official pages give none.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from sssd.datasets.minival import MINIVAL, VAL_MINUS_MINIVAL, make_minival
from sssd.datasets.parts import CocoPart, ImagesPart, Part, VocPart
from sssd.datasets.splits import make_splits

COCO_PAGE = 'https://cocodataset.org/#download'
VOC07_PAGE = 'http://host.robots.ox.ac.uk/pascal/VOC/voc2007/'
VOC12_PAGE = 'http://host.robots.ox.ac.uk/pascal/VOC/voc2012/'
_COCO_2017 = 'annotations_trainval2017.zip'
_COCO_2014 = 'annotations_trainval2014.zip'
_LISTS = 'ImageSets/Main'


@dataclass(frozen=True)
class Published:
    """A data set.

    Attributes:
        root: Where the configs look for it.
        parts: What it consists of.
        pages: The official pages that have the archives.
        md5: MD5 of every archive.
        make: Writes what is made from the parts below a root, before they are looked at.
        split: Writes the splits below a root; ``percents`` and ``folds`` are its arguments.
    """

    root: str
    parts: tuple[Part, ...]
    pages: tuple[str, ...]
    md5: dict[str, str]
    make: Callable[[Path], list[Path]] = lambda root: []
    split: Callable[..., list[Path]] = lambda root, percents, folds: []


def split_coco(root: Path, percents, folds) -> list[Path]:
    """Write the folds of COCO-standard: 1, 2, 5 and 10 % of train2017, say."""
    written = make_splits(Path(root) / 'annotations/instances_train2017.json', percents=percents, folds=folds)
    return [path for pair in written for path in pair]


COCO = Published(
    root='data/coco',
    parts=(
        ImagesPart('train2017', 118287, 'train2017.zip'),
        CocoPart('annotations/instances_train2017.json', 118287, _COCO_2017, folder='train2017', boxes=860001),
        ImagesPart('val2017', 5000, 'val2017.zip'),
        CocoPart('annotations/instances_val2017.json', 5000, _COCO_2017, folder='val2017', boxes=36781),
        ImagesPart('unlabeled2017', 123403, 'unlabeled2017.zip', rows='100 % of Table 2'),
    ),
    pages=(COCO_PAGE,),
    md5={
        'train2017.zip': 'cced6f7f71b7629ddf16f17bbcfab6b2',
        'val2017.zip': '442b8da7639aecaf257c1dceb8ba8c80',
        'unlabeled2017.zip': '7ebc562819fdb32847aab79530457326',
        _COCO_2017: 'f4bbac642086de4f52a3fdda2de5fa2c',
    },
    split=split_coco,
)

_MINIVAL_FROM = 'instances_val2014.json and instances_val2017.json'
COCO_35K = Published(
    root='data/coco',
    parts=(
        ImagesPart('train2014', 82783, 'train2014.zip'),
        ImagesPart('val2014', 40504, 'val2014.zip'),
        CocoPart(VAL_MINUS_MINIVAL, 35504, f'{_COCO_2014} and {_COCO_2017}', folder='val2014', made=_MINIVAL_FROM),
        CocoPart(MINIVAL, 5000, f'{_COCO_2014} and {_COCO_2017}', folder='val2014', made=_MINIVAL_FROM),
    ),
    pages=(COCO_PAGE,),
    md5={
        'train2014.zip': '0da8c0bd3d6becc4dcb32757491aca88',
        'val2014.zip': 'a3d79f5ed8d289b7a7554ce06a5782b3',
        _COCO_2014: '0a379cfc70b0e71301e0f377548639bd',
        _COCO_2017: COCO.md5[_COCO_2017],
    },
    make=make_minival,
)

VOC = Published(
    root='data/VOCdevkit',
    parts=(
        VocPart(f'VOC2007/{_LISTS}/trainval.txt', 5011, 'VOCtrainval_06-Nov-2007.tar', boxes=15662, difficult=3054),
        VocPart(f'VOC2007/{_LISTS}/test.txt', 4952, 'VOCtest_06-Nov-2007.tar', boxes=14976, difficult=2944),
        VocPart(f'VOC2012/{_LISTS}/trainval.txt', 11540, 'VOCtrainval_11-May-2012.tar'),
    ),
    pages=(VOC07_PAGE, VOC12_PAGE),
    md5={
        'VOCtrainval_06-Nov-2007.tar': 'c52e279531787c972589f7e41ab4ae64',
        'VOCtest_06-Nov-2007.tar': 'b6e924de25625d8de591ea690078ad9f',
        'VOCtrainval_11-May-2012.tar': '6cd6e144f989b92b3379bac3b3de84fd',
    },
)

DATA_SETS = {'coco': COCO, 'coco35k': COCO_35K, 'voc': VOC}

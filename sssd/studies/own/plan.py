"""What suits a user's data: size of the images, labelled images of a step, iterations; and why."""

from dataclasses import dataclass
from statistics import median, quantiles

#: Sizes to choose from, in pixels of the longer side, and how many of them an object should have (square root of its
#: area): two cells of the finest stride of the small detectors.
SIZES, SEEN = (320, 416, 512, 640, 800), 16
#: The paper's images: the longer side at most, the shorter ones.
PAPER_SIZE, PAPER_RATIO, PAPER_LEAST = 1333, 0.6, 0.8
#: Labelled images of a GPU in a step, how often each is seen, and the least and most iterations that this may come to.
#: The paper sees those of 10 % of COCO 244 times; on photographs SED wanted 1500 iterations or more
#: (benchmarks/results/diary.md).
RULES = dict(paper=(2, 100, 4000, 180000), small=(4, 40, 1500, 20000))
PRESETS = tuple(RULES)
#: How often the small preset has each unlabelled image seen where that takes longer, and the most iterations that it
#: may take: with 403 photographs 1500 were too few (benchmarks/results/pilot_photos.json).
UNLABELED_SEEN, UNLABELED_MOST = 30, 3000
#: The part of the small preset's iterations in which labels alone prepare the teacher. Where these are fewer than it
#: takes to show each labelled image so often, as many are added before them, up to so many in all: an unsure teacher
#: teaches nothing, and on photographs of seven kinds of animals it takes 1500 to 2000 iterations until labels alone
#: have no more to give (benchmarks/results/pilot_photos.json).
BURN_IN, ALONE_SEEN, ALONE_MOST = 0.25, 150, 2000


@dataclass(frozen=True)
class Statistics:
    """What the labelled images are like.

    Attributes:
        images: Number of images with a box: others are not trained on.
        side: Longer side of the median image, in pixels.
        largest: Longer side of the largest one.
        ratio: Shorter over longer side, of the narrowest image.
        small: A tenth of the objects are smaller than this: square root of the area over the longer side of the image.
    """

    images: int
    side: int
    largest: int
    ratio: float
    small: float


@dataclass(frozen=True)
class Plan:
    """What was chosen.

    Attributes:
        preset: ``'paper'`` or ``'small'``.
        size: Longer side of the images in training, in pixels, at most.
        batch: Labelled images of a GPU in a step.
        iters: Iterations.
        reasons: A sentence on each choice.
        added: How many of the iterations were added, for labels alone.
    """

    preset: str
    size: int
    batch: int
    iters: int
    reasons: tuple[str, ...]
    added: int = 0

    def until(self, part: float) -> int:
        """The iteration at which this part of the iterations is over, those left out that were added."""
        return self.added + int((self.iters - self.added) * part)

    @property
    def scale(self) -> tuple[int, int]:
        """Longer and shorter side of the images at most, as mmdet's Resize takes them."""
        return (self.size, round(self.size * PAPER_RATIO)) if self.preset == 'paper' else (self.size, self.size)

    def least(self, statistics: Statistics) -> tuple[int, int]:
        """Shorter and longer side of about the smallest image in training: the narrowest one, resized to the least."""
        longer, shorter = self.scale
        shrunk = JITTER[0] if self.preset == 'small' else 1.0
        least = PAPER_LEAST * shorter if self.preset == 'paper' else shorter
        factor = min(longer, least / statistics.ratio) * shrunk
        return (int(factor * statistics.ratio), int(factor))


#: The resize jitter of the small preset, as in configs/_base_/datasets/photos_semi.py.
JITTER = (0.7, 1.3)


def statistics_of(coco: dict) -> Statistics:
    """Statistics of a COCO dict that has at least one box."""
    sides = {image['id']: (image['width'], image['height']) for image in coco['images']}
    longer = [max(side) for side in sides.values()]
    relative = sorted(
        (thing['bbox'][2] * thing['bbox'][3]) ** 0.5 / max(sides[thing['image_id']])
        for thing in coco['annotations']
        if not thing.get('iscrowd') and thing['image_id'] in sides and min(thing['bbox'][2:]) > 0
    )
    small = quantiles(relative, n=10)[0] if len(relative) > 1 else relative[0] if relative else 1.0
    return Statistics(
        images=len(with_boxes(coco)),
        side=round(median(longer)),
        largest=max(longer),
        ratio=min(min(side) / max(side) for side in sides.values()),
        small=max(small, 1e-3),
    )


def with_boxes(coco: dict) -> set:
    """Ids of the images of a COCO dict that have a box; crowds do not count."""
    ids = {thing['image_id'] for thing in coco['annotations'] if not thing.get('iscrowd')}
    return ids & {image['id'] for image in coco['images']}


def make_plan(
    preset: str,
    statistics: Statistics,
    gpus: int = 1,
    size: int | None = None,
    batch: int | None = None,
    iters: int | None = None,
    unlabeled: int = 0,
) -> Plan:
    """Choose what was not given.

    Args:
        preset: ``'paper'`` or ``'small'``.
        statistics: Of the labelled images.
        gpus: Number of GPUs.
        size: Longer side of the images in pixels.
        batch: Labelled images of a GPU in a step.
        iters: Iterations.
        unlabeled: Number of unlabelled images.
    """
    usual, epochs, least, most = RULES[preset]
    given = 'as asked for'
    sized = size or (PAPER_SIZE if preset == 'paper' else fitting_size(statistics))
    reason = (
        given
        if size
        else "the paper's"
        if preset == 'paper'
        else f'a tenth of the objects is below {statistics.small:.1%} of the longer side, which are then '
        f'{statistics.small * sized:.0f} pixels; the images have {statistics.side}'
    )
    reasons = [f'images: {sized} pixels at most on the longer side ({reason})']
    images = batch or max(1, min(usual, statistics.images // gpus))
    why = given if batch else f'the usual {usual}' if images == usual else f'there are no more than {statistics.images}'
    reasons.append(f'batch: {images} labelled images of a GPU in a step, as many unlabelled ones ({why})')
    total = images * gpus
    wanted = -(-epochs * statistics.images // total)
    seldom = min(-(-UNLABELED_SEEN * unlabeled // total), -(-UNLABELED_MOST // gpus)) if preset == 'small' else 0
    steps = iters or min(max(-(-max(wanted, seldom) // 100) * 100, -(-least // gpus)), most)
    added = 0 if iters or preset != 'small' or not unlabeled else added_alone(steps, statistics.images / total, gpus)
    seen = (steps + added) * total / max(statistics.images, 1)
    bound = '' if iters or least // gpus < steps < most else f', {least} to {most} at any rate'
    often = f', each of the {unlabeled} unlabelled ones {steps * total / max(unlabeled, 1):.0f} times'
    more = often if not iters and seldom > wanted and steps > -(-least // gpus) else ''
    why = given if iters else f'about {epochs} times wanted{bound}{more}'
    first = f'; the first {added} were added, for labels alone to converge' if added else ''
    reasons.append(
        f'iterations: {steps + added}, each of the {statistics.images} labelled images {seen:.0f} times ({why}{first})'
    )
    return Plan(preset, sized, images, steps + added, tuple(reasons), added)


def added_alone(steps: int, epoch: float, gpus: int = 1) -> int:
    """Iterations by labels alone that are added before others, of which :data:`BURN_IN` are by labels alone as well.

    Args:
        steps: The others.
        epoch: Iterations in which each labelled image is seen once.
        gpus: Number of GPUs.
    """
    alone = min(ALONE_SEEN * epoch, ALONE_MOST / gpus)
    return max(round((alone - BURN_IN * steps) / 100) * 100, 0)


def fitting_size(statistics: Statistics) -> int:
    """The smallest size at which all but a tenth of the objects have :data:`SEEN` pixels, within that of the images."""
    bound = max(-(-statistics.largest // 32) * 32, SIZES[0])
    wanted = next((size for size in SIZES if size * statistics.small >= SEEN), SIZES[-1])
    return min(wanted, bound)

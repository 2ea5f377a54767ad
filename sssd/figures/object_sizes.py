"""Sizes of the objects of a data set as a detector sees them (SED, Fig. 2a and 5)."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from mmcv.image import rescale_size
from mmcv.transforms import Resize

from sssd.errors import UserError
from sssd.figures.style import colour, heading, logarithmic, new_figure, styled
from sssd.figures.valid_range import ValidSizes

SHARES = (5, 10, 25, 50, 75, 90, 95)
SIZE = r'$\sqrt{\mathrm{area}}$, pixels'


@dataclass
class Resizing:
    """How an image's size becomes that of the network's input; ``scale`` (w, h), or None to leave it as it is."""

    scale: tuple[int, int] | None = None
    keep_ratio: bool = True

    @classmethod
    def of(cls, dataset) -> 'Resizing':
        """That of the first fixed resize in a data set's pipeline."""
        for transform in getattr(getattr(dataset, 'pipeline', None), 'transforms', ()):
            if isinstance(transform, Resize) and transform.scale is not None:
                return cls(tuple(transform.scale), transform.keep_ratio)
        return cls()

    def factors(self, width: int, height: int) -> tuple[float, float]:
        """By how much an image of so many pixels grows, (x, y)."""
        if self.scale is None:
            return 1.0, 1.0
        new = rescale_size((width, height), self.scale) if self.keep_ratio else self.scale
        return new[0] / width, new[1] / height


def object_sizes(infos: Iterable[dict], resizing: Resizing) -> tuple[np.ndarray, np.ndarray]:
    """Square root of the area of every object's box, crowds left out.

    Args:
        infos: What a data set of mmdet knows of its images.
        resizing: What happens to them before the network.

    Returns:
        (n,) in pixels of the network's input, and (n,) over the square root of the image's area.

    Raises:
        UserError: If there is no object.
    """
    pixels, relative = [], []
    for info in infos:
        x, y = resizing.factors(info['width'], info['height'])
        for item in info.get('instances', []):
            if not item.get('ignore_flag'):
                x1, y1, x2, y2 = item['bbox']
                side = max(x2 - x1, 0.0) * max(y2 - y1, 0.0)
                pixels.append((side * x * y) ** 0.5)
                relative.append((side / (info['width'] * info['height'])) ** 0.5)
    if not pixels:
        raise UserError('none of the images has an object, so there are no sizes; name a labelled file with --ann.')
    return np.array(pixels), np.array(relative)


def size_statistics(pixels: np.ndarray, relative: np.ndarray, valid: Sequence[ValidSizes] = ()) -> dict:
    """Statistics of the sizes (Fig. 2a), their CDF, and which share of them label assignment allows (Fig. 5).

    Args:
        pixels: Sizes (n,) in pixels of the network's input.
        relative: Sizes (n,) relative to the image.
        valid: For each s the sizes that can be foreground.

    Returns:
        ``objects``; under ``pixels`` and ``relative`` mean, standard deviation, least, most and percentiles; ``cdf``
        (``size``, ``share``) at 101 evenly spaced shares; for each s under ``valid`` the ``intervals`` of sizes and the
        ``share`` of the objects in them.
    """
    shares = np.linspace(0, 1, 101)
    found = [
        dict(shift=each.shift, rate=2**each.shift, intervals=each.intervals, share=each.share_of(pixels))
        for each in valid
    ]
    return dict(
        objects=len(pixels),
        pixels=_spread(pixels),
        relative=_spread(relative),
        valid=found,
        cdf=dict(size=np.quantile(pixels, shares).tolist(), share=shares.tolist()),
    )


def _spread(values: np.ndarray) -> dict:
    marks = dict(zip(map(str, SHARES), np.percentile(values, SHARES).tolist()))
    return dict(
        mean=float(values.mean()),
        std=float(values.std()),
        least=float(values.min()),
        most=float(values.max()),
        percentiles=marks,
    )


def draw_sizes(result: dict, pixels: np.ndarray, title: str, about: str = ''):
    """The figures of :func:`size_statistics`: a histogram of the sizes, and their CDF over the ranges for each s."""
    low, high = max(pixels.min(), 1e-3), max(pixels.max(), pixels.min() * 1.01)
    with styled():
        figure = new_figure(4.9)
        grid = figure.add_gridspec(2, 2, height_ratios=(3, 0.35 + 0.3 * len(result['valid'])), width_ratios=(1, 1.25))
        left, right = figure.add_subplot(grid[:, 0]), figure.add_subplot(grid[0, 1])
        ranges = figure.add_subplot(grid[1, 1])
        left.hist(pixels, np.geomspace(low, high, 40), color=colour(0))
        mean, spread = result['pixels']['mean'], result['pixels']['std']
        left.set(title=rf'mean {mean:.1f}, standard deviation {spread:.1f}', xlabel=SIZE, ylabel='objects')
        right.plot(result['cdf']['size'], result['cdf']['share'], color=colour(6))
        right.set(title='Cumulative, above the sizes that can be foreground', ylabel='share of the objects')
        right.set(ylim=(0, 1.03))
        _draw_ranges(ranges, result['valid'], low, high)
        for axes in (left, right, ranges):
            logarithmic(axes.xaxis, low / 1.06, high * 1.06)
        right.tick_params(labelbottom=False)
        heading(figure, title, about)
    return figure


def _draw_ranges(axes, valid: Sequence[dict], least: float, most: float) -> None:
    """One bar of the valid sizes for each s, named at the left, its share of the objects at the right."""
    for place, each in enumerate(valid):
        for low, high in each['intervals']:
            bounds = np.clip([low, most if high is None else high], least, most)
            axes.barh(place, bounds[1] - bounds[0], 0.62, bounds[0], color=colour(place))
        share = 'none' if each['share'] is None else f'{100 * each["share"]:.0f} %'
        axes.annotate(share, (1, place), (5, 0), ('axes fraction', 'data'), 'offset points', va='center')
    axes.set_yticks(range(len(valid)), [f'$s = {each["shift"]}$' for each in valid])
    axes.set(xlabel=SIZE, ylim=(len(valid) - 0.4, -0.6))
    axes.grid(axis='y', visible=False)

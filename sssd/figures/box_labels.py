"""Labels at boxes, such as scores, that neither touch each other nor leave the picture."""

import colorsys
from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.transforms import Bbox

#: Pixels between two labels.
GAP = 2.0
#: Points around a label's letters.
PAD = 1.2


class Placer:
    """Puts labels at boxes of a figure that is otherwise finished: its layout is fixed from then on.

    A label stands at the first free place of: above the box at its left, within it, below it, and the same at its
    right. Where none is free it is left out, so the labels that matter most come first.

    Args:
        figure: A figure with its own layout engine or none.
    """

    def __init__(self, figure: Figure) -> None:
        self.renderer = figure.canvas.get_renderer()
        figure.draw_without_rendering()
        figure.set_layout_engine('none')
        self.taken: list[Bbox] = []

    def label(self, axes: Axes, text: str, box: Sequence[float], colour: str, fontsize: float = 8) -> bool:
        """Write ``text`` at ``box`` (x1, y1, x2, y2) of a picture; False if there was no room.

        The letters stand on ``colour``, black or white, whichever is read better.
        """
        artist = axes.text(
            0,
            0,
            text,
            fontsize=fontsize,
            color=ink(colour),
            ha='left',
            va='bottom',
            bbox=dict(facecolor=colour, edgecolor='none', pad=PAD),
        )
        size = artist.get_window_extent(self.renderer)
        pad = PAD * axes.figure.dpi / 72
        width, height = size.width + 2 * pad, size.height + 2 * pad
        # Corners in pixels of the canvas, where up is up.
        (left, bottom), (right, top) = axes.transData.transform([(box[0], box[3]), (box[2], box[1])])
        frame = Bbox.intersection(axes.get_window_extent(self.renderer), axes.figure.bbox)
        for x in (left, right - width):
            for y in (top, top - height, bottom - height, bottom):
                place = Bbox.from_bounds(x, y, width, height)
                if self._free(place, frame):
                    self.taken.append(place)
                    corner = (x + pad - size.x0, y + pad - size.y0) + artist.get_transform().transform((0, 0))
                    artist.set_position(axes.transData.inverted().transform(corner))
                    return True
        artist.remove()
        return False

    def _free(self, place: Bbox, frame: Bbox) -> bool:
        """Whether a label there lies in the picture and touches no other."""
        inside = frame.x0 <= place.x0 and place.x1 <= frame.x1 and frame.y0 <= place.y0 and place.y1 <= frame.y1
        return inside and not any(place.padded(GAP).overlaps(other) for other in self.taken)


def ink(background: str) -> str:
    """Black or white, for letters on a colour."""
    return 'black' if colorsys.rgb_to_yiq(*to_rgb(background))[0] > 0.55 else 'white'

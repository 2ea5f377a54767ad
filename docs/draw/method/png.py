"""Pictures for the documentation, small enough to be committed."""

import io
from pathlib import Path

import numpy as np
from matplotlib import pyplot as plt
from PIL import Image

#: Bytes that a picture may have.
MOST = 250_000


def save(figure, path: Path) -> Path:
    """Write a figure as PNG, as :func:`shrink` does, and close it."""
    whole = io.BytesIO()
    figure.savefig(whole, format='png')
    plt.close(figure)
    return shrink(Image.open(whole).convert('RGB'), path)


def shrink(image: Image.Image, path: Path) -> Path:
    """Write a picture as PNG, in fewer colours if it has more than :data:`MOST` bytes otherwise.

    The colours are chosen from those that occur, whether in many pixels or in few, so that a narrow colour bar keeps
    its own.

    Raises:
        ValueError: If 64 colours are still too large.
    """
    for colours in (None, 256, 192, 128, 96, 64):
        packed = io.BytesIO()
        reduced(image, colours).save(packed, format='png', optimize=True)
        if packed.tell() < MOST:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(packed.getvalue())
            return path
    raise ValueError(f'{path.name} has {packed.tell()} bytes with {colours} colours, more than {MOST}')


def reduced(image: Image.Image, colours: int | None) -> Image.Image:
    """The image in so many colours, white as it is; the image itself for None."""
    if colours is None:
        return image
    present, counts = np.unique(np.asarray(image).reshape(-1, 3) // 4, axis=0, return_counts=True)
    weighed = np.repeat(present * 4 + 2, np.ceil(counts**0.4).astype(int), axis=0)
    palette = Image.fromarray(weighed[None].astype(np.uint8)).quantize(colours - 1, kmeans=3)
    values = palette.getpalette()[: 3 * (colours - 1)]
    palette.putpalette([*values, *[255] * (3 * colours - len(values))])
    packed = image.quantize(palette=palette, dither=Image.Dither.NONE)
    places = np.asarray(packed).copy()
    places[(np.asarray(image) == 255).all(-1)] = colours - 1  # the search for the nearest is not exact
    exact = Image.fromarray(places).convert('P')
    exact.putpalette(packed.getpalette())
    return exact

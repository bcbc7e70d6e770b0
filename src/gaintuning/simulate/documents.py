"""Scanned pages: columns of text on paper that is not quite white, in uneven light."""

from io import BytesIO
from pathlib import Path

import numpy as np
from matplotlib import get_data_path
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from scipy.ndimage import gaussian_filter, rotate

from gaintuning._types import Images
from gaintuning.simulate.prose import SENTENCES
from gaintuning.simulate.scenes import scenes

FONTS = (
    *("DejaVuSans", "DejaVuSans-Bold", "DejaVuSans-Oblique"),
    *("DejaVuSerif", "DejaVuSerif-Bold", "DejaVuSerif-Italic"),
    *("DejaVuSansMono", "STIXGeneral", "STIXGeneralBol"),
)
"""Those that come with matplotlib and have all letters."""

Gray = NDArray[np.float64]


def documents(count: int, size: int, seed: int) -> Images:
    """Parts of scanned pages.

    A page has one or two columns of prose in one of several fonts and sizes, headings, and rules.
    The other side of the sheet shines through; the sheet lies a little askew, is a little out of
    focus, and darker towards one side; and the scan was stored as JPEG.

    Parameters
    ----------
    count : number of pages.
    size : side of a page in pixels.
    seed : the same seed gives the same pages, and fewer of them are the first ones.

    Returns
    -------
    (count, 1, size, size), multiples of 1 / 255 in [0, 1]

    Examples
    --------
    >>> pages = documents(count=2, size=96, seed=0)
    >>> pages.shape, bool((pages.amax((1, 2, 3)) > 0.5).all())
    (torch.Size([2, 1, 96, 96]), True)
    """
    return scenes(scan, count, size, seed, smallest=64)


def scan(size: int, rng: np.random.Generator) -> NDArray[np.uint8]:
    # Drawn larger, so that the corners are still paper when the sheet lies askew.
    edge = max(8, size // 16)
    front, back = (_print(size + 2 * edge, rng) for _ in range(2))
    through = rng.uniform(0, 0.15) * gaussian_filter(back[:, ::-1], 1.5)
    ink = rotate(np.maximum(front, through), rng.uniform(-2, 2), reshape=False, order=1)
    ink = gaussian_filter(ink, rng.uniform(0.3, 0.8))[edge:-edge, edge:-edge]
    paper, black = rng.uniform(0.75, 0.97), rng.uniform(0.05, 0.25)
    lit = _light(size, rng) * (paper + (black - paper) * ink)
    return _stored_as_jpeg((255 * lit).clip(0, 255).round().astype(np.uint8), rng)


def _print(size: int, rng: np.random.Generator) -> Gray:
    """Ink on one side of a sheet: 0 where there is none, 1 where it is full."""
    sheet = Image.new("L", (size, size))
    draw = ImageDraw.Draw(sheet)
    height = int(rng.integers(10, 20))
    text, heading = (_font(factor * height, rng) for factor in (1.0, 1.6))
    columns = int(rng.integers(1, 3)) if size >= 200 else 1
    gap = height
    width = (size - gap) // columns - gap
    for column in range(columns):
        left = gap + column * (width + gap)
        top = -int(rng.integers(0, height))
        while top < size:
            if rng.random() < 0.2:
                top = _set(draw, [_sentence(rng)], heading, left, top + gap, width)
                draw.line([(left, top + 3), (left + width, top + 3)], 255, int(rng.integers(1, 3)))
                top += gap
            paragraph = [_sentence(rng) for _ in range(rng.integers(2, 6))]
            top = _set(draw, paragraph, text, left, top, width) + int(rng.integers(0, gap))
        if column:
            draw.line([(left - gap // 2, 0), (left - gap // 2, size)], 255)
    return np.asarray(sheet, np.float64) / 255


def _font(height: float, rng: np.random.Generator) -> ImageFont.FreeTypeFont:
    folder = Path(get_data_path()) / "fonts" / "ttf"
    return ImageFont.truetype(folder / f"{rng.choice(FONTS)}.ttf", height)


def _sentence(rng: np.random.Generator) -> str:
    return SENTENCES[rng.integers(len(SENTENCES))]


def _set(
    draw: ImageDraw.ImageDraw,
    sentences: list[str],
    font: ImageFont.FreeTypeFont,
    left: int,
    top: int,
    width: int,
) -> int:
    """Break sentences into lines and draw them; where the next line would be."""
    line = ""
    for word in [*" ".join(sentences).split(), ""]:
        longer = f"{line} {word}".strip()
        if word and font.getlength(longer) <= width:
            line = longer
            continue
        draw.text((left, top), line, 255, font)
        top += round(1.25 * font.size)
        line = word
    return top


def _light(size: int, rng: np.random.Generator) -> Gray:
    """Weaker towards one side, as near the spine of a book."""
    angle = rng.uniform(0, 2 * np.pi)
    rows, columns = np.mgrid[:size, :size] / size - 0.5
    along = np.cos(angle) * rows + np.sin(angle) * columns
    fall, spine = rng.uniform(0, 0.25), rng.uniform(0, 0.4)
    light: Gray = (1 - fall * (along + 0.5)) * (1 - spine * np.exp((along - 0.5) / 0.08))
    return light


def _stored_as_jpeg(page: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    stored = BytesIO()
    Image.fromarray(page).save(stored, "JPEG", quality=int(rng.integers(60, 96)))
    return np.asarray(Image.open(stored))

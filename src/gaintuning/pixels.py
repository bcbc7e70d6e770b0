"""What formats share about pixels: the units of their size, and numbers stored as other numbers."""

import math
from collections.abc import Callable, Mapping
from typing import Any

from numpy.typing import NDArray

PixelSize = Mapping[str, tuple[float, str]]

CENTIMETRES = {
    "pm": 1e-10, "Å": 1e-8, "nm": 1e-7, "µm": 1e-4, "mm": 0.1, "cm": 1.0, "in": 2.54, "m": 100.0
}  # fmt: skip
"""The units of length that have a symbol in OME."""

_SYMBOLS = {
    "um": "µm", "micron": "µm", "microns": "µm", "\\u00B5m": "µm",
    "\N{GREEK SMALL LETTER MU}m": "µm",
    "inch": "in", "inches": "in", "\\u00C5": "Å", "angstrom": "Å", "Angstrom": "Å",
}  # fmt: skip
_NO_LENGTHS = ("", "pixel", "pixels", "reference frame")


def known_sizes(sizes: Mapping[str, tuple[Any, Any]]) -> dict[str, tuple[float, str]]:
    """Those that are above 0 and not in pixels, their units by OME's symbols where it has one.

    Examples
    --------
    >>> known_sizes({"Y": ("0.065", "micron"), "X": (1, "pixel"), "Z": (None, "nm")})
    {'Y': (0.065, 'µm')}
    """
    known = {}
    for axis, (length, unit) in sizes.items():
        try:
            length = float(length)
        except (TypeError, ValueError):
            continue
        unit = _SYMBOLS.get(str(unit), str(unit))
        if 0 < length < math.inf and unit not in _NO_LENGTHS:
            known[axis] = (length, unit)
    return known


class Converted:
    """Pixels that stand for other numbers, and become these when they are looked at.

    So a movie in a file is not read as a whole.

    Parameters
    ----------
    stored : the pixels as they are in the file.
    convert : makes of any part of them what they stand for, pixel by pixel.

    Examples
    --------
    >>> import numpy as np
    >>> pixels = Converted(np.array([[0, 200]], np.uint8), lambda part: part.astype(np.uint16))
    >>> pixels.shape, pixels[0]
    ((1, 2), array([  0, 200], dtype=uint16))
    """

    def __init__(
        self, stored: NDArray[Any], convert: Callable[[NDArray[Any]], NDArray[Any]]
    ) -> None:
        self.stored = stored
        self.convert = convert
        self.dtype = convert(stored[:0]).dtype

    @property
    def shape(self) -> tuple[int, ...]:
        return self.stored.shape

    def __getitem__(self, part: Any) -> Any:
        return self.convert(self.stored[part])

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        return self.convert(self.stored).astype(dtype or self.dtype, copy=False)

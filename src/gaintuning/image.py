"""What a file says of an image: pixels, their axes and size, and how they were taken."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, NamedTuple

from numpy.typing import NDArray

from gaintuning._types import Pixels
from gaintuning.acquisition import Acquisition
from gaintuning.pixels import PixelSize

_FLOATS = ("float16", "float32", "float64")
_AXES = re.compile(r"(?!.*(.).*\1)[TZC]*YXS?")


class Decoded(NamedTuple):
    """What is in a file, before `OpenImage`, which has these fields, finds that it is an image."""

    pixels: Pixels
    axes: str
    pixel_size: PixelSize = MappingProxyType({})
    acquisition: Acquisition = MappingProxyType({})
    own_header: Mapping[str, Any] = MappingProxyType({})
    others: int = 0


@dataclass(frozen=True, eq=False)
class OpenImage:
    """What a file says of an image whose pixels may still be in it.

    Parameters
    ----------
    pixels : integers of any size, or float16, float32 or float64.
    axes : a letter for each axis of `pixels`: none or some of T, Z and C in any order, then Y and
        X, then S (samples: gray and alpha, or red, green, blue and perhaps alpha) or not.
    pixel_size : the length of a pixel along Z, Y and X, each with its unit; without those unknown.
    acquisition : how a micrograph was taken, as far as the file says.
    own_header : what only the format of the file has a place for, such as the origin of an MRC; it
        is written again in that format, and in no other.
    others : so many other images are in the file, none of them larger.

    Raises
    ------
    ValueError : the axes do not fit, the pixels are none, a mask, complex or no numbers, or a
        pixel size is no length.
    """

    pixels: Pixels
    axes: str
    pixel_size: PixelSize = field(default_factory=dict)
    acquisition: Acquisition = field(default_factory=dict)
    own_header: Mapping[str, Any] = field(default_factory=dict)
    others: int = 0

    def __post_init__(self) -> None:
        shape, dtype = self.pixels.shape, self.pixels.dtype
        if dtype.kind == "b":
            raise ValueError("a mask of true and false has no noise; give the image it came from")
        if dtype.kind == "c":
            raise ValueError(f"the pixels are {dtype}; give the modulus, or each part by itself")
        if dtype.kind not in "iu" and dtype.name not in _FLOATS:
            raise ValueError(
                f"the pixels are {dtype}, but must be integers, float16, float32 or float64; "
                "convert them to float32"
            )
        if not _AXES.fullmatch(self.axes) or len(self.axes) != len(shape):
            raise ValueError(
                f"axes {self.axes!r} for pixels of shape {shape}; needed is a letter an axis: any "
                "of T, Z and C, then YX or YXS; reorder or split the image"
            )
        if 0 in shape:
            raise ValueError(f"there are no pixels in an image of shape {shape}; give another")
        if self.axes.endswith("S") and shape[-1] not in (2, 3, 4):
            raise ValueError(f"S has 2 to 4 samples, not {shape[-1]}; put channels first, as C")
        for axis, (length, unit) in self.pixel_size.items():
            if axis not in ("Z", "Y", "X") or not 0 < length < math.inf:
                raise ValueError(
                    f"a pixel size of {length} {unit} along {axis!r} is no length above 0 along Z, "
                    "Y or X; leave out what is unknown"
                )


@dataclass(frozen=True, eq=False)
class Image(OpenImage):
    """What a file says of an image, with all of its pixels.

    Examples
    --------
    >>> from dataclasses import replace
    >>> import numpy as np
    >>> movie = Image(np.zeros((9, 64, 64), np.uint16), "TYX", {"Y": (0.1, "µm"), "X": (0.1, "µm")})
    >>> replace(movie, pixels=movie.pixels + 1).axes
    'TYX'
    """

    pixels: NDArray[Any]

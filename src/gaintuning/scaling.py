"""The affine map of an image's intensities to [0, 1], where networks work, and back."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, median_filter


@dataclass(frozen=True)
class IntensityRange:
    """The intensities that map to 0 and to 1, in the units of the image.

    Examples
    --------
    >>> IntensityRange(100.0, 300.0).to_unit(np.array([100.0, 200.0]))
    array([0. , 0.5])
    """

    low: float
    high: float

    def __post_init__(self) -> None:
        if not -np.inf < self.low < self.high < np.inf:
            raise ValueError(
                f"the range needs two numbers, the lower first, got {self.low} and {self.high}"
            )

    @property
    def width(self) -> float:
        return self.high - self.low

    def stretched(self, factor: float, center: float) -> "IntensityRange":
        """So many times as wide, so that the network sees less contrast and less noise.

        What was mapped to `center` still is.

        Examples
        --------
        >>> IntensityRange(0.0, 100.0).stretched(2.0, center=0.5)
        IntensityRange(low=-50.0, high=150.0)
        """
        low = self.low + self.width * center * (1 - factor)
        return IntensityRange(low, low + self.width * factor)

    def to_unit(self, pixels: NDArray[np.generic]) -> NDArray[np.floating]:
        return (pixels.astype(np.float64) - self.low) / self.width

    def from_unit(self, pixels: NDArray[np.floating]) -> NDArray[np.floating]:
        return pixels * self.width + self.low


def find_range(planes: NDArray[np.generic]) -> IntensityRange:
    """The range of an image's intensities.

    0 to 255 for 8-bit images, and 0 to 1 for floats that lie there and reach above 0.1. For all
    others it is found from the image without its noise and outliers: the 0.1 and 99.9 percentiles
    after a 3 x 3 median, which removes single hot pixels, and a Gaussian of 2 pixels, which
    averages noise.

    Parameters
    ----------
    planes : (n, ..., height, width); of many, sixteen are looked at.

    Raises
    ------
    ValueError : all pixels are equal.

    Examples
    --------
    >>> find_range(np.zeros((1, 8, 8), np.uint8))
    IntensityRange(low=0.0, high=255.0)
    """
    if planes.dtype == np.uint8:
        return IntensityRange(0.0, 255.0)
    low, high = float(planes.min()), float(planes.max())
    if np.issubdtype(planes.dtype, np.floating) and low >= 0 and high <= 1 and high > 0.1:
        return IntensityRange(0.0, 1.0)
    few = planes[spread(len(planes), 16)].astype(np.float64)
    few = few.reshape(-1, *few.shape[-2:])
    smooth = [gaussian_filter(median_filter(plane, 3), 2) for plane in few]
    found = np.percentile(smooth, [0.1, 99.9])
    if found[0] < found[1]:
        low, high = float(found[0]), float(found[1])
    if low == high:
        raise ValueError(
            f"every pixel is {low:g}, so there is no image to denoise; was the right file or "
            "frame given?"
        )
    return IntensityRange(low, high)


def range_of_clean(pixels: NDArray[np.generic]) -> IntensityRange:
    """The intensities that map to 0 and 1 for a clean image, all of which lie between.

    Of whole numbers those of 8 bits, or of the fewest bits that hold them all; of other numbers 0
    and 1, or, where they lie beyond, the lowest and the highest. So an image in 8 bits and the same
    in 16 are compared by the same scores.

    Raises
    ------
    ValueError : all pixels are equal, and not in the former ranges.

    Examples
    --------
    >>> range_of_clean(np.array([[0, 4000]], np.uint16))
    IntensityRange(low=0.0, high=4095.0)
    """
    low, high = float(pixels.min()), float(pixels.max())
    if pixels.dtype.kind in "iu" and low >= 0:
        return IntensityRange(0.0, float(2 ** max(8, int(high).bit_length()) - 1))
    if low >= 0 and high <= 1:
        return IntensityRange(0.0, 1.0)
    if low == high:
        raise ValueError(
            f"every pixel is {low:g}, so there is nothing to see; was the right file given?"
        )
    return IntensityRange(low, high)


def spread(count: int, most: int) -> NDArray[np.intp]:
    """At most `most` of the indices 0 to count - 1, evenly spread.

    Examples
    --------
    >>> spread(9, 3)
    array([0, 4, 8])
    """
    return np.unique(np.linspace(0, count - 1, min(count, most)).round().astype(np.intp))

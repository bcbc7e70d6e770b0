"""An image of any axes as channels of planes, and back."""

import numpy as np
from numpy.typing import NDArray

ORDER = "CTZSYX"

LUMINANCE = (0.299, 0.587, 0.114)
"""Of red, green and blue, by ITU-R BT.601, as in the gray versions of most test sets."""


def split_planes(pixels: NDArray[np.generic], axes: str) -> NDArray[np.generic]:
    """View an image as (channels, planes, samples, height, width), without its alpha.

    Examples
    --------
    >>> split_planes(np.zeros((5, 2, 64, 48)), "TCYX").shape
    (2, 5, 1, 64, 48)
    """
    ordered = _in_order(pixels, axes)
    c, t, z, s, y, x = ordered.shape
    return ordered[..., : _colors(s), :, :].reshape(c, t * z, _colors(s), y, x)


def join_planes(
    channels: NDArray[np.floating], like: NDArray[np.generic], axes: str
) -> NDArray[np.generic]:
    """The inverse of `split_planes`, in the shape and dtype of `like`, with its alpha.

    Integers are rounded, and values kept within what their type can hold.
    """
    joined = like.copy()
    ordered = _in_order(joined, axes)
    c, t, z, s, y, x = ordered.shape
    values = channels.reshape(c, t, z, _colors(s), y, x)
    ordered[..., : _colors(s), :, :] = as_dtype(values, like.dtype)
    return joined


def colors_apart(axes: str) -> str:
    """Axes by which each color is a channel of its own.

    Examples
    --------
    >>> split_planes(np.zeros((5, 64, 48, 3)), colors_apart("TYXS")).shape
    (3, 5, 1, 64, 48)
    """
    return axes.replace("S", "C")


def gray(planes: NDArray[np.floating]) -> NDArray[np.floating]:
    """Colors as their luminance; what is gray stays as it is.

    Parameters
    ----------
    planes : (n, samples, height, width), with one or three samples.

    Returns
    -------
    (n, 1, height, width)

    Examples
    --------
    >>> white = np.full((1, 3, 2, 2), 0.5)
    >>> bool(np.allclose(gray(white), 0.5)), gray(white[:, :1]).shape
    (True, (1, 1, 2, 2))
    """
    if planes.shape[1] == 1:
        return planes
    red, green, blue = (part * planes[:, [index]] for index, part in enumerate(LUMINANCE))
    luminance: NDArray[np.floating] = red + green + blue
    return luminance


def as_dtype(values: NDArray[np.generic], dtype: np.dtype[np.generic]) -> NDArray[np.generic]:
    """Values as nearly as a type can hold them.

    Examples
    --------
    >>> as_dtype(np.array([-3.0, 1.6, 300.0]), np.dtype(np.uint8))
    array([  0,   2, 255], dtype=uint8)
    """
    exact = values.astype(np.float64)
    if dtype.kind in "iu":
        limits = np.iinfo(np.dtype(dtype.str))
        highest = float(limits.max)
        if highest > limits.max:  # the largest 64-bit integers are no floats
            highest = float(np.nextafter(highest, 0))
        exact = np.clip(np.rint(exact), limits.min, highest)
    elif dtype == np.float16:  # which ends at 65504
        exact = np.clip(exact, -65504, 65504)
    return exact.astype(dtype)


def _in_order(pixels: NDArray[np.generic], axes: str) -> NDArray[np.generic]:
    """A view with all six axes, those that are missing one long."""
    missing = [letter for letter in ORDER if letter not in axes]
    view = pixels[(..., *[np.newaxis] * len(missing))]
    letters = axes + "".join(missing)
    return view.transpose([letters.index(letter) for letter in ORDER])


def _colors(samples: int) -> int:
    """How many samples of a pixel are colors: the last of 2 or 4 is alpha."""
    return samples - 1 if samples in (2, 4) else samples

"""Pixels whose noise goes together, taken apart into planes in which it does not.

After interpolation, compression or a blur, and along the lines of a scan, pixels at some distance
still have noise of their own. Every s-th pixel of every r-th row makes a small plane whose noise is
independent, so all that holds for such noise holds there; the r x s planes together are the image
(the inverse of a pixel shuffle; Zhou et al.).

References
----------
Zhou et al., When AWGN-based denoiser meets real noises, AAAI 2020, https://arxiv.org/abs/1904.03485
"""

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Stride: TypeAlias = tuple[int, int]
"""How many rows and columns apart pixels are taken."""

ALL: Stride = (1, 1)
"""Every pixel."""


def in_words(stride: Stride) -> str:
    """How far apart pixels lie.

    Examples
    --------
    >>> in_words((1, 2)), in_words((2, 1)), in_words((4, 4))
    ('2 columns', '2 rows', '4 rows or columns')
    """
    rows, columns = stride
    if rows == 1:
        return f"{columns} columns"
    return f"{rows} rows" if columns == 1 else f"{rows} rows or columns"


def unshuffle(planes: NDArray[Any], stride: Stride) -> NDArray[Any]:
    """Take planes apart.

    Parameters
    ----------
    planes : (n, samples, height, width)
    stride : r and s, how many rows and columns apart noise is independent.

    Returns
    -------
    (n * r * s, samples, rows, columns); a last row or column that not all of them have is that next
    to it.

    Examples
    --------
    >>> unshuffle(np.arange(16).reshape(1, 1, 4, 4), (2, 2))[:, 0].tolist()[:2]
    [[[0, 2], [8, 10]], [[1, 3], [9, 11]]]
    """
    if stride == ALL:
        return planes
    n, samples, height, width = planes.shape
    down, across = stride
    whole = np.pad(planes, ((0, 0), (0, 0), (0, -height % down), (0, -width % across)), "edge")
    rows, columns = whole.shape[2] // down, whole.shape[3] // across
    cells = whole.reshape(n, samples, rows, down, columns, across)
    return cells.transpose(0, 3, 5, 1, 2, 4).reshape(-1, samples, rows, columns)


def shuffle(parts: NDArray[Any], stride: Stride, shape: tuple[int, ...]) -> NDArray[Any]:
    """The inverse of `unshuffle`, for planes of a shape.

    Examples
    --------
    >>> planes = np.arange(30).reshape(1, 1, 5, 6)
    >>> bool((shuffle(unshuffle(planes, (1, 4)), (1, 4), planes.shape) == planes).all())
    True
    """
    if stride == ALL:
        return parts.reshape(shape)
    n, samples, height, width = shape
    down, across = stride
    rows, columns = -(-height // down), -(-width // across)
    cells = parts.reshape(n, down, across, samples, rows, columns)
    whole = cells.transpose(0, 3, 4, 1, 5, 2).reshape(n, samples, rows * down, columns * across)
    return whole[..., :height, :width]


def one_of_each(n: int, stride: Stride, images: int = 1) -> NDArray[np.intp]:
    """Of n planes that were taken apart, the numbers of parts that share no noise.

    Another part of a plane is the same scene once more with noise that goes together with that of
    the first: who learned from both would count twice what both have in common.

    Parameters
    ----------
    images : a network sees each part as so many, which have noise of their own.

    Examples
    --------
    >>> one_of_each(3, (2, 2))
    array([ 0,  5, 10])
    """
    planes, kinds = np.arange(n), stride[0] * stride[1]
    parts = planes * kinds + planes % kinds
    return (parts[:, None] * images + np.arange(images)).ravel()

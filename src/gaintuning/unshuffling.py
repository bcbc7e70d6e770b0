"""Pixels whose noise goes together, taken apart into planes in which it does not.

After interpolation, demosaicing or a blur, and where neighbours in a raw image of a color camera
have other filters, pixels at some distance still have noise of their own. Every s-th pixel of every
s-th row makes a small plane whose noise is independent, so all that holds for such noise holds
there; the s x s planes together are the image (the inverse of a pixel shuffle; Zhou et al.).

References
----------
Zhou et al., When AWGN-based denoiser meets real noises, AAAI 2020, https://arxiv.org/abs/1904.03485
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray


def unshuffle(planes: NDArray[Any], stride: int) -> NDArray[Any]:
    """Take planes apart.

    Parameters
    ----------
    planes : (n, samples, height, width)
    stride : s, how many rows and columns apart noise is independent.

    Returns
    -------
    (n * s * s, samples, rows, columns); a last row or column that not all of them have is that next
    to it.

    Examples
    --------
    >>> unshuffle(np.arange(16).reshape(1, 1, 4, 4), 2)[:, 0].tolist()[:2]
    [[[0, 2], [8, 10]], [[1, 3], [9, 11]]]
    """
    if stride == 1:
        return planes
    n, samples, height, width = planes.shape
    missing = ((0, 0), (0, 0), (0, -height % stride), (0, -width % stride))
    whole = np.pad(planes, missing, "edge")
    rows, columns = (side // stride for side in whole.shape[-2:])
    cells = whole.reshape(n, samples, rows, stride, columns, stride)
    return cells.transpose(0, 3, 5, 1, 2, 4).reshape(-1, samples, rows, columns)


def shuffle(parts: NDArray[Any], stride: int, shape: tuple[int, ...]) -> NDArray[Any]:
    """The inverse of `unshuffle`, for planes of a shape.

    Examples
    --------
    >>> planes = np.arange(30).reshape(1, 1, 5, 6)
    >>> bool((shuffle(unshuffle(planes, 4), 4, planes.shape) == planes).all())
    True
    """
    if stride == 1:
        return parts.reshape(shape)
    n, samples, height, width = shape
    rows, columns = -(-height // stride), -(-width // stride)
    cells = parts.reshape(n, stride, stride, samples, rows, columns)
    whole = cells.transpose(0, 3, 4, 1, 5, 2).reshape(n, samples, rows * stride, columns * stride)
    return whole[..., :height, :width]


def one_of_each(n: int, stride: int, images: int = 1) -> NDArray[np.intp]:
    """Of n planes that were taken apart, the numbers of parts that share no noise.

    Another part of a plane is the same scene once more with noise that goes together with that of
    the first: who learned from both would count twice what both have in common.

    Parameters
    ----------
    images : a network sees each part as so many, which have noise of their own.

    Examples
    --------
    >>> one_of_each(3, 2)
    array([ 0,  5, 10])
    """
    planes = np.arange(n)
    parts = planes * stride**2 + planes % stride**2
    return (parts[:, None] * images + np.arange(images)).ravel()

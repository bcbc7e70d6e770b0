"""Planes that were taken apart and denoised, put together again as one image.

What is left of the noise differs from plane to plane, and so from pixel to pixel where they are put
together. To a network that is weak noise, which it takes away.
"""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from gaintuning.tiles import run
from gaintuning.unshuffling import ALL, Stride, shuffle


def join(
    parts: NDArray[np.floating], stride: Stride, shape: tuple[int, ...], denoiser: nn.Module
) -> NDArray[Any]:
    """Put parts together, and smooth what they do not share.

    Parameters
    ----------
    parts : (n * r * s, samples, rows, columns), as `unshuffle` made them, in about [0, 1].
    stride : r and s.
    shape : (n, samples, height, width), that of the result.
    denoiser : for gray images and any level of noise, also none.

    Examples
    --------
    >>> from gaintuning import zoo
    >>> flat = 0.5 + 0.02 * np.random.default_rng(0).normal(size=(4, 1, 32, 32))
    >>> denoiser, _ = zoo.load(zoo.DEFAULT)
    >>> bool(join(flat, (2, 2), (1, 1, 64, 64), denoiser).std() < 0.005)
    True
    """
    whole = shuffle(parts, stride, shape)
    if stride == ALL:
        return whole
    images = torch.from_numpy(whole).reshape(-1, 1, *shape[-2:])
    return run(denoiser, images).reshape(shape)

"""Methods without a network, from the packages that keep them."""

from collections.abc import Callable
from importlib import import_module

import numpy as np
import torch
from numpy.typing import NDArray
from skimage.restoration import denoise_nl_means, denoise_wavelet

from gaintuning._types import Images


def denoise_non_local_means(noisy: Images, sigma: float) -> Images:
    """Buades et al. 2005, by scikit-image, with its recommended settings for known noise.

    Parameters
    ----------
    noisy : (n, 1, h, w)
    sigma : standard deviation of the noise, in the units of the images.

    Examples
    --------
    >>> noisy = torch.rand(1, 1, 32, 32, generator=torch.Generator().manual_seed(0))
    >>> bool(denoise_non_local_means(noisy, 0.3).std() < noisy.std())
    True
    """
    return _each(
        noisy,
        lambda image: denoise_nl_means(
            image, patch_size=5, patch_distance=6, h=0.8 * sigma, sigma=sigma, fast_mode=True
        ),
    )


def denoise_wavelets(noisy: Images, sigma: float) -> Images:
    """BayesShrink (Chang et al. 2000), by scikit-image.

    Examples
    --------
    >>> noisy = torch.rand(1, 1, 32, 32, generator=torch.Generator().manual_seed(0))
    >>> bool(denoise_wavelets(noisy, 0.3).std() < noisy.std())
    True
    """
    return _each(
        noisy,
        lambda image: denoise_wavelet(image, sigma=sigma, method="BayesShrink", rescale_sigma=True),
    )


def denoise_bm3d(noisy: Images, sigma: float) -> Images:
    """Dabov et al. 2007, by the authors' package, which is not free for commercial use.

    Raises
    ------
    ImportError : the package is not installed.
    """
    try:
        bm3d = import_module("bm3d").bm3d
    except ImportError as error:
        raise ImportError(
            "BM3D needs the package bm3d, which is not free for commercial use; install it with "
            "pip install 'gaintuning[peers]', or leave the method out"
        ) from error
    return _each(noisy, lambda image: bm3d(image, sigma))


def _each(noisy: Images, denoise: Callable[[NDArray[np.float64]], NDArray[np.float64]]) -> Images:
    denoised = [denoise(image[0].double().cpu().numpy()) for image in noisy]
    return torch.from_numpy(np.stack(denoised))[:, None].to(noisy)

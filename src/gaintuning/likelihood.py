"""How likely the noisy image is, place by place, if the denoised one is the truth."""

from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import poisson
from torch import Tensor
from torch.nn.functional import avg_pool2d

from gaintuning.noise import Noise, Poisson

SIDE = 9
"""Of the square of pixels that are taken together."""

FEWEST, MOST = 0.01, 1000.0
"""Fewer expected counts are taken for so many; more than `MOST` scatter like a normal number."""


def likelihood_map(noisy: Tensor, denoised: Tensor, noise: Noise, side: int = SIDE) -> Tensor:
    """The log-likelihood of the square around each pixel, against what noise alone would give.

    With l(y | x) the log-likelihood of a noisy y if x is the clean intensity,

        (sum of l(y | x) - E l(y | x)) / sqrt(sum of Var l(y | x))

    over the pixels of the square. Where x is the truth this is about a standard normal number. Far
    below 0 the noisy image differs from x by more than noise: a detail was taken away, or put in.
    Above 0 they are nearer to each other than noise allows: some of it is still there. Of few
    counts an x that is a little too high does not show: the fewer they are, the less they scatter.

    Parameters
    ----------
    noisy, denoised : (..., samples, h, w) in the same units; samples count together.
    noise : the noise model in these units. Read noise beside counts makes a normal number of them.
    side : of the square, an odd number of pixels.

    Returns
    -------
    (..., h, w), in standard deviations.

    References
    ----------
    Vincent et al., Developing and evaluating deep neural network-based denoising for nanoparticle
    TEM images with ultra-low signal-to-noise, Microscopy and Microanalysis 2021.

    Examples
    --------
    >>> clean = torch.full((1, 64, 64), 20.0)
    >>> noisy = torch.poisson(clean, torch.Generator().manual_seed(0))
    >>> wrong = clean.clone()
    >>> wrong[:, 20:30, 20:30] += 10  # an atom that is not there
    >>> found = likelihood_map(noisy, wrong, Poisson(1.0))
    >>> bool(found[25, 25] < -4), bool(found[50, 50] > -4)
    (True, True)
    """
    noisy, denoised = noisy.double(), denoised.double()
    if isinstance(noise, Poisson):
        counts, expected = (
            (images - noise.offset) / noise.gain for images in (noisy.cpu(), denoised.cpu())
        )
        expected = expected.clamp(min=FEWEST)
        counts = counts.clamp(min=0)
        log = counts * expected.log() - expected - torch.lgamma(counts + 1)
        mean, variance = map(torch.from_numpy, _of_counts(expected.numpy()))
        excess = log - mean
    else:
        excess = (1 - (noisy - denoised).square() / noise.variance(denoised)) / 2
        variance = torch.full_like(excess, 0.5)
    sums = [
        avg_pool2d(part.sum(-3, keepdim=True), side, 1, side // 2, count_include_pad=False)
        for part in (excess, variance)
    ]
    # Of the means over n pixels, the one is n times too small and the other n times n.
    pixels = avg_pool2d(torch.ones_like(sums[0]), side, 1, side // 2) * side**2
    found: Tensor = (sums[0] * (pixels / sums[1]).sqrt()).squeeze(-3)
    return found


def _of_counts(expected: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean and variance of the log-likelihood of counts, by their expected number."""
    logarithms, means, variances = _table_of_counts()
    at = np.log(expected)
    many = expected > MOST
    mean = np.where(many, -(np.log(2 * np.pi) + 1 + at) / 2, np.interp(at, logarithms, means))
    return mean, np.where(many, 0.5, np.interp(at, logarithms, variances))


@cache
def _table_of_counts() -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """By the logarithm of the expected number."""
    logarithms = np.linspace(np.log(FEWEST), np.log(MOST), 512)
    expected = np.exp(logarithms)[:, None]
    counts = np.arange(MOST + 10 * MOST**0.5)
    log, probability = poisson.logpmf(counts, expected), poisson.pmf(counts, expected)
    finite = np.where(probability > 0, log, 0)
    means = (probability * finite).sum(1)
    return logarithms, means, (probability * finite**2).sum(1) - means**2

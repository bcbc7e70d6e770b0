"""How strongly each output pixel of a denoiser follows the input pixel in its place."""

import torch
from torch import Generator

from gaintuning._types import Denoiser, Images


def denoise_with_divergence(
    denoiser: Denoiser, noisy: Images, step: float, rng: Generator
) -> tuple[Images, Images]:
    """Denoise, and estimate the divergence by a random probe (Ramani et al. 2008).

    d[k] = b[k] (f(y + step b)[k] - f(y)[k]) / step with b[k] = +1 or -1 at random. Summed over
    pixels, its expectation is the divergence, sum over k of d f(y)[k] / d y[k]. Signs have less
    variance than Gaussian probes, since b[k]^2 is exactly 1.

    Parameters
    ----------
    denoiser : f.
    noisy : y, (n, c, h, w).
    step : size of the probe, in the units of the image. Too large and the denoiser's curvature
        enters; too small and the ReLUs' kinks make the gradient noisy.
    rng : source of randomness, on the CPU.

    Returns
    -------
    f(y) and d, each (n, c, h, w).

    Examples
    --------
    >>> noisy = torch.rand(1, 1, 4, 4)
    >>> half, slope = denoise_with_divergence(
    ...     lambda y: y / 2, noisy, 0.01, torch.Generator().manual_seed(0)
    ... )
    >>> round(slope.mean().item(), 4)
    0.5
    """
    probe = random_signs(noisy, rng)
    both = denoiser(torch.cat([noisy, noisy + step * probe]))
    denoised, probed = both.chunk(2)
    return denoised, probe * (probed - denoised) / step


def random_signs(like: Images, rng: Generator) -> Images:
    """Plus or minus one, independently for each pixel."""
    bits = torch.randint(0, 2, like.shape, generator=rng)
    return (2 * bits - 1).to(like)

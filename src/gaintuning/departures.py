"""Whether the noise of all of an image is that of the model that was found.

An estimate of the error believes the level in every pixel, and rewards who leaves the rest in.
"""

import torch

from gaintuning.noise import Gaussian, Poisson, PoissonGaussian
from gaintuning.seen_blocks import SeenBlocks

UNEVEN = 0.08
"""If so many of the blocks have more noise than the model says, it is not that of all of the image.
Of natural images up to 0.024 have, at sigma 5 to 40 and 30 to 170 counts."""

RISES = 1.4
"""So many times as strong as the model says noise is at some intensities as at others where the
model is not that of the image. In natural images it is up to 1.3 times."""

FAINT, WEAK = 0.01, 0.03
"""Standard deviations, as seen by the denoiser, below which texture looks like noise of no model,
or like noise that is stronger at some intensities."""

HEAVY = 0.5
"""Noise of a model has so much more kurtosis than it should in no natural image (up to 0.1)."""


def departures(
    seen: SeenBlocks, noise: Gaussian | Poisson | PoissonGaussian, *, of_any_level: bool = False
) -> tuple[bool, bool]:
    """Whether the noise is uneven, and whether it has heavy tails, beside that of its model.

    Parameters
    ----------
    seen : the blocks of an image, and what a denoiser took away from them.
    noise : as the denoiser sees it.
    of_any_level : whether noise that is everywhere so many times as strong is of the model, too.

    Examples
    --------
    >>> from gaintuning.seen_blocks import look_at_blocks
    >>> noisy = 0.1 * torch.randn(1, 1, 128, 128, generator=torch.Generator().manual_seed(0))
    >>> noisy[..., 64:] *= 3
    >>> seen = look_at_blocks(lambda images: 0 * images, noisy, torch.zeros_like(noisy), 16)
    >>> departures(seen, Gaussian(0.1))
    (True, False)
    """
    variance = noise.variance(torch.from_numpy(seen.mean)).numpy()
    # That of a count is one over its mean, and read noise has none.
    kurtosis = noise.gain**2 * (variance - noise.sigma**2) / variance.clip(1e-12) ** 2
    if of_any_level:
        variance = variance * seen.strength_beside(variance)
    strength = float(variance.mean() ** 0.5)
    if strength < FAINT:
        return False, False
    rises = strength > WEAK and seen.rise_beside(variance) > RISES
    uneven = rises or seen.part_with_more_noise(variance) > UNEVEN
    return uneven, seen.kurtosis_beside(kurtosis) > HEAVY

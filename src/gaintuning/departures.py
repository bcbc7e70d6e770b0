"""Whether the noise of all of an image is that of the model that was found.

An estimate of the error believes the level in every pixel, and rewards who leaves the rest in.
"""

from gaintuning.seen_blocks import SeenBlocks
from gaintuning.variance_line import Array

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
"""A kurtosis that normal noise has in no natural image (there up to 0.1)."""


def departures(seen: SeenBlocks, expected: Array) -> tuple[bool, bool]:
    """Whether the noise is uneven, and whether it has heavy tails, beside that of its model.

    Parameters
    ----------
    seen : the blocks of an image, and what a denoiser took away from them.
    expected : the variance of each that the model tells, as the denoiser sees it.

    Examples
    --------
    >>> import numpy as np
    >>> import torch
    >>> from gaintuning.seen_blocks import look_at_blocks
    >>> noisy = 0.1 * torch.randn(1, 1, 128, 128, generator=torch.Generator().manual_seed(0))
    >>> noisy[..., 64:] *= 3
    >>> seen = look_at_blocks(lambda images: 0 * images, noisy, torch.zeros_like(noisy), 16)
    >>> departures(seen, np.full(64, 0.01))
    (True, False)
    """
    strength = float(expected.mean() ** 0.5)
    if strength < FAINT:
        return False, False
    rises = strength > WEAK and seen.rise_beside(expected) > RISES
    uneven = rises or seen.part_with_more_noise(expected) > UNEVEN
    return uneven, seen.kurtosis_of_noise > HEAVY

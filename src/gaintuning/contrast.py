"""Noise that a network does not know, brought to a level that it knows.

For a > 0 and any center c, f(a (y - c) + c) undone again is a denoiser as good as f itself, and its
noise is a times that of y.
"""

from torch import Generator, Tensor

from gaintuning._types import Denoiser, Images, Objective
from gaintuning.judging import Losses, compare, mean_loss, pixel_losses
from gaintuning.layout import lay_out_images
from gaintuning.patches import random_crops

SIDE = 256
"""Of the crops that are looked at, and of the square that has as many pixels as all of them."""

OCTAVES = 6
COARSE = 0.5**0.5
FINE = 0.5**0.125


def find_contrast(denoiser: Denoiser, noisy: Images, risk: Objective, center: float) -> float:
    """The part a of the contrast with which the risk is lowest; 1 if no other is surely lower.

    Parameters
    ----------
    denoiser : for intensities in [0, 1].
    noisy : (n, c, h, w); of large images a part is looked at.
    risk : an estimate of the error, in the units of `noisy`.
    center : c, the intensity that stays what it is.

    Examples
    --------
    >>> import torch
    >>> from gaintuning.objectives import Sure
    >>> from gaintuning.networks import UNet
    >>> noisy = torch.rand(1, 1, 32, 32, generator=torch.Generator().manual_seed(0))
    >>> 0 < find_contrast(UNet(), noisy, Sure(0.3), center=0.5) <= 1
    True
    """
    side = min(SIDE, *noisy.shape[-2:])
    count = min(SIDE**2, noisy[:, 0].numel()) // side**2
    part = random_crops(noisy, side, count, Generator().manual_seed(0))

    def losses(contrast: float, images: Images = part) -> Losses:
        return pixel_losses(with_contrast(denoiser, contrast, center), images, risk, seed=0)

    # Far from what it knows, a network gets worse on the way to its range. A quarter of the pixels
    # tells in which octave that is.
    quarter = part[..., : side // 2, : side // 2]
    octave = min(
        (0.5**power for power in range(OCTAVES)), key=lambda each: mean_loss(losses(each, quarter))
    )
    as_it_is = losses(1.0)
    coarse = [contrast for contrast in (octave / COARSE, octave, octave * COARSE) if contrast < 1]
    tried = {contrast: losses(contrast) for contrast in coarse}
    best = min(tried, key=lambda contrast: mean_loss(tried[contrast]))
    fall = compare(as_it_is, tried[best])
    rounding = 1e-6 * abs(fall.before)
    if fall.before - fall.after <= max(2 * fall.standard_error, rounding):
        return 1.0
    # Whether it is needed at all must be sure; how much of it is best need not be.
    near = [best * FINE**power for power in (-3, -2, -1, 1, 2, 3)]
    risks = {contrast: mean_loss(losses(contrast)) for contrast in near}
    risks[best] = mean_loss(tried[best])
    return min(risks, key=risks.__getitem__)


def with_contrast(denoiser: Denoiser, contrast: float, center: float) -> Denoiser:
    """The denoiser that sees images with part of their contrast."""

    def adjusted(images: Tensor) -> Tensor:
        seen = lay_out_images((images - center) * contrast + center)
        return (denoiser(seen) - center) / contrast + center

    return adjusted

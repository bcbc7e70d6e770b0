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

COARSE = 0.5**0.5
FINE = 0.5**0.125
LOWEST = 0.02


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

    def losses(contrast: float) -> Losses:
        return pixel_losses(with_contrast(denoiser, contrast, center), part, risk, seed=0)

    best, at_best = 1.0, losses(1.0)
    while best * COARSE > LOWEST:
        at_next = losses(best * COARSE)
        fall = compare(at_best, at_next)
        if fall.before - fall.after < 2 * fall.standard_error:
            break
        best, at_best = best * COARSE, at_next
    if best == 1:
        return 1.0
    # Whether it is needed at all must be sure; how much of it is best need not be.
    near = [best * FINE**power for power in (-3, -2, -1, 1, 2, 3)]
    risks = {contrast: mean_loss(losses(contrast)) for contrast in near}
    risks[best] = mean_loss(at_best)
    return min(risks, key=risks.__getitem__)


def with_contrast(denoiser: Denoiser, contrast: float, center: float) -> Denoiser:
    """The denoiser that sees images with part of their contrast."""

    def adjusted(images: Tensor) -> Tensor:
        seen = lay_out_images((images - center) * contrast + center)
        return (denoiser(seen) - center) / contrast + center

    return adjusted

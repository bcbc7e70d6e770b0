"""Removing simulated noise from the image's first denoised version."""

from dataclasses import dataclass

import torch
from torch import Generator

from gaintuning._types import Denoiser, Images
from gaintuning.noise import Noise


@dataclass(frozen=True)
class NoiseResampling:
    """Eq. 7 (Vaksman et al. 2020): remove simulated noise from the first denoised image.

    x = pretrained(y) stands in for the clean image: (f(x + n) - x)^2 with n drawn anew.

    Parameters
    ----------
    pretrained : the denoiser before tuning.
    noise : the noise of the image, to draw n from.

    Examples
    --------
    >>> from gaintuning.noise import Gaussian
    >>> objective = NoiseResampling(lambda y: 0 * y, Gaussian(0.1))
    >>> noisy = torch.rand(1, 1, 64, 64)
    >>> loss = objective(lambda y: y, noisy, torch.Generator().manual_seed(0))
    >>> bool(abs(loss.mean() - 0.01) < 1e-3)
    True
    """

    pretrained: Denoiser
    noise: Noise

    def __call__(self, denoiser: Denoiser, noisy: Images, rng: Generator) -> Images:
        with torch.no_grad():
            denoised = self.pretrained(noisy)
        return (denoiser(self.noise.sample(denoised, rng)) - denoised).square()

"""Estimates of the mean squared error against the clean image, for noise of a known model."""

from dataclasses import dataclass

from torch import Generator

from gaintuning._types import Denoiser, Images
from gaintuning.divergence import denoise_with_divergence
from gaintuning.noise import Noise


@dataclass(frozen=True)
class Sure:
    """Stein's unbiased risk estimate, Eq. 5: its mean estimates the mean squared error.

    (y - f)^2 - sigma^2 + 2 sigma^2 d, with d the divergence by a random probe (`divergence`).
    The noise must be Gaussian, independent from pixel to pixel, of known sigma.

    Parameters
    ----------
    sigma : standard deviation of the noise, in the units of the image.
    step : size of the probe; by default a tenth of sigma, at most 0.01 of an image in [0, 1].

    Examples
    --------
    >>> import torch
    >>> noisy = torch.full((1, 1, 8, 8), 0.5)
    >>> identity = Sure(sigma=0.1)(lambda y: y, noisy, torch.Generator().manual_seed(0))
    >>> round(identity.mean().item(), 4)  # leaving the noise in costs sigma^2
    0.01
    """

    sigma: float
    step: float | None = None

    def __post_init__(self) -> None:
        if not self.sigma > 0:
            raise ValueError(f"Sure needs the noise's sigma, above 0, got {self.sigma}")

    def __call__(self, denoiser: Denoiser, noisy: Images, rng: Generator) -> Images:
        step = probe_step(self.sigma) if self.step is None else self.step
        denoised, divergence = denoise_with_divergence(denoiser, noisy, step, rng)
        return (denoised - noisy).square() + self.sigma**2 * (2 * divergence - 1)


@dataclass(frozen=True)
class Pure:
    """The Poisson unbiased risk estimate, and its form for shot noise with read noise.

    (y - f)^2 - v + 2 v d, with v = gain (y - offset) + sigma^2, whose expectation is the noise's
    variance, and d the divergence by a random probe. It estimates the mean squared error to first
    order in the gain (Luisier et al. 2011, Le Montagner et al. 2014).

    Parameters
    ----------
    gain : intensity of one count, in the units of the image, as for `Poisson`.
    sigma : standard deviation of the read noise, likewise.
    offset : intensity of no count.
    step : size of the probe; by default a tenth of the noise of a pixel of middle intensity, at
        most 0.01 of an image in [0, 1].

    Examples
    --------
    >>> import torch
    >>> noisy = torch.full((1, 1, 8, 8), 0.5)
    >>> identity = Pure(gain=0.1)(lambda y: y, noisy, torch.Generator().manual_seed(0))
    >>> round(identity.mean().item(), 4)  # leaving the noise in costs gain * y
    0.05
    """

    gain: float
    sigma: float = 0.0
    offset: float = 0.0
    step: float | None = None

    def __post_init__(self) -> None:
        if self.gain == 0 or not self.sigma >= 0:
            raise ValueError(
                f"Pure needs a gain other than 0 and a sigma of at least 0, got {self.gain} and "
                f"{self.sigma}"
            )

    def __call__(self, denoiser: Denoiser, noisy: Images, rng: Generator) -> Images:
        # Not cut off at 0 where y lies below the offset: that would bias its mean.
        variance = self.gain * (noisy - self.offset) + self.sigma**2
        step = self.step
        if step is None:
            shot = max(self.gain * (0.5 - self.offset), self.gain**2)
            middle = (shot + self.sigma**2) ** 0.5
            step = probe_step(middle)
        denoised, divergence = denoise_with_divergence(denoiser, noisy, step, rng)
        return (denoised - noisy).square() + variance * (2 * divergence - 1)


@dataclass(frozen=True)
class LevelError:
    """What an estimate of the error is off by, where the noise is not as strong as it is taken for.

    All such estimates have the form (y - f)^2 + v (2 d - 1), with v the noise's variance and d the
    divergence by a random probe. With v wrong by a part of itself, they are off by
    part v (2 d - 1): a denoiser that lets more of the noise through is the more flattered, the
    lower its level is estimated.

    Parameters
    ----------
    noise : the noise model, in the units of the image.
    part : of its variance.

    Examples
    --------
    >>> import torch
    >>> from gaintuning.noise import Gaussian
    >>> noisy, rng = torch.full((1, 1, 8, 8), 0.5), torch.Generator().manual_seed(0)
    >>> identity = LevelError(Gaussian(0.1), 0.05)(lambda y: y, noisy, rng)
    >>> round(identity.mean().item(), 6)
    0.0005
    """

    noise: Noise
    part: float

    def __call__(self, denoiser: Denoiser, noisy: Images, rng: Generator) -> Images:
        variance = self.noise.variance(noisy)
        step = probe_step(float(variance.mean()) ** 0.5)
        if not step > 0:  # where nothing was counted, nothing is off
            return variance
        _, divergence = denoise_with_divergence(denoiser, noisy, step, rng)
        return self.part * variance * (2 * divergence - 1)


def probe_step(sigma: float) -> float:
    """A tenth of the noise, at most 0.01 of an image in [0, 1]."""
    return min(0.1 * sigma, 0.01)

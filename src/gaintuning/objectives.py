"""The unsupervised losses of section 4: each needs the noisy image and nothing else.

Each returns the loss of every pixel; its mean is the objective (see `Objective`).
"""

from dataclasses import dataclass

import torch
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
        step = min(0.1 * self.sigma, 0.01) if self.step is None else self.step
        denoised, divergence = denoise_with_divergence(denoiser, noisy, step, rng)
        return (denoised - noisy).square() + self.sigma**2 * (2 * divergence - 1)


@dataclass(frozen=True)
class Recorrupted:
    """Recorrupted-to-recorrupted (Pang et al. 2021), as a pair: learns from one noise of two.

    With w drawn from N(0, 1), y + a sigma w and y - sigma w / a have independent noise, so the one
    can be denoised and the other be the target. Taken together with -w in place of w, and without
    the term that does not depend on f, the loss is

    ((f(y + a sigma w) - y)^2 + (f(y - a sigma w) - y)^2) / 2
        + sigma w (f(y + a sigma w) - f(y - a sigma w)) / a - sigma^2.

    Its mean is an unbiased estimate of the mean squared error at a noise of sigma sqrt(1 + a^2),
    for every a: what `Sure` is only for a small step, whose gradient is noisy. The two halves of
    the pair cancel most of what w brings into the gradient.

    Parameters
    ----------
    sigma : standard deviation of the Gaussian noise, in the units of the image.
    alpha : a, the part of the noise that is added.

    Examples
    --------
    >>> noisy = torch.full((1, 1, 64, 64), 0.5)
    >>> rng = torch.Generator().manual_seed(0)
    >>> constant = Recorrupted(sigma=0.1)(lambda y: 0 * y + 0.5, noisy, rng)
    >>> round(constant.mean().item(), 4)  # (0.5 - 0.5)^2 - sigma^2
    -0.01
    """

    sigma: float
    alpha: float = 0.3

    def __post_init__(self) -> None:
        for name in ("sigma", "alpha"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be above 0, got {getattr(self, name)}")

    def __call__(self, denoiser: Denoiser, noisy: Images, rng: Generator) -> Images:
        # Drawn on the CPU, so that a seed gives the same numbers on every device.
        draw = torch.randn(noisy.shape, generator=rng, dtype=noisy.dtype).to(noisy)
        added = self.alpha * self.sigma * draw
        above, below = denoiser(torch.cat([noisy + added, noisy - added])).chunk(2)
        misfit = ((above - noisy).square() + (below - noisy).square()) / 2
        return misfit + self.sigma * draw * (above - below) / self.alpha - self.sigma**2


@dataclass(frozen=True)
class BlindSpot:
    """Eq. 4 by masking, for any denoiser (Krull et al. 2019): hidden pixels are predicted.

    Pixels drawn at random are replaced by a neighbour that is not hidden itself, and the
    prediction in their place is compared with what was hidden. All it assumes of the noise is
    that it is independent from pixel to pixel.

    Parameters
    ----------
    fraction : of the pixels hidden in one call.
    radius : how far away, in rows and columns, a replacement may lie.

    Examples
    --------
    >>> noisy = torch.full((1, 1, 32, 32), 0.5)
    >>> BlindSpot()(lambda y: y, noisy, torch.Generator().manual_seed(0)).mean().item()
    0.0
    """

    fraction: float = 0.015
    radius: int = 5

    def __post_init__(self) -> None:
        if not 0 < self.fraction < 0.5:
            raise ValueError(f"fraction must lie between 0 and 0.5, got {self.fraction}")
        if self.radius < 1:
            raise ValueError(f"radius must be at least 1, got {self.radius}")

    def __call__(self, denoiser: Denoiser, noisy: Images, rng: Generator) -> Images:
        masked, hidden = hide_pixels(noisy, self.fraction, self.radius, rng)
        errors = (denoiser(masked) - noisy).square() * hidden
        return errors * (hidden.numel() / hidden.sum().clamp(min=1))


def hide_pixels(
    noisy: Images, fraction: float, radius: int, rng: Generator
) -> tuple[Images, Images]:
    """Replace random pixels by neighbours; return the image and a mask, 1 where replaced.

    All channels of a pixel are hidden together. No hidden value stands anywhere in the result.
    """
    n, _, height, width = noisy.shape
    hidden = torch.rand(n, 1, height, width, generator=rng) < fraction
    image, _, row, column = hidden.nonzero(as_tuple=True)
    taken_row, taken_column = row.clone(), column.clone()
    found = torch.zeros(len(row), dtype=torch.bool)
    for _ in range(20):
        offsets = torch.randint(-radius, radius + 1, (2, len(row)), generator=rng)
        near_row = (row + offsets[0]).clamp(0, height - 1)
        near_column = (column + offsets[1]).clamp(0, width - 1)
        usable = ~found & ~hidden[image, 0, near_row, near_column]
        taken_row = torch.where(usable, near_row, taken_row)
        taken_column = torch.where(usable, near_column, taken_column)
        found |= usable
    # A pixel without a neighbour to be seen stays in place and is not scored.
    image, row, column = image[found], row[found], column[found]
    masked = noisy.clone()
    masked[image, :, row, column] = noisy[image, :, taken_row[found], taken_column[found]]
    mask = torch.zeros_like(noisy)
    mask[image, :, row, column] = 1.0
    return masked, mask


@dataclass(frozen=True)
class BlindSpotByArchitecture:
    """Eq. 4 for a denoiser that cannot see a pixel in its own place: (y - f)^2.

    For `BlindSpotNet` and its like. For any other denoiser the minimum is to change nothing;
    `check_blind` tells them apart.

    Examples
    --------
    >>> noisy = torch.full((1, 1, 8, 8), 0.5)
    >>> BlindSpotByArchitecture()(torch.zeros_like, noisy, torch.Generator()).mean().item()
    0.25
    """

    def __call__(self, denoiser: Denoiser, noisy: Images, rng: Generator) -> Images:
        return (denoiser(noisy) - noisy).square()


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

"""A risk for Gaussian noise of a level that nobody knows."""

from dataclasses import dataclass

from torch import Generator

from gaintuning._types import Denoiser, Images
from gaintuning.divergence import denoise_with_divergence

SMALLEST = 0.05


@dataclass(frozen=True)
class Unsure:
    """UNSURE (Tachella et al. 2025): SURE whose unknown sigma enforces that there is no divergence.

    UNSURE is min over f, max over s^2 of mean((y - f)^2) + 2 s^2 d, so s^2 is the multiplier of the
    constraint that the divergence per pixel d be 0. Of all y + c (f - y), the one with
    c = 1 / (1 - d) meets it. With that, what is left to minimise is

    (y - f)^2 / (1 - d)^2,

    the generalised cross-validation of Golub, Heath & Wahba (1979): for Gaussian noise of any
    sigma, its mean estimates the mean squared error of y + (f - y) / (1 - d), plus sigma^2. How
    much of the residual to take away it leaves as it was.

    Parameters
    ----------
    step : size of the probe of the divergence, in the units of the image.

    Examples
    --------
    >>> import torch
    >>> noisy = torch.rand(1, 1, 32, 32, generator=torch.Generator().manual_seed(0))
    >>> half, none = (
    ...     Unsure()(lambda y: c * y, noisy, torch.Generator().manual_seed(0)) for c in (0.5, 0.0)
    ... )
    >>> torch.allclose(half, none, atol=1e-4)  # y + (f - y) / (1 - d) is the same
    True
    """

    step: float = 0.01

    def __post_init__(self) -> None:
        if not self.step > 0:
            raise ValueError(f"step must be above 0, got {self.step}")

    def __call__(self, denoiser: Denoiser, noisy: Images, rng: Generator) -> Images:
        denoised, divergence = denoise_with_divergence(denoiser, noisy, self.step, rng)
        taken = (1 - divergence.mean((1, 2, 3), keepdim=True)).clamp(min=SMALLEST)
        return ((denoised - noisy) / taken).square()

"""One noisy image made into two with independent noise."""

from dataclasses import dataclass

import torch
from torch import Generator

from gaintuning._types import Denoiser, Images
from gaintuning.noise import Noise


@dataclass(frozen=True)
class Recorrupted:
    """Recorrupted-to-recorrupted (Pang et al. 2021), as a pair: learns from one noise of two.

    With w drawn from N(0, 1) and s the noise's standard deviation, y + a s w and y - s w / a have
    independent noise, so the one can be denoised and the other be the target. Taken together with
    -w in place of w, and without the term that does not depend on f, the loss is

    ((f(y + a s w) - y)^2 + (f(y - a s w) - y)^2) / 2
        + s w (f(y + a s w) - f(y - a s w)) / a - s^2.

    For Gaussian noise its mean is an unbiased estimate of the mean squared error at a noise of
    s sqrt(1 + a^2), for every a: what `Sure` is only for a small step, whose gradient is noisy. The
    two halves of the pair cancel most of what w brings into the gradient. For noise whose variance
    depends on the intensity, s is that of the noisy pixel, and the loss is to `Pure` what it is to
    `Sure` otherwise, up to terms of second order.

    Parameters
    ----------
    noise : the noise model, in the units of the image.
    alpha : a, the part of the noise that is added.

    Examples
    --------
    >>> from gaintuning.noise import Gaussian
    >>> noisy = torch.full((1, 1, 64, 64), 0.5)
    >>> rng = torch.Generator().manual_seed(0)
    >>> constant = Recorrupted(Gaussian(0.1))(lambda y: 0 * y + 0.5, noisy, rng)
    >>> round(constant.mean().item(), 4)  # (0.5 - 0.5)^2 - s^2
    -0.01
    """

    noise: Noise
    alpha: float = 0.3

    def __post_init__(self) -> None:
        if not self.alpha > 0:
            raise ValueError(f"alpha must be above 0, got {self.alpha}")

    def __call__(self, denoiser: Denoiser, noisy: Images, rng: Generator) -> Images:
        # Drawn on the CPU, so that a seed gives the same numbers on every device.
        draw = torch.randn(noisy.shape, generator=rng, dtype=noisy.dtype).to(noisy)
        spread = self.noise.variance(noisy).sqrt() * draw
        added = self.alpha * spread
        above, below = denoiser(torch.cat([noisy + added, noisy - added])).chunk(2)
        misfit = ((above - noisy).square() + (below - noisy).square()) / 2
        return misfit + spread * (above - below) / self.alpha - self.noise.variance(noisy)


@dataclass(frozen=True)
class Thinned:
    """Recorrupted-to-recorrupted for counts (Monroy et al. 2025): each count goes one of two ways.

    Of z counts, w ~ Bin(z, a) are taken out. Then z - w and w are independent Poisson counts, so
    y1 = gain (z - w) / (1 - a) can be denoised and y2 = gain w / a be the target. With the variance
    of y2 taken off,

    (f(y1) - y2)^2 - gain y2 / a

    has as its mean the mean squared error at a noise of gain / (1 - a), exactly, for any f.

    Parameters
    ----------
    gain : intensity of one count, in the units of the image, which must hold whole counts.
    offset : intensity of no count.
    alpha : a, the part of the counts that becomes the target.

    Examples
    --------
    >>> noisy = torch.full((1, 1, 64, 64), 50.0)
    >>> rng = torch.Generator().manual_seed(0)
    >>> halves = Thinned(gain=1.0, alpha=0.5)(lambda y: 0 * y + 50, noisy, rng)
    >>> bool(abs(halves.mean() + 50) < 4)  # ((50 - y2)^2 - 2 y2, and y2 has the variance 50
    True
    """

    gain: float
    offset: float = 0.0
    alpha: float = 0.2

    def __post_init__(self) -> None:
        if not self.gain > 0:
            raise ValueError(f"gain must be above 0, got {self.gain}")
        if not 0 < self.alpha < 1:
            raise ValueError(f"alpha must lie between 0 and 1, got {self.alpha}")

    def __call__(self, denoiser: Denoiser, noisy: Images, rng: Generator) -> Images:
        counts = ((noisy - self.offset) / self.gain).round().clamp(min=0).cpu()
        taken = torch.binomial(counts, torch.full_like(counts, self.alpha), generator=rng)
        kept, target = (
            (self.gain * part).to(noisy)
            for part in ((counts - taken) / (1 - self.alpha), taken / self.alpha)
        )
        error = (denoiser(kept + self.offset) - self.offset - target).square()
        return error - self.gain * target / self.alpha

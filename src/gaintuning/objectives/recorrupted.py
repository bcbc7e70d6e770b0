"""One noisy image made into two with independent noise."""

from dataclasses import dataclass

import torch
from torch import Generator

from gaintuning._types import Denoiser, Images
from gaintuning.noise import Gaussian, Noise, Poisson

ROUNDED = 1e-3
"""An intensity so near to a count, in counts, is that count."""


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
    depends on the intensity, s is that of a first denoised image, and the estimate is only nearly
    unbiased; see `Thinned` and `Hudson`.

    Parameters
    ----------
    noise : the noise model, in the units of the image.
    alpha : a, the part of the noise that is added.
    first : the denoiser whose image tells s; not needed for Gaussian noise.

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
    first: Denoiser | None = None

    def __post_init__(self) -> None:
        if not self.alpha > 0:
            raise ValueError(f"alpha must be above 0, got {self.alpha}")
        if self.first is None and not isinstance(self.noise, Gaussian):
            raise ValueError(
                f"the noise is {self.noise}, and how strong it is depends on the clean image; give "
                "a first denoiser to tell"
            )

    def __call__(self, denoiser: Denoiser, noisy: Images, rng: Generator) -> Images:
        misfit, of_level = self.terms(denoiser, noisy, rng)
        return misfit + of_level

    def terms(self, denoiser: Denoiser, noisy: Images, rng: Generator) -> tuple[Images, Images]:
        """The part of the loss that does not know the level of the noise, and the one that does."""
        # Drawn on the CPU, so that a seed gives the same numbers on every device.
        draw = torch.randn(noisy.shape, generator=rng, dtype=noisy.dtype).to(noisy)
        with torch.no_grad():
            variance = self.noise.variance(self.first(noisy) if self.first else noisy)
        spread = variance.sqrt() * draw
        added = self.alpha * spread
        above, below = denoiser(torch.cat([noisy + added, noisy - added])).chunk(2)
        misfit = ((above - noisy).square() + (below - noisy).square()) / 2
        return misfit, spread * (above - below) / self.alpha - variance


@dataclass(frozen=True)
class Thinned:
    """Recorrupted-to-recorrupted for counts (Monroy et al. 2025): each count goes one of two ways.

    Of z counts, w ~ Bin(z, a) are taken out. Then z - w and w are independent Poisson counts, so
    y1 = gain (z - w) / (1 - a) can be denoised and y2 = gain w / a be the target. With y = gain z,

    (f(y1) - y)^2 - gain y - 2 (f(y1) - f(y)) (y2 - y)

    has as its mean the mean squared error at a noise of gain / (1 - a), exactly, for any f: since
    y2 - y is zero on average for every y, the terms that make this of (f(y1) - y2)^2 - gain y2 / a
    only take its noise away. Intensities between two counts become one of them at random, since a
    gain that is a little off would else put all of some count to the next.

    Parameters
    ----------
    noise : the noise model, in the units of the image.
    alpha : a, the part of the counts that becomes the target.

    Examples
    --------
    >>> from gaintuning.noise import Gaussian, Noise, Poisson
    >>> noisy = torch.poisson(torch.full((1, 1, 64, 64), 50.0), torch.Generator().manual_seed(0))
    >>> rng = torch.Generator().manual_seed(0)
    >>> error = Thinned(Poisson(1.0))(lambda y: 0 * y + 47, noisy, rng).mean()
    >>> bool(abs(error - 9) < 2)  # (47 - 50)^2
    True
    """

    noise: Poisson
    alpha: float = 0.1

    def __post_init__(self) -> None:
        if not 0 < self.alpha < 1:
            raise ValueError(f"alpha must lie between 0 and 1, got {self.alpha}")

    def __call__(self, denoiser: Denoiser, noisy: Images, rng: Generator) -> Images:
        misfit, of_level = self.terms(denoiser, noisy, rng)
        return misfit + of_level

    def terms(self, denoiser: Denoiser, noisy: Images, rng: Generator) -> tuple[Images, Images]:
        """As in `Recorrupted`."""
        gain, low = self.noise.gain, self.noise.offset
        counts = ((noisy - low) / gain).double().cpu()
        # Whole counts stay what they are, rounding errors of their division included.
        between = torch.rand(counts.shape, generator=rng) * (1 - 2 * ROUNDED) + ROUNDED
        counts = (counts + between).floor().clamp(min=0).to(noisy.dtype)
        taken = torch.binomial(counts, torch.full_like(counts, self.alpha), generator=rng)
        whole, kept, target = (
            (gain * part).to(noisy)
            for part in (counts, (counts - taken) / (1 - self.alpha), taken / self.alpha)
        )
        after, before = (denoiser(torch.cat([kept, whole]) + low) - low).chunk(2)
        of_level = -gain * whole - 2 * (after - before) * (target - whole)
        return (after - whole).square(), of_level


@dataclass(frozen=True)
class LevelErrorOfPair:
    """What such an estimate is off by, where the noise is not as strong as it is taken for.

    To first order, as `LevelError` for those with small steps. With the same random numbers the
    denoiser is asked for the same images as by the estimate itself.

    Parameters
    ----------
    risk : the estimate.
    part : of the noise's variance, by which that is wrong.

    Examples
    --------
    >>> from gaintuning.noise import Gaussian
    >>> noisy, rng = torch.full((1, 1, 64, 64), 0.5), torch.Generator().manual_seed(0)
    >>> identity = LevelErrorOfPair(Recorrupted(Gaussian(0.1)), 0.05)(lambda y: y, noisy, rng)
    >>> bool(abs(identity.mean() - 0.0005) < 0.00005)
    True
    """

    risk: Recorrupted | Thinned
    part: float

    def __call__(self, denoiser: Denoiser, noisy: Images, rng: Generator) -> Images:
        _, of_level = self.risk.terms(denoiser, noisy, rng)
        return self.part * of_level

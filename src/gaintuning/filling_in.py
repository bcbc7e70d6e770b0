"""Pixels without the noise of the model are given it, so that what is learned of noise holds there.

An estimate of the error takes each pixel to have the noise of the model. Where nothing varies it
would reward whoever takes more away than is there, and where intensities are cut off, whoever bends
the rest towards the end. So before anything else

- level areas get noise, and single pixels far from all of their neighbours the mean of these with
  noise; in the result both are again what they were;
- what is cut off at an end e is drawn as it could have been: of the noise around the clean
  intensity x, what lies beyond e. x is told by a denoiser g of the image as it is, whose result is
  about the mean of what was cut off; with d = (x - e) / sigma and the normal density and
  distribution, (g - e) / sigma = d cdf(d) + pdf(d) (Foi 2009).

References
----------
Foi, Clipped noisy images: heteroskedastic modeling and practical denoising, Signal Processing
89(12), 2009, https://doi.org/10.1016/j.sigpro.2009.04.035
"""

from dataclasses import dataclass
from math import inf

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import norm
from torch import Generator, Tensor, nn
from torch.nn.functional import avg_pool2d

from gaintuning.noise import Noise
from gaintuning.odd_pixels import cut_off_ends, far_from_neighbours, level_areas
from gaintuning.tiles import run

KNOWN = 0.15
"""As strong as noise may be for the denoiser, of an image whose intensities span 1."""

LOOKED_AT = 2**22
"""So many pixels tell whether intensities are cut off."""

DISTANCES = np.linspace(-4.0, 8.0, 2401)
"""Of a clean intensity from the end, in standard deviations: what lies further beyond cannot be
told."""

FEW_COUNTS = 1.5
"""Of them so many are added to a standard deviation."""

LITTLE = 1e-3
"""With so small a part of the mean variance a pixel has no noise by the model either."""


@dataclass(frozen=True, eq=False)
class FilledIn:
    """Planes as they could have been.

    Parameters
    ----------
    planes, noisy : (n, samples, height, width), in the units of the image, and as they were given.
    level : which of their pixels lie in level areas.
    single : which are single ones far from their neighbours.
    drawn : which were cut off.
    low, high : between them lies what was not cut off; infinite where nothing was.
    """

    planes: NDArray[np.generic]
    noisy: NDArray[np.generic]
    level: NDArray[np.bool_]
    single: NDArray[np.bool_]
    drawn: NDArray[np.bool_]
    low: float
    high: float

    def as_it_was(self, denoised: NDArray[np.floating]) -> NDArray[np.floating]:
        """A result of these planes, for those that were given."""
        return np.where(self.as_given, self.noisy, denoised.clip(self.low, self.high))

    @property
    def as_given(self) -> NDArray[np.bool_]:
        """Which pixels of the result are those that were given."""
        return self.level | self.single


def fill_in(
    planes: NDArray[np.generic], noise: Noise, denoiser: nn.Module, rng: Generator
) -> FilledIn:
    """Give pixels without it the noise of the model.

    Parameters
    ----------
    planes : (n, samples, height, width)
    noise : in their units.
    denoiser : for gray images of intensities in [0, 1].
    rng : source of randomness, on the CPU.

    Examples
    --------
    >>> from gaintuning import zoo
    >>> from gaintuning.noise import Gaussian
    >>> noisy = np.random.default_rng(0).normal(100, 10, size=(1, 1, 64, 64))
    >>> noisy[..., :20, :] = 0
    >>> found = fill_in(noisy, Gaussian(10), zoo.load(zoo.DEFAULT)[0], Generator().manual_seed(0))
    >>> float(found.level.mean()), bool(abs(found.planes[..., :20, :].std() - 10) < 1)
    (0.3125, True)
    """
    seen = torch.from_numpy(planes.astype(np.float64)).flatten(0, 1)[:, None]
    least = LITTLE * float(noise.variance(seen).mean())
    has_noise = noise.variance(seen) > least
    level = level_areas(seen.float()) & has_noise
    around = _mean_of_neighbours(seen)
    noise_around = noise.variance(around)
    # Few counts are further from their mean than normal numbers.
    deviation = noise_around.sqrt() + FEW_COUNTS * getattr(noise, "gain", 0.0)
    single = far_from_neighbours(seen, deviation) & (noise_around > least) & ~level
    low, high = _ends(seen[~single], has_noise[~single])
    filled = torch.where(single, around, seen)
    if bool((level | single).any()):
        filled = torch.where(level | single, noise.sample(filled, rng), filled)
    drawn = torch.zeros_like(level)
    if low > -inf or high < inf:
        guess = _denoised(filled, noise, denoiser)
        for end, inwards in ((low, 1.0), (high, -1.0)):
            if abs(end) < inf:
                gathered = (seen == end) & ~level
                filled = _drawn_beyond(filled, gathered, guess, noise, end, inwards, rng)
                drawn |= gathered
    shape = planes.shape
    whole = filled.reshape(shape).numpy() if bool((level | single | drawn).any()) else planes
    of_level, of_single, of_drawn = (each.reshape(shape).numpy() for each in (level, single, drawn))
    return FilledIn(whole, planes, of_level, of_single, of_drawn, low, high)


def _mean_of_neighbours(seen: Tensor) -> Tensor:
    of_all = avg_pool2d(seen, 3, 1, 1, count_include_pad=False)
    numbers = 9 * avg_pool2d(torch.ones_like(seen[:1]), 3, 1, 1)
    return (of_all * numbers - seen) / (numbers - 1).clamp(min=1)


def _ends(seen: Tensor, has_noise: Tensor) -> tuple[float, float]:
    """At which the intensities are cut off. Many pixels that are would be in any part of them."""
    ends = [-inf, inf]
    extremes = (float(seen.min()), float(seen.max()))
    for index, end in enumerate(cut_off_ends(seen[:: max(1, len(seen) // LOOKED_AT)])):
        if end == extremes[index] and bool(has_noise[seen == end].any()):
            ends[index] = end
    return ends[0], ends[1]


def _denoised(planes: Tensor, noise: Noise, denoiser: nn.Module) -> Tensor:
    """In the middle of the denoiser's range, with noise that it knows."""
    center, sigma = float(planes.mean()), float(noise.variance(planes).mean() ** 0.5)
    shrink = min(1 / float(planes.max() - planes.min()), KNOWN / sigma)
    unit = ((planes - center) * shrink + 0.5).float()
    return torch.from_numpy((run(denoiser, unit) - 0.5) / shrink + center)


def _drawn_beyond(
    planes: Tensor,
    which: Tensor,
    guess: Tensor,
    noise: Noise,
    end: float,
    inwards: float,
    rng: Generator,
) -> Tensor:
    sigma = noise.variance(guess)[which].sqrt().clamp(min=1e-12).numpy()
    of_cut_off = DISTANCES * norm.cdf(DISTANCES) + norm.pdf(DISTANCES)
    seen = inwards * (guess[which].numpy() - end) / sigma
    distance = np.interp(seen, of_cut_off, DISTANCES)
    part = torch.rand(len(distance), generator=rng, dtype=torch.float64).numpy()
    beyond = distance + norm.ppf((part * norm.cdf(-distance)).clip(1e-300))
    filled = planes.clone()
    filled[which] = torch.from_numpy(end + inwards * sigma * beyond.clip(max=0.0))
    return filled

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

from gaintuning._types import Images
from gaintuning.noise import Noise
from gaintuning.odd_pixels import cut_off_ends, far_from_neighbours, level_areas
from gaintuning.tiles import run
from gaintuning.tuning import fuse_to_apply

FILLING = 3
"""Names the random numbers of what is filled in, which are no others'."""

KNOWN = 0.15
"""As strong as noise may be for the denoiser, of an image whose intensities span 1."""

LOOKED_AT = 2**18
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
    planes: NDArray[np.generic],
    noise: Noise,
    denoiser: nn.Module,
    rng: Generator,
    *,
    of_the_model: bool = True,
) -> FilledIn:
    """Give pixels without it the noise of the model.

    Parameters
    ----------
    planes : (n, samples, height, width)
    noise : in their units.
    denoiser : for gray images of intensities in [0, 1].
    rng : source of randomness, on the CPU.
    of_the_model : whether all of the image has that noise; else no single pixel is surely too far
        from its neighbours.

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
    seen = torch.from_numpy(planes.astype(np.float32)).flatten(0, 1)[:, None]
    least = LITTLE * float(noise.variance(seen.mean()))
    # One by one, for the memory.
    found = [_odd_pixels(plane, noise, least) for plane in seen.split(1)]
    level, single = (torch.cat(masks) for masks in zip(*found, strict=True))
    if not of_the_model:
        single = torch.zeros_like(single)
    low, high = _ends(seen[~single] if single.any() else seen, noise, least)
    at_low, at_high = (((seen == end) & ~level & ~single) for end in (low, high))
    drawn = at_low | at_high
    of_level, of_single, of_drawn = (
        each.reshape(planes.shape).numpy() for each in (level, single, drawn)
    )
    if not (level | single | drawn).any():
        return FilledIn(planes, planes, of_level, of_single, of_drawn, low, high)
    filled = torch.from_numpy(planes.astype(np.float64)).flatten(0, 1)[:, None]
    filled[single] = _mean_of_neighbours(filled)[single]
    filled[level | single] = noise.sample(filled[level | single], rng)
    if drawn.any():
        guess = _denoised(filled, noise, denoiser)[drawn]
        inwards = torch.where(at_low[drawn], 1.0, -1.0)
        filled[drawn] = _drawn_beyond(filled[drawn], guess, inwards, noise, rng)
    whole = filled.reshape(planes.shape).numpy()
    return FilledIn(whole, planes, of_level, of_single, of_drawn, low, high)


def _odd_pixels(plane: Images, noise: Noise, least: float) -> tuple[Tensor, Tensor]:
    """Those in level areas, and single ones far from their neighbours."""
    level = level_areas(plane) & (noise.variance(plane) > least)
    variance = noise.variance(_mean_of_neighbours(plane))
    # Few counts are further from their mean than normal numbers.
    deviation = variance.sqrt() + FEW_COUNTS * abs(getattr(noise, "gain", 0.0))
    return level, far_from_neighbours(plane, deviation) & (variance > least) & ~level


def _mean_of_neighbours(planes: Images) -> Images:
    of_all = avg_pool2d(planes, 3, 1, 1, count_include_pad=False)
    numbers = 9 * avg_pool2d(torch.ones_like(planes[:1]), 3, 1, 1)
    return (of_all * numbers - planes) / (numbers - 1).clamp(min=1)


def _ends(intensities: Tensor, noise: Noise, least: float) -> tuple[float, float]:
    """At which they are cut off. Many pixels that are would be in any part of them."""
    some = intensities.flatten()[:: max(1, intensities.numel() // LOOKED_AT)]
    ends = [-inf, inf]
    extremes = (intensities.min(), intensities.max())
    for index, end in enumerate(cut_off_ends(some)):
        if end == float(extremes[index]) and float(noise.variance(extremes[index])) > least:
            ends[index] = end
    return ends[0], ends[1]


def _denoised(planes: Images, noise: Noise, denoiser: nn.Module) -> Images:
    """In the middle of the denoiser's range, with noise that it knows."""
    center, sigma = float(planes.mean()), float(noise.variance(planes).mean() ** 0.5)
    width = max(float(planes.max() - planes.min()), sigma / KNOWN)
    low, high = center - width / 2, center + width / 2
    unit = ((planes - low) / width).float()
    device = next(denoiser.parameters()).device
    fast = fuse_to_apply(denoiser, unit.to(device), noise.rescaled(low, high))
    return torch.from_numpy(run(fast, unit) * width + low)


def _drawn_beyond(
    end: Tensor, guess: Tensor, inwards: Tensor, noise: Noise, rng: Generator
) -> Tensor:
    """Pixels that were cut off, as they could have been.

    Parameters
    ----------
    end : at which.
    guess : what a denoiser makes of them.
    inwards : 1 if that is the lowest intensity, -1 if the highest.
    """
    sigma = noise.variance(guess).sqrt().clamp(min=1e-12).numpy()
    of_cut_off = DISTANCES * norm.cdf(DISTANCES) + norm.pdf(DISTANCES)
    seen = (inwards * (guess - end)).numpy() / sigma
    distance = np.interp(seen, of_cut_off, DISTANCES)
    part = torch.rand(len(distance), generator=rng, dtype=torch.float64).numpy()
    beyond = distance + norm.ppf((part * norm.cdf(-distance)).clip(1e-300))
    return end + inwards * torch.from_numpy(sigma * beyond.clip(max=0.0))

"""The noise of an image, from what a denoiser takes away where there is little to see.

A denoiser f that is as good as it can be along its own residual, so that (f - x).(f - y) is zero on
average, has a mean squared error of variance times divergence. Stein's identity (Eq. 5) then gives
the noise's variance without the clean image x: with d the divergence per pixel,

    variance = mean((y - f)^2) / (1 - d).

In smooth places, where f takes nearly everything away, d is small and the rest is sure. So the
image is cut into blocks, the smooth ones are kept, and a line through their variances against
their means tells Gaussian noise (the line is level) from shot noise (its slope is the gain). What
lies far above the line is texture, and is left out; so is a block of which f has taken away what
goes together between neighbouring pixels, since noise does not.
"""

from dataclasses import dataclass
from math import hypot

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn.functional import avg_pool2d

from gaintuning import zoo
from gaintuning._types import Denoiser, Images
from gaintuning.independence import Pieces, look_far_enough
from gaintuning.layout import lay_out_network
from gaintuning.noise import Gaussian, Poisson, PoissonGaussian
from gaintuning.noise_guess import guess_sigma
from gaintuning.odd_pixels import cut_off_ends, level_areas, step_of
from gaintuning.scaling import find_range, spread
from gaintuning.unshuffling import ALL, Stride, in_words
from gaintuning.variance_line import counted, simplest_model

PIXELS = 512**2
"""So many are looked at: the level is then sure to a few parts in a thousand."""

PIECE = 128
PLANES = 16

ERROR_OF_COUNTS = 0.005
"""Of the gain where each count is a step of the intensities: a detector may lose or split some."""

RARE, RARE_BLOCK, NEAR_RARE = 1.0, 16, 0.2
"""Below so many counts a pixel, counts are told by blocks of that side, in which variance over mean
is no further from 1."""

UNSURE_OF_CUT_OFF = 0.3
"""What is cut off adds this part of its number to the standard error: what is left is too weak."""

COARSE = 1.5
"""So many standard deviations of the noise that is found, rounding included, are a step at which
the rounding begins to follow the image: of noise of half a step and its rounding it is 1.7."""

EVERYWHERE = 0.8
"""If so many of the blocks agree, a pattern that was taken away is in all of them."""

HIDES_THE_LEVEL = 0.25
"""With so many of the pixels cut off, the others tell little of the noise."""


@dataclass(frozen=True)
class NoiseEstimate:
    """What was found of an image's noise.

    Parameters
    ----------
    noise : the model, in the units of the image.
    standard_error : of its level (sigma, or the gain), as a part of it; 0 if it was stated.
    stride : pixels must lie so many rows and columns apart for their noise to be independent.
    uneven : whether parts of the image have far more noise than the model says.
    heavy_tailed : whether some pixels do, anywhere.
    clipped : part of the pixels whose intensity was cut off at the lowest or highest value.
    quantum : step between neighbouring intensities; 0 where there is none to speak of.
    stated : whether the noise was; what is cut off was not looked for then.
    """

    noise: Gaussian | Poisson | PoissonGaussian
    standard_error: float
    stride: Stride = ALL
    uneven: bool = False
    heavy_tailed: bool = False
    clipped: float = 0.0
    quantum: float = 0.0
    stated: bool = False

    @property
    def variance_error(self) -> float:
        """Standard error of the noise's variance, as a part of it; it goes as sigma squared."""
        return (2 if isinstance(self.noise, Gaussian) else 1) * self.standard_error

    @property
    def is_of_the_model(self) -> bool:
        """Whether all pixels have the noise that the model says, and enough of them tell it."""
        return not self.uneven and not self.heavy_tailed and self.clipped < HIDES_THE_LEVEL

    @property
    def remarks(self) -> tuple[str, ...]:
        """What a user should know of it, in sentences."""
        found = []
        if self.stride != ALL:
            found.append(
                "the noise of neighbouring pixels goes together, as after interpolation or "
                f"compression: it is independent where pixels lie {in_words(self.stride)} apart"
            )
        if self.uneven:
            found.append(
                "parts of the image have far more noise than others of the same intensity, or than "
                "any model of its strength says: losses that take it to be known do not hold"
            )
        if self.heavy_tailed:
            found.append(
                "some pixels have far more noise than others, as those of a camera whose pixels "
                "differ, of few counts that were multiplied, or hit by cosmic rays: losses that "
                "take it to be normal do not hold"
            )
        if self.noise.gain < 0:
            found.append(
                "the noise is the stronger the darker the image, as shot noise is in one that was "
                "inverted"
            )
        if self.clipped > 0.01:
            found.append(
                f"{self.clipped:.1%} of the pixels are cut off at the lowest or highest intensity: "
                "there the noise is not what the model says, and the estimated error is off"
            )
        if isinstance(self.noise, Gaussian) and self.quantum > COARSE * self.noise.sigma:
            found.append(
                f"the intensities are in steps of {self.quantum:g}, which are as coarse as the "
                "noise: rounding to them follows the image, as noise does not, and the estimated "
                "error, which the objective and the choices go by, is not to be relied on"
            )
        return tuple(found)


def estimate_noise(
    planes: NDArray[np.generic],
    denoiser: Denoiser | None = None,
    stated: Gaussian | Poisson | PoissonGaussian | None = None,
) -> NoiseEstimate:
    """Estimate model and level of the noise of an image.

    Parameters
    ----------
    planes : (..., height, width), in the units of the image; of many or large ones, a part is
        looked at.
    denoiser : a good one for gray images of intensities in [0, 1] and any level of noise up to
        0.15, by default that on board. It must see every pixel, so a blind-spot network does not
        do.
    stated : the noise, if it is known; then only whether all of the image has it, whatever its
        level, and how far apart it is independent.

    Raises
    ------
    ValueError : the image has no noise, or too few pixels or too few that vary.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> noisy = rng.normal(np.linspace(50, 200, 128), 20, size=(128, 128))
    >>> found = estimate_noise(noisy)
    >>> type(found.noise).__name__, bool(abs(found.noise.sigma - 20) < 1)
    ('Gaussian', True)
    """
    if denoiser is None:
        denoiser = lay_out_network(zoo.load(zoo.DEFAULT)[0])
    planes = planes.reshape(-1, *planes.shape[-2:])
    pieces = _pieces(planes)
    guess = guess_sigma(pieces[:, 0].double().numpy())
    level, quantum = level_areas(pieces).to(pieces.dtype), step_of(pieces)
    cut_off = _cut_off(pieces) * (1 - level)
    if _are_rare_counts(pieces, quantum):
        found = _of_counts(pieces, cut_off, quantum)
        return NoiseEstimate(stated, 0.0, quantum=quantum, stated=True) if stated else found
    left_out = torch.maximum(cut_off, level)
    # The denoiser sees the image in its middle range, with noise that it knows.
    shrink = min(1 / find_range(planes).width, 0.15 / guess)
    center = float(pieces.mean())
    look = look_far_enough(Pieces(pieces, left_out, denoiser, shrink, center, stated))
    if look is None:
        raise ValueError(
            "hardly anything in the image varies, so its noise cannot be told; state its level, as "
            "in gaussian:SIGMA"
        )
    of_pixels = look.stride == ALL
    uneven, heavy_tailed = look.uneven, look.heavy_tailed and of_pixels
    of_counts = of_pixels and counted(look.fitted, quantum)
    if stated:
        kind = (False, False) if of_counts else (uneven, heavy_tailed)
        return NoiseEstimate(stated, 0.0, look.stride, *kind, quantum=quantum, stated=True)
    if of_counts:
        return _of_counts(pieces, cut_off, quantum)
    noise, error = simplest_model(look.fitted)
    if of_pixels and look.fitted.any.agreement > EVERYWHERE:
        noise = _without(noise, look.blocks.periodic)
    clipped = float(cut_off.double().mean())
    error = hypot(error, UNSURE_OF_CUT_OFF * clipped)
    return NoiseEstimate(noise, error, look.stride, uneven, heavy_tailed, clipped, quantum)


def _without(
    noise: Gaussian | Poisson | PoissonGaussian, part: float
) -> Gaussian | Poisson | PoissonGaussian:
    """Where that part of the variance is none of noise."""
    left = 1 - part
    if isinstance(noise, Gaussian):
        return Gaussian(noise.sigma * left**0.5)
    if isinstance(noise, Poisson):
        return Poisson(noise.gain * left, noise.offset)
    return PoissonGaussian(noise.gain * left, noise.sigma * left**0.5, noise.offset)


def _pieces(planes: NDArray[np.generic]) -> Images:
    """Some of the planes whole if they are small, else random parts of them; (n, 1, h, w)."""
    few = [planes[index] for index in spread(len(planes), PLANES)]
    height, width = planes.shape[-2:]
    if len(few) * height * width > PIXELS:
        tall, wide = min(PIECE, height), min(PIECE, width)
        count = PIXELS // (tall * wide)
        rng = np.random.default_rng(0)
        tops = rng.integers(height - tall + 1, size=count)
        lefts = rng.integers(width - wide + 1, size=count)
        few = [
            few[index % len(few)][top : top + tall, left : left + wide]
            for index, (top, left) in enumerate(zip(tops, lefts, strict=True))
        ]
    return torch.from_numpy(np.stack(few).astype(np.float32))[:, None]


def _cut_off(images: Images) -> Images:
    """1 where an intensity is cut off at the lowest or the highest."""
    cut_off = torch.zeros_like(images)
    for end in cut_off_ends(images):
        if end is not None:
            cut_off[images == end] = 1
    return cut_off


def _are_rare_counts(images: Images, step: float) -> bool:
    """Whether these are counts so rare that their variance is their mean, whatever is shown.

    What is shown adds its own variance, but next to that of few counts it is small. A fit to blocks
    would not do here, as the variance of a block scatters far more than that of normal numbers.
    """
    mean = float(images.double().mean())
    if float(images.min()) != 0 or not 0 < mean < RARE * step:
        return False
    side = min(RARE_BLOCK, *images.shape[-2:])
    means, squares = (avg_pool2d(each, side) for each in (images.double(), images.double() ** 2))
    within = float((squares - means**2).mean()) * side**2 / (side**2 - 1)
    return bool(abs(within / (mean * step) - 1) < NEAR_RARE)


def _of_counts(images: Images, cut_off: Images, step: float) -> NoiseEstimate:
    """Counts, each of them a step; no count is the lowest intensity, and nothing is cut off."""
    clipped = float((cut_off * (images > images.min())).double().mean())
    return NoiseEstimate(Poisson(step), ERROR_OF_COUNTS, clipped=clipped, quantum=step)

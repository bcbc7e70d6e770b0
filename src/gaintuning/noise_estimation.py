"""The noise of an image, from what a denoiser takes away where there is little to see.

A denoiser f that is as good as it can be along its own residual, so that (f - x).(f - y) is zero on
average, has a mean squared error of variance times divergence. Stein's identity (Eq. 5) then gives
the noise's variance without the clean image x: with d the divergence per pixel,

    variance = mean((y - f)^2) / (1 - d).

In smooth places, where f takes nearly everything away, d is small and the rest is sure. So the
image is cut into blocks, the smoother half is kept, and a line through their variances against
their means tells Gaussian noise (the line is level) from shot noise (its slope is the gain). What
lies far above the line is texture, and is left out.
"""

from dataclasses import dataclass, replace
from math import hypot
from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import chi2, norm
from torch import Generator, Tensor

from gaintuning._types import Denoiser, Images
from gaintuning.divergence import denoise_with_divergence
from gaintuning.layout import lay_out_images
from gaintuning.noise import Gaussian, Poisson, PoissonGaussian
from gaintuning.noise_guess import guess_sigma
from gaintuning.patches import random_crops
from gaintuning.scaling import find_range, spread

Array: TypeAlias = NDArray[np.floating]

PIXELS = 512**2
"""So many are looked at: the level is then sure to a few parts in a thousand."""

PLANES = 16
SMOOTH = 0.5
"""The part of the blocks that is kept."""

ABOVE = 2.0
"""A block this many standard errors above the line shows texture."""

MANY_BLOCKS = 64

ERROR_OF_LEVEL = 0.01
ERROR_OF_GAIN = 0.03
"""What the scatter of the blocks does not show: texture that looks like noise, and a denoiser that
is not as good as it can be. They are the median errors on natural images, see docs/noise.md."""

STRIDES = (2, 4)


@dataclass(frozen=True)
class NoiseEstimate:
    """What was found of an image's noise.

    Parameters
    ----------
    noise : the model, in the units of the image.
    standard_error : of its level (sigma, or the gain), as a part of it.
    stride : 1 if the noise is independent from pixel to pixel; else pixels must lie so many rows
        or columns apart for their noise to be about independent.
    clipped : part of the pixels whose intensity was cut off at the lowest or highest value.
    quantum : step between neighbouring intensities; 0 where there is none to speak of.
    """

    noise: Gaussian | Poisson | PoissonGaussian
    standard_error: float
    stride: int = 1
    clipped: float = 0.0
    quantum: float = 0.0

    @property
    def remarks(self) -> tuple[str, ...]:
        """What a user should know of it, in sentences."""
        found = []
        if self.stride > 1:
            found.append(
                "the noise of neighbouring pixels goes together, as after interpolation or "
                "compression: losses that need independent noise do not hold"
            )
        if self.clipped > 0.01:
            found.append(
                f"{self.clipped:.1%} of the pixels are cut off at the lowest or highest intensity: "
                "there the noise is not what the model says"
            )
        return tuple(found)


def estimate_noise(planes: NDArray[np.generic], denoiser: Denoiser) -> NoiseEstimate:
    """Estimate model and level of the noise of an image.

    Parameters
    ----------
    planes : (n, height, width), in the units of the image; of many or large ones, a part is looked
        at.
    denoiser : a good one for gray images of intensities in [0, 1] and any level of noise up to
        0.15. It must see every pixel, so a blind-spot network does not do.

    Raises
    ------
    ValueError : the image has no noise, no content, or too few pixels.

    Examples
    --------
    >>> from gaintuning import zoo
    >>> network, _ = zoo.load(zoo.DEFAULT)
    >>> rng = np.random.default_rng(0)
    >>> noisy = rng.normal(np.linspace(50, 200, 128), 20, size=(1, 128, 128))
    >>> found = estimate_noise(noisy, network)
    >>> type(found.noise).__name__, bool(abs(found.noise.sigma - 20) < 1)
    ('Gaussian', True)
    """
    few = planes[spread(len(planes), PLANES)].astype(np.float64)
    guess = guess_sigma(few)
    pieces = _pieces(few)
    cut_off, quantum = _cut_off(pieces, guess)
    # The denoiser sees the image in its middle range, with noise that it knows.
    shrink = min(1 / find_range(planes).width, 0.15 / guess)
    center = float(pieces.mean())

    def observe(stride: int) -> "_Fitted":
        apart = _apart(pieces, stride)
        unit = (apart - center) * shrink + 0.5
        seen = _blocks(denoiser, unit, _apart(cut_off, stride), 16 if stride == 1 else 8)
        return _fit(seen.in_units(shrink, center))

    best, best_stride = observe(1), 1
    for stride in STRIDES:
        if min(pieces.shape[-2:]) < 32 * stride:
            break
        other = observe(stride)
        # Texture has no level that most blocks agree on, at any distance.
        agreed = other.agreement > max(0.5, best.agreement + 0.2)
        # A line that hardly any blocks lie on has no level.
        higher = other.level > 1.2 * best.level or best.agreement < 0.2
        if higher and agreed:
            best, best_stride = other, stride
    noise, error = _model(best)
    return NoiseEstimate(noise, error, best_stride, float(cut_off.double().mean()), quantum)


def _pieces(planes: Array) -> Images:
    """All of a small image, random parts of a larger one; (n, 1, h, w)."""
    images = torch.from_numpy(planes)[:, None].float()
    if images.numel() <= PIXELS:
        return images
    return random_crops(images, 256, PIXELS // 256**2, Generator().manual_seed(0))


def _apart(images: Images, stride: int) -> Tensor:
    """Images of every so manieth pixel."""
    if stride == 1:
        return images
    height, width = (side // stride * stride for side in images.shape[-2:])
    return torch.cat(
        [
            images[..., row:height:stride, column:width:stride]
            for row in (0, stride // 2)
            for column in (0, stride // 2)
        ]
    )


def _cut_off(images: Images, guess: float) -> tuple[Images, float]:
    """1 where an intensity is the lowest or highest and common; and the step between intensities.

    Counts have a lowest value, none, that cuts nothing off. They are known by their coarse steps.
    """
    values = images.unique()
    common = len(values) < 0.02 * images.numel()
    quantum = float(values.diff().min()) if common and len(values) > 1 else 0.0
    ends = [values[-1]] if quantum > guess / 3 else [values[0], values[-1]]
    cut_off = torch.zeros_like(images)
    for end in ends:
        there = images == end
        if there.double().mean() > 1e-3:
            cut_off[there] = 1
    return cut_off, quantum


@dataclass(frozen=True)
class _Blocks:
    """Mean and noise variance of blocks of so many pixels each, and how many there might be."""

    mean: Array
    variance: Array
    pixels: int
    possible: int

    def in_units(self, shrink: float, center: float) -> "_Blocks":
        """Undo unit = (image - center) * shrink + 1 / 2."""
        mean = (self.mean - 0.5) / shrink + center
        return replace(self, mean=mean, variance=self.variance / shrink**2)


@torch.inference_mode()
def _blocks(denoiser: Denoiser, unit: Images, cut_off: Images, side: int) -> _Blocks:
    """The smoother half of the blocks of which little is cut off."""
    if unit.numel() < MANY_BLOCKS * side**2:
        side = 8
    rng = Generator().manual_seed(0)
    parameters = list(denoiser.parameters()) if isinstance(denoiser, torch.nn.Module) else [unit]
    sums: list[list[Array]] = [[], [], [], []]
    for image, ends in zip(unit.split(1), cut_off.split(1), strict=True):
        noisy = lay_out_images(image.to(parameters[0]))
        denoised, slope = denoise_with_divergence(denoiser, noisy, 0.01, rng)
        maps = ((noisy - denoised).square(), slope, denoised, ends)
        for found, values in zip(sums, maps, strict=True):
            pooled = torch.nn.functional.avg_pool2d(values.double().cpu(), side)
            found.append(pooled.flatten().numpy())
    energy, slope, mean, cut = (np.concatenate(found) for found in sums)
    usable = (cut < 0.02) & (slope < 0.95) & (energy > 0)
    if usable.sum() < 8:
        usable = energy > 0
    smoothest = np.argsort(np.where(usable, slope, np.inf))
    kept = smoothest[: max(8, int(SMOOTH * usable.sum()))]
    kept = kept[usable[kept]]
    variance = energy[kept] / (1 - slope[kept]).clip(0.05)
    return _Blocks(mean[kept], variance, side**2, max(8, int(SMOOTH * (cut < 0.02).sum())))


@dataclass(frozen=True)
class _Fitted:
    """Lines of variance against mean: level, through zero, and any.

    `level` is the noise's standard deviation where the image is, and `agreement` the part of the
    blocks that lie on the line.
    """

    constant: "_Line"
    through_zero: "_Line"
    any: "_Line"
    level: float
    agreement: float


@dataclass(frozen=True)
class _Line:
    """variance = slope * mean + constant, the standard errors, and how far it rises and falls."""

    slope: float
    constant: float
    slope_error: float
    constant_error: float
    rise: float
    agreement: float


def _fit(blocks: _Blocks) -> _Fitted:
    constant = _robust_line(blocks, slope=False)
    through_zero = _robust_line(blocks, constant=False)
    line = _robust_line(blocks)
    level = (line.slope * blocks.mean + line.constant).clip(0).mean() ** 0.5
    return _Fitted(constant, through_zero, line, float(level), line.agreement)


def _robust_line(blocks: _Blocks, *, slope: bool = True, constant: bool = True) -> _Line:
    """Least squares in relative errors, over the blocks that do not lie far above the line."""
    used = np.array([slope, constant])
    columns = np.stack([blocks.mean, np.ones_like(blocks.mean)], 1) * used
    variance = blocks.variance
    relative = (2 / blocks.pixels) ** 0.5  # of the variance of so many normal numbers
    # What is left of a normal distribution below the cut has a lower mean.
    shift = 1 - relative * norm.pdf(ABOVE) / norm.cdf(ABOVE)
    low = np.quantile(variance, 0.1) / (chi2.ppf(0.1, blocks.pixels) / blocks.pixels)
    predicted = np.full_like(variance, low)
    inside = variance < np.quantile(variance, 0.9)
    if not slope:
        inside &= variance < low * (1 + ABOVE * relative)
    coefficients = np.zeros(2)
    for _ in range(20):
        weight = 1 / predicted[inside, None]
        weighted = columns[inside][:, used] * weight
        solved = np.linalg.lstsq(weighted, variance[inside] * weight[:, 0], rcond=None)[0]
        coefficients[used] = solved / shift
        predicted = (columns @ coefficients).clip(0.05 * low)
        excess = variance / predicted - 1
        within = (excess < ABOVE * relative) & (excess > -4 * relative)
        if within.sum() < 8:
            break
        inside = within
    residual = (variance[inside] / predicted[inside] - 1).std()
    weighted = columns[inside][:, used] / predicted[inside, None]
    errors = np.zeros(2)
    covariance = np.linalg.pinv(weighted.T @ weighted)
    errors[used] = residual * np.sqrt(np.diag(covariance))
    ends = np.quantile(predicted[inside], [0.05, 0.95])
    return _Line(
        float(coefficients[0]),
        float(coefficients[1]),
        float(errors[0]),
        float(errors[1]),
        float(ends[1] / ends[0]),
        float(within.sum() / blocks.possible),
    )


def _model(found: _Fitted) -> tuple[Gaussian | Poisson | PoissonGaussian, float]:
    """The simplest model that the lines allow, and the relative standard error of its level."""
    line = found.any
    if line.slope < 4 * line.slope_error or line.rise < 1.15:
        constant = found.constant
        scatter = constant.constant_error / constant.constant / 2
        return Gaussian(constant.constant**0.5), hypot(scatter, ERROR_OF_LEVEL)
    if abs(line.constant) < 2 * line.constant_error:
        gain = found.through_zero
        return Poisson(gain.slope), hypot(gain.slope_error / gain.slope, ERROR_OF_GAIN)
    error = hypot(line.slope_error / line.slope, ERROR_OF_GAIN)
    if line.constant > 0:
        return PoissonGaussian(line.slope, line.constant**0.5), error
    return Poisson(line.slope, -line.constant / line.slope), error

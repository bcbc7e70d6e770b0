"""The line of variance against mean that blocks of a noisy image lie on, and the model it tells."""

from dataclasses import dataclass, replace
from math import hypot
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.stats import chi2, norm

from gaintuning.noise import Gaussian, Poisson, PoissonGaussian

Array: TypeAlias = NDArray[np.floating]

ABOVE = 2.0
"""A block this many standard errors above the line shows texture."""

HIDDEN_SCATTER, OF_DRIFT, ERROR_OF_LEVEL = 1.75, 0.3, 0.0025
"""Texture that looks like noise, and a denoiser that is not as good as it can be, add to the
scatter of the blocks. They show in how far smooth and less smooth blocks disagree. The standard
error of sigma is so many times its scatter, so much of that drift, and a constant part, together;
these are about the likeliest for natural images (every eighth of BSD400, half of Urban100, and
BSD68, at sigma 5 to 80)."""

ERROR_OF_GAIN = 0.03
"""What the scatter does not show of a gain: so much makes its standard error cover most gains of
natural images, see docs/noise.md."""

RISING, FALLING, RISEN = 7.0, 12.0, 1.15
"""The variance rises with the mean, or in an inverted image falls, if the slope is so many of its
standard errors, and the rise is so much. Texture alone makes up to 6.7 in most natural images, and
down to -8.6; shot noise, 25 and more, or 8 where read noise hides it."""

AGREED = 0.6
"""And if so many of the blocks agree; where weak noise lies in dark texture a third does."""

NEAR_ONE = 0.1
"""A gain that is found is no further off, as a part of it."""

AS_MANY = 0.9
"""Where hardly anything but the background is smooth, about as many blocks agree on a level."""


@dataclass(frozen=True)
class Blocks:
    """Mean and noise variance of blocks of so many pixels each, and how many there might be.

    From the smoothest on.
    """

    mean: Array
    variance: Array
    pixels: int
    possible: int

    def in_units(self, shrink: float, center: float) -> "Blocks":
        """Undo unit = (image - center) * shrink + 1 / 2."""
        mean = (self.mean - 0.5) / shrink + center
        return replace(self, mean=mean, variance=self.variance / shrink**2)


@dataclass(frozen=True)
class Fitted:
    """Lines of variance against mean: level, through zero, and any.

    And the drift of the level from the smoother half of the blocks to the others, as a part of it.
    """

    constant: "Line"
    through_zero: "Line"
    any: "Line"
    drift: float


@dataclass(frozen=True)
class Line:
    """variance = slope * mean + constant.

    With the standard errors, how far the variance rises, and the part of the blocks that agree.
    """

    slope: float
    constant: float
    slope_error: float
    constant_error: float
    rise: float
    agreement: float

    def in_units(self, unit: float) -> "Line":
        """Of an intensity that was 1."""
        return replace(
            self,
            slope=self.slope * unit,
            constant=self.constant * unit**2,
            slope_error=self.slope_error * unit,
            constant_error=self.constant_error * unit**2,
        )


def fit_lines(blocks: Blocks) -> Fitted:
    """The same lines whatever the unit of the intensities: what is solved has numbers near 1."""
    unit = float(np.abs(blocks.mean).max()) or 1.0
    scaled = replace(blocks, mean=blocks.mean / unit, variance=blocks.variance / unit**2)
    count = len(blocks.mean)
    # A line needs two blocks, which of fewer than four both halves share.
    halves = slice(max(count // 2, 2)), slice(max(min(count // 2, count - 2), 0), None)
    smoother, others = (
        _robust_line(
            replace(scaled, mean=scaled.mean[half], variance=scaled.variance[half]), slope=False
        ).constant
        for half in halves
    )
    return Fitted(
        constant=_robust_line(scaled, slope=False).in_units(unit),
        through_zero=_robust_line(scaled, constant=False).in_units(unit),
        any=_robust_line(scaled).in_units(unit),
        drift=others / smoother - 1,
    )


def _robust_line(blocks: Blocks, *, slope: bool = True, constant: bool = True) -> Line:
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
    return Line(
        float(coefficients[0]),
        float(coefficients[1]),
        float(errors[0]),
        float(errors[1]),
        float(ends[1] / ends[0]),
        float(within.sum() / blocks.possible),
    )


def counted(found: Fitted, step: float) -> bool:
    """Whether the intensities are counts, each of them a step: variance over mean is about one.

    For another kind of noise that may happen to be so, but not from block to block.

    Parameters
    ----------
    step : between neighbouring intensities; 0 where there is none to speak of.
    """
    through_zero = found.through_zero
    return (
        step > 0
        and abs(through_zero.slope / step - 1) < NEAR_ONE
        and through_zero.agreement > AS_MANY * found.constant.agreement
        and found.any.slope > step / 2
    )


def simplest_model(found: Fitted) -> tuple[Gaussian | Poisson | PoissonGaussian, float]:
    """The simplest model that the lines allow, and the relative standard error of its level."""
    line = found.any
    rises = line.slope > RISING * line.slope_error
    falls = line.slope < -FALLING * line.slope_error and line.agreement > AGREED
    if not (rises or falls) or line.rise < RISEN:
        constant = found.constant
        scatter = constant.constant_error / constant.constant / 2
        error = hypot(HIDDEN_SCATTER * scatter, OF_DRIFT * found.drift / 2, ERROR_OF_LEVEL)
        return Gaussian(constant.constant**0.5), error
    if abs(line.constant) < 2 * line.constant_error and line.slope > 0:
        gain = found.through_zero
        return Poisson(gain.slope), hypot(gain.slope_error / gain.slope, ERROR_OF_GAIN)
    error = hypot(line.slope_error / line.slope, ERROR_OF_GAIN)
    if line.constant > 0 and line.slope > 0:
        return PoissonGaussian(line.slope, line.constant**0.5), error
    return Poisson(line.slope, -line.constant / line.slope), error

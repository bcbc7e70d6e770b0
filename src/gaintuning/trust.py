"""How far a result is from the clean image, as far as the noisy image can tell."""

from dataclasses import dataclass
from math import hypot, inf, log, log10

import torch
from torch import Tensor

from gaintuning._types import Denoiser, Images
from gaintuning.judging import Risk, pixel_losses
from gaintuning.noise import Gaussian, Noise, Poisson, PoissonGaussian
from gaintuning.objectives import Hudson, Sure, Thinned

MANY_DRAWS = 8
"""Of an estimate whose random part is as large as that of the noise itself."""

TOO_MUCH, TOO_LITTLE = 1.08, 0.5
"""Beyond these, the root mean square of what was taken away is not that of the noise."""

CORRELATED = 0.1
"""Above this, neighbouring pixels of what was taken away go together more than noise does."""

REGULAR, LINES = 100.0, 3.0
"""Above these it holds a pattern, or rows or columns with offsets of their own. In what was taken
away of natural images, at sigma 15 and 40, they are below 20 and up to 2."""

BORDER = 4

REMOVED = 0.02
"""The part of the counts that is taken out to estimate the error, which is that at fewer counts."""


@dataclass(frozen=True)
class ErrorEstimate:
    """The mean squared error against the clean image, estimated without it.

    Parameters
    ----------
    mean_square : the estimate; of few pixels it can lie below zero.
    standard_error : of the estimate.

    Examples
    --------
    >>> ErrorEstimate(mean_square=0.01, standard_error=0.001).psnr
    20.0
    """

    mean_square: float
    standard_error: float

    @property
    def psnr(self) -> float:
        """In dB, for intensities in [0, 1]; infinite where no error was found."""
        return -10 * log10(self.mean_square) if self.mean_square > 0 else inf

    @property
    def psnr_error(self) -> float:
        """Standard error of `psnr`, in dB."""
        if self.mean_square <= 0:
            return inf
        return 10 / log(10) * self.standard_error / self.mean_square

    def scaled(self, factor: float) -> "ErrorEstimate":
        """In other squared units."""
        return ErrorEstimate(factor * self.mean_square, factor * self.standard_error)

    def lowered_by(self, fall: Risk) -> "ErrorEstimate":
        """After something that lowered the risk, in the same units."""
        return ErrorEstimate(
            self.mean_square - (fall.before - fall.after),
            hypot(self.standard_error, fall.standard_error),
        )


@dataclass(frozen=True)
class Residual:
    """What was taken away, noisy - denoised, in standard deviations of the noise.

    Parameters
    ----------
    spread : its root mean square; a little below 1 if noise was taken away and nothing else.
    correlation : of neighbouring pixels, from -1 to 1; about 0, or a little below, likewise.
    peak : the power of its strongest frequency over that of all; about the logarithm of the number
        of pixels, likewise.
    lines : the power of the means of its rows, or of its columns, over that of all; about 1.
    """

    spread: float
    correlation: float
    peak: float = 1.0
    lines: float = 1.0

    @property
    def is_too_much(self) -> bool:
        return self.spread > TOO_MUCH

    @property
    def is_too_little(self) -> bool:
        return self.spread < TOO_LITTLE

    @property
    def is_correlated(self) -> bool:
        return self.correlation > CORRELATED

    @property
    def has_lines(self) -> bool:
        return self.lines > LINES

    @property
    def is_regular(self) -> bool:
        return self.peak > REGULAR

    @property
    def holds_details(self) -> bool:
        """Whether more than noise was taken away."""
        return self.is_too_much or self.is_correlated


def residual_of(noisy: Tensor, denoised: Tensor, noise: Noise) -> Residual:
    """Measure what was taken away; (..., h, w), all in the same units.

    Examples
    --------
    >>> noisy = 0.1 * torch.randn(64, 64, generator=torch.Generator().manual_seed(0))
    >>> found = residual_of(noisy, 0 * noisy, Gaussian(0.1))
    >>> abs(found.spread - 1) < 0.05, abs(found.correlation) < 0.05
    (True, True)
    """
    # Sums are compared, as a single pixel may have no noise, like one where nothing was counted.
    variance = float(noise.variance(denoised).mean())
    taken = noisy - denoised
    square = float(taken.square().mean())
    if not variance > 0 or not square > 0:
        return Residual(0.0, 0.0)
    beside = float((taken[..., 1:] * taken[..., :-1]).mean())
    below = float((taken[..., 1:, :] * taken[..., :-1, :]).mean())
    peak, lines = _of_spectrum(taken.reshape(-1, *taken.shape[-2:]))
    return Residual((square / variance) ** 0.5, (beside + below) / 2 / square, peak, lines)


def _of_spectrum(taken: Tensor) -> tuple[float, float]:
    """`peak` and `lines` of (n, h, w), without its border, where networks see less."""
    peaks, lines = [], []
    rows, columns = (min(BORDER, (side - 1) // 2) for side in taken.shape[-2:])
    for plane in taken[:, rows : taken.shape[-2] - rows, columns : taken.shape[-1] - columns]:
        power = torch.fft.rfft2(plane - plane.mean()).abs().square()
        mean = power.mean()
        if mean > 0 and min(plane.shape) > 1:
            peaks.append(power.max() / mean)
            lines.append(torch.stack([power[1:, 0].mean(), power[0, 1:].mean()]) / mean)
    if not peaks:
        return 1.0, 1.0
    return float(max(peaks)), float(torch.stack(lines).mean(0).max())


def risk_of(noise: Noise) -> Sure | Thinned | Hudson:
    """An unbiased estimate of the error for a noise model.

    `Pure` is one up to terms of second order. Those are not small where few counts go through a
    curve as steep as Anscombe's, so for shot noise it is an exact one.

    Examples
    --------
    >>> risk_of(Gaussian(0.1))
    Sure(sigma=0.1, step=None)
    """
    if isinstance(noise, Gaussian):
        return Sure(noise.sigma)
    if isinstance(noise, Poisson):
        return Thinned(noise, REMOVED)
    if isinstance(noise, PoissonGaussian):
        return Hudson(noise)
    raise ValueError(f"no unbiased risk estimate is known for {noise}; use another objective")


def estimate_error(
    denoiser: Denoiser, noisy: Images, noise: Noise, variance_error: float = 0.0, seed: int = 0
) -> ErrorEstimate:
    """Estimate the mean squared error of a denoiser on an image, or on parts of a large one.

    Of m pixels with noise of variance v, an unbiased risk estimate R has a variance of about
    (mean(2 v^2) + 4 mean(v) R) / m: the first term since nobody knows how much noise this very
    image got, the second since some of it may look like the image. What the random probe adds is
    seen by drawing it several times. A wrong v adds to R what it is wrong by. But v that was
    estimated from all of these pixels, or the best of them, follows how much noise they got: what
    it adds is then less by the first term, not more.

    Parameters
    ----------
    denoiser, noisy, noise : all for intensities in the same units.
    variance_error : standard error of the noise's variance as a part of it, if it was estimated
        from these images.
    seed : of the random probes.

    Examples
    --------
    >>> noisy = 0.1 * torch.randn(1, 1, 64, 64, generator=torch.Generator().manual_seed(0))
    >>> found = estimate_error(torch.zeros_like, noisy, Gaussian(0.1))
    >>> abs(found.mean_square) < 3 * found.standard_error
    True
    """
    risk, draws = risk_of(noise), []
    count = MANY_DRAWS if isinstance(risk, Hudson) else 2
    for draw in range(count * seed, count * (seed + 1)):
        losses = pixel_losses(denoiser, noisy, risk, draw)
        draws.append(torch.cat([piece.flatten() for piece in losses]))
    means = torch.stack([pixels.mean() for pixels in draws])
    found = float(means.mean())
    of_planes = (noise.variance(plane).double() for plane in noisy.split(1))
    moments = torch.stack([torch.stack([v.mean(), v.square().mean()]) for v in of_planes])
    variance, fourth = moments.mean(0).cpu()
    count_of_pixels = len(draws[0])
    got = 2 * fourth / count_of_pixels
    level = (variance_error * variance).square()
    follows = variance_error > 0 and count_of_pixels == noisy.numel()
    noise_energy = (level - got).clamp(min=0) if follows else level + got
    alike = 4 * variance * max(found, 0.0) / count_of_pixels
    probes = means.var() / count
    return ErrorEstimate(found, float((noise_energy + alike + probes).sqrt()))

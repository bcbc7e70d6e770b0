"""Blocks of an image, as a denoiser sees them: which are smooth, and what noise they hold."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import avg_pool2d, max_pool2d, pad

from gaintuning._types import Denoiser, Images
from gaintuning.divergence import denoise_with_divergence
from gaintuning.layout import lay_out_images
from gaintuning.randomness import generator
from gaintuning.variance_line import Array, Blocks

SMOOTH = 0.2
"""Of a lower divergence per pixel blocks are smooth."""

FEWEST, MOST = 0.2, 0.5
"""No fewer and no more of all blocks are kept for that."""

LEFT_BEHIND = 0.3
"""What is taken away of noise goes together by minus so much of the divergence, or more: what is
left of it stands for its neighbours, too."""

FOUND = 0.9855
"""The part of the variance that is found in natural images.

In smooth blocks the noise happens to be weak, and the network lets a little of it through. The
median over every eighth image of BSD400 at sigma 20 and 40.
"""

STRONGER = 1.6
"""So many times the variance that is expected of a block it has by neither chance nor texture, if
it is smooth and what was taken from it is as noise is."""

PEAK = 100.0
"""A frequency that has so many times the mean power is that of a pattern; of noise none has 20."""

LAGS = ((0, 1), (1, 0), (1, 1), (1, -1), (0, 2), (2, 0))
"""Rows and columns from a pixel to those near it with which its noise does not go together."""

BY_CHANCE = 4.0
"""Standard errors of such a correlation."""

FAINT = 0.02
"""Standard deviation, as seen by the denoiser, below which texture looks like noise that goes
together."""

SMOOTHEST = 0.15
"""In an image that is not all details, so many of the blocks are smooth."""

WEAKEST = 1 / 8
"""Part of the blocks, those with the least noise."""

GROUPS = 5
"""Of blocks, by their mean."""

FEWEST_BLOCKS, MANY_BLOCKS = 8, 64

Which: TypeAlias = NDArray[np.bool_]


@dataclass(frozen=True)
class SeenBlocks:
    """What a denoiser did to each block, a mean over its pixels.

    Parameters
    ----------
    energy : square of what was taken away.
    together : product of what was taken away from neighbouring pixels.
    structure : the strongest correlation of what was taken away at any of `LAGS`.
    kurtosis : of what was taken away; about 0 of normal noise.
    slope : divergence.
    mean : of what was left.
    periodic : part of the energy of all that was taken away that lies at few frequencies.
    whole : whether next to nothing of it is left out.
    usable : whether it may tell the noise.
    pixels : number of them.
    grid : rows and columns of blocks in an image.
    """

    energy: Array
    together: Array
    structure: Array
    kurtosis: Array
    slope: Array
    mean: Array
    periodic: float
    whole: Which
    usable: Which
    pixels: int
    grid: tuple[int, int]

    @property
    def make_a_line(self) -> bool:
        """Whether there are two of them to lay it through."""
        return bool(self.usable.sum() >= 2)

    def smoother_half(self) -> Blocks:
        return self._smoothest(self.usable, MOST, MOST)

    def noise_alone(self) -> Blocks:
        """The smooth ones from which nothing was taken away that goes together."""
        some = self.usable & self._apart
        if some.sum() < FEWEST_BLOCKS:
            some = self.usable
        return self._smoothest(some, self._smooth_part(some), self._smooth_part(self.whole))

    def part_with_more_noise(self, expected: Array) -> float:
        """The part of the blocks that surely have more noise than that variance, one for each."""
        more = self._variance > STRONGER * expected
        return float((self._surely_noise & more).mean())

    def rise_beside(self, expected: Array) -> float:
        """How many times as strong as that variance noise is at some intensities as at others."""
        some = self._surely_noise
        if some.sum() < GROUPS * FEWEST_BLOCKS:
            return 1.0
        by_mean = np.argsort(self.mean[some])
        parts = np.array_split((self._variance / expected.clip(min=1e-12))[some][by_mean], GROUPS)
        medians = [np.median(part) for part in parts]
        return float(max(medians) / min(medians))

    @property
    def details(self) -> float:
        """The divergence of the smooth ones, which are few where a scene is full of details."""
        return float(np.quantile(self.slope[self.usable], SMOOTHEST))

    def rise_apart(self, apart: "SeenBlocks", images: int, weakest: float = WEAKEST) -> float:
        """How many times as strong noise is among pixels that lie apart, where it is weakest.

        Of independent noise it is as strong, and 1 is told of noise that is faint. A network for
        such noise leaves what goes together, and does not see that it does where only pixels are
        left that lie apart. Texture it leaves, too, but hardly any image has that in all places.

        Parameters
        ----------
        apart : of the same images, taken apart.
        images : number of them.
        weakest : part of the places.
        """
        near, far = self._noise_by_place(images), apart._noise_by_place(images)
        sides = [min(pair) for pair in zip(near.shape[1:], far.shape[1:], strict=True)]
        near, far = (_in_fewer_places(each, sides).flatten() for each in (near, far))
        whole = near.isfinite() & far.isfinite() & (far > 0)
        near, far = near[whole].clamp(min=1e-12), far[whole]
        if not len(far) or float(far.median()) < FAINT**2:
            return 1.0
        some = far.argsort()[: max(FEWEST_BLOCKS, int(len(far) * weakest))]
        return float((far / near)[some].median() ** 0.5)

    def _noise_by_place(self, images: int) -> Tensor:
        """Variance of the noise for each image; NaN where something is left out."""
        known = np.where(self.whole, self._variance, np.nan)
        return torch.from_numpy(known.reshape(-1, images, *self.grid).mean(0))

    def strength_beside(self, expected: Array) -> float:
        """How many times that variance the noise has; 1 if there are few blocks that tell."""
        some = self._surely_noise & (expected > 0)
        if some.sum() < FEWEST_BLOCKS:
            return 1.0
        return float(np.median(self._variance[some] / expected[some]))

    def kurtosis_beside(self, expected: Array) -> float:
        """How much more than that kurtosis the noise has; 0 if there are few blocks that tell."""
        some = self._surely_noise
        if some.sum() < FEWEST_BLOCKS:
            return 0.0
        return float(np.median(self.kurtosis[some] - expected[some]))

    @property
    def _surely_noise(self) -> Which:
        """Smooth ones from which nothing was taken away that goes together at any distance."""
        allowed = BY_CHANCE / self.pixels**0.5 + 2 * self.slope
        smooth = self.usable & (self.slope < SMOOTH)
        found: Which = smooth & self._apart & (self.structure < allowed)
        return found

    @property
    def _apart(self) -> Which:
        """Those from which nothing was taken away that goes together between neighbours."""
        by_chance = 2 / (2 * self.pixels) ** 0.5
        apart: Which = self.together < (by_chance - LEFT_BEHIND * self.slope) * self.energy
        return apart

    @property
    def _variance(self) -> Array:
        """Of the noise in them."""
        variance: Array = self.energy / (1 - self.slope).clip(0.05) / FOUND
        return variance

    def _smooth_part(self, some: Which) -> float:
        smooth = (self.slope[some] < SMOOTH).sum()
        return float(np.clip(smooth / max(some.sum(), 1), FEWEST, MOST))

    def _smoothest(self, some: Which, part: float, part_of_whole: float) -> Blocks:
        smoothest = np.flatnonzero(some)[np.argsort(self.slope[some])]
        kept = smoothest[: max(FEWEST_BLOCKS, int(part * some.sum()))]
        possible = max(FEWEST_BLOCKS, int(part_of_whole * self.whole.sum()))
        return Blocks(self.mean[kept], self._variance[kept], self.pixels, possible)


@torch.inference_mode()
def look_at_blocks(denoiser: Denoiser, unit: Images, left_out: Images, side: int) -> SeenBlocks:
    """Denoise images, and see what became of their blocks.

    Parameters
    ----------
    unit : (n, 1, height, width), as the denoiser sees them.
    left_out : likewise, 1 where a pixel tells nothing of the noise.
    side : of the blocks; of few pixels they are smaller.

    Examples
    --------
    >>> noisy = torch.randn(1, 1, 64, 64, generator=torch.Generator().manual_seed(0))
    >>> seen = look_at_blocks(lambda images: 0 * images, noisy, torch.zeros_like(noisy), 16)
    >>> bool(abs(seen.energy.mean() - 1) < 0.1), len(seen.noise_alone().variance)
    (True, 32)
    """
    if unit.numel() < MANY_BLOCKS * side**2 or min(unit.shape[-2:]) < side:
        side = 8
    rng = generator(0)
    parameters = list(denoiser.parameters()) if isinstance(denoiser, torch.nn.Module) else [unit]
    patterns = []
    sums: list[list[Array]] = [[] for _ in range(6 + len(LAGS))]
    for image, ends in zip(unit.split(1), left_out.split(1), strict=True):
        noisy = lay_out_images(image.to(parameters[0]))
        denoised, divergence = denoise_with_divergence(denoiser, noisy, 0.01, rng)
        taken = noisy - denoised
        patterns.append(_periodic_part((taken * (1 - ends))[0, 0], side))
        apart = (taken * taken.roll(lag, (-2, -1)) for lag in LAGS)
        square = taken.square()
        maps = (square, _beside(taken), divergence, denoised, ends, square.square(), *apart)
        for found, values in zip(sums, maps, strict=True):
            pooled = avg_pool2d(values.double().cpu(), side)
            found.append(pooled.flatten().numpy())
    energy, together, slope, mean, cut, fourth, *lagged = map(np.concatenate, sums)
    one = energy.clip(min=1e-100)
    structure, kurtosis = np.abs(lagged).max(0) / one, fourth / one**2 - 3
    usable = (cut < 0.02) & (slope < 0.95) & (energy > 0)
    if usable.sum() < FEWEST_BLOCKS:
        usable = (cut < 1) & (energy > 0)
    whole = cut < 0.02
    periodic = float(np.mean(patterns))
    return SeenBlocks(
        energy,
        together,
        structure,
        kurtosis,
        slope,
        mean,
        periodic,
        whole,
        usable,
        side**2,
        (unit.shape[-2] // side, unit.shape[-1] // side),
    )


def _in_fewer_places(values: Tensor, sides: Sequence[int]) -> Tensor:
    """Means of (n, rows, columns) over so many rows and columns, which are no more."""
    pairs = zip(values.shape[1:], sides, strict=True)
    pooled = avg_pool2d(values, tuple(round(many / few) for many, few in pairs))
    return pooled[:, : sides[0], : sides[1]]


def _periodic_part(taken: Tensor, side: int) -> float:
    """Of (h, w), all of whose blocks count alike."""
    energy = avg_pool2d(taken.square()[None], side)[0].clamp(min=1e-20)
    root = energy.sqrt().repeat_interleave(side, 0).repeat_interleave(side, 1)
    alike = taken[: len(root), : root.shape[1]] / root
    down, across = (torch.hann_window(length, device=taken.device) for length in alike.shape)
    power = torch.fft.fft2((alike - alike.mean()) * torch.outer(down, across)).abs() ** 2
    mean = power.mean()
    peaks = (power > PEAK * mean)[None, None].float()
    # The window spreads each over its neighbours.
    of_pattern = max_pool2d(pad(peaks, (1, 1, 1, 1), mode="circular"), 3, 1)[0, 0] > 0
    return float((power - mean)[of_pattern].sum() / power.sum().clamp(min=1e-20))


def _beside(taken: Images) -> Images:
    """The product of each pixel with its right and lower neighbours, their mean."""
    right, below = torch.zeros_like(taken), torch.zeros_like(taken)
    right[..., :-1] = taken[..., 1:]
    below[..., :-1, :] = taken[..., 1:, :]
    return taken * (right + below) / 2

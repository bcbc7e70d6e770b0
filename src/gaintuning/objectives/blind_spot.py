"""Predicting pixels that the denoiser does not see."""

from dataclasses import dataclass

import torch
from torch import Generator
from torch.nn.functional import max_pool2d

from gaintuning._types import Denoiser, Images


@dataclass(frozen=True)
class BlindSpot:
    """Eq. 4 by masking, for any denoiser (Krull et al. 2019): hidden pixels are predicted.

    Pixels drawn at random are replaced by a neighbour that is not hidden itself, and the
    prediction in their place is compared with what was hidden. All it assumes of the noise is
    that it is independent from pixel to pixel; or, with a `guard`, at some distance: then the
    surroundings of a scored pixel are hidden with it.

    Parameters
    ----------
    fraction : of the pixels hidden in one call.
    radius : how far away, in rows and columns, a replacement may lie.
    guard : pixels up to so many rows and columns from a scored one are hidden, too.

    Examples
    --------
    >>> noisy = torch.full((1, 1, 32, 32), 0.5)
    >>> BlindSpot()(lambda y: y, noisy, torch.Generator().manual_seed(0)).mean().item()
    0.0
    """

    fraction: float = 0.015
    radius: int = 5
    guard: int = 0

    def __post_init__(self) -> None:
        if not 0 < self.fraction < 0.5:
            raise ValueError(f"fraction must lie between 0 and 0.5, got {self.fraction}")
        if self.radius < 1:
            raise ValueError(f"radius must be at least 1, got {self.radius}")
        if not 0 <= self.guard < self.radius:
            raise ValueError(
                f"guard must be at least 0 and below the radius {self.radius}, got {self.guard}"
            )

    def __call__(self, denoiser: Denoiser, noisy: Images, rng: Generator) -> Images:
        masked, scored = hide_pixels(noisy, self.fraction, self.radius, self.guard, rng)
        errors = (denoiser(masked) - noisy).square() * scored
        return errors * (scored.numel() / scored.sum().clamp(min=1))


def hide_pixels(
    noisy: Images, fraction: float, radius: int, guard: int, rng: Generator
) -> tuple[Images, Images]:
    """Replace random pixels by neighbours; return the image and a mask, 1 where a pixel is scored.

    All channels of a pixel are hidden together. No hidden value stands anywhere in the result.
    """
    n, _, height, width = noisy.shape
    # As many are hidden with guards as without them, so fewer are scored.
    chosen = torch.rand(n, 1, height, width, generator=rng) < fraction / (2 * guard + 1) ** 2
    hidden = max_pool2d(chosen.float(), 2 * guard + 1, 1, guard) > 0
    image, _, row, column = hidden.nonzero(as_tuple=True)
    taken_row, taken_column = row.clone(), column.clone()
    found = torch.zeros(len(row), dtype=torch.bool)
    for _ in range(20):
        offsets = torch.randint(-radius, radius + 1, (2, len(row)), generator=rng)
        near_row = (row + offsets[0]).clamp(0, height - 1)
        near_column = (column + offsets[1]).clamp(0, width - 1)
        usable = ~found & ~hidden[image, 0, near_row, near_column]
        taken_row = torch.where(usable, near_row, taken_row)
        taken_column = torch.where(usable, near_column, taken_column)
        found |= usable
    # Around a pixel without a neighbour to be seen nothing is scored, since it stays in place.
    stuck = torch.zeros_like(hidden)
    stuck[image[~found], 0, row[~found], column[~found]] = True
    near_stuck = max_pool2d(stuck.float(), 2 * guard + 1, 1, guard) > 0
    image, row, column = image[found], row[found], column[found]
    masked = noisy.clone()
    masked[image, :, row, column] = noisy[image, :, taken_row[found], taken_column[found]]
    return masked, (chosen & ~near_stuck).expand_as(noisy).to(noisy)


@dataclass(frozen=True)
class BlindSpotByArchitecture:
    """Eq. 4 for a denoiser that cannot see a pixel in its own place: (y - f)^2.

    For `BlindSpotNet` and its like. For any other denoiser the minimum is to change nothing;
    `check_blind` tells them apart.

    Examples
    --------
    >>> noisy = torch.full((1, 1, 8, 8), 0.5)
    >>> BlindSpotByArchitecture()(torch.zeros_like, noisy, torch.Generator()).mean().item()
    0.25
    """

    def __call__(self, denoiser: Denoiser, noisy: Images, rng: Generator) -> Images:
        return (denoiser(noisy) - noisy).square()

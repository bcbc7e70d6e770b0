"""Predicting pixels from their neighbours at half the resolution."""

from dataclasses import dataclass
from typing import TypeAlias

import torch
from jaxtyping import Float
from torch import Generator, Tensor

from gaintuning._types import Denoiser, Images

HalfSized: TypeAlias = Float[Tensor, "n c half_h half_w"]


@dataclass(frozen=True)
class Neighbor2Neighbor:
    """Neighbouring pixels as two noisy images of one scene (Huang et al. 2021).

    From each cell of 2 x 2 pixels two neighbours are drawn, which makes two images g1(y) and g2(y)
    of half the size. The loss is

    (f(g1(y)) - g2(y))^2 + weight (f(g1(y)) - g2(y) - (g1(f(y)) - g2(f(y))))^2,

    whose second term takes account of what the two scenes differ by. The noise must be independent
    from pixel to pixel; its model and level need not be known.

    Parameters
    ----------
    weight : of the second term.

    Examples
    --------
    >>> flat = torch.full((1, 1, 32, 32), 0.5)
    >>> Neighbor2Neighbor()(lambda y: y, flat, torch.Generator().manual_seed(0)).shape
    torch.Size([1, 1, 16, 16])
    """

    weight: float = 1.0

    def __post_init__(self) -> None:
        if not self.weight >= 0:
            raise ValueError(f"weight must be at least 0, got {self.weight}")

    def __call__(self, denoiser: Denoiser, noisy: Images, rng: Generator) -> HalfSized:
        first, second = draw_neighbors(noisy, rng)
        here, there = pick(noisy, first), pick(noisy, second)
        with torch.no_grad():
            denoised = denoiser(noisy)
        apart = pick(denoised, first) - pick(denoised, second)
        error = denoiser(here) - there
        return error.square() + self.weight * (error - apart).square()


def draw_neighbors(images: Images, rng: Generator) -> tuple[Tensor, Tensor]:
    """Two pixels of each cell of 2 x 2 that share an edge, as numbers from 0 to 3."""
    n, _, height, width = images.shape
    shape = (n, 1, height // 2, width // 2)
    first = torch.randint(4, shape, generator=rng)
    # The cell is 0 1 over 2 3: changing the last bit moves sideways, the first up or down.
    second = first ^ (1 + torch.randint(2, shape, generator=rng))
    return first.to(images.device), second.to(images.device)


def pick(images: Images, which: Tensor) -> HalfSized:
    """One pixel of each cell of 2 x 2, at half the size; all channels the same."""
    height, width = (side // 2 * 2 for side in images.shape[-2:])
    cells = [images[..., row:height:2, column:width:2] for row in (0, 1) for column in (0, 1)]
    stacked = torch.stack(cells)
    return stacked.gather(0, which.expand_as(cells[0])[None])[0]

"""Images through a network, large ones in tiles, with the result of one pass over the whole."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from gaintuning._types import Images, Progress
from gaintuning.layout import lay_out_images
from gaintuning.progress import stage_of

TILE = 640
"""Side of a tile in pixels, without its margin."""

WIDEST = 8
"""A tile is at least so many times its margin, of which each pixel is computed twice or more."""

LARGEST_PERIOD = 16


@dataclass(frozen=True)
class Reach:
    """How far a network sees.

    Parameters
    ----------
    radius : an output pixel depends on no input pixel more than so many rows or columns away from
        the period that it lies in.
    period : an input shifted by so many pixels gives an output shifted by as many; 1 but for
        networks that reduce the image on their way.
    """

    radius: int
    period: int


@torch.inference_mode()
def run(
    network: nn.Module,
    images: Images,
    progress: Progress | None = None,
    reach_of: nn.Module | None = None,
) -> NDArray[np.float64]:
    """Apply a network to images one by one, large ones in tiles, which bounds the memory.

    `reach_of` is a network that sees as far, if this one cannot be asked; see `run_in_tiles`.
    """
    parameter = next(network.parameters())
    result = np.empty(images.shape, np.float64)
    for index, image in enumerate(images.split(1)):
        of_image = stage_of(progress, index, len(images))
        denoised = run_in_tiles(network, image.to(parameter), of_image, reach_of=reach_of)
        result[index] = denoised[0].cpu().numpy()
    return result


@torch.inference_mode()
def run_in_tiles(
    network: nn.Module,
    image: Images,
    progress: Progress | None = None,
    tile: int = TILE,
    reach_of: nn.Module | None = None,
) -> Images:
    """Apply a network to an image; a large one in tiles, if the network sees only so far.

    Parameters
    ----------
    network : in eval mode, on the device of the image.
    image : (1, c, h, w)
    progress : called after each tile with the number done and the number in all.
    tile : side of a tile in pixels, without its margin, if that is not too wide for it.
    reach_of : a network that sees as far, to be tried where NaN would not pass through this one.

    Examples
    --------
    >>> network = nn.Conv2d(1, 1, 5, padding=2)
    >>> image = torch.rand(1, 1, 70, 90)
    >>> torch.allclose(run_in_tiles(network, image, tile=32), network(image), atol=1e-6)
    True
    """
    height, width = image.shape[-2:]
    reach = find_reach(reach_of or network, image) if height * width > 1.5 * tile**2 else None
    if reach:
        tile = max(tile, WIDEST * reach.radius)
    if reach is None or height * width <= 1.5 * tile**2:
        output: Tensor = network(lay_out_images(image))
        if progress:
            progress(1, 1)
        return output
    result = torch.empty_like(image)
    places = [
        (rows, columns)
        for rows in spans(height, tile, reach)
        for columns in spans(width, tile, reach)
    ]
    for done, (rows, columns) in enumerate(places, start=1):
        seen = image[..., rows.seen, columns.seen]
        whole = network(lay_out_images(seen))
        result[..., rows.kept, columns.kept] = whole[..., rows.inner, columns.inner]
        if progress:
            progress(done, len(places))
    return result


@dataclass(frozen=True)
class Span:
    """A tile along one axis: what the network sees of the image, and what of its output is kept.

    `kept` is in the coordinates of the image, `inner` the same place in those of the tile.
    """

    seen: slice
    kept: slice
    inner: slice


def spans(length: int, tile: int, reach: Reach) -> Iterator[Span]:
    """Tiles along an axis; each begins and ends whole periods away from the image's two edges.

    Examples
    --------
    >>> [span.kept for span in spans(100, 40, Reach(radius=7, period=4))]
    [slice(0, 40, None), slice(40, 80, None), slice(80, 100, None)]
    """
    side = max(reach.period, tile // reach.period * reach.period)
    for start in range(0, length, side):
        stop = min(start + side, length)
        first = max(0, start - reach.radius) // reach.period * reach.period
        last = length - max(0, length - stop - reach.radius) // reach.period * reach.period
        yield Span(slice(first, last), slice(start, stop), slice(start - first, stop - first))


@torch.inference_mode()
def find_reach(network: nn.Module, like: Images) -> Reach | None:
    """How far a network sees, found by trying; None if there is no end to it.

    A block of NaN goes in, and where NaN comes out, the network looked at the block. The block is
    as wide as the largest period, so that no place within a period is left out.

    Examples
    --------
    >>> find_reach(nn.Conv2d(1, 1, 5, padding=2), torch.zeros(1, 1, 8, 8))
    Reach(radius=2, period=1)
    """
    for side in (128, 256, 512, 1024):
        image = like.new_zeros(1, like.shape[1], side, side)
        first, last = (side - LARGEST_PERIOD) // 2, (side + LARGEST_PERIOD) // 2 - 1
        image[..., first : last + 1, first : last + 1] = torch.nan
        touched = network(lay_out_images(image)).isnan()[0].any(0)
        rows, columns = touched.any(1).nonzero(), touched.any(0).nonzero()
        if not len(rows):
            return None
        low = min(int(rows.min()), int(columns.min()))
        high = max(int(rows.max()), int(columns.max()))
        if low > 0 and high < side - 1:
            radius = max(first - low, high - last, 0)
            period = _find_period(network, like, radius)
            return None if period is None else Reach(radius, period)
    return None


def _find_period(network: nn.Module, like: Images, radius: int) -> int | None:
    side = 2 * radius + 4 * LARGEST_PERIOD
    rng = torch.Generator().manual_seed(0)
    image = torch.rand(1, like.shape[1], side, side, generator=rng).to(like)
    expected = network(lay_out_images(image))
    inside = slice(radius + LARGEST_PERIOD, side - radius - LARGEST_PERIOD)
    period = 1
    while period <= LARGEST_PERIOD:
        shifted = network(lay_out_images(image[..., period:, period:]))
        # In front of it, so that the two have the same coordinates.
        shifted = nn.functional.pad(shifted, (period, 0, period, 0))
        apart = (shifted - expected)[..., inside, inside].abs().max()
        if apart < 1e-4 * expected.abs().max():
            return period
        period *= 2
    return None

"""Pixels without the noise of others: single ones far off, level areas, and what is cut off."""

import torch
from torch import Tensor
from torch.nn.functional import max_pool2d, pad

from gaintuning._types import Images

LEVEL = ((2, 2), (0, 4), (4, 0))
"""Height and width of areas in which no noise is ever level, as powers of 3: 9 x 9 pixels, or 81 in
a line."""

FAR = 8.0
"""So many standard deviations beyond all of its neighbours no noise takes a pixel."""

MANY = 1e-3
"""Part of the pixels that have an intensity at least that is cut off."""


def level_areas(images: Images) -> Tensor:
    """Where nothing varies over many pixels, as in a frame or where something was masked.

    Examples
    --------
    >>> framed = torch.randn(1, 1, 30, 30, generator=torch.Generator().manual_seed(0))
    >>> framed[..., :5, :] = 7
    >>> level_areas(framed)[0, 0, :, 0].nonzero().flatten().tolist()
    [0, 1, 2, 3, 4]
    """
    found = torch.zeros_like(images, dtype=torch.bool)
    if not any(_nine_in_a_row(images, axis) for axis in (-1, -2)):  # as mostly, and fast to tell
        return found
    for size in LEVEL:
        level = _highest(images, size) == -_highest(-images, size)
        found |= _highest(level.to(images.dtype), size) > 0
    return found


def _nine_in_a_row(images: Images, axis: int) -> bool:
    """Whether anywhere so many pixels along an axis are the same, as in each area of `LEVEL`.

    Beyond the border lies what is the same, as for `_highest`.
    """
    around = (4, 4) if axis == -1 else (0, 0, 4, 4)
    same = pad(images.diff(dim=axis) == 0, around, value=True)
    for apart in (1, 2, 4):  # two pairs are three pixels, two of these are five, then nine
        kept = same.shape[axis] - apart
        same = same.narrow(axis, 0, kept) & same.narrow(axis, apart, kept)
    return bool(same.any())


def _highest(images: Images, size: tuple[int, int]) -> Images:
    """Around each pixel; of three, then of three such threes, and so on, which is fast."""
    down, across = (3**power // 2 for power in size)
    highest = pad(images, (across, across, down, down), value=-torch.inf)
    for kernel, power in (((3, 1), size[0]), ((1, 3), size[1])):
        for apart in (3**each for each in range(power)):
            highest = max_pool2d(highest, kernel, 1, dilation=apart)
    return highest


def far_from_neighbours(images: Images, deviation: Tensor) -> Tensor:
    """Single pixels beyond all of their neighbours by so many standard deviations of the noise.

    They are defects of the camera, or hit by a cosmic ray; what a lens shows is wider than a pixel.

    Parameters
    ----------
    images : (n, c, h, w)
    deviation : of the noise, in their shape.

    Examples
    --------
    >>> noisy = torch.randn(1, 1, 30, 30, generator=torch.Generator().manual_seed(0))
    >>> noisy[..., 3, 7] = 20
    >>> far_from_neighbours(noisy, torch.ones_like(noisy)).nonzero().tolist()
    [[0, 0, 3, 7]]
    """
    above, below = (sign * images - _highest_neighbour(sign * images) for sign in (1, -1))
    return torch.maximum(above, below) > FAR * deviation


def _highest_neighbour(images: Images) -> Images:
    """Of the eight around each pixel."""
    around = pad(images, (1, 1, 1, 1), value=-torch.inf)
    height, width = images.shape[-2:]
    highest = torch.full_like(images, -torch.inf)
    for top in range(3):
        for left in range(3):
            if (top, left) != (1, 1):
                part = around[..., top : top + height, left : left + width]
                highest = torch.maximum(highest, part)
    return highest


def cut_off_ends(images: Tensor) -> tuple[float | None, float | None]:
    """The lowest and the highest intensity, if what lay beyond was cut off there.

    What is cut off gathers there: the value is far more common than the next. The lowest value of
    counts, none, is not, even where counts are rare: then one is as much rarer as two are than one.

    Examples
    --------
    >>> noise = torch.randn(1000, generator=torch.Generator().manual_seed(0))
    >>> cut_off_ends(noise.clamp(min=-1))
    (-1.0, None)
    """
    values, counts = images.unique(return_counts=True)
    ends: list[float | None] = []
    for end, beside, third in ((0, 1, 2), (-1, -2, -3)):
        if len(values) < 2:
            return None, None
        rarer = float(counts[beside] / counts[third]) if len(values) > 2 else 1.0
        expected = int(counts[beside]) * max(1.0, rarer / 2)
        gathers = counts[end] > max(MANY * images.numel(), 3 * expected)
        ends.append(float(values[end]) if gathers else None)
    return ends[0], ends[1]


def step_of(images: Tensor) -> float:
    """Between neighbouring intensities; 0 where there is none to speak of.

    Examples
    --------
    >>> step_of(torch.arange(1000).remainder(10) / 2)
    0.5
    """
    values = images.unique()
    if not 2 <= len(values) < 0.02 * images.numel():
        return 0.0
    # What is cut off need not lie on a step.
    on_steps = values[1:-1] if len(values) > 4 else values
    return float(on_steps.diff().min())

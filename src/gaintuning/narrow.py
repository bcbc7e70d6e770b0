"""Convolutions of one or few output channels, at the speed of wide ones."""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import pad, pixel_shuffle

CHANNELS = 16
"""A CPU computes so many output channels at a time, needed or not."""


def side_of_squares(layer: nn.Module) -> int:
    """Of the squares of output pixels that `convolve_squares` computes at a time; 1 if it cannot.

    Examples
    --------
    >>> [side_of_squares(nn.Conv2d(8, channels, 3)) for channels in (1, 3, 8)]
    [4, 2, 1]
    """
    if not isinstance(layer, nn.Conv2d) or isinstance(layer.padding, str):
        return 1
    if layer.padding_mode != "zeros" or layer.groups > 1:
        return 1
    if max(*layer.stride, *layer.dilation) > 1 or min(layer.kernel_size) == 1:
        return 1
    return max(side for side in (1, 2, 4) if side == 1 or layer.out_channels * side**2 <= CHANNELS)


def convolve_squares(
    features: Float[Tensor, "n c h w"],
    filters: Float[Tensor, "d c k l"],
    constant: Float[Tensor, " d"] | None,
    padding: tuple[int, int],
    side: int,
) -> Float[Tensor, "n d height width"]:
    """A convolution of stride 1, whose output pixels are computed as channels of squares of them.

    Those of a square of the output are weighted sums of the same slightly larger window: the
    filters, each at its place in that window, are those of a convolution with as many channels as
    the square has pixels, and a stride of its side. The sums are the same; of a single channel, 15
    in 16 would otherwise be computed and thrown away.

    Examples
    --------
    >>> features, filters = torch.rand(1, 8, 9, 10), torch.rand(1, 8, 3, 3)
    >>> found = convolve_squares(features, filters, None, (1, 1), side=4)
    >>> torch.allclose(found, torch.conv2d(features, filters, padding=1))
    True
    """
    height, width = (
        length + 2 * margin - size + 1
        for length, margin, size in zip(features.shape[2:], padding, filters.shape[2:], strict=True)
    )
    last = side - 1
    placed = [
        pad(filters, (left, last - left, top, last - top))
        for top in range(side)
        for left in range(side)
    ]
    wide = torch.stack(placed, 1).flatten(0, 1).to(memory_format=torch.channels_last)
    constants = None if constant is None else constant.repeat_interleave(side**2)
    below, right = -height % side, -width % side
    if below or right:
        features = pad(features, (0, right, 0, below))
    squares = torch.conv2d(features, wide, constants, stride=side, padding=padding)
    return pixel_shuffle(squares, side)[..., :height, :width]

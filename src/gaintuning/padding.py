"""Networks that take images of some sizes only, for images of any size."""

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from gaintuning._types import Images

SIDE = 64
"""Of an image that such a network is taken to be for."""


class Padded(nn.Module):
    """A network that sees an image continued below and to the right, up to a size that it takes.

    Parameters
    ----------
    network : for images whose sides are multiples of `factor`.
    factor : by which it reduces them on its way.

    Examples
    --------
    >>> halving = nn.Sequential(nn.MaxPool2d(2), nn.Upsample(scale_factor=2))
    >>> halving(torch.zeros(1, 1, 7, 9)).shape, Padded(halving, 2)(torch.zeros(1, 1, 7, 9)).shape
    (torch.Size([1, 1, 6, 8]), torch.Size([1, 1, 7, 9]))
    """

    def __init__(self, network: nn.Module, factor: int) -> None:
        super().__init__()
        self.network = network
        self.factor = factor

    def forward(self, images: Images) -> Images:
        height, width = images.shape[-2:]
        below, right = (-height % self.factor, -width % self.factor)
        output: Tensor = self.network(pad(images, (0, right, 0, below), "replicate"))
        return output[..., :height, :width]


@torch.inference_mode()
def for_any_size(network: nn.Module, channels: int) -> nn.Module:
    """The network itself if it takes images of any size, else `Padded`.

    Parameters
    ----------
    network : takes images of 64 x 64 pixels.
    channels : that it takes.
    """
    parameter = next(network.parameters())
    factor = 1
    while factor < SIDE:
        probe = parameter.new_zeros(1, channels, SIDE + factor, SIDE + factor)
        try:
            takes_it = network(probe).shape == probe.shape
        except RuntimeError:  # of torch, where sizes do not match
            takes_it = False
        if takes_it:
            break
        factor *= 2
    return network if factor == 1 else Padded(network, factor)

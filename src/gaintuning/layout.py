"""The order of numbers in memory in which convolutions are fastest: channels last."""

import torch
from torch import nn

from gaintuning._types import Images


def lay_out_network(network: nn.Module) -> nn.Module:
    """Store the filters of 2-D convolutions channels last, in place; no value changes.

    Examples
    --------
    >>> layer = lay_out_network(nn.Conv2d(8, 8, 3))
    >>> layer.weight.is_contiguous(memory_format=torch.channels_last)
    True
    """
    for parameter in network.parameters():
        if parameter.dim() == 4:
            parameter.data = parameter.data.to(memory_format=torch.channels_last)
    return network


def lay_out_images(images: Images) -> Images:
    return images.to(memory_format=torch.channels_last)

"""Features lie channels last from the first convolution on, and no value changes."""

import pytest
import torch
from torch import Generator, Tensor, nn

from gaintuning.fused import fuse
from gaintuning.gains import channel_gains
from gaintuning.layout import lay_out_images, lay_out_network

LAST = torch.channels_last


@pytest.mark.parametrize("channels", [1, 3])
def test_images_keep_their_values_and_lie_channels_last(channels: int) -> None:
    images = torch.rand(2, channels, 8, 9, generator=Generator().manual_seed(0))
    found = lay_out_images(images)
    assert torch.equal(found, images)
    assert found.stride() == (channels * 72, 1, channels * 9, channels)


@pytest.mark.parametrize("fused", [False, True])
@pytest.mark.parametrize("channels", [1, 3])
def test_features_lie_channels_last_however_the_images_do(channels: int, fused: bool) -> None:
    """Those of one channel are both ways at once, and torch would take them for channels first."""
    seen = list[Tensor]()

    class Looked(nn.Module):
        def forward(self, features: Tensor) -> Tensor:
            seen.append(features)
            return features

    with torch.random.fork_rng():
        network = nn.Sequential(nn.Conv2d(channels, 8, 3), Looked(), nn.Conv2d(8, channels, 3))
    images = torch.rand(2, channels, 16, 17, generator=Generator().manual_seed(0))
    expected = network(images)
    laid_out = lay_out_network(network)
    ready = fuse(lay_out_network(channel_gains(laid_out)), images) if fused else laid_out
    assert torch.allclose(ready(images), expected, atol=1e-6)
    assert not seen[0].is_contiguous(memory_format=LAST)
    assert seen[-1].is_contiguous(memory_format=LAST)

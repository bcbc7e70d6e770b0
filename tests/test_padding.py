"""A network that takes images of some sizes only denoises images of any size."""

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from gaintuning import denoise
from gaintuning.noise import Gaussian
from gaintuning.padding import Padded, for_any_size
from gaintuning.tuning import Schedule


@pytest.fixture(autouse=True)
def weights_at_random() -> Iterator[None]:
    with torch.random.fork_rng():
        yield


class Reducing(nn.Module):
    """A U-Net as it is often written, without padding on its way."""

    def __init__(self, factor: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(1, 4, 3, padding=1)
        self.down, self.up = nn.MaxPool2d(factor), nn.Upsample(scale_factor=factor)
        self.last = nn.Conv2d(8, 1, 3, padding=1)

    def forward(self, images: Tensor) -> Tensor:
        features = self.first(images)
        both = torch.cat([features, self.up(self.down(features))], 1)
        denoised: Tensor = self.last(both)
        return denoised


@pytest.mark.parametrize("factor", [2, 8, 16])
def test_the_factor_is_found_by_trying(factor: int) -> None:
    network = for_any_size(Reducing(factor), 1)
    assert isinstance(network, Padded)
    assert network.factor == factor


def test_a_network_for_any_size_is_left_alone() -> None:
    network = nn.Conv2d(1, 1, 3, padding=1)
    assert for_any_size(network, 1) is network


def test_where_the_size_does_nothing_is_added() -> None:
    network = Reducing(8)
    images = torch.rand(1, 1, 40, 24, generator=torch.Generator().manual_seed(0))
    assert torch.equal(Padded(network, 8)(images), network(images))


@pytest.mark.parametrize("shape", [(250, 250), (40, 71)])
@pytest.mark.parametrize("tune", [False, True])
def test_an_image_of_any_size_is_denoised(shape: tuple[int, int], tune: bool) -> None:
    noisy = np.random.default_rng(0).normal(0.5, 0.1, shape)
    schedule = Schedule(steps=2, rounds=1)
    result = denoise(noisy, network=Reducing(16), noise=Gaussian(0.1), tune=tune, schedule=schedule)
    assert result.image.shape == shape

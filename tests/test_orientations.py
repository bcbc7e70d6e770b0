"""Eight orientations, each undone; and what their mean gains is what they lie apart."""

import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Generator, Tensor, nn

from gaintuning.networks import DnCNN
from gaintuning.orientations import MeanOfOrientations, orient, orient_back, orientations


def network() -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        made = DnCNN(features=6, depth=3).double().eval()
        nn.init.normal_(made.last_layer.weight, std=0.1)
    return made


def images(height: int = 9, width: int = 12) -> Tensor:
    shape = (2, 1, height, width)
    return torch.rand(shape, generator=Generator().manual_seed(0), dtype=torch.float64)


@given(height=st.integers(1, 9), width=st.integers(1, 9))
def test_every_orientation_is_another_and_is_undone(height: int, width: int) -> None:
    image = torch.arange(float(height * width)).reshape(1, 1, height, width)
    seen = [orient(image, *orientation) for orientation in orientations()]
    for turned, orientation in zip(seen, orientations(), strict=True):
        assert torch.equal(orient_back(turned, *orientation), image)
    if min(height, width) > 1:
        assert len({(tuple(turned.shape), *turned.flatten().tolist()) for turned in seen}) == 8


def test_the_mean_has_no_orientation_of_its_own() -> None:
    mean, noisy = MeanOfOrientations(network()), images()
    for orientation in orientations():
        turned = orient_back(mean(orient(noisy, *orientation)), *orientation)
        torch.testing.assert_close(turned, mean(noisy))


def test_what_the_mean_gains_is_what_the_eight_lie_apart() -> None:
    mean, noisy = MeanOfOrientations(network()), images()
    clean = torch.rand(noisy.shape, generator=Generator().manual_seed(1), dtype=torch.float64)
    errors = torch.stack([(each - clean).square() for each in mean.each(noisy)]).mean(0)
    gained = errors - (mean(noisy) - clean).square()
    torch.testing.assert_close(gained, mean.variance(noisy))
    assert gained.min() >= 0
    assert gained.max() > 1e-4


def test_a_network_of_one_direction_gains_and_one_of_none_does_not() -> None:
    noisy = images()
    alike = MeanOfOrientations(nn.AvgPool2d(3, 1, 1))
    torch.testing.assert_close(alike.variance(noisy), 0 * noisy)
    torch.testing.assert_close(alike(noisy), nn.AvgPool2d(3, 1, 1)(noisy))

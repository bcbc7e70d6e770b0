"""The cheap ways give what the full Jacobian of a small network gives."""

import pytest
import torch
from torch import Generator, Tensor, nn

from gaintuning.analysis import (
    effective_dimension,
    equivalent_filter,
    gain_profiles,
    net_bias,
    self_similarity,
)
from gaintuning.networks import DnCNN, UNet

SIDE = 10


def network(kind: type[nn.Module], **arguments: object) -> nn.Module:
    """With constants and normalisation at work, if it has them."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        made = kind(**arguments).double().eval()
        for module in made.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.running_var.uniform_(0.5, 2)
                module.running_mean.normal_()
    return made


NETWORKS = pytest.mark.parametrize(
    "made",
    [
        network(DnCNN, features=6, depth=4),
        network(DnCNN, features=6, depth=4, bias=False),
        network(UNet),
    ],
    ids=["DnCNN", "BFCNN", "UNet"],
)


def noisy_image() -> Tensor:
    return torch.rand(1, 1, SIDE, SIDE, generator=Generator().manual_seed(0), dtype=torch.float64)


def jacobian(made: nn.Module, noisy: Tensor) -> Tensor:
    full = torch.autograd.functional.jacobian(made, noisy)
    return full.reshape(SIDE**2, SIDE**2)


@NETWORKS
def test_an_equivalent_filter_is_a_row_of_the_jacobian(made: nn.Module) -> None:
    noisy = noisy_image()
    rows = jacobian(made, noisy)
    for row, column in ((0, 0), (3, 7), (SIDE - 1, 5)):
        found = equivalent_filter(made, noisy, row, column)
        expected = rows[row * SIDE + column].reshape(1, SIDE, SIDE)
        torch.testing.assert_close(found, expected)


@NETWORKS
def test_the_net_bias_is_what_the_jacobian_leaves(made: nn.Module) -> None:
    noisy = noisy_image()
    expected = made(noisy).flatten() - jacobian(made, noisy) @ noisy.flatten()
    torch.testing.assert_close(net_bias(made, noisy).flatten(), expected.detach())


def test_a_network_without_constants_has_no_net_bias() -> None:
    without = network(DnCNN, features=6, depth=4, bias=False)
    assert net_bias(without, noisy_image()).abs().max() < 1e-12
    with_constants = network(DnCNN, features=6, depth=4)
    assert net_bias(with_constants, noisy_image()).abs().max() > 1e-3


@NETWORKS
def test_the_effective_dimension_is_the_sum_of_squared_singular_values(made: nn.Module) -> None:
    noisy = noisy_image()
    expected = torch.linalg.svdvals(jacobian(made, noisy)).square().sum()
    rng = Generator().manual_seed(0)
    found, error = effective_dimension(made, noisy, probes=200, rng=rng)
    assert error < 0.05 * expected  # the test has power
    assert abs(found - expected) < 4 * error


def test_filter_and_bias_make_the_denoised_pixel() -> None:
    made, noisy = network(UNet), noisy_image()
    weights = equivalent_filter(made, noisy, 4, 6)
    pixel = (weights * noisy[0]).sum() + net_bias(made, noisy)[0, 0, 4, 6]
    torch.testing.assert_close(pixel, made(noisy)[0, 0, 4, 6].detach())


def test_nothing_is_left_on_the_network() -> None:
    made, noisy = network(UNet), noisy_image()
    equivalent_filter(made, noisy, 1, 1)
    assert all(parameter.grad is None for parameter in made.parameters())
    assert not noisy.requires_grad


def test_profiles_tell_the_gains_of_each_layer() -> None:
    found = gain_profiles({"b": torch.tensor([1.0, 2.0, 3.0]), "a": torch.tensor([1.0])})
    assert list(found) == ["b", "a"]
    assert (found["b"].mean, found["b"].lowest, found["b"].highest) == (2.0, 1.0, 3.0)
    assert found["b"].spread == pytest.approx((2 / 3) ** 0.5)
    assert found["a"].spread == 0


@pytest.mark.parametrize(
    ("count", "row", "column", "words"),
    [
        (2, 0, 0, "one image is looked at"),
        (1, SIDE, 0, "there is no pixel"),
        (1, 0, -1, "there is no pixel"),
    ],
)
def test_what_is_not_there_is_refused(count: int, row: int, column: int, words: str) -> None:
    noisy = noisy_image().expand(count, -1, -1, -1)
    with pytest.raises(ValueError, match=words):
        equivalent_filter(lambda images: images, noisy, row, column)


def test_what_is_flat_repeats_itself_and_each_patch_needs_another() -> None:
    assert self_similarity(torch.ones(1, 1, 40, 40), rng=Generator().manual_seed(0)) == 1
    noise = torch.rand(1, 1, 23, 23, generator=Generator().manual_seed(0))
    assert -2 < self_similarity(noise, rng=Generator().manual_seed(0)) < 1
    with pytest.raises(ValueError, match="at least 23 x 23"):
        self_similarity(noise[..., 1:], rng=Generator().manual_seed(0))


def test_one_probe_tells_no_error() -> None:
    with pytest.raises(ValueError, match="at least 2"):
        effective_dimension(lambda images: images, noisy_image(), probes=1, rng=Generator())

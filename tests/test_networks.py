"""The networks are those of the papers, and what the papers say of them holds."""

from collections.abc import Callable
from copy import deepcopy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from gaintuning.networks import BlindSpotNet, DnCNN, UNet
from gaintuning.networks.dncnn import BiasFreeBatchNorm2d

BUILDERS: dict[str, Callable[..., nn.Module]] = {
    "dncnn": lambda channels=1: DnCNN(channels, features=6, depth=4),
    "bfcnn": lambda channels=1: DnCNN(channels, features=6, depth=4, bias=False),
    "unet": UNet,
    "unet bias-free": lambda channels=1: UNet(channels, bias=False),
    "unet residual bias-free": lambda channels=1: UNet(channels, bias=False, residual=True),
    "blind spot": BlindSpotNet,
    "blind spot bias-free": lambda channels=1: BlindSpotNet(channels, bias=False),
}


def random_network(name: str, channels: int = 1) -> nn.Module:
    """In float64 and eval mode, with statistics as after training, and weights that all matter."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = BUILDERS[name](channels)
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d):
                nn.init.normal_(module.running_mean)
                nn.init.uniform_(module.running_var, 0.5, 2)
                nn.init.uniform_(module.weight, 0.5, 2)
                nn.init.normal_(module.bias)
        if isinstance(network, DnCNN):
            nn.init.kaiming_normal_(network.last_layer.weight)
    return network.double().eval().requires_grad_(False)


NETWORKS = {name: random_network(name) for name in BUILDERS}
every_network = pytest.mark.parametrize("name", BUILDERS)


def random_images(*shape: int) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


@pytest.mark.parametrize(
    ("network", "expected"),
    [
        (lambda: DnCNN(), 668_225),
        (lambda: DnCNN(bias=False), 667_008),
        (lambda: UNet(), 233_440),
        (lambda: UNet(bias=False), 233_024),
        (lambda: UNet(residual=True), 233_440),
    ],
)
def test_the_published_networks_have_the_published_number_of_parameters(
    network: Callable[[], nn.Module], expected: int
) -> None:
    with torch.random.fork_rng():
        assert sum(parameter.numel() for parameter in network().parameters()) == expected


def test_the_blind_spot_network_has_about_as_many_parameters_as_published() -> None:
    with torch.random.fork_rng():
        count = sum(parameter.numel() for parameter in BlindSpotNet().parameters())
    assert abs(count - 1.12e6) < 0.01e6


@pytest.mark.parametrize("depth", [1, 0, -3])
def test_a_dncnn_has_at_least_a_first_and_a_last_layer(depth: int) -> None:
    with pytest.raises(ValueError, match=f"depth must be at least 2, got {depth}"):
        DnCNN(depth=depth)


def test_a_dncnn_of_two_layers_works() -> None:
    with torch.random.fork_rng():
        network = DnCNN(features=2, depth=2)
    assert network(torch.zeros(1, 1, 5, 6)).shape == (1, 1, 5, 6)


@every_network
@settings(max_examples=15)
@given(height=st.integers(1, 19), width=st.integers(1, 19), count=st.integers(1, 2))
def test_the_output_has_the_shape_of_the_input(
    name: str, height: int, width: int, count: int
) -> None:
    noisy = random_images(count, 1, height, width)
    assert NETWORKS[name](noisy).shape == noisy.shape


@every_network
@pytest.mark.parametrize("channels", [2, 3, 5])
def test_images_may_have_any_number_of_channels(name: str, channels: int) -> None:
    noisy = random_images(2, channels, 9, 10)
    denoised = random_network(name, channels)(noisy)
    assert denoised.shape == noisy.shape
    assert denoised.isfinite().all()


@every_network
def test_the_images_of_a_batch_do_not_see_each_other(name: str) -> None:
    noisy = random_images(2, 1, 9, 10)
    together = NETWORKS[name](noisy)
    alone = torch.cat([NETWORKS[name](image) for image in noisy.split(1)])
    torch.testing.assert_close(together, alone)


BIAS_FREE = ["bfcnn", "unet bias-free", "unet residual bias-free", "blind spot bias-free"]


@pytest.mark.parametrize("name", BIAS_FREE)
@settings(max_examples=10)
@given(exponent=st.integers(-20, 20))
def test_a_bias_free_network_is_homogeneous(name: str, exponent: int) -> None:
    # A power of two only moves the exponents of floats, so there is nothing to tolerate.
    network, noisy, scale = NETWORKS[name], random_images(1, 1, 9, 10), 2.0**exponent
    assert torch.equal(network(scale * noisy), scale * network(noisy))


@pytest.mark.parametrize("name", BIAS_FREE)
@settings(max_examples=10)
@given(scale=st.floats(1e-3, 1e3))
def test_a_bias_free_network_is_homogeneous_for_any_factor(name: str, scale: float) -> None:
    network, noisy = NETWORKS[name], random_images(1, 1, 9, 10)
    expected = scale * network(noisy)
    torch.testing.assert_close(
        network(scale * noisy), expected, rtol=0, atol=1e-11 * float(expected.abs().max())
    )


@pytest.mark.parametrize("name", ["dncnn", "unet", "blind spot"])
def test_a_network_with_constants_is_not_homogeneous(name: str) -> None:
    network, noisy = deepcopy(NETWORKS[name]), random_images(1, 1, 9, 10)
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d) and layer.bias is not None:
            layer.bias.fill_(0.5)
    assert not torch.allclose(network(2 * noisy), 2 * network(noisy), rtol=1e-3)


@given(
    weight=st.floats(0.1, 10),
    variance=st.floats(0, 100),
    values=st.lists(st.floats(-9, 9), min_size=1),
)
def test_bias_free_normalisation_only_divides(
    weight: float, variance: float, values: list[float]
) -> None:
    layer = BiasFreeBatchNorm2d(1).double().eval().requires_grad_(False)
    layer.weight.fill_(weight)
    layer.bias.fill_(7)
    layer.running_mean.fill_(5)
    layer.running_var.fill_(variance)
    features = torch.tensor(values, dtype=torch.float64)[None, None, None]
    torch.testing.assert_close(layer(features), weight * features / (variance**0.5 + 1e-5))


def test_bias_free_normalisation_divides_by_the_deviation_of_the_batch_in_training() -> None:
    layer = BiasFreeBatchNorm2d(2).double().train()
    before = torch.tensor([0.5, 3.0], dtype=torch.float64)
    layer.running_var.copy_(before)
    features = 4 + torch.tensor([1.0, 9.0])[:, None, None] * random_images(3, 2, 5, 6)
    deviation = features.transpose(0, 1).flatten(1).std(1)
    expected = features / (deviation + 1e-5)[:, None, None]
    torch.testing.assert_close(layer(features), expected)
    torch.testing.assert_close(layer.running_var, 0.9 * before + 0.1 * deviation**2)
    assert not layer.running_mean.any()


def test_the_two_forms_of_the_unet_differ_by_the_input() -> None:
    with torch.random.fork_rng():
        image_form, noise_form = UNet(), UNet(residual=True)
    noise_form.load_state_dict(image_form.state_dict())
    noisy = random_images(1, 1, 9, 10).float()
    assert torch.equal(noise_form(noisy), noisy - image_form(noisy))


def seen_from_the_middle(network: nn.Module, side: int) -> Tensor:
    """Which pixels of an image the output in its middle depends on."""
    noisy = random_images(1, 1, side, side).requires_grad_()
    (gradient,) = torch.autograd.grad(network(noisy)[0, 0, side // 2, side // 2], noisy)
    return gradient[0, 0] != 0


@pytest.mark.parametrize(
    ("name", "reach"),
    # Each 3 x 3 convolution of a DnCNN sees a pixel further. For the UNet: 5 x 5, 3 x 3, 3 x 3, at
    # half resolution 1 + 2 + 4, up to 2 more by the transposed convolution, 3 x 3, 5 x 5.
    [("dncnn", 4), ("unet", 2 + 1 + 1 + 2 * (1 + 2 + 4) + 2 + 1 + 2)],
)
def test_how_far_a_network_sees(name: str, reach: int) -> None:
    seen = seen_from_the_middle(NETWORKS[name], 2 * reach + 9)
    rows = seen.any(1).nonzero().flatten() - (2 * reach + 9) // 2
    columns = seen.any(0).nonzero().flatten() - (2 * reach + 9) // 2
    assert max(rows.abs().max(), columns.abs().max()) <= reach
    assert min(-rows.min(), rows.max(), -columns.min(), columns.max()) >= reach - 2


def shift_error(network: nn.Module, shift: int, reach: int, turned: bool) -> float:
    """How far f(shifted image) is from the shifted f(image), where no border is in sight."""
    # A strip is enough: along its short side nothing is shifted.
    wide = random_images(1, 1, 8, 2 * reach + 8 + 2 * shift)
    first, second = wide[..., :-shift], wide[..., shift:]
    if turned:
        first, second = first.mT, second.mT
    outputs = [network(strip) for strip in (first, second)]
    if turned:
        outputs = [output.mT for output in outputs]
    difference = outputs[0][..., reach + shift : -reach] - outputs[1][..., reach : -reach - shift]
    return float(difference.abs().max() / outputs[0].abs().max())


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize(
    ("name", "step", "reach"),
    # The blind-spot network sees two rows further with each convolution, three quarters of a
    # U-Net deep: 1 + 4 x 2 + 2 x 4 x 2 + 4 x 3 x 2 + 2 x 3 x 2 + 3 x 2, and up to 13 by rounding
    # to its grid of 4 pixels.
    [("dncnn", 1, 4), ("unet", 2, 24), ("blind spot", 4, 80)],
)
def test_what_is_shifted_is_denoised_alike(name: str, step: int, reach: int, turned: bool) -> None:
    for shift in (step, 3 * step):
        assert shift_error(NETWORKS[name], shift, reach, turned) < 1e-11
    if step > 1:  # the networks have a grid; and the test would see it
        assert shift_error(NETWORKS[name], step // 2, reach, turned) > 1e-6


@pytest.mark.parametrize("size", [(9, 7), (4, 5), (1, 3)])
@pytest.mark.parametrize("name", ["blind spot", "blind spot bias-free"])
def test_no_pixel_of_the_blind_spot_network_sees_itself(name: str, size: tuple[int, int]) -> None:
    height, width = size
    jacobian = torch.autograd.functional.jacobian(NETWORKS[name], random_images(1, 1, *size))
    jacobian = jacobian.reshape(height * width, height * width)
    assert (jacobian.diagonal() == 0).all()
    # The test has power: each pixel sees all that are near, on all sides.
    rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    places = torch.stack([rows.flatten(), columns.flatten()], 1).double()
    distance = torch.cdist(places, places, p=float("inf"))
    assert (jacobian[(distance > 0) & (distance <= 4)] != 0).all()
    assert jacobian[0, -1] * jacobian[-1, 0] != 0  # and the far corner


def test_no_color_of_a_pixel_is_seen_at_that_pixel() -> None:
    jacobian = torch.autograd.functional.jacobian(
        random_network("blind spot", channels=3), random_images(1, 3, 5, 6)
    )
    own = jacobian[0, :, :, :, 0].diagonal(dim1=1, dim2=4).diagonal(dim1=1, dim2=3)
    assert own.shape == (3, 3, 5, 6)
    assert (own == 0).all()
    assert (jacobian[0, :, 2, 3, 0, :, 2, 4] != 0).all()


def test_every_pixel_of_a_unet_sees_itself() -> None:
    jacobian = torch.autograd.functional.jacobian(NETWORKS["unet"], random_images(1, 1, 5, 6))
    assert (jacobian.reshape(30, 30).diagonal() != 0).all()

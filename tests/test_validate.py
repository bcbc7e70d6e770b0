"""Each mistake is met by an error that says what came and what to do."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor, nn

from gaintuning.networks import BlindSpotNet, DnCNN, UNet
from gaintuning.objectives import Sure
from gaintuning.tuning import tune
from gaintuning.validate import (
    SMALLEST_TO_TUNE,
    check_blind,
    check_large_enough_to_tune,
    check_pixels,
    find_device,
    image_channels,
)


def image(*shape: int, dtype: str = "float32") -> NDArray[Any]:
    return np.arange(np.prod(shape)).reshape(shape).astype(dtype)


def with_bad(value: float, count: int = 1) -> NDArray[Any]:
    pixels = image(9, 8)
    pixels[0, :count] = value
    return pixels


@pytest.mark.parametrize(
    ("pixels", "axes"),
    [
        (image(9, 8), "YX"),
        (image(8, 9), "XY"),
        (image(9, 8, 3, dtype="uint8"), "YXS"),
        (image(2, 9, 8, dtype="int16"), "TYX"),
        (image(2, 3, 9, 8, dtype="uint64"), "CZYX"),
        (image(9, 8, dtype="float16"), "YX"),
        (image(9, 8, dtype="float64"), "YX"),
        (image(1, 2), "YX"),
        (image(2, 2, 2, 9, 8, 3), "TZCYXS"),
    ],
)
def test_images_pass(pixels: NDArray[Any], axes: str) -> None:
    before = pixels.copy()
    check_pixels(pixels, axes)
    np.testing.assert_array_equal(pixels, before)


@pytest.mark.parametrize("dtype", ["bool", "complex64", "object", "U3", "datetime64[s]"])
def test_pixels_are_real_numbers(dtype: str) -> None:
    with pytest.raises(TypeError, match=r"needs real numbers, got .*astype\('float32'\)"):
        check_pixels(np.ones((9, 8)).astype(int).astype(dtype), "YX")


@pytest.mark.parametrize(
    ("pixels", "axes", "message"),
    [
        (image(9), "X", r"2 to 6 axes, got 1 \(shape \(9,\)\)"),
        (image(), "", r"2 to 6 axes, got 0"),
        (image(2, 2, 2, 2, 2, 2, 2), "TZCYXSA", r"2 to 6 axes, got 7"),
        (image(9, 8), "YXS", r"each of the 2 axes .* got 'YXS'"),
        (image(9, 8), "Y", r"each of the 2 axes"),
        (image(9, 8), "YY", r"by another letter"),
        (image(9, 8), "yx", r"by another letter of TZCYXS, got 'yx'"),
        (image(9, 8), "YQ", r"by another letter of TZCYXS"),
        (image(9, 8), "TZ", r"contain Y and X, got 'TZ'"),
        (image(2, 9, 8), "ZCX", r"contain Y and X"),
        (np.zeros((0, 8)), "YX", r"empty \(shape \(0, 8\)\)"),
        (np.zeros((2, 0, 8), np.uint8), "ZYX", r"empty"),
        (with_bad(np.nan), "YX", r"1 of 72 pixels are NaN or infinite.* mean of their neighbours"),
        (with_bad(np.inf, 3), "YX", r"3 of 72 pixels"),
        (with_bad(-np.inf), "YX", r"1 of 72 pixels"),
        (np.full((9, 8), 7, np.uint16), "YX", r"every pixel is 7, so there is no image"),
        (np.zeros((2, 9, 8)), "ZYX", r"every pixel is 0"),
        (image(1, 1), "YX", r"every pixel is 0"),
    ],
)
def test_pixels_that_are_no_image(pixels: NDArray[Any], axes: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        check_pixels(pixels, axes)


@given(axes=st.text("TZCYXSQyx ", max_size=5))
def test_any_axes_are_either_right_or_refused(axes: str) -> None:
    right = len(axes) == len(set(axes)) == 3 and {"Y", "X"} < set(axes) <= set("TZCYXS")
    if right:
        check_pixels(image(4, 5, 6), axes)
    else:
        with pytest.raises(ValueError, match="axes must"):
            check_pixels(image(4, 5, 6), axes)


@given(height=st.integers(1, 100), width=st.integers(1, 100))
def test_small_images_are_too_small_to_tune_from(height: int, width: int) -> None:
    if min(height, width) >= SMALLEST_TO_TUNE:
        check_large_enough_to_tune(height, width)
    else:
        with pytest.raises(ValueError, match=rf"{height} x {width} .*32 x 32 .*--no-tune"):
            check_large_enough_to_tune(height, width)


def test_the_processor_is_always_there() -> None:
    assert find_device("cpu") == torch.device("cpu")
    assert find_device(torch.device("cpu")) == torch.device("cpu")
    expected = "cuda" if torch.cuda.is_available() else "cpu"
    assert find_device("auto").type == expected


@pytest.mark.parametrize(
    "name", ["gpu", "", "CPU", "cpu:-1", "cuda:99", "meta", "hpu", "xla", "quantum:0"]
)
def test_a_device_that_is_not_here(name: str) -> None:
    with pytest.raises(ValueError, match="here; use cpu, or auto") as caught:
        find_device(name)
    assert repr(name) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_device_that_is_not_here_by_another_type() -> None:
    with pytest.raises(ValueError, match="there is no device 'cuda:99' here"):
        find_device(torch.device("cuda:99"))


class Pair(nn.Conv2d):
    """Returns more than an image."""

    def forward(self, images: Tensor) -> Any:
        return super().forward(images), images


def convolution(inputs: int, outputs: int, padding: int = 1) -> Callable[[], nn.Module]:
    return lambda: nn.Conv2d(inputs, outputs, 3, padding=padding)


@pytest.mark.parametrize(
    ("network", "samples", "expected"),
    [
        (lambda: UNet(1), 1, 1),  # gray, gray
        (lambda: UNet(1), 3, 1),  # gray, color: one color at a time
        (lambda: UNet(3), 3, 3),
        (lambda: DnCNN(3, features=2, depth=2).double(), 3, 3),
        (convolution(2, 2), 2, 2),
        (lambda: nn.Conv2d(1, 1, 1), 3, 1),
    ],
)
def test_how_many_channels_a_network_takes(
    network: Callable[[], nn.Module], samples: int, expected: int
) -> None:
    with torch.random.fork_rng():
        assert image_channels(network(), samples) == expected


@pytest.mark.parametrize(
    ("network", "samples", "wanted"),
    [
        (lambda: UNet(3), 1, "1 channels"),
        (lambda: UNet(2), 3, "1 or 3 channels"),
        (convolution(1, 1, padding=0), 1, "1 channels"),
        (convolution(1, 2), 1, "1 channels"),
        (convolution(3, 1), 3, "1 or 3 channels"),
        (lambda: Pair(1, 1, 3, padding=1), 1, "1 channels"),
        (lambda: nn.Linear(9, 9), 1, "1 channels"),
    ],
)
def test_a_network_for_no_such_images(
    network: Callable[[], nn.Module], samples: int, wanted: str
) -> None:
    with (
        torch.random.fork_rng(),
        pytest.raises(ValueError, match=f"{wanted} into images of the same shape; give a denoiser"),
    ):
        image_channels(network(), samples)


def test_a_network_without_parameters_is_none() -> None:
    with pytest.raises(ValueError, match="no parameters; give a trained network"):
        image_channels(nn.Identity(), 1)


@pytest.mark.parametrize("channels", [1, 3])
def test_only_the_blind_spot_network_is_blind(channels: int) -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        blind = BlindSpotNet(channels).eval()
        seeing = [
            UNet(channels).eval(),
            UNet(channels, bias=False, residual=True).eval(),
            DnCNN(channels, features=4, depth=3).eval(),
            nn.Sequential(blind, nn.Conv2d(channels, channels, 3, padding=1)),
        ]
    assert check_blind(blind, channels)
    assert check_blind(blind.double(), channels)
    blind.float()
    for network in seeing:
        assert not check_blind(network, channels)


def test_a_network_that_sees_one_color_at_its_own_place_is_not_blind() -> None:
    class MixesColors(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.scale = nn.Parameter(torch.tensor(0.5))

        def forward(self, images: Tensor) -> Tensor:
            neighbours = images.roll(1, -1)
            seen = torch.stack([neighbours[:, 0], neighbours[:, 1], images[:, 0]], 1)
            return self.scale * seen

    assert not check_blind(MixesColors(), 3)


def test_the_checks_leave_the_network_as_it_was() -> None:
    with torch.random.fork_rng():
        network = DnCNN(features=3, depth=3).eval()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    image_channels(network, 3)
    check_blind(network, 1)
    for name, value in network.state_dict().items():
        assert torch.equal(value, before[name])
    assert all(parameter.grad is None for parameter in network.parameters())


def test_a_network_of_small_outputs_is_not_blind() -> None:
    with torch.random.fork_rng(), torch.no_grad():
        network = UNet().eval()
        network.conv9.weight *= 1e-5
    assert not check_blind(network, 1)


@pytest.mark.parametrize(
    ("images", "words"),
    [
        (torch.zeros(1, 1, 1, 1), "have no two halves to learn from"),
        (torch.full((1, 1, 40, 40), torch.nan), "NaN or infinite"),
    ],
)
def test_what_cannot_be_tuned_to_is_told(images: Tensor, words: str) -> None:
    with torch.random.fork_rng():
        network = UNet()
    with pytest.raises(ValueError, match=words):
        tune(network, images, Sure(0.1), rng=torch.Generator())

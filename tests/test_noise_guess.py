"""The first guess of the level is good on smooth images, and says where there is no noise."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from gaintuning.noise_guess import guess_sigma


def smooth_planes(count: int, side: int) -> NDArray[np.floating]:
    line = np.linspace(0, 5, side)
    plane = 100 * np.sin(line[:, None]) * np.cos(1.3 * line)
    return np.repeat(plane[None], count, 0)


@pytest.mark.parametrize("sigma", [0.5, 10.0, 300.0])
def test_the_level_of_noise_on_a_smooth_image_is_found(sigma: float) -> None:
    side = 256
    noise = np.random.default_rng(0).normal(0, sigma, (1, side, side))
    found = guess_sigma(smooth_planes(1, side) + noise)
    # The median absolute deviation of n normal numbers is 37 % as efficient as their standard
    # deviation, whose relative standard error is 1 / sqrt(2 n); here n is a quarter of the pixels.
    standard_error = (2 * 0.37 * side**2 / 4) ** -0.5
    assert standard_error < 0.01
    assert abs(found / sigma - 1) < 4 * standard_error


@given(scale=st.floats(1e-3, 1e3), offset=st.floats(-1e3, 1e3))
def test_the_estimate_is_in_the_units_of_the_image(scale: float, offset: float) -> None:
    planes = np.random.default_rng(0).normal(0, 1, (2, 32, 40))
    expected = scale * guess_sigma(planes)
    assert guess_sigma(scale * planes + offset) == pytest.approx(expected, rel=1e-6)


def test_one_plane_that_differs_does_not_matter() -> None:
    planes = np.random.default_rng(0).normal(0, 1, (5, 64, 64))
    before = guess_sigma(planes)
    planes[2] *= 1000
    assert abs(guess_sigma(planes) / before - 1) < 0.1


@pytest.mark.parametrize("shape", [(1, 7, 64), (1, 64, 7), (3, 1, 1)])
def test_few_pixels_are_too_few_to_estimate_from(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"too few to estimate .* gaussian:SIGMA"):
        guess_sigma(np.ones(shape))


def test_blank_frames_of_a_stack_do_not_matter() -> None:
    planes = np.random.default_rng(0).normal(0, 1, (5, 64, 64))
    expected = guess_sigma(planes[2:])
    planes[0] = 0
    planes[1, :, :32], planes[1, :, 32:] = 0, 1
    assert guess_sigma(planes) == expected


@pytest.mark.parametrize("value", [0.0, 7.0, 1e-9, -1e9, np.nan])
def test_where_there_is_no_noise_none_is_found(value: float) -> None:
    planes = np.full((2, 16, 16), value)
    with pytest.raises(ValueError, match="no noise was found"):
        guess_sigma(planes)
    planes[:, :8] *= 2
    with pytest.raises(ValueError, match="no noise was found"):
        guess_sigma(planes)


def test_a_level_is_found_where_dark_and_light_are_cut_off() -> None:
    """Half of the image lies at the ends of its range, where the noise is cut off."""
    rng = np.random.default_rng(0)
    clean = np.repeat(np.repeat([[0.0, 120.0], [255.0, 140.0]], 64, axis=0), 64, axis=1)
    noisy = (clean + rng.normal(0, 20, clean.shape)).clip(0, 255).round()
    assert guess_sigma(noisy[None]) == pytest.approx(20, rel=0.1)

"""The range of an image is that of its signal, and mapping to it loses nothing."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from gaintuning.scaling import IntensityRange, find_range, range_of_clean, spread

finite = st.floats(-1e6, 1e6)


@given(low=finite, width=st.floats(1e-3, 1e6), values=st.lists(finite, min_size=1))
def test_from_unit_undoes_to_unit(low: float, width: float, values: list[float]) -> None:
    found, pixels = IntensityRange(low, low + width), np.array(values)
    back = found.from_unit(found.to_unit(pixels))
    np.testing.assert_allclose(back, pixels, rtol=0, atol=1e-9)


@given(low=finite, width=st.floats(1e-3, 1e6))
def test_the_ends_map_to_0_and_1(low: float, width: float) -> None:
    found = IntensityRange(low, low + width)
    assert found.to_unit(np.array([found.low, found.high])).tolist() == [0, 1]
    assert found.width == found.high - found.low


@pytest.mark.parametrize("dtype", ["uint8", "int16", "uint64", "float16", "float32"])
def test_to_unit_computes_in_float64_and_leaves_its_input(dtype: str) -> None:
    pixels = np.array([0, 100, 127], dtype)
    unit = IntensityRange(-100, 155).to_unit(pixels)
    assert unit.dtype == np.float64
    np.testing.assert_allclose(unit, [100 / 255, 200 / 255, 227 / 255], rtol=1e-15)
    assert pixels.tolist() == [0, 100, 127]


@pytest.mark.parametrize(
    ("low", "high"), [(1, 1), (2, 1), (0, np.inf), (-np.inf, 0), (np.nan, 1), (0, np.nan)]
)
def test_a_range_is_two_numbers_the_lower_first(low: float, high: float) -> None:
    with pytest.raises(ValueError, match="two numbers, the lower first"):
        IntensityRange(low, high)


def ramp(side: int = 128) -> NDArray[np.floating]:
    """Every intensity from 0 to 1, smoothly."""
    line = np.linspace(0, np.pi, side)
    return (0.5 - 0.5 * np.cos(line)[:, None] * np.cos(line))[None, None]


@pytest.mark.parametrize("values", [(0, 255), (3, 17), (7, 7)])
def test_8_bit_images_span_their_type(values: tuple[int, int]) -> None:
    planes = np.full((1, 1, 9, 9), values[0], np.uint8)
    planes[..., 4:] = values[1]
    assert find_range(planes) == IntensityRange(0, 255)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_floats_from_0_to_1_are_as_they_should_be(dtype: type) -> None:
    for planes in (ramp(), 0.2 * ramp(), 0.4 + 0.1 * ramp()):
        assert find_range(planes.astype(dtype)) == IntensityRange(0, 1)


@pytest.mark.parametrize("scale", [0.09, 1.01, 1e-6])
def test_other_floats_have_their_own_range(scale: float) -> None:
    found = find_range(scale * ramp())
    assert abs(found.low) < 0.02 * scale
    assert abs(found.high / scale - 1) < 0.02


@pytest.mark.parametrize(
    ("dtype", "low", "high"),
    [
        ("uint16", 0, 65535),
        ("uint16", 100, 4000),
        ("int16", -3000, 2000),
        ("int8", -128, 127),
        ("int32", -2_000_000_000, 2_000_000_000),
        ("uint64", 0, 10**15),
        ("float16", -60000, 60000),
        ("float32", -1, 1),
        ("float64", 1e6, 1e6 + 1),
    ],
)
def test_the_range_of_other_images_is_found(dtype: str, low: float, high: float) -> None:
    planes = (low + (high - low) * ramp()).astype(dtype)
    found, width = find_range(planes), high - low
    assert abs(found.low - low) < 0.02 * width
    assert abs(found.high - high) < 0.02 * width


@given(scale=st.floats(1e-3, 1e3), offset=st.floats(-1e3, -10))
def test_the_found_range_is_in_the_units_of_the_image(scale: float, offset: float) -> None:
    rng = np.random.default_rng(0)
    planes = rng.normal(size=(1, 1, 20, 24)) - 10
    unit, found = find_range(planes), find_range(scale * planes + offset)
    slack = 1e-9 * (scale + abs(offset))
    assert found.low == pytest.approx(scale * unit.low + offset, abs=slack)
    assert found.high == pytest.approx(scale * unit.high + offset, abs=slack)


@pytest.mark.parametrize("sigma", [0.2, 1.0, 3.0])
def test_strong_noise_hardly_widens_the_range(sigma: float) -> None:
    # After a Gaussian of s pixels, 1 / (2 s sqrt(pi)) of white noise is left; a median before it
    # leaves at most sqrt(pi / 2) times that. Of a normal distribution 99.8 % lie within 3.1.
    margin = 3.1 * sigma * (np.pi / 2) ** 0.5 / (2 * 2 * np.pi**0.5)
    noisy = 1000 * (ramp() + np.random.default_rng(0).normal(0, sigma, ramp().shape))
    found = find_range(noisy)
    assert -1000 * margin - 20 < found.low < 50
    assert 950 < found.high < 1000 + 1000 * margin + 20
    # What the plain percentiles or the extremes would give is far wider.
    assert np.ptp(noisy) > 1000 * (1 + 4 * sigma)
    assert found.width < 1000 * (1 + 1.2 * sigma)


@pytest.mark.parametrize("hot", [65535, 0])
def test_hot_and_dead_pixels_do_not_widen_the_range(hot: int) -> None:
    planes = (1000 + 500 * ramp()).astype(np.uint16)
    without = find_range(planes)
    planes[..., 5::9, 7::9] = hot
    found = find_range(planes)
    assert abs(found.low - without.low) < 10
    assert abs(found.high - without.high) < 10


@pytest.mark.parametrize("dtype", ["uint16", "float64"])
def test_a_dark_image_with_one_hot_pixel_still_has_a_range(dtype: str) -> None:
    planes = np.full((1, 1, 20, 20), 1000, dtype)
    planes[..., 9, 9] = 3000
    assert find_range(planes) == IntensityRange(1000, 3000)


@pytest.mark.parametrize(
    "planes",
    [
        np.full((1, 1, 9, 9), 1000, np.uint16),
        np.full((3, 1, 9, 9), -0.5),
        np.zeros((1, 9, 9), np.float32),
        np.full((1, 1, 1, 1), 12.0),
    ],
)
def test_an_image_of_one_intensity_has_no_range(planes: NDArray[np.generic]) -> None:
    with pytest.raises(ValueError, match=f"every pixel is {planes.flat[0]:g}, so"):
        find_range(planes)


def test_a_long_stack_is_looked_at_from_end_to_end() -> None:
    brightness = np.linspace(1, 5, 300)[:, None, None, None]
    found = find_range(1000 * brightness * ramp(32))
    assert 4000 < found.high < 5000


@given(count=st.integers(1, 2000), most=st.integers(1, 100))
def test_spread_covers_all_evenly(count: int, most: int) -> None:
    found = spread(count, most)
    assert len(found) == min(count, most)
    assert found[0] == 0
    assert most == 1 or found[-1] == count - 1
    steps = np.diff(found)
    assert not len(steps) or 1 <= steps.min() <= steps.max() <= steps.min() + 1


@given(
    factor=st.floats(1, 20),
    center=st.floats(0, 1),
    low=st.floats(-1e3, 1e3),
    width=st.floats(1, 1e3),
)
def test_a_stretched_range_keeps_its_center_and_lowers_the_contrast(
    factor: float, center: float, low: float, width: float
) -> None:
    plain = IntensityRange(low, low + width)
    wide = plain.stretched(factor, center)
    assert wide.width == pytest.approx(factor * width, rel=1e-6)
    pixels = np.array([low, low + center * width, low + width])
    expected = (plain.to_unit(pixels) - center) / factor + center
    np.testing.assert_allclose(wide.to_unit(pixels), expected, atol=1e-6)


@pytest.mark.parametrize(
    ("pixels", "expected"),
    [
        (np.array([3, 200], np.uint8), (0, 255)),
        (np.array([3, 4095], np.int32), (0, 4095)),
        (np.array([3, 4096], np.uint16), (0, 8191)),
        (np.array([0.2, 0.7]), (0, 1)),
        (np.array([0.0, 0.0]), (0, 1)),
        (np.array([-0.2, 0.7]), (-0.2, 0.7)),
        (np.array([-5, 9]), (-5, 9)),
        (np.array([0.0, 300.0]), (0, 300)),
    ],
)
def test_a_clean_image_lies_within_its_range(
    pixels: np.ndarray, expected: tuple[float, float]
) -> None:
    assert range_of_clean(pixels) == IntensityRange(*expected)


def test_a_clean_image_of_one_value_has_no_range() -> None:
    with pytest.raises(ValueError, match="every pixel is 7"):
        range_of_clean(np.full((4, 4), 7.0))

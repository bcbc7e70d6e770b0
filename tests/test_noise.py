"""Noise models are what their formulas say, in any units, and the level is found."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Generator, Tensor

from gaintuning.noise import Gaussian, Noise, Poisson, PoissonGaussian, parse_noise

positive = st.floats(1e-3, 1e3)
noises = st.one_of(
    st.builds(Gaussian, positive),
    st.builds(Poisson, positive, st.floats(-100, 100)),
    st.builds(lambda gain, offset: Poisson(-gain, offset), positive, st.floats(-100, 100)),
    st.builds(PoissonGaussian, positive, positive, st.floats(-100, 100)),
)


def samples(noise: Noise, mean: float, count: int = 40_000) -> Tensor:
    clean = torch.full((count,), mean, dtype=torch.float64)
    return noise.sample(clean, Generator().manual_seed(0))


@pytest.mark.parametrize(
    ("noise", "mean", "kurtosis"),
    [
        (Gaussian(0.2), 0.5, 3.0),
        (Gaussian(30.0), -7.0, 3.0),
        (Poisson(1.0), 0.3, 3 + 1 / 0.3),
        (Poisson(2.0), 40.0, 3 + 1 / 20),
        (Poisson(0.5, 100.0), 101.0, 3 + 1 / 2),
        (Poisson(2.0, -10.0), 50.0, 3 + 1 / 30),
        (Poisson(-2.0, 110.0), 50.0, 3 + 1 / 30),
        (PoissonGaussian(2.0, 3.0, -10.0), 50.0, 3.1),
    ],
)
def test_samples_have_the_stated_mean_and_variance(
    noise: Noise, mean: float, kurtosis: float
) -> None:
    found = samples(noise, mean)
    variance = float(noise.variance(torch.tensor(mean, dtype=torch.float64)))
    error_of_mean = (variance / len(found)) ** 0.5
    error_of_variance = variance * ((kurtosis - 1) / len(found)) ** 0.5
    assert error_of_variance < 0.02 * variance  # the test has power
    assert abs(found.mean() - mean) < 4 * error_of_mean
    assert abs(found.var() - variance) < 4 * error_of_variance


def test_pixels_are_independent() -> None:
    for noise in (Gaussian(1.0), Poisson(1.0)):
        found = samples(noise, 5.0) - 5
        correlation = (found[1:] * found[:-1]).mean() / found.square().mean()
        assert abs(correlation) < 4 / len(found) ** 0.5


def test_poisson_samples_are_whole_counts_above_the_offset() -> None:
    counts = (samples(Poisson(0.25, -3.0), 1.0) + 3) / 0.25
    assert torch.equal(counts, counts.round())
    assert counts.min() >= 0


def test_below_the_offset_there_are_no_counts_and_no_noise() -> None:
    noise, clean = Poisson(2.0, 10.0), torch.tensor([-5.0, 3.0, 10.0])
    assert torch.equal(noise.sample(clean, Generator().manual_seed(0)), torch.full((3,), 10.0))
    assert not noise.variance(clean).any()


@given(noise=noises, low=st.floats(-1e3, 1e3), width=positive, mean=st.floats(-1e3, 1e3))
def test_variance_does_not_depend_on_the_units(
    noise: Noise, low: float, width: float, mean: float
) -> None:
    pixels = torch.tensor([mean], dtype=torch.float64)
    in_unit = noise.rescaled(low, low + width).variance((pixels - low) / width)
    # What cancels in mean - offset is lost to rounding, in units of the larger of the terms.
    lost = 1e-14 * (abs(mean) + abs(low) + 100 + width) * abs(getattr(noise, "gain", 0.0))
    # low + width - low is not quite width.
    slack = 1e-11 * (1 + abs(low) / width)
    torch.testing.assert_close(
        in_unit * width**2, noise.variance(pixels), rtol=slack, atol=lost * (1 + abs(low) / width)
    )


@given(
    gaussian=st.booleans(),
    level=st.integers(-3, 3),
    offset=st.integers(-50, 50),
    low=st.integers(-100, 100),
    width=st.integers(-4, 10),
)
def test_samples_do_not_depend_on_the_units(
    gaussian: bool, level: int, offset: int, low: int, width: int
) -> None:
    # Powers of two and whole numbers, so that the map of intensities is exact.
    noise = Gaussian(2.0**level) if gaussian else Poisson(2.0**level, float(offset))
    clean = torch.arange(-60.0, 120.0, dtype=torch.float64)
    direct = noise.sample(clean, Generator().manual_seed(3))
    unit = noise.rescaled(low, low + 2.0**width)
    mapped = unit.sample((clean - low) / 2.0**width, Generator().manual_seed(3))
    torch.testing.assert_close(mapped * 2.0**width + low, direct, rtol=0, atol=1e-10)


@given(noise=noises, low=st.floats(-100, 100), width=st.floats(1, 1e3))
def test_there_and_back_is_the_same_noise(noise: Noise, low: float, width: float) -> None:
    unit = noise.rescaled(low, low + width)
    back = unit.rescaled(-low / width, (1 - low) / width)
    for name, value in vars(noise).items():
        assert getattr(back, name) == pytest.approx(value, rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("noise", [Gaussian(0.1), Poisson(0.1), PoissonGaussian(0.1, 0.1)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_randomness_comes_from_the_generator_alone(noise: Noise, dtype: torch.dtype) -> None:
    clean = torch.full((2, 1, 9, 8), 0.5, dtype=dtype)
    first, same, other = (noise.sample(clean, Generator().manual_seed(s)) for s in (1, 1, 2))
    assert torch.equal(first, same)
    assert not torch.equal(first, other)
    assert (first.dtype, first.shape) == (dtype, clean.shape)
    assert (clean == 0.5).all()
    assert noise.variance(clean).shape == clean.shape


@pytest.mark.parametrize("level", [0.0, math.nan, math.inf, -math.inf])
def test_a_level_is_a_number_and_not_zero(level: float) -> None:
    with pytest.raises(ValueError, match="sigma must be a number above 0"):
        Gaussian(level)
    with pytest.raises(ValueError, match="gain must be a number other than 0"):
        Poisson(level)


def test_only_a_gain_may_be_below_zero() -> None:
    """As where the image is inverted: it is then the noise of the other way round."""
    with pytest.raises(ValueError, match="sigma must be a number above 0"):
        Gaussian(-1.0)
    upright, inverted = Poisson(0.5, 3.0), Poisson(-0.5, 252.0)
    clean = torch.linspace(10, 200, 20)
    first = upright.sample(clean, Generator().manual_seed(0))
    assert torch.equal(255 - first, inverted.sample(255 - clean, Generator().manual_seed(0)))
    assert torch.equal(upright.variance(clean), inverted.variance(255 - clean))


@pytest.mark.parametrize("offset", [math.nan, math.inf, -math.inf])
def test_an_offset_is_a_number(offset: float) -> None:
    with pytest.raises(ValueError, match="offset must be a number"):
        Poisson(1.0, offset)


def test_a_noise_model_tells_its_level() -> None:
    assert str(Gaussian(25.0)) == "Gaussian, sigma 25"
    assert str(Poisson(0.123456)) == "Poisson, gain 0.1235"
    assert str(PoissonGaussian(2.0, 3.0)) == "Poisson-Gaussian, gain 2, sigma 3"
    assert str(Poisson(2.0, 100.0)) == "Poisson, gain 2, offset 100"
    assert str(PoissonGaussian(2.0, 3.0, -5)).endswith(", sigma 3, offset -5")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("auto", None),
        ("gaussian:25", Gaussian(25.0)),
        ("gaussian:1e-3", Gaussian(0.001)),
        ("poisson:0.5", Poisson(0.5)),
        ("poisson:0.5,100", Poisson(0.5, 100.0)),
        ("poisson:-0.5,255", Poisson(-0.5, 255.0)),
        ("poisson-gaussian:0.5,3", PoissonGaussian(0.5, 3.0)),
    ],
)
def test_noise_is_read_from_text(text: str, expected: Noise | None) -> None:
    assert parse_noise(text) == expected


@given(sigma=st.floats(min_value=1e-300, max_value=1e300))
def test_every_level_can_be_written(sigma: float) -> None:
    assert parse_noise(f"gaussian:{sigma!r}") == Gaussian(sigma)


@pytest.mark.parametrize(
    "text",
    [
        "gaussian",
        "gaussian:",
        "gaussian:-1",
        "gaussian:0",
        "gaussian:nan",
        "gaussian:inf",
        "gaussian:25:3",
        "gaussian 25",
        "poisson",
        "poisson:much",
        "poisson:1,2,3",
        "poisson-gaussian:1",
        "poisson-gaussian:1,0",
        "salt:3",
        "auto:3",
        ":3",
        "",
    ],
)
def test_text_that_is_no_noise(text: str) -> None:
    with pytest.raises(ValueError, match="auto, gaussian:SIGMA, poisson:GAIN or poisson") as caught:
        parse_noise(text)
    assert repr(text) in str(caught.value)


@given(level=st.text("0123456789.+-_einfax: ", max_size=6))
def test_any_level_is_either_refused_or_a_number_other_than_zero(level: str) -> None:
    try:
        found = parse_noise(f"poisson:{level}")
    except ValueError:
        return
    assert isinstance(found, Poisson)
    assert 0 < abs(found.gain) < math.inf

"""Where the result is the truth the likelihood is that of noise; where it is not, that shows."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Generator, Tensor

from gaintuning.likelihood import SIDE, likelihood_map
from gaintuning.noise import Gaussian, Noise, Poisson, PoissonGaussian

NOISES = [
    Gaussian(0.3),
    Poisson(2.0),
    Poisson(0.5, offset=-1.0),
    Poisson(1e-5),
    PoissonGaussian(0.02, 0.1),
]


def scene(side: int = 256) -> Tensor:
    ramp = torch.linspace(0.5, 3.0, side, dtype=torch.float64)
    return (ramp + ramp[:, None])[None] / 2


def apart(found: Tensor) -> Tensor:
    """Of squares that share no pixel."""
    return found[..., SIDE // 2 :: SIDE, SIDE // 2 :: SIDE]


@pytest.mark.parametrize("noise", NOISES, ids=str)
def test_of_the_truth_it_is_a_standard_normal_number(noise: Noise) -> None:
    clean = scene(1024)
    found = apart(likelihood_map(noise.sample(clean, Generator().manual_seed(0)), clean, noise))
    count = found.numel()
    assert abs(found.mean()) < 4 / count**0.5
    assert found.std().item() == pytest.approx(1, abs=0.06)


@given(st.floats(0.02, 900.0), st.integers(0, 1000))
def test_of_any_number_of_counts_too(expected: float, seed: int) -> None:
    clean = torch.full((1, 180, 180), expected, dtype=torch.float64)
    noisy = torch.poisson(clean, Generator().manual_seed(seed))
    found = apart(likelihood_map(noisy, clean, Poisson(1.0)))
    assert abs(found.mean()) < 5 / found.numel() ** 0.5


@pytest.mark.parametrize("noise", NOISES[:3], ids=str)
@pytest.mark.parametrize("change", [-1.0, 2.0])
def test_a_detail_that_is_missing_or_made_up_is_unlikely(noise: Noise, change: float) -> None:
    clean = scene() + 2
    denoised = clean.clone()
    square = (..., slice(96, 128), slice(96, 128))
    denoised[square] += change * noise.variance(clean[square]).sqrt()
    found = likelihood_map(noise.sample(clean, Generator().manual_seed(0)), denoised, noise)
    assert found[100:124, 100:124].mean() < -2
    assert abs(found[160:, 160:].mean()) < 0.5


def test_noise_that_was_left_is_too_likely() -> None:
    clean, noise = scene(), Gaussian(0.3)
    noisy = noise.sample(clean, Generator().manual_seed(0))
    assert likelihood_map(noisy, noisy.lerp(clean, 0.5), noise).mean() > 2


@given(st.floats(0.1, 100), st.floats(-50, 50))
def test_units_do_not_matter(width: float, low: float) -> None:
    clean, noise = scene(64), Poisson(0.5)
    noisy = noise.sample(clean, Generator().manual_seed(0))
    other = [low + width * images for images in (noisy, clean)]
    there = Poisson(0.5 * width, low)
    torch.testing.assert_close(
        likelihood_map(*other, there), likelihood_map(noisy, clean, noise), atol=1e-6, rtol=1e-6
    )


def test_samples_count_together_and_nothing_is_changed() -> None:
    clean, noise = torch.cat([scene(64)] * 3), Gaussian(0.3)
    noisy = noise.sample(clean, Generator().manual_seed(0))
    before = noisy.clone()
    found = likelihood_map(noisy, clean, noise)
    each = [likelihood_map(noisy[i : i + 1], clean[i : i + 1], noise) for i in range(3)]
    torch.testing.assert_close(found, sum(each, torch.zeros(64, 64)) / 3**0.5)
    assert torch.equal(noisy, before)


def test_where_no_count_is_expected_none_is_likely_and_one_is_not() -> None:
    nothing = torch.zeros(1, 32, 32)
    counted = nothing.clone()
    counted[0, 16, 16] = 1
    found = likelihood_map(counted, nothing, Poisson(1.0))
    assert found.isfinite().all()
    assert found[16, 16] < found[0, 0]

"""The estimated error is right on average, and its standard error says how far off it may be."""

from math import inf

import numpy as np
import pytest
import torch
from torch import Generator, Tensor

from gaintuning.noise import Gaussian, Noise, Poisson, PoissonGaussian
from gaintuning.noise_estimation import NoiseEstimate
from gaintuning.trust import ErrorEstimate, estimate_error, residual_of, risk_of


def clean_image(side: int = 48) -> Tensor:
    line = torch.linspace(0, 3, side, dtype=torch.float64)
    return (0.5 + 0.3 * torch.sin(line[:, None] * 2) * torch.cos(line * 3))[None, None]


def blur(images: Tensor) -> Tensor:
    return torch.nn.functional.avg_pool2d(images, 3, 1, 1, count_include_pad=False)


@pytest.mark.parametrize("noise", [Gaussian(0.15), Poisson(0.02), PoissonGaussian(0.01, 0.1)])
def test_the_estimate_and_its_standard_error_are_honest(noise: Noise) -> None:
    clean, rng = clean_image(), Generator().manual_seed(0)
    off = []
    for seed in range(150):
        noisy = noise.sample(clean, rng)
        found = estimate_error(blur, noisy, noise, seed=seed)
        error = (blur(noisy) - clean).square().mean()
        off.append((found.mean_square - float(error)) / found.standard_error)
    off = torch.tensor(off)
    # Normal numbers: their mean has a standard error of 1 in 12, their spread of 1 in 17.
    assert off.mean().abs() < 4 / 12
    assert abs(off.std() - 1) < 5 / 17
    assert abs((off.abs() < 1).double().mean() - 0.68) < 0.12


def test_a_level_that_is_not_sure_makes_the_error_less_sure() -> None:
    noisy = Gaussian(0.15).sample(clean_image(), Generator().manual_seed(0))
    given = estimate_error(blur, noisy, Gaussian(0.15))
    estimated = estimate_error(blur, noisy, Gaussian(0.15), variance_error=0.1)
    assert estimated.mean_square == given.mean_square
    added = estimated.standard_error**2 - given.standard_error**2
    followed = 2 * 2 * 0.15**4 / noisy.numel()
    assert added == pytest.approx((0.1 * 0.15**2) ** 2 - followed)


def test_a_level_that_was_estimated_from_the_same_pixels_follows_what_noise_they_got() -> None:
    """Of noise alone it is the mean square, and nothing is then left to be wrong about."""
    errors = []
    for seed in range(20):
        noisy = 0.1 * torch.randn(1, 1, 64, 64, generator=torch.Generator().manual_seed(seed))
        found = Gaussian(float(noisy.square().mean()) ** 0.5)
        told = estimate_error(torch.zeros_like, noisy, found, (2 / noisy.numel()) ** 0.5)
        stated = estimate_error(torch.zeros_like, noisy, Gaussian(0.1))
        assert told.standard_error < 0.01 * stated.standard_error
        assert abs(told.mean_square) < 0.01 * stated.standard_error
        errors.append(stated.mean_square)
    assert np.std(errors) == pytest.approx(stated.standard_error, rel=0.5)


@pytest.mark.parametrize("noise", [Gaussian(0.15), Poisson(0.05)], ids=str)
def test_the_error_moves_with_the_level_by_what_is_told(noise: Gaussian | Poisson) -> None:
    noisy = noise.sample(clean_image(128), Generator().manual_seed(0))
    off = 1.1
    wrong = (
        Gaussian(off * noise.sigma) if isinstance(noise, Gaussian) else Poisson(off * noise.gain)
    )
    estimates = [
        estimate_error(torch.zeros_like, noisy, each).mean_square for each in (noise, wrong)
    ]
    told = NoiseEstimate(noise, off - 1).variance_error * float(noise.variance(noisy).mean())
    assert abs(estimates[1] - estimates[0]) == pytest.approx(told, rel=0.3)


def test_psnr_and_its_error_follow_from_the_mean_square() -> None:
    found = ErrorEstimate(1e-3, 1e-5)
    assert found.psnr == pytest.approx(30)
    shifted = ErrorEstimate(1e-3 + 1e-5, 1e-5).psnr
    assert found.psnr_error == pytest.approx(found.psnr - shifted, rel=0.01)
    none = ErrorEstimate(-1e-3, 1e-5)
    assert (none.psnr, none.psnr_error) == (inf, inf)


@pytest.mark.parametrize("noise", [Gaussian(0.15), Poisson(0.02), PoissonGaussian(0.01, 0.1)])
def test_what_is_taken_away_is_measured_in_units_of_the_noise(noise: Noise) -> None:
    clean = clean_image(200)
    noisy = noise.sample(clean, Generator().manual_seed(0))
    found = residual_of(noisy, clean, noise)
    # The truth leaves the noise itself: a mean square of 1, known to sqrt(2 / count) and, for
    # counts, a little less well; no correlation, known to 1 / sqrt(2 count).
    assert found.spread**2 == pytest.approx(1, abs=6 / 200)
    assert abs(found.correlation) < 4 / 200
    half = residual_of(noisy, (noisy + clean) / 2, Gaussian(0.15))
    assert half.spread == pytest.approx(
        float((noisy - clean).square().mean() ** 0.5) / 2 / 0.15, rel=1e-6
    )


@pytest.mark.parametrize(("width", "expected"), [(1, 0.0), (2, 0.25), (3, 1 / 3)])
def test_the_correlation_of_a_residual_is_that_of_its_neighbours(
    width: int, expected: float
) -> None:
    white = torch.randn(200, 300, generator=Generator().manual_seed(0))
    blurred = torch.stack([white.roll(shift, 1) for shift in range(width)]).sum(0)
    found = residual_of(blurred, 0 * blurred, Gaussian(0.15))
    # In rows the mean of so many neighbours correlates by 1 - 1 / width, in columns not at all.
    assert found.correlation == pytest.approx(expected, abs=4 / white.numel() ** 0.5)


def test_patterns_and_lines_of_what_was_taken_away_are_noticed() -> None:
    rng = Generator().manual_seed(0)
    white, rows = torch.randn(200, 300, generator=rng), torch.randn(200, 1, generator=rng)
    noise, none = Gaussian(1.0), torch.zeros(200, 300)
    plain = residual_of(white, none, noise)
    assert plain.lines == pytest.approx(1, abs=0.4)
    assert plain.peak < 20
    assert not plain.has_lines
    assert not plain.is_regular
    # Of offsets of variance v of rows that are w pixels long, the power of their means is 1 + w v.
    for taken in (white + 0.2 * rows, (white + 0.2 * rows).T):
        found = residual_of(taken, 0 * taken, noise)
        assert found.lines == pytest.approx((1 + 300 * 0.04) / 1.04, rel=0.3)
        assert found.has_lines
    # Of a wave of amplitude a over n pixels it is 1 + n a^2 / 4, where it is a whole number long.
    phase = torch.arange(200)[:, None] / 8 + torch.arange(300) / 4
    wave = 0.2 * torch.cos(2 * torch.pi * phase)
    found = residual_of(white + wave, none, noise)
    assert found.is_regular
    assert found.peak == pytest.approx(1 + 192 * 292 * 0.01 / 1.02, rel=0.2)
    assert not found.has_lines


def test_where_there_is_no_noise_nothing_counts_as_taken_away() -> None:
    clean = torch.zeros(8, 8)
    found = residual_of(clean + 3, clean, Poisson(1.0))
    assert (found.spread, found.correlation) == (0.0, 0.0)


def test_pixels_of_nearly_no_counts_do_not_decide_what_was_taken_away() -> None:
    """Where one count is expected of twenty pixels, a pixel's own variance is no unit."""
    rng = Generator().manual_seed(0)
    noisy = Poisson(1.0).sample(torch.full((200, 200), 0.05), rng)
    for wrong in (-0.01, 1e-6, 0.02 * torch.randn(200, 200, generator=rng)):
        denoised = 0.05 + 0 * noisy
        denoised[::4] = wrong if isinstance(wrong, float) else (0.05 + wrong)[::4]
        found = residual_of(noisy, denoised, Poisson(1.0))
        assert 0.9 < found.spread < 1.2
        assert not found.is_correlated


def test_noise_of_one_s_own_has_no_risk_estimate() -> None:
    with pytest.raises(ValueError, match="no unbiased risk estimate"):
        risk_of(SaltNoise())


class SaltNoise:
    def sample(self, clean: Tensor, rng: Generator) -> Tensor:
        return clean

    def variance(self, mean: Tensor) -> Tensor:
        return 0 * mean

    def rescaled(self, low: float, high: float) -> "SaltNoise":
        return self

    def averaged(self, count: int) -> "SaltNoise":
        return self

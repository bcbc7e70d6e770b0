"""PSNR and SSIM are what others compute by these names."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from skimage.metrics import peak_signal_noise_ratio, structural_similarity
from torch import Generator, Tensor

from gaintuning.metrics import psnr, ssim, unsupervised_mse, unsupervised_psnr

seeds = st.integers(0, 2**31)
ranges = st.floats(0.1, 1e4)


def pair(seed: int, height: int = 17, width: int = 23) -> tuple[Tensor, Tensor]:
    rng = Generator().manual_seed(seed)
    clean = torch.rand(height, width, generator=rng, dtype=torch.float64)
    return clean + 0.1 * torch.randn(clean.shape, generator=rng, dtype=torch.float64), clean


@given(seed=seeds, data_range=ranges)
def test_psnr_is_that_of_scikit_image(seed: int, data_range: float) -> None:
    noisy, clean = pair(seed)
    expected = peak_signal_noise_ratio(clean.numpy(), noisy.numpy(), data_range=data_range)
    assert psnr(noisy, clean, data_range=data_range) == pytest.approx(expected, rel=1e-12)


@given(seed=seeds, scale=st.floats(1e-3, 1e3))
def test_psnr_does_not_depend_on_the_units(seed: int, scale: float) -> None:
    noisy, clean = pair(seed)
    expected = psnr(noisy, clean, data_range=1.0)
    found = psnr(scale * noisy + 3, scale * clean + 3, data_range=scale)
    assert found == pytest.approx(expected, abs=1e-6)


def test_psnr_of_noise_is_that_of_its_level() -> None:
    clean = torch.zeros(500, 500)
    noisy = clean + 0.1 * torch.randn(clean.shape, generator=Generator().manual_seed(0))
    # The relative standard error of a mean of n squares is sqrt(2 / n); 10 / ln(10) makes it dB.
    assert (
        abs(psnr(noisy, clean, data_range=1.0) - 20) < 4 * 10 / math.log(10) * (2 / 500**2) ** 0.5
    )


def test_psnr_of_equal_images_is_infinite() -> None:
    _, clean = pair(0)
    assert psnr(clean, clean.clone(), data_range=1.0) == math.inf


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int16, torch.float16, torch.float32])
def test_psnr_does_not_overflow_in_small_types(dtype: torch.dtype) -> None:
    first, second = torch.full((2, 1, 9, 9), 5).to(dtype), torch.full((2, 1, 9, 9), 125).to(dtype)
    expected = 20 * math.log10(255 / 120)
    assert psnr(first, second, data_range=255) == pytest.approx(expected, rel=1e-12)
    assert psnr(second, first, data_range=255) == pytest.approx(expected, rel=1e-12)


def ssim_by_its_formula(
    first: NDArray[np.floating], second: NDArray[np.floating], data_range: float
) -> float:
    """Wang et al. 2004, Eq. 13, with their constants; the mean over all whole 11 x 11 windows."""

    def local_mean(image: NDArray[np.floating]) -> NDArray[np.floating]:
        return gaussian_filter(image, 1.5, radius=5)[5:-5, 5:-5]

    c1, c2 = (0.01 * data_range) ** 2, (0.03 * data_range) ** 2
    mean1, mean2 = local_mean(first), local_mean(second)
    variance1 = local_mean(first**2) - mean1**2
    variance2 = local_mean(second**2) - mean2**2
    covariance = local_mean(first * second) - mean1 * mean2
    similarity = (2 * mean1 * mean2 + c1) * (2 * covariance + c2)
    similarity /= (mean1**2 + mean2**2 + c1) * (variance1 + variance2 + c2)
    return float(similarity.mean())


@given(seed=seeds, data_range=st.floats(0.5, 10))
def test_ssim_is_that_of_its_authors(seed: int, data_range: float) -> None:
    noisy, clean = pair(seed)
    expected = ssim_by_its_formula(noisy.numpy(), clean.numpy(), data_range)
    assert ssim(noisy, clean, data_range=data_range) == pytest.approx(expected, abs=1e-9)


def test_ssim_is_not_the_default_of_scikit_image() -> None:
    noisy, clean = pair(0)
    other = structural_similarity(noisy.numpy(), clean.numpy(), data_range=1.0)
    assert abs(ssim(noisy, clean, data_range=1.0) - other) > 1e-4


@given(seed=seeds)
def test_ssim_is_symmetric_and_1_for_equal_images_alone(seed: int) -> None:
    noisy, clean = pair(seed)
    found = ssim(noisy, clean, data_range=1.0)
    assert found == pytest.approx(ssim(clean, noisy, data_range=1.0), abs=1e-12)
    assert found < 0.99
    assert ssim(clean, clean, data_range=1.0) == pytest.approx(1, abs=1e-12)


def test_images_that_need_gradients_are_measured_too() -> None:
    noisy, clean = pair(0)
    for metric in (psnr, ssim):
        expected = metric(noisy, clean, data_range=1.0)
        assert metric(noisy.clone().requires_grad_(), clean, data_range=1.0) == expected


def test_ssim_needs_room_for_its_window() -> None:
    with pytest.raises(ValueError, match=r"win_size"):
        ssim(torch.zeros(10, 30), torch.zeros(10, 30), data_range=1.0)


@pytest.mark.parametrize("metric", [psnr, ssim])
@pytest.mark.parametrize("shape", [(16,), (16, 17), (1, 16, 16), ()])
def test_images_of_different_shapes_are_not_compared(
    metric: object, shape: tuple[int, ...]
) -> None:
    assert callable(metric)
    with pytest.raises(ValueError, match=r"must have one shape, got .*\(16, 16\)"):
        metric(torch.zeros(shape), torch.zeros(16, 16), data_range=1.0)


@given(seed=seeds, level=st.floats(0.0, 1.0), count=st.integers(2, 5))
def test_the_error_without_the_clean_image_is_that_with_it(
    seed: int, level: float, count: int
) -> None:
    """For shot noise as well, whose level is another in each pixel."""
    rng = Generator().manual_seed(seed)
    clean = 2 + 20 * torch.rand(64, 64, generator=rng, dtype=torch.float64)
    denoised = clean + level * torch.randn(clean.shape, generator=rng, dtype=torch.float64)
    others = torch.poisson(clean.expand(count, 64, 64), generator=rng)
    error = float((denoised - clean).square().mean())
    found = unsupervised_mse(denoised, others)
    # The cross term has variance 4 level^2 / count a count, the difference of the two estimates of
    # the noise's variance, v, less than 4 v^2 / (n - 1).
    scatter = float((4 * level**2 * clean.mean() + 4 * clean.square().mean()) / 64**2) ** 0.5
    assert abs(found - error) < 6 * scatter


def test_the_scores_of_several_noisy_images_are_unbiased_and_a_seen_one_is_not() -> None:
    rng = Generator().manual_seed(0)
    clean = torch.rand(300, 300, generator=rng)
    frames = clean + 0.2 * torch.randn(4, 300, 300, generator=rng)
    denoised = frames[:2].mean(0)  # of two frames: an error of half of their variance
    assert unsupervised_mse(denoised, frames[2:]) == pytest.approx(0.02, rel=0.05)
    assert unsupervised_mse(denoised, frames[:3]) < 0.01
    expected = psnr(denoised, clean, data_range=1.0)
    assert unsupervised_psnr(denoised, frames[2:], data_range=1.0) == pytest.approx(
        expected, abs=0.3
    )
    assert unsupervised_psnr(clean, frames[:2], data_range=1.0) > 35


def test_the_error_of_several_images_wants_several_of_one_shape() -> None:
    with pytest.raises(ValueError, match="at least two"):
        unsupervised_mse(torch.zeros(4, 4), torch.zeros(1, 4, 4))
    with pytest.raises(ValueError, match="one shape"):
        unsupervised_mse(torch.zeros(4, 4), torch.zeros(3, 4, 5))


def test_arrays_have_the_scores_of_tensors() -> None:
    rng = np.random.default_rng(0)
    clean, denoised = (rng.random((16, 16)) for _ in range(2))
    for score in (psnr, ssim):
        of_tensors = score(torch.from_numpy(denoised), torch.from_numpy(clean), data_range=1.0)
        assert score(denoised, clean, data_range=1.0) == of_tensors

"""Bins hold what a smooth image shows, with less noise; whether they are taken is never a guess."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Generator, Tensor, nn

from gaintuning import denoise, zoo
from gaintuning.adaptation import Adaptation
from gaintuning.adapted import Adapted, Learned
from gaintuning.binning import Binned, binned, over_bins, unbinned
from gaintuning.denoising import Denoised
from gaintuning.in_range import bring_into_range
from gaintuning.judging import Risk
from gaintuning.metrics import psnr
from gaintuning.noise import Gaussian, Noise, Poisson, PoissonGaussian
from gaintuning.scaling import IntensityRange
from gaintuning.tiles import find_reach, run_in_tiles
from gaintuning.tuning import Schedule

SHORT = Schedule(steps=4, rounds=1)


def waves(side: int, period: float) -> Tensor:
    """Between 0.3 and 0.7."""
    down, right = np.mgrid[:side, :side] * 2 * np.pi / period
    return torch.from_numpy(0.5 + 0.1 * np.sin(down) + 0.1 * np.sin(right + down / 3)).float()


@given(st.integers(1, 8), st.integers(8, 40), st.integers(8, 40), st.floats(-5, 5))
def test_a_level_image_stays_as_it_is_whatever_its_sides(
    factor: int, height: int, width: int, level: float
) -> None:
    images = torch.full((1, 2, height, width), level, dtype=torch.float64)
    torch.testing.assert_close(over_bins(nn.Identity(), factor)(images), images)


@pytest.mark.parametrize("factor", [2, 4, 8])
def test_a_smooth_image_comes_back_from_its_means(factor: int) -> None:
    clean = waves(128, period=8 * factor)[None, None]
    back = Binned(nn.Identity(), factor)(clean)
    middle = (..., slice(16, -16), slice(16, -16))
    assert (back - clean)[middle].square().mean().sqrt() < 0.03 * clean.std()
    means = binned(clean, factor)
    apart = (binned(unbinned(means, factor, clean), factor) - means).square().mean().sqrt()
    assert apart < 0.01 * means.std()


@pytest.mark.parametrize(
    "noise", [Gaussian(0.2), Poisson(0.1), Poisson(0.2, -0.3), PoissonGaussian(0.1, 0.2, 0.1)]
)
def test_the_noise_of_means_is_what_it_is_said_to_be(noise: Noise) -> None:
    clean = torch.full((1, 1, 512, 512), 0.7)
    means = binned(noise.sample(clean, Generator().manual_seed(0)), 4)
    of_means = noise.averaged(16)
    sampled = of_means.sample(torch.full_like(means, 0.7), Generator().manual_seed(1))
    assert means.mean().item() == pytest.approx(0.7, abs=0.01)
    assert means.var().item() == pytest.approx(float(of_means.variance(clean).mean()), rel=0.05)
    assert means.var().item() == pytest.approx(float(sampled.var()), rel=0.05)


def test_a_network_commutes_with_a_shift_by_bins() -> None:
    network = Binned(zoo.load("unet")[0], 4)  # whose own period is two pixels
    image = torch.rand(1, 1, 512, 512, generator=Generator().manual_seed(0))
    whole, shifted = network(image), network(image[..., 8:, 8:])
    inside = (..., slice(192, -192), slice(192, -192))
    torch.testing.assert_close(whole[..., 8:, 8:][inside], shifted[inside], atol=1e-5, rtol=0)


@pytest.fixture(scope="module")
def few_counts() -> tuple[Tensor, Tensor, Denoised[Tensor]]:
    """A fine image, clean and noisy, and what comes of it."""
    clean, noise = waves(256, period=32), Poisson(0.4)
    noisy = noise.sample(clean, Generator().manual_seed(0))
    before = noisy.clone()
    result = denoise(
        noisy,
        network=zoo.DEFAULT,
        noise=noise,
        intensity_range=(0, 1),
        schedule=SHORT,
        orientations=False,
        nonlocal_bayes=False,
    )
    assert torch.equal(noisy, before)
    return clean, noisy, result


def test_a_fine_image_of_few_counts_is_seen_in_bins_and_is_better_for_it(
    few_counts: tuple[Tensor, Tensor, Denoised[Tensor]],
) -> None:
    clean, noisy, result = few_counts
    (found,) = result.adaptations
    assert found.bins == 4  # 8 would leave too few of them
    assert any("means of bins of 4 x 4" in remark for remark in found.remarks)
    with torch.inference_mode():
        as_it_is = zoo.load(zoo.DEFAULT)[0](noisy[None, None])[0, 0]
    scores = [psnr(image, clean, data_range=1.0) for image in (as_it_is, result.pretrained)]
    assert scores[1] > scores[0] + 5
    error = found.error
    assert error is not None
    true = float((result.image - clean).square().mean())
    assert abs(error.mean_square - true) < 3 * error.standard_error


def test_what_was_learned_in_bins_denoises_other_frames_like_the_first(
    few_counts: tuple[Tensor, Tensor, Denoised[Tensor]],
) -> None:
    _, noisy, result = few_counts
    adapted = Adapted(zoo.load(result.network)[0], [Learned.of(result.adaptations[0])])
    np.testing.assert_allclose(adapted(noisy.numpy(), "YX"), result.image.numpy(), atol=1e-4)


def test_an_image_with_detail_in_every_pixel_is_not() -> None:
    rng = np.random.default_rng(0)
    clean = np.kron(rng.uniform(0.2, 0.8, (64, 64)), np.ones((3, 3))).astype(np.float32)
    noisy = Gaussian(0.1).sample(torch.from_numpy(clean), Generator().manual_seed(0))
    result = denoise(
        noisy, noise=Gaussian(0.1), intensity_range=(0, 1), schedule=SHORT, orientations=False
    )
    assert result.adaptations[0].bins == 1


@pytest.mark.parametrize("factor", [2, 8])
def test_a_large_image_in_bins_goes_through_in_tiles(factor: int) -> None:
    network = Binned(zoo.load("unet")[0], factor)
    image = torch.rand(1, 1, 1231, 1000, generator=Generator().manual_seed(0))
    reach = find_reach(network, image)
    assert reach is not None
    assert reach.period == 2 * factor
    with torch.inference_mode():
        whole = network(image)
    torch.testing.assert_close(run_in_tiles(network, image), whole, atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    ("side", "certainties", "bins"), [(520, [2, 3], True), (520, [2, 2], False), (256, [2], False)]
)
def test_a_large_image_is_asked_again_where_bins_are_likely_but_not_surely_better(
    monkeypatch: pytest.MonkeyPatch, side: int, certainties: list[int], bins: bool
) -> None:
    left = list(certainties)

    def compared(*_: object) -> Risk:
        return Risk(1.0 + 0.1 * left.pop(0), 1.0, 0.1)

    monkeypatch.setattr("gaintuning.in_range.compare", compared)
    noisy = Gaussian(0.1).sample(torch.zeros(1, 1, side, side), Generator().manual_seed(0))
    unit = IntensityRange(0.0, 1.0)
    known = Adaptation(unit, unit, Gaussian(0.1))
    (_, first), *_ = bring_into_range(zoo.load("unet")[0], noisy, known)
    assert (first.bins > 1) == bins
    assert not left

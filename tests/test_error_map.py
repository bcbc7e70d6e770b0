"""The expected error of each pixel is right where theory gives it, and on a photograph."""

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr
from skimage import data
from torch import Generator, Tensor, nn

from gaintuning import tiles, zoo
from gaintuning.error_map import FURTHEST, expected_error
from gaintuning.noise import Gaussian, Noise, Poisson
from gaintuning.trust import ErrorEstimate

SIGMA = 0.1


class Wiener(nn.Module):
    """The best denoiser of a white scene: so much of the noisy image, pixel by pixel."""

    def __init__(self, part: float) -> None:
        super().__init__()
        self.layer = nn.utils.skip_init(nn.Conv2d, 1, 1, 1, bias=False).requires_grad_(False)
        self.layer.weight.fill_(part)

    def forward(self, images: Tensor) -> Tensor:
        return self.layer(images)


def white(spread: float, side: int = 96) -> tuple[Tensor, Tensor]:
    rng = Generator().manual_seed(0)
    clean = spread * torch.randn(1, 1, side, side, generator=rng)
    return clean, Gaussian(SIGMA).sample(clean, rng)


@pytest.mark.parametrize("spread", [0.05, 0.2])
def test_the_best_denoiser_of_a_white_scene_has_the_error_that_is_expected(spread: float) -> None:
    part = spread**2 / (spread**2 + SIGMA**2)
    clean, noisy = white(spread)
    denoised = part * noisy
    found = expected_error(Wiener(part), noisy, denoised.double().numpy(), Gaussian(SIGMA))
    assert found.shape == noisy.shape
    assert found.dtype == np.float32
    # The slope is the same everywhere, and no probe misses it.
    np.testing.assert_allclose(found, SIGMA * part**0.5, rtol=0.01)
    error = (denoised - clean).square()
    chance = float(error.std()) / error.numel() ** 0.5
    assert abs(float(error.mean()) - found.mean() ** 2) < 4 * chance


def test_the_error_of_counts_grows_with_the_intensity() -> None:
    clean = torch.full((1, 1, 64, 128), 0.2, dtype=torch.float64)
    clean[..., 64:] = 0.8
    found = expected_error(Wiener(0.5).double(), clean, (clean / 2).numpy(), Poisson(0.01))
    dark, bright = found[..., 16:48].mean(), found[..., 80:112].mean()
    assert bright / dark == pytest.approx(2, rel=0.01)


def test_an_empty_plane_of_counts_leaves_the_others_their_errors() -> None:
    planes = torch.full((2, 1, 64, 64), 0.5, dtype=torch.float64)
    planes[0] = 0
    found = expected_error(Wiener(0.5).double(), planes, (planes / 2).numpy(), Poisson(0.01))
    assert (found[0] == 0).all()
    np.testing.assert_allclose(found[1], (0.01 * 0.25 * 0.5) ** 0.5, rtol=1e-5)


@pytest.mark.parametrize(("factor", "expected"), [(1.5, 1.5), (100.0, FURTHEST)])
def test_the_map_is_brought_to_the_error_of_the_whole(factor: float, expected: float) -> None:
    _, noisy = white(0.1)
    denoised = (noisy / 2).double().numpy()
    plain = expected_error(Wiener(0.5), noisy, denoised, Gaussian(SIGMA))
    sure = ErrorEstimate(float(np.square(plain).mean()) * factor**2, 1e-9)
    brought = expected_error(Wiener(0.5), noisy, denoised, Gaussian(SIGMA), sure)
    np.testing.assert_allclose(brought, expected * plain, rtol=1e-5)
    unsure = ErrorEstimate(sure.mean_square, sure.mean_square)
    as_it_was = expected_error(Wiener(0.5), noisy, denoised, Gaussian(SIGMA), unsure)
    np.testing.assert_array_equal(as_it_was, plain)


@pytest.mark.parametrize("noise", [Gaussian(0.1), Poisson(0.02)])
def test_the_map_of_a_photograph_tells_where_the_error_is(noise: Noise) -> None:
    clean = torch.from_numpy(data.camera()[100:356, 150:406] / 255.0).float()[None, None]
    noisy = noise.sample(clean, Generator().manual_seed(0))
    network, _ = zoo.load("unet-bias-free")
    with torch.inference_mode():
        denoised = network(noisy)
    found = expected_error(network, noisy, denoised.double().numpy(), noise)
    expected, true = (
        torch.nn.functional.avg_pool2d(square, 16).flatten()
        for square in (torch.from_numpy(found).square(), (denoised - clean).square())
    )
    assert spearmanr(expected, true).statistic > 0.8
    brightest = expected > expected.quantile(0.75)
    for some in (brightest, ~brightest):
        ratio = float((true[some].mean() / expected[some].mean()).sqrt())
        assert 0.75 < ratio < 1.33


def test_a_large_image_in_tiles_gives_the_map_of_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    network, _ = zoo.load("unet-bias-free")
    noisy = torch.rand(1, 1, 150, 200, generator=Generator().manual_seed(0))
    with torch.inference_mode():
        denoised = network(noisy).double().numpy()
    whole = expected_error(network, noisy, denoised, Gaussian(SIGMA))
    monkeypatch.setattr(tiles.run_in_tiles, "__defaults__", (None, 64, None))
    assert tiles.find_reach(network, noisy) is not None
    in_tiles = expected_error(network, noisy, denoised, Gaussian(SIGMA))
    np.testing.assert_allclose(in_tiles, whole, rtol=0.02, atol=1e-3)

"""Anscombe's transform makes shot noise equally strong, and its inverse gives the mean back."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from skimage import data
from torch import Generator, Tensor, nn

from gaintuning import denoise, zoo
from gaintuning.metrics import psnr
from gaintuning.noise import Gaussian, Poisson, PoissonGaussian
from gaintuning.stabilizing import STRONGEST, Stabilized
from gaintuning.tiles import find_reach, run

CLEAN = torch.from_numpy(data.camera()[100:260, 180:340] / 255.0).float()[None, None]


def sampled(noise: Poisson | PoissonGaussian, intensity: float) -> torch.Tensor:
    flat = torch.full((1, 1, 300, 300), intensity)
    return noise.sample(flat, Generator().manual_seed(0))


class Mean(nn.Module):
    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return images.mean().expand_as(images)


@given(
    peak=st.floats(4, 1000),
    part=st.floats(0.5, 1.0),
    offset=st.floats(-0.3, 0.3),
    sigma=st.floats(0.0, 3.0),
)
def test_noise_is_equally_strong_whatever_the_count(
    peak: float, part: float, offset: float, sigma: float
) -> None:
    gain = 1 / peak
    noise = PoissonGaussian(gain, sigma * gain, offset) if sigma else Poisson(gain, offset)
    intensity = offset + max(part, 4 * gain)
    stabilized = Stabilized(nn.Identity(), noise).stabilize(sampled(noise, intensity))
    assert stabilized.std().item() == pytest.approx(1, abs=0.06)


@pytest.mark.parametrize("noise", [Poisson(0.05), Poisson(0.2, -0.1), PoissonGaussian(0.05, 0.1)])
@pytest.mark.parametrize("intensity", [0.1, 0.5, 1.0])
def test_the_inverse_of_the_mean_is_the_clean_intensity(
    noise: Poisson | PoissonGaussian, intensity: float
) -> None:
    averaging = Stabilized(Mean(), noise)
    found = averaging(sampled(noise, intensity))[0, 0, 0, 0].item()
    spread = float(noise.variance(torch.tensor(intensity)) ** 0.5)
    assert abs(found - intensity) < 0.04 * spread
    # The algebraic inverse would give less: by a quarter of a count.
    stabilized = averaging.stabilize(sampled(noise, intensity)).mean()
    algebraic = (stabilized**2 / 4 - 3 / 8 - averaging.read) * noise.gain + noise.offset
    assert found - algebraic == pytest.approx(noise.gain / 4, rel=0.35)


def test_an_inverted_image_is_seen_inverted_and_comes_back_so() -> None:
    upright, inverted = PoissonGaussian(0.05, 0.02, -0.1), PoissonGaussian(-0.05, 0.02, 1.1)
    noisy = torch.linspace(-0.2, 1.3, 30)[None, None, None]
    blur = nn.AvgPool1d(3, stride=1, padding=1, count_include_pad=False)

    class Across(nn.Module):
        def forward(self, images: Tensor) -> Tensor:
            return blur(images[:, 0])[:, None]

    first, second = Stabilized(Across(), upright)(noisy), Stabilized(Across(), inverted)(1 - noisy)
    torch.testing.assert_close(second, 1 - first)
    seen = Stabilized(Across(), inverted)
    ends = (seen.stabilize(torch.tensor([0.0, 1.0])) - seen.low) / seen.width
    assert ends[0] == 0
    assert 0 < ends[1] <= 1


def test_the_network_sees_noise_that_it_knows() -> None:
    for peak in (2, 20, 2000):
        seen = Stabilized(nn.Identity(), Poisson(1 / peak))
        assert 1 / seen.width <= STRONGEST + 1e-9
        assert (seen.stabilize(torch.tensor(0.0)) - seen.low) / seen.width == 0


def test_it_sees_as_far_as_the_network() -> None:
    with torch.random.fork_rng():
        network = nn.Conv2d(1, 1, 5, padding=2).requires_grad_(False)
    nn.init.constant_(network.weight, 0.04)
    plain, stabilized = (
        find_reach(each, torch.zeros(1, 1, 8, 8))
        for each in (network, Stabilized(network, Poisson(0.1)))
    )
    assert plain == stabilized


@pytest.mark.parametrize("peak", [5, 30])
def test_shot_noise_is_stabilized_and_tuning_helps_beyond_that(peak: int) -> None:
    noise = Poisson(1 / peak)
    noisy = noise.sample(CLEAN, Generator().manual_seed(0))
    result = denoise(noisy[0, 0].numpy(), noise=noise, intensity_range=(0, 1), network="unet")
    (found,) = result.adaptations
    assert found.stabilized
    assert any("Anscombe" in remark for remark in found.remarks)
    assert set(found.gains) == {f"conv{index}" for index in range(1, 10)}
    plain = torch.from_numpy(run(zoo.load("unet")[0], noisy))[0, 0]
    scores = [
        psnr(torch.as_tensor(image).clamp(0, 1), CLEAN[0, 0], data_range=1.0)
        for image in (plain, result.pretrained, result.image)
    ]
    assert scores[0] + 1 < scores[1] <= scores[2] + 0.005
    assert found.error is not None
    assert abs(found.error.psnr - scores[2]) < 3 * found.error.psnr_error


def test_gaussian_noise_is_left_as_it_is() -> None:
    noisy = CLEAN + 0.1 * torch.randn(CLEAN.shape, generator=Generator().manual_seed(0))
    result = denoise(noisy[0, 0].numpy(), noise=Gaussian(0.1), intensity_range=(0, 1))
    assert not result.adaptations[0].stabilized


def test_intensities_below_no_count_do_no_harm() -> None:
    dark = np.full((8, 8), -5.0)
    stabilized = Stabilized(nn.Identity(), Poisson(0.1))(torch.from_numpy(dark)[None, None])
    assert torch.equal(stabilized, torch.zeros(1, 1, 8, 8, dtype=torch.float64))

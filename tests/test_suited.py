"""Of several networks, an image gets the one that suits it surely better."""

from pathlib import Path

import numpy as np
import pytest
import torch
from test_attempts import CLEAN, UNIT
from torch import Generator, Tensor, nn
from typer.testing import CliRunner

from gaintuning import zoo
from gaintuning.adaptation import Adaptation
from gaintuning.cli import app
from gaintuning.denoising import denoise
from gaintuning.in_range import bring_into_range
from gaintuning.metrics import psnr
from gaintuning.noise import Gaussian, Poisson
from gaintuning.noise_estimation import NoiseEstimate
from gaintuning.suited import ways_if_better
from gaintuning.tuning import Schedule

SHORT = Schedule(steps=3)


def mean_over(side: int) -> nn.Module:
    with torch.random.fork_rng():
        layer = nn.Conv2d(1, 1, side, padding=side // 2, bias=False)
    nn.init.constant_(layer.weight, side**-2)
    return nn.Sequential(layer).eval()


def ways(adaptation: Adaptation, so_far: int, another: int) -> list[tuple[nn.Module, Adaptation]]:
    """Of the mean over so many pixels in the place of that over others, where it is better."""
    noisy = adaptation.noise.sample(CLEAN, Generator().manual_seed(0))
    first = bring_into_range(mean_over(so_far), noisy, adaptation)[0]
    return ways_if_better(mean_over(another), noisy, adaptation, first)


@pytest.mark.parametrize("noise", [Gaussian(0.2), Poisson(0.1)], ids=str)
def test_only_a_surely_better_network_is_taken(noise: Gaussian | Poisson) -> None:
    adaptation = Adaptation(UNIT, UNIT, noise)
    assert ways(adaptation, so_far=1, another=5)
    assert not ways(adaptation, so_far=5, another=1)
    assert not ways(adaptation, so_far=5, another=5)


@pytest.mark.parametrize(("uneven", "cut_off"), [(True, 0.0), (False, 0.2)])
def test_none_is_taken_where_the_error_cannot_be_told(uneven: bool, cut_off: float) -> None:
    estimate = NoiseEstimate(Gaussian(0.2), 0.01, uneven=uneven)
    adaptation = Adaptation(UNIT, UNIT, Gaussian(0.2), estimate, cut_off=cut_off)
    assert not ways(adaptation, so_far=1, another=5)


def lattice(side: int) -> Tensor:
    """Columns of atoms as a micrograph shows them, 0.5 in vacuum."""
    down, right = torch.meshgrid(*2 * [torch.arange(side) * 2 * torch.pi / 40], indexing="ij")
    columns = (down.cos() + (0.5 * down + 0.87 * right).cos() + 2).square() / 16
    return torch.where(down < side * torch.pi / 40, 0.5 * torch.ones(()), 0.3 + 0.5 * columns)


def test_a_micrograph_gets_the_network_for_micrographs() -> None:
    clean, noise = lattice(256), Poisson(1.0)
    noisy = noise.sample(clean, Generator().manual_seed(0))
    results = [
        denoise(noisy, noise=noise, intensity_range=(0, 1), network=network, schedule=SHORT)
        for network in ("auto", zoo.DEFAULT, "unet-tem")
    ]
    assert [result.network for result in results] == ["unet-tem", zoo.DEFAULT, "unet-tem"]
    chosen, default, named = (result.image for result in results)
    assert torch.equal(chosen, named)
    assert psnr(chosen, clean, data_range=1.0) > psnr(default, clean, data_range=1.0) + 0.5


@pytest.mark.parametrize("tune", [True, False])
def test_another_image_gets_the_default(tune: bool) -> None:
    rng = np.random.default_rng(0)
    clean = np.kron(rng.uniform(40, 200, (16, 16)), np.ones((8, 8)))
    noisy = rng.normal(clean, 30)
    chosen, default = (
        denoise(noisy, noise=Gaussian(30), network=network, schedule=SHORT, tune=tune)
        for network in ("auto", zoo.DEFAULT)
    )
    assert chosen.network == default.network == zoo.DEFAULT
    np.testing.assert_array_equal(chosen.image, default.image)


def test_the_channels_share_the_network() -> None:
    noise = Poisson(1.0)
    first = noise.sample(lattice(256), Generator().manual_seed(0))
    channels = torch.stack([first, torch.full_like(first, 0.5)]).numpy()
    result = denoise(channels, axes="CYX", noise=noise, intensity_range=(0, 1), schedule=SHORT)
    assert result.network == "unet-tem"
    assert len(result.adaptations) == 2


def test_the_command_tells_which_network_it_took(tmp_path: Path) -> None:
    noisy = Poisson(1.0).sample(lattice(256), Generator().manual_seed(0)).numpy()
    np.save(tmp_path / "noisy.npy", noisy)
    command = ["denoise", str(tmp_path / "noisy.npy"), "-o", str(tmp_path / "out.npy")]
    options = ["--noise", "poisson:1", "--range", "0", "1"]
    result = CliRunner().invoke(app, [*command, *options])
    assert result.exit_code == 0, result.output
    assert "by unet-tem" in result.output
    assert "unet-tem suits the image better than unet-bias-free" in result.output

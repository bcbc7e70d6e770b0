"""Topaz's network sees images as it was trained on, and is found where it is installed."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import Generator, nn

from gaintuning.baselines.topaz import WEIGHTS, denoise_topaz
from gaintuning.methods import METHODS, Task
from gaintuning.noise import Gaussian

STAND_IN = '''
import torch

class UDenoiseNet(torch.nn.Module):
    """Half of what it sees, which must have mean 0 and standard deviation 1."""

    def __init__(self, base_width, top_width):
        super().__init__()
        assert (base_width, top_width) == (11, 5)
        self.factor = torch.nn.Parameter(torch.zeros(1))

    def forward(self, images):
        torch.testing.assert_close(images.mean((-2, -1)), torch.zeros(images.shape[:2]))
        assert (images.std() - 1).abs() < 1e-4 or images.std() == 0
        return self.factor * images
'''


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A package with the modules, the class and the weights that are asked for."""
    for folder in ("", "denoising", "pretrained/denoise"):
        (tmp_path / "topaz" / folder).mkdir(parents=True, exist_ok=True)
    for module in ("__init__.py", "denoising/__init__.py"):
        (tmp_path / "topaz" / module).touch()
    (tmp_path / "topaz/denoising/models.py").write_text(STAND_IN)
    network = nn.Module()
    network.factor = nn.Parameter(torch.full((1,), 0.5))
    torch.save(network.state_dict(), tmp_path / "topaz" / WEIGHTS)
    monkeypatch.syspath_prepend(tmp_path)
    yield
    for name in [name for name in sys.modules if name.split(".")[0] == "topaz"]:
        del sys.modules[name]


@pytest.mark.usefixtures("installed")
def test_each_image_is_seen_at_its_own_level_and_contrast() -> None:
    noisy = torch.rand(2, 1, 32, 40, generator=Generator().manual_seed(0))
    noisy[1] = 100 + 30 * noisy[1]
    before = noisy.clone()
    mean = noisy.mean((-2, -1), keepdim=True)
    torch.testing.assert_close(denoise_topaz(noisy), (noisy + mean) / 2)
    assert torch.equal(noisy, before)
    torch.testing.assert_close(METHODS["topaz"](Task(noisy, Gaussian(0.1))), (noisy + mean) / 2)


@pytest.mark.usefixtures("installed")
def test_an_image_of_one_intensity_stays_as_it_is() -> None:
    level = torch.full((1, 1, 16, 16), 3.0)
    torch.testing.assert_close(denoise_topaz(level), level)


def test_without_the_package_it_says_where_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "topaz", None)
    with pytest.raises(ImportError, match=r"gaintuning\[topaz\]"):
        denoise_topaz(torch.zeros(1, 1, 8, 8))

"""Less contrast brings noise into a network's range, and is taken only where it helps."""

import pytest
import torch
from torch import Generator, Tensor

from gaintuning.contrast import find_contrast, with_contrast
from gaintuning.judging import mean_loss, pixel_losses
from gaintuning.noise import Gaussian
from gaintuning.objectives import Recorrupted, Sure


def soft_to(level: float) -> object:
    """A denoiser that knows noise up to a level: what differs by more from a blur is kept.

    It adds a pattern that is always as strong, and so the stronger the less contrast it sees.
    """

    def denoiser(images: Tensor) -> Tensor:
        blurred = torch.nn.functional.avg_pool2d(images, 7, 1, 3, count_include_pad=False)
        kept = torch.nn.functional.softshrink(images - blurred, 3 * level)
        return blurred + kept + 0.1 * level * torch.cos(torch.arange(images.shape[-1]))

    return denoiser


def noisy_image(sigma: float) -> Tensor:
    line = torch.linspace(0, 3, 128)
    clean = (0.5 + 0.2 * torch.sin(line[:, None]) * torch.cos(line))[None, None]
    return clean + sigma * torch.randn(clean.shape, generator=Generator().manual_seed(0))


@pytest.mark.parametrize(("known", "lowest", "highest"), [(0.1, 0.15, 0.6), (0.3, 1.0, 1.0)])
def test_contrast_falls_until_the_noise_is_known_and_no_further(
    known: float, lowest: float, highest: float
) -> None:
    sigma = 0.3
    found = find_contrast(soft_to(known), noisy_image(sigma), Sure(sigma), center=0.5)
    assert lowest <= found <= highest


def test_contrast_is_found_behind_one_that_is_worse() -> None:
    known = soft_to(0.05)

    def denoiser(images: Tensor) -> Tensor:
        strength = float((images - images.mean()).std())
        return known(images) + (0.5 if 0.15 < strength < 0.3 else 0.0)

    noisy = noisy_image(0.5)
    assert float(noisy.std()) > 0.3
    assert 0.1 * 0.15 / 0.5 <= find_contrast(denoiser, noisy, Sure(0.5), center=0.5) <= 0.15 / 0.5


@pytest.mark.parametrize("seed", range(3))
def test_probes_are_not_the_noise_of_the_image(seed: int) -> None:
    """Who simulates noise takes such seeds, and estimates of the same numbers would be wrong."""
    sigma, clean = 0.1, torch.full((1, 1, 256, 256), 0.5)
    noisy = clean + sigma * torch.randn(clean.shape, generator=Generator().manual_seed(seed))

    def denoiser(images: Tensor) -> Tensor:
        return 0.5 + torch.nn.functional.softshrink(images - 0.5, sigma)

    risk = Recorrupted(Gaussian(sigma), alpha=0.01)
    true = float((denoiser(noisy) - clean).square().mean())
    found = mean_loss(pixel_losses(denoiser, noisy, risk, seed))
    assert found == pytest.approx(true, abs=0.02 * sigma**2)


def test_full_contrast_is_the_denoiser_itself() -> None:
    images = noisy_image(0.1).double()
    denoiser = soft_to(0.1)
    torch.testing.assert_close(with_contrast(denoiser, 1.0, 0.5)(images), denoiser(images))


def test_a_linear_denoiser_does_not_care_for_contrast() -> None:
    def mean(images: Tensor) -> Tensor:
        return torch.nn.functional.avg_pool2d(images, 3, 1, 1, count_include_pad=False)

    images = noisy_image(0.1).double()
    torch.testing.assert_close(with_contrast(mean, 0.3, 0.4)(images), mean(images))
    assert find_contrast(mean, images, Sure(0.1), center=0.4) == 1.0

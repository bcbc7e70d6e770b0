"""Like places are averaged, single ones stay, and the judge tells where it helps."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage import data
from torch import Generator, Tensor, nn

from gaintuning import denoise, zoo
from gaintuning.noise import Gaussian, Noise, Poisson, PoissonGaussian
from gaintuning.nonlocal_bayes import NonLocalBayes, filter_like_places
from gaintuning.tuning import Schedule

SIGMA = 0.1
BRIEF = Schedule(steps=3, rounds=1)


def lattice(side: int = 96) -> Tensor:
    rows, columns = torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")
    spots = torch.cos(rows * 2 * torch.pi / 9) * torch.cos(columns * 2 * torch.pi / 9)
    return (0.5 + 0.3 * spots)[None, None].double()


def blurred(images: Tensor) -> Tensor:
    return nn.functional.avg_pool2d(images, 3, 1, 1, count_include_pad=False)


class Blurred(nn.Module):
    def __init__(self, added: Tensor) -> None:
        super().__init__()
        self.added = added

    def forward(self, images: Tensor) -> Tensor:
        return blurred(images) + self.added


def seeded(seed: int = 0) -> Generator:
    return Generator().manual_seed(seed)


def error(one: Tensor, other: Tensor) -> float:
    return float((one - other).square().mean())


@pytest.mark.parametrize(
    "noise", [Gaussian(SIGMA), Poisson(0.02), PoissonGaussian(0.015, 0.05)], ids=str
)
def test_what_repeats_itself_is_averaged_over_its_places(noise: Noise) -> None:
    clean = lattice()
    noisy = noise.sample(clean, seeded())
    pilot = blurred(noisy)
    filtered = filter_like_places(noisy, pilot, noise.variance(pilot))
    assert error(filtered, clean) < 0.4 * error(pilot, clean)


def test_what_is_like_nothing_else_stays() -> None:
    clean = lattice()
    clean[..., 40:45, 40:45] += 0.6
    noisy = Gaussian(0.05).sample(clean, seeded())
    variance = torch.full_like(noisy, 0.05**2)
    filtered = filter_like_places(noisy, clean, variance)
    defect = (..., slice(40, 45), slice(40, 45))
    assert error(filtered[defect], clean[defect]) < 0.05**2
    assert float((filtered - clean)[defect].mean()) == pytest.approx(0, abs=0.02)


def test_without_noise_nothing_changes() -> None:
    clean = lattice(40)
    exact = filter_like_places(clean, clean, torch.zeros_like(clean))
    assert torch.equal(exact, clean)
    for images in (clean, clean.float()):
        nearly = filter_like_places(images, images, torch.full_like(images, 1e-12))
        torch.testing.assert_close(nearly, images, atol=1e-4, rtol=0)


@given(
    height=st.integers(1, 70),
    width=st.integers(1, 70),
    channels=st.integers(1, 3),
    seed=st.integers(0),
)
def test_images_of_any_size_keep_their_shape_and_are_not_changed(
    height: int, width: int, channels: int, seed: int
) -> None:
    noisy = torch.rand(2, channels, height, width, generator=seeded(seed % 2**62))
    before = noisy.clone()
    found = NonLocalBayes(nn.Identity(), Gaussian(SIGMA))(noisy)
    assert found.shape == noisy.shape
    assert found.isfinite().all()
    assert torch.equal(noisy, before)


def test_other_units_and_another_zero_give_the_same() -> None:
    noisy = Gaussian(SIGMA).sample(lattice(48), seeded())
    pilot, variance = blurred(noisy), torch.full_like(noisy, SIGMA**2)
    expected = 7 + 100 * filter_like_places(noisy, pilot, variance)
    other = filter_like_places(7 + 100 * noisy, 7 + 100 * pilot, 1e4 * variance)
    torch.testing.assert_close(other, expected)


def test_where_the_pilot_is_flat_the_noise_of_few_dozen_patches_does_not_come_back() -> None:
    flat = torch.full((1, 1, 96, 96), 0.5)
    noisy = Gaussian(SIGMA).sample(flat, seeded())
    filtered = filter_like_places(noisy, flat, torch.full_like(noisy, SIGMA**2))
    assert error(filtered, flat) < 1e-6 * SIGMA**2


@given(part=st.floats(0, 1))
@settings(max_examples=5)
def test_a_part_of_the_way_lies_between_the_pilot_and_the_filtered(part: float) -> None:
    noisy = Gaussian(SIGMA).sample(lattice(32), seeded())
    pilot, filtered, between = (
        NonLocalBayes(nn.AvgPool2d(3, 1, 1), Gaussian(SIGMA), part=each)(noisy)
        for each in (0.0, 1.0, part)
    )
    torch.testing.assert_close(between, pilot + part * (filtered - pilot))


@pytest.mark.parametrize("noise", [Gaussian(0.3), Poisson(0.2)], ids=str)
@pytest.mark.parametrize("size", [(128, 128), (127, 101)])
def test_where_a_patch_is_too_small_its_bins_do_better(noise: Noise, size: tuple[int, int]) -> None:
    whole = nn.functional.interpolate(lattice(64), scale_factor=4, mode="bicubic")
    clean = whole[..., : size[0], : size[1]]
    noisy = noise.sample(clean, seeded())
    fine, coarse = (NonLocalBayes(nn.AvgPool2d(9, 1, 4), noise, bins=bins) for bins in (1, 2))
    assert error(coarse(noisy), clean) < 0.8 * error(fine(noisy), clean)


def test_bins_leave_finer_details_to_the_pilot() -> None:
    noisy = Gaussian(SIGMA).sample(lattice(48), seeded())
    fine = 0.05 * torch.tensor([1.0, -1.0]).repeat(24).expand(1, 1, 48, 48)
    plain, detailed = (
        NonLocalBayes(Blurred(added), Gaussian(SIGMA), bins=2)(noisy) for added in (0 * fine, fine)
    )
    torch.testing.assert_close(detailed, plain + fine, atol=1e-6, rtol=0)


def test_where_nothing_was_counted_there_is_no_complaint() -> None:
    clean = lattice(64).float()
    clean[..., :32] = 0
    noisy = Poisson(0.05).sample(clean, seeded())
    found = NonLocalBayes(nn.AvgPool2d(3, 1, 1), Poisson(0.05))(noisy)
    assert found.isfinite().all()
    assert found[..., :16].abs().max() < 1e-3


class Blur(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.blur = nn.Conv2d(1, 1, 3, padding=1, bias=False, padding_mode="reflect")
        nn.init.constant_(self.blur.weight, 1 / 9)

    def forward(self, images: Tensor) -> Tensor:
        return self.blur(images)


def test_it_is_taken_where_it_helps() -> None:
    clean = lattice(128)[0, 0].numpy()
    noisy = np.random.default_rng(0).normal(clean, SIGMA)
    with torch.random.fork_rng():
        blur = Blur()
    how = {"network": blur, "noise": Gaussian(SIGMA), "intensity_range": (0.0, 1.0)}
    without, found = (
        denoise(noisy, **how, schedule=BRIEF, nonlocal_bayes=asked) for asked in (False, True)
    )
    (adaptation,) = found.adaptations
    assert adaptation.nonlocal_bayes
    assert any("look alike" in remark for remark in adaptation.remarks)
    errors = [float(np.square(each.image - clean).mean()) for each in (without, found)]
    assert errors[1] < 0.7 * errors[0]
    told = adaptation.error
    assert abs(told.mean_square - errors[1]) < 2 * told.standard_error < 0.15 * errors[0]


def test_it_is_not_taken_where_the_network_knows_better() -> None:
    clean = data.camera()[100:228, 180:308]
    noisy = np.random.default_rng(0).normal(clean, 25)
    how = {"network": zoo.DEFAULT, "noise": Gaussian(25), "intensity_range": (0.0, 255.0)}
    without, found = (
        denoise(noisy, **how, schedule=BRIEF, nonlocal_bayes=asked) for asked in (False, True)
    )
    assert not found.adaptations[0].nonlocal_bayes
    assert np.array_equal(found.image, without.image)


def test_what_is_further_away_than_two_windows_does_not_matter() -> None:
    noisy = Gaussian(SIGMA).sample(torch.rand(1, 1, 20, 420, generator=seeded()), seeded(1))
    other = noisy.clone()
    other[..., 370:] = 1 - other[..., 370:]
    filtering = NonLocalBayes(nn.AvgPool2d(3, 1, 1), Gaussian(SIGMA))
    first, second = filtering(noisy), filtering(other)
    # Not to the bit: what tells likeness is taken about the mean of the whole image.
    torch.testing.assert_close(first[..., :100], second[..., :100], atol=1e-5, rtol=0)
    assert (first[..., 340:] - second[..., 340:]).abs().max() > 0.1

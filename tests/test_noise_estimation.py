"""Model and level of the noise are found, and told with what they are worth."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from scipy.signal import lfilter
from skimage import data
from torch import nn

from gaintuning import zoo
from gaintuning.layout import lay_out_network
from gaintuning.noise import Gaussian, Poisson, PoissonGaussian
from gaintuning.noise_estimation import estimate_noise


@pytest.fixture(scope="module")
def denoiser() -> nn.Module:
    return zoo.load(zoo.DEFAULT)[0]


def scene(height: int = 256, width: int = 320) -> NDArray[np.floating]:
    """Smooth shades with edges and a patch of fine texture, between 10 and 250."""
    rows, columns = np.mgrid[:height, :width] / 60.0
    image = 130 + 80 * np.sin(rows) * np.cos(1.3 * columns)
    image[height // 3 : height // 2, width // 4 : width // 2] = 40
    fine = np.random.default_rng(1).normal(0, 40, (height // 4, width // 4))
    image[-fine.shape[0] :, -fine.shape[1] :] += fine
    return image.clip(10, 250)


def with_noise(clean: NDArray[np.floating], noise: object, seed: int = 0) -> NDArray[np.floating]:
    rng = torch.Generator().manual_seed(seed)
    return noise.sample(torch.from_numpy(clean), rng).numpy()


@pytest.mark.parametrize("sigma", [5.0, 20.0, 80.0, 200.0])
def test_the_level_of_gaussian_noise_is_found_in_spite_of_texture(
    denoiser: nn.Module, sigma: float
) -> None:
    found = estimate_noise(with_noise(scene(), Gaussian(sigma))[None], denoiser)
    assert isinstance(found.noise, Gaussian)
    assert found.noise.sigma == pytest.approx(sigma, rel=0.03)
    assert 0.005 < found.standard_error < 0.03
    assert found.stride == (1, 1)
    assert not found.remarks


@pytest.mark.parametrize(
    "noise",
    [
        Poisson(10.0),
        Poisson(1.0),
        Poisson(2.0, -100.0),
        PoissonGaussian(5.0, 20.0),
        PoissonGaussian(1.0, 10.0),
    ],
)
def test_shot_noise_is_told_from_gaussian_noise_with_its_gain(
    denoiser: nn.Module, noise: Poisson | PoissonGaussian
) -> None:
    found = estimate_noise(with_noise(scene(), noise)[None], denoiser)
    assert isinstance(found.noise, (Poisson, PoissonGaussian))
    assert found.noise.gain == pytest.approx(noise.gain, rel=0.1)
    # The variance is right where the image is, however it is shared out.
    middle = torch.tensor([60.0, 130.0, 200.0])
    torch.testing.assert_close(
        found.noise.variance(middle), noise.variance(middle), rtol=0.1, atol=0.0
    )


@pytest.mark.parametrize(("step", "peak"), [(1.0, 2.0), (0.37, 30.0), (12.0, 200.0)])
def test_of_counts_that_are_steps_of_the_intensity_the_gain_is_known(
    denoiser: nn.Module, step: float, peak: float
) -> None:
    clean = scene() / 250 * peak * step
    found = estimate_noise(with_noise(clean, Poisson(step))[None], denoiser)
    assert isinstance(found.noise, Poisson)
    assert found.noise.gain == pytest.approx(step, rel=1e-6)
    assert found.noise.offset == 0
    assert found.standard_error < 0.01


def test_shot_noise_of_an_inverted_image_has_a_gain_below_zero(denoiser: nn.Module) -> None:
    noise = Poisson(-4.0, 300.0)
    found = estimate_noise(with_noise(scene(), noise)[None], denoiser)
    assert isinstance(found.noise, Poisson)
    assert found.noise.gain == pytest.approx(-4, rel=0.1)
    middle = torch.tensor([60.0, 130.0, 200.0])
    torch.testing.assert_close(
        found.noise.variance(middle), noise.variance(middle), rtol=0.1, atol=0.0
    )
    assert "inverted" in found.remarks[0]


@pytest.mark.parametrize("step", [1.0, 5.5])
def test_counts_are_known_where_hardly_anything_but_the_background_is_smooth(
    denoiser: nn.Module, step: float
) -> None:
    rng = np.random.default_rng(0)
    rows, columns = np.mgrid[:192, :192]
    clean = np.full((192, 192), 1.5)
    for row, column in rng.uniform(8, 184, (40, 2)):
        clean += 60 * np.exp(-((rows - row) ** 2 + (columns - column) ** 2) / 6)
    found = estimate_noise(with_noise(step * clean, Poisson(step))[None], denoiser)
    assert found.noise == Poisson(step)


@pytest.mark.parametrize("stated", [None, Gaussian(10.0)], ids=str)
def test_noise_that_no_model_tells_is_told_of(denoiser: nn.Module, stated: Gaussian | None) -> None:
    rng = np.random.default_rng(0)
    clean, normal = scene(), rng.normal(size=(256, 320))
    level = np.where(np.arange(320) < 200, 5, 30)
    uneven = estimate_noise((clean + level * normal)[None], denoiser, stated)
    assert (uneven.uneven, uneven.heavy_tailed, uneven.is_of_the_model) == (True, False, False)
    assert any("parts of the image" in each for each in uneven.remarks)
    few = np.where(rng.random((256, 320)) < 0.02, 30, 8)
    heavy = estimate_noise((clean + few * normal)[None], denoiser, stated)
    assert (heavy.uneven, heavy.heavy_tailed, heavy.is_of_the_model) == (False, True, False)
    assert any("some pixels" in each for each in heavy.remarks)
    plain = estimate_noise((clean + 8 * normal)[None], denoiser, stated)
    assert plain.is_of_the_model
    assert plain.stated == bool(stated)
    assert stated in (None, plain.noise)


@pytest.mark.parametrize("found", [True, False])
def test_few_counts_are_as_they_should_be(denoiser: nn.Module, found: bool) -> None:
    """Their tails are heavy, and they are the stronger the brighter."""
    noise = PoissonGaussian(3.0, 2.0)
    noisy = with_noise(scene() / 15, noise)
    assert estimate_noise(noisy[None], denoiser, None if found else noise).is_of_the_model
    as_normal = estimate_noise(noisy[None], denoiser, Gaussian(5.0))
    assert as_normal.uneven


def test_a_lattice_as_fine_as_noise_is_not_taken_for_it(denoiser: nn.Module) -> None:
    rows, columns = np.mgrid[:192, :192]
    lattice = 40 * np.cos(2 * np.pi * columns / 3.1) * np.cos(2 * np.pi * rows / 2.9)
    clean = 100 + np.where(columns < 96, 0, lattice)
    found = estimate_noise(with_noise(clean, Gaussian(20.0))[None], denoiser)
    assert found.noise.sigma == pytest.approx(20, rel=0.03)
    assert found.is_of_the_model


def test_fringes_that_are_everywhere_are_not_taken_for_noise(denoiser: nn.Module) -> None:
    """Too weak to be seen by the network, and nearly a sixth of what it takes away."""
    rows, columns = np.mgrid[:192, :192]
    waves = (0.31 * columns + 0.17 * rows, 0.33 * rows - 0.12 * columns)
    fringes = 100 + sum(6 * np.cos(2 * np.pi * wave) for wave in waves)
    found = estimate_noise(with_noise(fringes, Gaussian(15.0))[None], denoiser)
    assert found.noise.sigma == pytest.approx(15, rel=0.03)


def test_noise_that_follows_the_intensity_as_no_model_says_is_told_of(
    denoiser: nn.Module,
) -> None:
    clean = scene()
    level = 10 + 15 * np.abs(clean - 130) / 120
    noisy = clean + level * np.random.default_rng(0).normal(size=clean.shape)
    assert estimate_noise(noisy[None], denoiser).uneven


def test_a_step_that_is_no_count_is_not_taken_for_one(denoiser: nn.Module) -> None:
    rounded = np.rint(with_noise(scene(), Poisson(2.6)))
    found = estimate_noise(rounded[None], denoiser)
    assert found.quantum == 2
    assert getattr(found.noise, "gain", 0) == pytest.approx(2.6, rel=0.1)
    # A variance that is the mean, but not from block to block.
    like_counts = np.rint(with_noise(scene(), Gaussian(scene().mean() ** 0.5)))
    found = estimate_noise(like_counts[None], denoiser)
    assert found.quantum == 1
    assert isinstance(found.noise, Gaussian)


@pytest.mark.parametrize(("factor", "shift"), [(1e-3, 0.0), (257.0, 1000.0), (1.0, -5e4)])
def test_the_estimate_is_in_the_units_of_the_image(
    denoiser: nn.Module, factor: float, shift: float
) -> None:
    noisy = with_noise(scene(), Gaussian(20.0))
    found = estimate_noise((factor * noisy + shift)[None], denoiser)
    assert isinstance(found.noise, Gaussian)
    assert found.noise.sigma == pytest.approx(20 * factor, rel=0.03)


def test_strong_noise_is_not_taken_for_weaker_noise(denoiser: nn.Module) -> None:
    """Smooth blocks hold less than their share of the noise; made up for, it is no bias to tell."""
    scenes = [
        data.camera()[:256, :256],
        data.camera()[200:456, 180:436],
        data.coins()[:256, :256],
        data.moon()[:256, :256],
        data.cell()[200:456, :256],
    ]
    errors = []
    for seed, clean in enumerate(scenes):
        noisy = clean + np.random.default_rng(seed).normal(0, 80, clean.shape)
        errors.append(float(estimate_noise(noisy[None], denoiser).noise.sigma) / 80 - 1)
    assert abs(np.mean(errors)) < 0.006


@pytest.mark.parametrize("width", [0.7, 1.0])
def test_noise_that_goes_together_is_noticed_and_its_level_still_found(
    denoiser: nn.Module, width: float
) -> None:
    noise = gaussian_filter(np.random.default_rng(0).normal(size=(256, 320)), width, mode="wrap")
    found = estimate_noise((scene() + 25 * noise / noise.std())[None], denoiser)
    assert min(found.stride) > 1
    assert "goes together" in found.remarks[0]
    level = found.noise.variance(torch.tensor(130.0)) ** 0.5
    assert float(level) == pytest.approx(25, rel=0.15)


@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("part", [0.25, 0.5])
def test_noise_that_goes_together_along_lines_is_taken_apart_along_them(
    denoiser: nn.Module, axis: int, part: float
) -> None:
    white = np.random.default_rng(0).normal(0, 20, (256, 320))
    noise = lfilter([(1 - part**2) ** 0.5], [1, -part], white, axis=axis)
    found = estimate_noise((scene() + noise)[None], denoiser)
    assert found.stride == ((2, 1) if axis == 0 else (1, 2))
    assert ("2 rows apart" if axis == 0 else "2 columns apart") in found.remarks[0]
    assert found.noise.sigma == pytest.approx(20, rel=0.2)
    assert found.is_of_the_model


def test_a_grating_with_independent_noise_is_not_taken_for_noise(denoiser: nn.Module) -> None:
    rows, columns = np.mgrid[:128, :128]
    grating = 120 + 60 * np.sign(np.sin(1.9 * rows + 0.2 * np.sin(columns / 9)))
    found = estimate_noise(with_noise(grating, Gaussian(10.0))[None], denoiser)
    assert found.stride == (1, 1)


def test_intensities_that_are_cut_off_are_told_of_and_left_out(denoiser: nn.Module) -> None:
    clean = scene().clip(60, 200)
    clean[:, :100], clean[:, 100:140] = 0, 255
    noisy = with_noise(clean, Gaussian(20.0)).clip(0, 255).round()
    found = estimate_noise(noisy[None], denoiser)
    assert found.noise.variance(torch.tensor(130.0)) ** 0.5 == pytest.approx(20, rel=0.05)
    assert 0.15 < found.clipped < 0.3
    assert found.quantum == 1
    assert "cut off" in found.remarks[0]


@pytest.mark.parametrize("level", [0.0, 120.3])
@pytest.mark.parametrize("width", [96, 200])
def test_a_blank_part_tells_nothing_of_the_noise(
    denoiser: nn.Module, level: float, width: int
) -> None:
    noisy = with_noise(scene() - 100, Gaussian(20.0))
    masked = noisy.copy()
    masked[:, :width] = level
    masked[:9] = level
    frames = np.stack([noisy, np.full_like(noisy, level), noisy[::-1]])
    for planes in (masked[None], frames):
        found = estimate_noise(planes, denoiser)
        assert isinstance(found.noise, Gaussian)
        assert found.noise.sigma == pytest.approx(20, rel=0.08)
        assert found.clipped == 0


@pytest.mark.parametrize("step", [1.0, 7.0])
@pytest.mark.parametrize("rate", [0.01, 0.05, 0.2, 0.45, 0.7])
def test_rare_counts_are_told_and_cut_nothing_off(
    denoiser: nn.Module, rate: float, step: float
) -> None:
    rows, columns = np.mgrid[:256, :256]
    mean = rate * (1 + 0.8 * np.sin(rows / 40) * np.cos(columns / 50))
    found = estimate_noise(step * with_noise(mean, Poisson(1.0))[None], denoiser)
    assert found.noise == Poisson(step)
    assert found.clipped == 0
    assert not found.remarks


@pytest.mark.parametrize("rate", [0.0, 0.005, 0.02])
def test_a_dark_half_of_an_image_of_counts_is_not_cut_off(denoiser: nn.Module, rate: float) -> None:
    mean = scene() / 40
    mean[:, :160] = rate
    found = estimate_noise(with_noise(mean, Poisson(1.0))[None], denoiser)
    assert found.noise == Poisson(1.0)
    assert found.clipped == 0


def test_weak_noise_that_is_no_count_is_not_taken_for_rare_ones(denoiser: nn.Module) -> None:
    """A stain of few gray levels on black, with more noise than counts would have."""
    clean = np.full((256, 256), 0.2)
    clean[100:150, 100:150] = 2
    noisy = with_noise(clean, Gaussian(2.0)).round().clip(0)
    found = estimate_noise(noisy[None], denoiser)
    assert found.noise != Poisson(1.0)


@pytest.mark.parametrize("noise", [Gaussian(20.0), Poisson(4.0)], ids=str)
def test_the_model_is_the_same_in_any_unit(denoiser: nn.Module, noise: Gaussian | Poisson) -> None:
    rng = np.random.default_rng(0)
    noisy = with_noise(scene(), noise) + rng.uniform(-0.01, 0.01, (256, 320))
    expected = estimate_noise(noisy[None], denoiser)
    for unit in (1e-15, 1e-9, 1e9, 1e15):
        found = estimate_noise(unit * noisy[None], denoiser)
        assert type(found.noise) is type(expected.noise)
        assert found.noise.sigma / unit == pytest.approx(expected.noise.sigma, rel=1e-3)
        assert found.standard_error == pytest.approx(expected.standard_error, rel=0.01)


@pytest.mark.parametrize("shape", [(1, 12, 2000), (16, 15, 100)])
def test_a_strip_has_an_estimate(denoiser: nn.Module, shape: tuple[int, ...]) -> None:
    noisy = np.random.default_rng(0).normal(100, 20, shape)
    assert estimate_noise(noisy, denoiser).noise.sigma == pytest.approx(20, rel=0.1)


@pytest.mark.parametrize("side", [7, 8, 15])
def test_too_few_pixels_are_told_of(denoiser: nn.Module, side: int) -> None:
    noisy = np.random.default_rng(0).normal(100, 20, (1, side, side))
    with pytest.raises(ValueError, match="too few to estimate the noise"):
        estimate_noise(noisy, denoiser)


@pytest.mark.parametrize("side", [1, 3, 8])
def test_an_image_of_which_hardly_anything_varies_is_told_of(
    denoiser: nn.Module, side: int
) -> None:
    """As one with a single hot pixel."""
    image = np.full((1, 64, 64), 100.0)
    image[:, :side, :side] += np.random.default_rng(0).normal(0, 20, (side, side))
    with pytest.raises(ValueError, match=r"hardly anything in the image varies.* state its level"):
        estimate_noise(image, denoiser)


@pytest.mark.parametrize("side", [10, 16, 24])
@pytest.mark.parametrize("place", [0, 9, 20])
def test_a_few_noisy_pixels_in_a_blank_image_have_an_estimate(
    denoiser: nn.Module, side: int, place: int
) -> None:
    image = np.full((1, 64, 64), 100.0)
    part = slice(place, place + side)
    image[:, part, part] += np.random.default_rng(0).normal(0, 20, (side, side))
    assert np.isfinite(estimate_noise(image, denoiser).standard_error)


def test_no_counts_cut_nothing_off(denoiser: nn.Module) -> None:
    counts = with_noise(scene() / 50, Poisson(1.0))
    found = estimate_noise(counts[None], denoiser)
    assert (counts == 0).mean() > 0.05
    assert found.clipped == 0
    assert isinstance(found.noise, Poisson)
    assert found.noise.gain == pytest.approx(1, rel=0.1)


def test_a_large_stack_costs_no_more_than_its_parts(denoiser: nn.Module) -> None:
    seen: list[int] = []

    def watched(images: torch.Tensor) -> torch.Tensor:
        seen.append(images.numel())
        return denoiser(images)

    planes = np.random.default_rng(0).normal(np.linspace(50, 200, 700), 10, (20, 600, 700))
    found = estimate_noise(planes, watched)
    assert found.noise.sigma == pytest.approx(10, rel=0.03)
    assert sum(seen) <= 3 * 2 * 512**2


def test_the_image_is_left_alone_and_the_estimate_repeats(denoiser: nn.Module) -> None:
    noisy = with_noise(scene(), Gaussian(20.0))[None]
    before = noisy.copy()
    assert estimate_noise(noisy, denoiser) == estimate_noise(noisy, denoiser)
    assert np.array_equal(noisy, before)


@pytest.mark.parametrize("side", [32, 40])
def test_the_smallest_image_that_can_be_tuned_has_an_estimate(
    denoiser: nn.Module, side: int
) -> None:
    noisy = np.random.default_rng(0).normal(np.linspace(50, 200, side), 20, (1, side, side))
    found = estimate_noise(noisy, denoiser)
    level = found.noise.variance(torch.tensor(125.0)) ** 0.5
    assert float(level) == pytest.approx(20, rel=0.3)


def test_one_image_is_enough_and_a_network_comes_with_the_package() -> None:
    noisy = with_noise(scene(), Gaussian(20.0))
    found = estimate_noise(noisy)
    assert found == estimate_noise(noisy[None], lay_out_network(zoo.load(zoo.DEFAULT)[0]))


@pytest.mark.parametrize(("step", "told"), [(1, False), (24, True)])
def test_steps_as_coarse_as_the_noise_are_told_of(
    denoiser: nn.Module, step: int, told: bool
) -> None:
    noisy = step * np.rint(with_noise(scene(), Gaussian(10.0)) / step)
    found = estimate_noise(noisy.clip(0, 255)[None], denoiser)
    assert found.quantum == step
    assert any(f"steps of {step}" in remark for remark in found.remarks) == told

"""Pixels without the noise of the model are given it, and are no one's gain."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from skimage import data
from torch import Generator, Tensor, nn

from gaintuning import denoise, psnr, zoo
from gaintuning.filling_in import fill_in
from gaintuning.noise import Gaussian, Noise, Poisson, PoissonGaussian
from gaintuning.odd_pixels import cut_off_ends, level_areas, step_of

CLEAN = data.camera()[128:256, 160:288].astype(float)


def seeded(seed: int = 0) -> Generator:
    return Generator().manual_seed(seed)


class MeanOfAll(nn.Module):
    """The best denoiser of a scene that is one intensity."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.utils.skip_init(nn.Conv2d, 1, 1, 1, bias=False)
        nn.init.ones_(self.conv.weight)

    def forward(self, images: Tensor) -> Tensor:
        return self.conv(images).mean((-2, -1), keepdim=True).expand_as(images)


def sampled(noise: Noise, clean: float, side: int = 200) -> NDArray[np.float64]:
    scene = torch.full((1, 1, side, side), clean, dtype=torch.float64)
    return noise.sample(scene, seeded(1)).numpy()


@pytest.mark.parametrize("inwards", [1, -1])
@pytest.mark.parametrize("distance", [-0.5, 0.0, 1.0, 2.0])
def test_what_is_cut_off_is_drawn_with_the_mean_and_variance_that_it_had(
    distance: float, inwards: int
) -> None:
    noisy = sampled(Gaussian(10.0), 100 + 10 * distance * inwards)
    cut_off = noisy.clip(min=100) if inwards > 0 else noisy.clip(max=100)
    found = fill_in(cut_off, Gaussian(10.0), MeanOfAll(), seeded())
    assert found.drawn.mean() == pytest.approx((cut_off == 100).mean())
    assert found.planes.mean() == pytest.approx(noisy.mean(), abs=0.3)
    assert found.planes.std() == pytest.approx(10, rel=0.04)
    kept = ~found.drawn
    np.testing.assert_array_equal(found.planes[kept], cut_off[kept])
    assert (inwards * (found.planes[found.drawn] - 100)).max() <= 0
    assert (inwards * (found.as_it_was(found.planes) - 100)).min() == 0


@pytest.mark.parametrize("noise", [Gaussian(10.0), Poisson(2.0), PoissonGaussian(1.0, 5.0)])
def test_level_areas_get_the_noise_of_the_model_and_are_as_they_were_in_the_end(
    noise: Noise,
) -> None:
    noisy = sampled(noise, 100.0)
    noisy[..., :60] = 80
    noisy[..., :6, :] = 120
    found = fill_in(noisy, noise, MeanOfAll(), seeded())
    assert found.level[..., :60].all()
    assert found.level[..., :6, :].all()
    # One beside an area may by chance be what that is.
    assert found.level[..., 6:, 60:].mean() < 1e-3
    filled = found.planes[..., 6:, :60]
    assert filled.mean() == pytest.approx(80, abs=1)
    assert filled.var() == pytest.approx(float(noise.variance(torch.tensor(80.0))), rel=0.1)
    np.testing.assert_array_equal(
        found.as_it_was(0 * found.planes)[found.level], noisy[found.level]
    )


@pytest.mark.parametrize("noise", [Gaussian(10.0), Poisson(2.0)])
def test_an_image_without_odd_pixels_is_left_alone(noise: Noise) -> None:
    noisy = sampled(noise, 100.0)
    found = fill_in(noisy, noise, MeanOfAll(), seeded())
    assert found.planes is noisy
    assert not found.level.any()
    assert not found.drawn.any()
    np.testing.assert_array_equal(found.as_it_was(noisy), noisy)


@pytest.mark.parametrize("rate", [0.01, 0.2, 2.0])
def test_where_nothing_is_counted_nothing_is_filled_in(rate: float) -> None:
    counts = sampled(Poisson(1.0), rate)
    counts[..., :50] = 0
    found = fill_in(counts, Poisson(1.0), MeanOfAll(), seeded())
    assert found.planes is counts


@pytest.mark.parametrize("width", [1, 3, 5, 20])
@pytest.mark.parametrize("axis", [-1, -2])
def test_a_frame_of_any_width_is_level(width: int, axis: int) -> None:
    image = torch.randn(1, 1, 120, 130, generator=seeded()).transpose(axis, -1)
    image[..., :width] = 0.5
    found = level_areas(image)
    assert found[..., :width].all()
    assert found.sum() == width * image.shape[-2]


@pytest.mark.parametrize(
    ("area", "level"),
    [((9, 9), True), ((1, 81), True), ((81, 1), True), ((8, 60), False), ((60, 8), False)],
)
def test_among_few_counts_an_area_is_level_from_nine_by_nine_or_a_line_of_81(
    area: tuple[int, int], level: bool
) -> None:
    counts = torch.from_numpy(sampled(Poisson(1.0), 3.0))
    height, width = area
    counts[..., 20 : 20 + height, 30 : 30 + width] = 30
    expected = torch.zeros_like(counts, dtype=torch.bool)
    expected[..., 20 : 20 + height, 30 : 30 + width] = level
    assert torch.equal(level_areas(counts), expected)


@pytest.mark.parametrize("noise", [Gaussian(10.0), Poisson(2.0)])
@pytest.mark.parametrize("sign", [1, -1])
def test_single_pixels_far_off_are_given_what_is_around_and_stay(noise: Noise, sign: int) -> None:
    noisy = sampled(noise, 600.0)
    rows, columns = np.mgrid[3:200:20, 0:200:20]
    noisy[..., rows, columns] += sign * 600
    noisy[..., 100, 50:53] += 500  # which is no single one
    found = fill_in(noisy, noise, MeanOfAll(), seeded())
    assert found.single.sum() == rows.size
    assert found.single[..., rows, columns].all()
    assert abs(found.planes[found.single] - 600).max() < 5 * 1200**0.5
    np.testing.assert_array_equal(found.as_it_was(0 * noisy)[found.single], noisy[found.single])


def test_a_hot_pixel_among_rare_counts_cuts_nothing_off() -> None:
    counts = sampled(Poisson(1.0), 0.4)
    counts[0, 0, 50, 60] = 500
    found = fill_in(counts, Gaussian(0.63), MeanOfAll(), seeded())
    assert found.single.sum() == 1
    assert found.drawn.sum() == 0


def test_hot_pixels_do_no_harm_to_what_is_around() -> None:
    noisy = CLEAN + np.random.default_rng(0).normal(0, 15, CLEAN.shape)
    hot = noisy.copy()
    hot[5::25, 7::25] = 4000
    clear = hot != 4000
    without, with_hot = (
        denoise(image, network=zoo.DEFAULT, noise=Gaussian(15), intensity_range=(0, 255))
        for image in (noisy, hot)
    )
    (found,) = with_hot.adaptations
    assert found.single == (~clear).sum()
    assert any(f"{found.single} single pixels" in remark for remark in found.remarks)
    assert (with_hot.image[~clear] == 4000).all()
    scores = [psnr(each.image[clear], CLEAN[clear], data_range=255) for each in (without, with_hot)]
    assert scores[1] > scores[0] - 0.2


def test_ends_and_steps_of_whole_numbers() -> None:
    noisy = (100 + 20 * torch.randn(300, 300, generator=seeded())).round()
    assert cut_off_ends(noisy) == (None, None)
    assert cut_off_ends(noisy.clamp(80, 130)) == (80, 130)
    assert step_of(3 * noisy) == 3
    assert step_of((24 * (noisy / 24).round()).clamp(max=130)) == 24
    assert step_of(torch.randn(100, 100, generator=seeded())) == 0
    assert step_of(torch.ones(9)) == 0


@pytest.mark.parametrize(
    ("frame", "cut_off"), [(20, False), (6, False), (0, True), (12, True)], ids=str
)
def test_tuning_does_no_harm_where_much_of_the_image_is_odd(frame: int, cut_off: bool) -> None:
    noisy = CLEAN + np.random.default_rng(5).normal(0, 25, CLEAN.shape)
    if cut_off:
        noisy = noisy.clip(0, 255).round()
    inside = np.zeros(CLEAN.shape, bool)
    inside[frame:, : CLEAN.shape[1] - frame] = True
    noisy[~inside] = 0
    result = denoise(noisy, network=zoo.DEFAULT, intensity_range=(0, 255))

    def score(image: NDArray[np.floating]) -> float:
        return psnr(image[inside].clip(0, 255), CLEAN[inside], data_range=255.0)

    assert score(result.image) > score(result.pretrained) - 0.05
    assert score(result.image) > score(noisy) + 5
    for image in (result.image, result.pretrained):
        assert (image[~inside] == 0).all()
    if frame:
        assert (result.expected_error[~inside] == 0).all() or cut_off
        assert any("areas where nothing varies" in each for each in result.adaptations[0].remarks)
    if cut_off:
        assert any("was drawn as it could" in each for each in result.adaptations[0].remarks)
    assert not result.adaptations[0].doubts


def test_an_error_below_zero_is_believed_by_nobody() -> None:
    noisy = CLEAN + np.random.default_rng(0).normal(0, 5, CLEAN.shape)
    result = denoise(noisy, network=zoo.DEFAULT, noise=Gaussian(60), intensity_range=(0, 255))
    (found,) = result.adaptations
    assert not found.accepted
    assert "would be below zero" in found.verdict
    assert any("as no error is" in doubt for doubt in found.doubts)

"""The whole path: units, axes, noise, objectives, and what is left alone."""

from copy import deepcopy
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from gaintuning import psnr, tuning, zoo
from gaintuning.adaptation import Adaptation
from gaintuning.adapted import Adapted, Learned
from gaintuning.adapting import find_noise, withdrawn_if_too_much
from gaintuning.choosing import ObjectiveName, choose_objective
from gaintuning.comparison import draw_views
from gaintuning.denoising import denoise
from gaintuning.judging import Risk, pixel_losses
from gaintuning.networks import BlindSpotNet, UNet
from gaintuning.noise import Gaussian, Poisson, PoissonGaussian
from gaintuning.objectives import (
    BlindSpot,
    BlindSpotByArchitecture,
    Hudson,
    NoiseResampling,
    Recorrupted,
    Thinned,
)
from gaintuning.scaling import IntensityRange
from gaintuning.tuning import Schedule

SHORT = Schedule(steps=8, rounds=1)
SIGMA = 20.0


class Blur(nn.Module):
    """A denoiser with something to tune that needs no training; it adds no constant."""

    def __init__(self, channels: int = 1) -> None:
        super().__init__()
        self.blur = nn.Conv2d(channels, channels, 3, padding=1, groups=channels, bias=False)
        nn.init.constant_(self.blur.weight, 1 / 9)

    def forward(self, images: Tensor) -> Tensor:
        return self.blur(images)


def network(kind: type[nn.Module] = Blur, **arguments: object) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return kind(**arguments).eval()


def noisy_image(*shape: int, seed: int = 0) -> np.ndarray:
    rows = np.linspace(0, 6, shape[-2])[:, None]
    clean = 120 + 60 * np.sin(rows) * np.cos(np.linspace(0, 5, shape[-1]))
    return clean + np.random.default_rng(seed).normal(0, SIGMA, shape)


@pytest.mark.parametrize(
    "dtype", ["uint8", "uint16", "int16", "int64", "float16", "float32", "float64"]
)
@pytest.mark.parametrize(
    ("shape", "axes"),
    [((48, 50), None), ((3, 48, 50), None), ((48, 50, 3), "YXS"), ((2, 3, 40, 44), "CTYX")],
)
def test_shape_dtype_and_kind_survive_and_the_image_is_untouched(
    dtype: str, shape: tuple[int, ...], axes: str | None
) -> None:
    if axes == "YXS":
        image = np.stack([noisy_image(48, 50, seed=seed) for seed in range(3)], axis=-1)
    else:
        image = noisy_image(*shape)
    image = image.clip(0, 255).astype(dtype)
    before = image.copy()
    result = denoise(image, axes=axes, network=network(), noise=Gaussian(SIGMA), schedule=SHORT)
    assert result.image.shape == image.shape
    assert result.image.dtype == image.dtype
    assert result.pretrained.dtype == image.dtype
    assert np.array_equal(image, before)
    tensor = torch.from_numpy(before)
    as_tensor = denoise(tensor, axes=axes, network=network(), noise=Gaussian(SIGMA), schedule=SHORT)
    assert isinstance(as_tensor.image, Tensor)
    assert as_tensor.image.dtype == tensor.dtype
    assert np.array_equal(as_tensor.image.numpy(), result.image)


def test_whole_numbers_that_are_too_coarse_become_floats() -> None:
    counts = np.random.default_rng(0).poisson(np.linspace(0.5, 2.5, 64), (64, 64)).astype(np.uint16)
    result = denoise(counts, network=network(), noise=Poisson(1.0), schedule=SHORT)
    assert result.adaptations[0].is_finer_than_whole_numbers
    assert result.image.dtype == result.pretrained.dtype == np.float32
    assert len(np.unique(result.image)) > 5 * len(np.unique(counts))
    tensor = torch.from_numpy(counts.astype(np.int32))
    as_tensor = denoise(tensor, network=network(), noise=Poisson(1.0), schedule=SHORT)
    assert as_tensor.image.dtype == torch.float32
    exact = denoise(
        counts.astype(np.float64), network=network(), noise=Poisson(1.0), schedule=SHORT
    )
    np.testing.assert_allclose(result.image, exact.image, rtol=1e-5)
    # With a hundred steps a count they are fine enough.
    many = denoise(100 * counts, network=network(), noise=Poisson(100.0), schedule=SHORT)
    assert many.image.dtype == np.uint16


def test_without_an_estimated_error_the_noise_tells_how_fine_a_result_is() -> None:
    scale = IntensityRange(0.0, 100.0)
    assert Adaptation(scale, scale, Poisson(0.1)).is_finer_than_whole_numbers
    assert not Adaptation(scale, scale, Poisson(1.0)).is_finer_than_whole_numbers


def test_the_result_does_not_depend_on_the_units_of_the_image() -> None:
    image, dark = noisy_image(64, 64), network()
    with torch.no_grad():
        dark.blur.weight *= 0.8
    plain = denoise(
        image, network=dark, noise=Gaussian(SIGMA), intensity_range=(0, 255), schedule=SHORT
    )
    scaled = denoise(
        1000 + image / 50,
        network=dark,
        noise=Gaussian(SIGMA / 50),
        intensity_range=(1000, 1000 + 255 / 50),
        schedule=SHORT,
    )
    np.testing.assert_allclose(scaled.image, 1000 + plain.image / 50, rtol=0, atol=1e-4)
    before, after = (r.adaptations[0].risk.after for r in (plain, scaled))
    assert after == pytest.approx(before / 50**2, rel=1e-3)
    assert plain.adaptations[0].accepted


def test_tuning_beats_the_pretrained_network_on_the_clean_image() -> None:
    """A blur that is 20 % too dark is the kind of error that a gain can mend."""
    dark = network()
    with torch.no_grad():
        dark.blur.weight *= 0.8
    image = noisy_image(96, 96)
    rows, columns = np.linspace(0, 6, 96)[:, None], np.linspace(0, 5, 96)
    clean = 120 + 60 * np.sin(rows) * np.cos(columns)
    result = denoise(
        image,
        network=dark,
        noise=Gaussian(SIGMA),
        intensity_range=(0, 255),
        schedule=Schedule(steps=60, rate=2e-2, rounds=1),
        nonlocal_bayes=False,
    )
    inside = np.s_[2:-2, 2:-2]
    before = np.square(result.pretrained - clean)[inside].mean()
    after = np.square(result.image - clean)[inside].mean()
    assert result.adaptations[0].accepted
    assert after < 0.3 * before
    # What the noisy image alone says of the error agrees with the truth.
    risk = result.adaptations[0].risk
    assert risk.after == pytest.approx(np.square(result.image - clean).mean(), rel=0.2)


def test_without_tuning_the_network_is_applied_as_it_is() -> None:
    image, mine = noisy_image(41, 37), network(UNet)
    result = denoise(image, network=mine, intensity_range=(0, 255), tune=False)
    with torch.inference_mode():
        unit = torch.from_numpy(image / 255).float()[None, None]
        expected = 255 * mine(unit)[0, 0].double().numpy()
    np.testing.assert_allclose(result.image, expected, rtol=0, atol=1e-3)
    assert np.array_equal(result.image, result.pretrained)
    (adaptation,) = result.adaptations
    assert adaptation.risk is None
    assert adaptation.verdict == "the pre-trained network was used as it is"


def test_the_callers_network_is_untouched() -> None:
    mine = network(UNet).train()
    before = deepcopy(mine.state_dict())
    denoise(noisy_image(40, 40), network=mine, schedule=SHORT)
    assert mine.training
    assert all(torch.equal(before[key], value) for key, value in mine.state_dict().items())
    assert all(parameter.requires_grad for parameter in mine.parameters())


def test_channels_are_adapted_one_by_one_and_planes_together() -> None:
    image = noisy_image(2, 3, 48, 48)
    image[1] = 5000 + 10 * noisy_image(3, 48, 48, seed=1)
    result = denoise(image, axes="CTYX", network=network(), schedule=SHORT)
    first, second = result.adaptations
    assert first.noise.sigma == pytest.approx(SIGMA, rel=0.1)
    assert second.noise.sigma == pytest.approx(10 * SIGMA, rel=0.1)
    assert second.intensity_range.low > 5000
    assert len(first.losses) == 8


def test_a_long_movie_is_tuned_on_some_planes_and_denoised_in_all(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    movie = noisy_image(70, 32, 32)
    judged: list[tuple[int, ...]] = []

    def watched(denoiser: nn.Module, noisy: Tensor, *others: object) -> list[Tensor]:
        judged.append(tuple(noisy.shape))
        return pixel_losses(denoiser, noisy, *others)

    monkeypatch.setattr(tuning, "pixel_losses", watched)
    result = denoise(movie, axes="TYX", network=network(), noise=Gaussian(SIGMA), schedule=SHORT)
    assert set(judged) == {(32, 1, 32, 32)}
    assert result.image.shape == movie.shape
    assert (
        np.square(np.diff(result.image, axis=0)).mean() < np.square(np.diff(movie, axis=0)).mean()
    )


def test_a_color_network_sees_all_colors_and_a_gray_one_each_by_itself() -> None:
    image = np.stack([noisy_image(40, 40, seed=s) for s in range(3)], axis=-1)
    for channels in (1, 3):
        result = denoise(
            image, network=network(Blur, channels=channels), noise=Gaussian(SIGMA), tune=False
        )
        assert result.axes == "YXS"
        assert result.image.shape == image.shape


def test_alpha_is_left_alone() -> None:
    image = np.stack([noisy_image(40, 40, seed=s) for s in range(4)], axis=-1)
    image = image.clip(0, 255).astype(np.uint8)
    result = denoise(image, network=network(), tune=False)
    assert np.array_equal(result.image[..., 3], image[..., 3])
    assert not np.array_equal(result.image[..., :3], image[..., :3])


def test_the_objective_follows_the_noise_and_the_network() -> None:
    sees, unseeing = network(UNet), network(BlindSpotNet)
    gaussian, poisson = Gaussian(0.1), Poisson(0.1)

    def kind(
        name: str, noise: Gaussian | Poisson, *, blind: bool = False, of_the_model: bool = True
    ) -> type:
        module = unseeing if blind else sees
        _, objective, judge = choose_objective(
            name, module, noise, blind=blind, of_the_model=of_the_model
        )
        # Where the risk itself can be estimated, it decides.
        risk = Recorrupted if isinstance(noise, Gaussian) else Thinned
        assert isinstance(judge, risk if of_the_model and not blind else type(objective))
        return type(objective)

    assert kind("auto", gaussian) is Recorrupted
    assert kind("auto", poisson) is Thinned
    _, loss, judge = choose_objective("pure", sees, PoissonGaussian(0.1, 0.1), blind=False)
    assert isinstance(loss, Recorrupted)
    assert isinstance(judge, Hudson)
    assert kind("auto", gaussian, of_the_model=False) is BlindSpot
    assert kind("auto", gaussian, blind=True) is BlindSpotByArchitecture
    assert kind("blind-spot", gaussian) is BlindSpot
    assert kind("noise-resampling", poisson) is NoiseResampling
    assert choose_objective("auto", sees, gaussian, blind=False)[0] == "sure"
    assert choose_objective("auto", sees, poisson, blind=False)[0] == "pure"
    with pytest.raises(ValueError, match="SURE needs Gaussian noise"):
        choose_objective("sure", sees, poisson, blind=False)
    with pytest.raises(ValueError, match="PURE needs shot noise"):
        choose_objective("pure", sees, gaussian, blind=False)
    _, _, judge = choose_objective("sure", sees, gaussian, blind=False, of_the_model=False)
    assert isinstance(judge, BlindSpot)
    with pytest.raises(ValueError, match="unknown objective"):
        choose_objective("magic", sees, gaussian, blind=False)


def test_progress_runs_over_all_channels() -> None:
    calls: list[tuple[int, int]] = []
    denoise(
        noisy_image(2, 40, 40),
        axes="CYX",
        network=network(),
        schedule=SHORT,
        progress=lambda done, steps: calls.append((done, steps)),
    )
    parts = [done / steps for done, steps in calls]
    assert parts == sorted(parts)
    assert len(parts) >= 2 * (1 + SHORT.steps)
    assert parts[-1] == 1
    assert all(0 < part <= 1 for part in parts)


def test_the_noise_of_a_stack_is_estimated_over_its_planes() -> None:
    found = find_noise(noisy_image(5, 1, 64, 64), torch.device("cpu"))
    assert found.noise.sigma == pytest.approx(SIGMA, rel=0.05)


@pytest.mark.parametrize(
    ("image", "words"),
    [
        (np.zeros((40, 40), bool), "real numbers"),
        (np.full((40, 40), np.nan), "NaN or infinite"),
        (np.full((40, 40), 3.0), "no image to denoise"),
        (np.arange(100.0).reshape(10, 10), "too small to tune"),
        (np.zeros((1, 1, 1, 40, 40)), "must name each of the 5 axes"),
        (np.ma.masked_less(np.arange(1600.0).reshape(40, 40), 9), "some pixels are masked"),
    ],
)
def test_what_cannot_be_denoised_is_refused(image: np.ndarray, words: str) -> None:
    with pytest.raises((ValueError, TypeError), match=words):
        denoise(image, network=network())


def test_what_is_asked_of_it_is_checked_before_the_work() -> None:
    image = noisy_image(40, 40)
    with pytest.raises(ValueError, match="SURE needs Gaussian noise"):
        denoise(image, network=network(), noise=Poisson(1.0), objective="sure", tune=False)
    with pytest.raises(ValueError, match="a seed is 0 or above, got -1"):
        denoise(image, network=network(), noise=Gaussian(SIGMA), seed=-1)


def test_the_noise_may_be_stated_as_on_the_command_line() -> None:
    words, model = (
        denoise(noisy_image(40, 40), network=network(), noise=noise, tune=False)
        for noise in (f"gaussian:{SIGMA}", Gaussian(SIGMA))
    )
    np.testing.assert_array_equal(words.image, model.image)
    with pytest.raises(ValueError, match="noise 'strong' is not understood"):
        denoise(noisy_image(40, 40), network=network(), noise="strong")


def test_each_channel_of_a_stack_over_time_is_denoised_as_its_planes_are() -> None:
    whole = noisy_image(2, 3, 2, 40, 40)
    whole[:, :, 1] *= 2
    found = denoise(whole, axes="TZCYX", network=network(), schedule=SHORT)
    assert found.image.shape == whole.shape
    levels = [adaptation.noise.sigma for adaptation in found.adaptations]
    assert levels == pytest.approx([SIGMA, 2 * SIGMA], rel=0.1)
    for channel, level in enumerate(levels):
        taken = (whole - found.image)[:, :, channel]
        assert 0.5 * level < taken.std() < 1.1 * level


def test_a_network_in_float64_is_run_in_float64() -> None:
    mine = network().double()
    result = denoise(noisy_image(40, 40), network=mine, noise=Gaussian(SIGMA), schedule=SHORT)
    assert result.image.shape == (40, 40)


def test_a_blank_channel_is_refused_by_name() -> None:
    image = np.stack([noisy_image(40, 40), np.zeros((40, 40))])
    with pytest.raises(ValueError, match="channel 1: every pixel is 0"):
        denoise(image, axes="CYX", network=network(), schedule=SHORT)


def test_a_network_that_is_no_denoiser_is_refused() -> None:
    with torch.random.fork_rng():
        classifier = nn.Sequential(nn.Conv2d(1, 4, 3), nn.Flatten())
    with pytest.raises(ValueError, match="same shape"):
        denoise(noisy_image(40, 40), network=classifier)


def test_the_expected_error_is_in_the_units_and_the_shape_of_the_image() -> None:
    noisy = noisy_image(2, 64, 64).astype(np.float32)
    plain = denoise(noisy, axes="CYX", network=network(), noise=Gaussian(SIGMA), tune=False)
    assert plain.expected_error.shape == noisy.shape
    # A mean of nine leaves a third of the noise, and the scene is smooth.
    np.testing.assert_allclose(np.median(plain.expected_error), SIGMA / 3, rtol=0.15)
    larger = denoise(10 * noisy, axes="CYX", network=network(), noise=Gaussian(200), tune=False)
    np.testing.assert_allclose(larger.expected_error, 10 * plain.expected_error, rtol=0.02)


def test_of_a_network_that_does_not_see_all_the_error_is_known_but_not_where_it_is() -> None:
    clean = 100 + np.add.outer(np.arange(48), np.zeros(48))
    noisy = clean + np.random.default_rng(0).normal(0, SIGMA, clean.shape)
    briefly = {"schedule": Schedule(steps=3, rounds=1), "nonlocal_bayes": False}
    blind = denoise(noisy, network="blind-spot", noise=Gaussian(SIGMA), **briefly)
    (found,) = blind.adaptations
    assert np.isnan(blind.expected_error).all()
    for error, image in ((found.pretrained_error, blind.pretrained), (found.error, blind.image)):
        assert error is not None
        assert abs(error.mean_square - np.square(image - clean).mean()) < 3 * error.standard_error


def test_a_stated_level_that_is_wrong_is_doubted() -> None:
    noisy = noisy_image(96, 96)

    def doubts(sigma: float) -> tuple[str, ...]:
        (found,) = denoise(noisy, network=network(), noise=Gaussian(sigma), tune=False).adaptations
        return found.doubts

    assert not doubts(SIGMA)
    assert "there is more noise than that" in doubts(SIGMA / 2)[0]
    assert "its level may be another" in doubts(3 * SIGMA)[0]


class Slanted(nn.Module):
    """A blur along rows: better than its mean over all orientations for a scene of rows."""

    def __init__(self) -> None:
        super().__init__()
        self.blur = nn.Conv2d(1, 1, (1, 9), padding=(0, 4), bias=False)
        nn.init.constant_(self.blur.weight, 1 / 9)

    def forward(self, images: Tensor) -> Tensor:
        return self.blur(images)


def test_the_mean_of_orientations_is_taken_where_none_is_better_than_the_others() -> None:
    rng = np.random.default_rng(0)
    rows = 120 + 60 * np.sin(np.arange(128))[:, None] * np.ones(128)
    rows[:, :8] = rows[:, -8:] = 0  # where the blur sees nothing beyond
    flat = np.full((128, 128), 120.0) + 20 * (np.arange(128) > 64)
    for clean, kind, expected in ((rows, Slanted, 1), (flat, Blur, 8)):
        noisy = clean + rng.normal(0, SIGMA, clean.shape)
        # In float64: a single filter in bfloat16 would be rounded by more than there is to gain.
        mine = network(kind).double()
        options = {"network": mine, "noise": Gaussian(SIGMA), "schedule": SHORT}
        options |= {"nonlocal_bayes": False}
        turned = denoise(noisy, **options)
        once = denoise(noisy, **options, orientations=False)
        assert turned.adaptations[0].orientations == expected
        assert once.adaptations[0].orientations == 1
        if expected == 1:
            assert np.array_equal(turned.image, once.image)
            continue
        errors = [np.square(result.image - clean).mean() for result in (once, turned)]
        assert errors[1] <= errors[0] * 1.001
        told = [result.adaptations[0].error.mean_square for result in (once, turned)]
        assert told[1] <= told[0]


def test_weak_noise_is_not_drowned_in_rounding(monkeypatch: pytest.MonkeyPatch) -> None:
    rows, columns = np.mgrid[:64, :64]
    clean = 120 + 60 * np.sin(rows / 12) * np.cos(columns / 17)
    noisy = np.random.default_rng(2).normal(clean, 0.1)
    errors = []
    for fast in (False, True):
        monkeypatch.setattr(tuning, "has_bfloat16_units", lambda _, fast=fast: fast)
        result = denoise(
            noisy,
            network=zoo.DEFAULT,
            noise=Gaussian(0.1),
            intensity_range=(0, 255),
            schedule=SHORT,
        )
        errors.append(float(np.square(result.image - clean).mean()))
        (found,) = result.adaptations
        assert found.orientations == 8
        assert abs(found.error.mean_square - errors[-1]) < 4 * found.error.standard_error
    assert errors[1] == pytest.approx(errors[0], rel=0.05)


@pytest.mark.parametrize("objective", ["blind-spot", "neighbor2neighbor", "noise-resampling"])
def test_a_blind_network_is_judged_by_what_it_does_not_see(objective: ObjectiveName) -> None:
    mine = network(BlindSpotNet)
    _, _, judge = choose_objective(objective, mine, Gaussian(SIGMA), blind=True)
    assert isinstance(judge, BlindSpotByArchitecture)
    options = {"network": mine, "noise": Gaussian(SIGMA), "schedule": SHORT}
    result = denoise(noisy_image(40, 40), objective=objective, **options)
    assert np.isfinite(result.image).all()


@pytest.mark.parametrize(
    ("trouble", "noise"),
    [("uneven", "auto"), ("uneven", "gaussian:29"), ("heavy-tailed", "auto"), ("cut off", "auto")],
)
def test_nothing_is_learned_of_noise_that_no_model_tells(trouble: str, noise: str) -> None:
    rng = np.random.default_rng(0)
    rows, columns = np.mgrid[:128, :128] / 20
    clean = 100 + 60 * np.sin(rows) * np.cos(columns)
    noisy = clean + rng.normal(0, 8, clean.shape)
    if trouble == "uneven":
        noisy[:, 64:] = clean[:, 64:] + rng.normal(0, 40, (128, 64))
    elif trouble == "heavy-tailed":
        noisy += 30 * (rng.random(clean.shape) < 0.03) * rng.normal(size=clean.shape)
    else:
        noisy = (100 + (clean - 100) / 4 + rng.normal(0, 20, clean.shape)).clip(100)
    options = {"network": "unet", "noise": noise, "schedule": SHORT}
    result = denoise(noisy, intensity_range=(0, 255), **options)
    (found,) = result.adaptations
    assert found.verdict == (
        "the pre-trained network was used as it is: from noise of no model nothing can be learned "
        "by its level"
    )
    np.testing.assert_array_equal(result.image, result.pretrained)
    assert found.error is None
    assert np.isnan(result.expected_error).all()
    assert psnr(result.image, clean, data_range=255) > psnr(noisy, clean, data_range=255)
    asked = denoise(noisy, objective="blind-spot", **options)
    assert asked.adaptations[0].objective == "blind-spot"


@pytest.mark.parametrize("axes", ["YXS", "SYX"])
def test_colors_of_different_noise_are_adapted_one_by_one(axes: str) -> None:
    rng = np.random.default_rng(0)
    rows, columns = np.mgrid[:64, :64] / 15
    clean = 100 + 60 * np.sin(rows)[..., None] * np.cos(columns)[..., None] * np.ones(3)
    levels = np.array([5.0, 10.0, 30.0])
    noisy = np.moveaxis(clean + levels * rng.normal(size=clean.shape), -1, axes.index("S"))
    result = denoise(noisy, axes=axes, network="unet", schedule=SHORT)
    found = [adaptation.noise.sigma for adaptation in result.adaptations]
    assert found == pytest.approx(levels, rel=0.15)
    assert (result.axes, result.image.shape) == (axes, noisy.shape)
    again = Adapted(zoo.load("unet")[0], [Learned.of(each) for each in result.adaptations])
    assert again(noisy, axes).shape == noisy.shape
    assert len(draw_views(noisy, result)[0].panels) >= 2
    with_alpha = np.concatenate([noisy, noisy[..., :1]], -1) if axes == "YXS" else noisy[:1]
    assert len(denoise(with_alpha, axes=axes, network="unet", schedule=SHORT).adaptations) == 1
    same = clean + 10 * rng.normal(size=clean.shape)
    assert len(denoise(same, axes="YXS", network="unet", schedule=SHORT).adaptations) == 1


def test_what_fits_no_noise_at_all_is_refused() -> None:
    with pytest.raises(ValueError, match="no pixel has noise by"):
        denoise(noisy_image(64, 64), network=network(), noise=Poisson(-2.0), schedule=SHORT)


def test_tuning_that_takes_details_away_is_withdrawn() -> None:
    rng = np.random.default_rng(0)
    stripes = 0.5 + 0.3 * np.sin(np.arange(128) * 2 * np.pi / 6)
    clean = np.broadcast_to(stripes, (1, 1, 128, 128))
    noisy = clean + rng.normal(0, 0.1, clean.shape)
    scale = IntensityRange(0.0, 1.0)
    accepted = Adaptation(scale, scale, Gaussian(0.1), accepted=True)
    flat = np.full_like(noisy, noisy.mean())

    def judged(pretrained: np.ndarray, tuned: np.ndarray) -> Adaptation:
        unit = torch.from_numpy(noisy)
        return withdrawn_if_too_much(accepted, unit, pretrained, tuned)

    withdrawn = judged(np.array(clean), flat)
    assert not withdrawn.accepted
    assert withdrawn.withdrawn
    assert "took away more than the noise" in replace(withdrawn, risk=Risk(2.0, 1.0, 0.1)).verdict
    assert judged(np.array(clean), (clean + noisy) / 2).accepted
    # What the pre-trained network does as well is no reason.
    assert judged(flat, flat).accepted

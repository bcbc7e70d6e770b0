"""Like places are filtered as far as it surely lowers the error, and no further."""

from collections.abc import Callable

import pytest
import torch
from skimage import data
from torch import Generator, Tensor, nn

from gaintuning import like_places, zoo
from gaintuning.like_places import Remembering, filter_if_better
from gaintuning.noise import Gaussian, Noise, Poisson, PoissonGaussian
from gaintuning.nonlocal_bayes import NonLocalBayes

SIGMA = 25 / 255


def seeded(seed: int = 0) -> Generator:
    return Generator().manual_seed(seed)


def error(one: Tensor, other: Tensor) -> float:
    return float((one - other).square().mean())


def crop_of(image: Callable[[], object], side: int) -> Tensor:
    whole = torch.as_tensor(image()).float() / 255
    top, left = ((length - side) // 2 for length in whole.shape)
    return whole[None, None, top : top + side, left : left + side]


class Knowing(nn.Module):
    """The clean image, so that the filter can only do worse."""

    def __init__(self, clean: Tensor) -> None:
        super().__init__()
        self.clean = clean

    def forward(self, images: Tensor) -> Tensor:
        return self.clean.expand_as(images)


@pytest.mark.parametrize(
    "noise", [Gaussian(0.1), Poisson(0.02), PoissonGaussian(0.01, 0.05)], ids=str
)
def test_bricks_are_filtered_and_the_fall_is_the_true_one(noise: Noise) -> None:
    clean = crop_of(data.brick, 192)
    noisy = noise.sample(clean, seeded())
    blur = nn.AvgPool2d(3, 1, 1, count_include_pad=False)
    found, falls = filter_if_better(blur, noise, noisy, variance_error=0.0)
    before, after = (error(each(noisy), clean) for each in (blur, found))
    assert isinstance(found, NonLocalBayes)
    assert after < 0.8 * before
    assert sum(each.before - each.after for each in falls) == pytest.approx(
        before - after, rel=0.25
    )


def test_who_knows_the_image_is_left_alone() -> None:
    clean = crop_of(data.camera, 128)
    noisy = Gaussian(SIGMA).sample(clean, seeded())
    network = Knowing(clean)
    found, falls = filter_if_better(network, Gaussian(SIGMA), noisy, variance_error=0.0)
    assert found is network
    assert falls == []


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("image", [data.camera, data.grass, data.brick, data.text])
def test_no_image_becomes_worse(image: Callable[[], object], seed: int) -> None:
    clean = crop_of(image, 160)
    noisy = Gaussian(SIGMA).sample(clean, seeded(seed))
    network = zoo.load(zoo.DEFAULT)[0]
    found, falls = filter_if_better(network, Gaussian(SIGMA), noisy, variance_error=0.01)
    with torch.inference_mode():
        before, after = (error(each(noisy), clean) for each in (network, found))
    assert after < before if falls else after == before


class Off(nn.Module):
    """By a pattern, as far as passes left of it; `left` tells for fine and for coarse ones."""

    left = (1.0, 1.0)

    def __init__(
        self, network: nn.Module, noise: Noise, *, part: float = 1.0, bins: int = 1
    ) -> None:
        super().__init__()
        self.network, self.part, self.bins = network, part, bins

    def forward(self, images: Tensor) -> Tensor:
        pilot: Tensor = self.network(images)
        filtered = 0.5 + self.left[self.bins - 1] * (pilot - 0.5)
        return pilot + self.part * (filtered - pilot)


@pytest.mark.parametrize(
    ("left", "passes"),
    [
        ((0.5, 0.9), [(1, 1.0), (1, 1.0)]),
        ((0.9, 0.5), [(2, 1.0), (2, 1.0)]),
        ((-0.9, 0.9), [(1, 0.5)]),
        ((1.5, 1.2), []),
    ],
    ids=["pixels", "bins", "half the way", "not"],
)
def test_what_lowers_the_error_most_is_done(
    left: tuple[float, float], passes: list[tuple[int, float]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(like_places, "NonLocalBayes", Off)
    monkeypatch.setattr(Off, "left", left)
    clean = torch.full((1, 1, 128, 128), 0.5)
    off = Knowing(clean + 0.05 * torch.randn(clean.shape, generator=seeded(1)))
    noisy = Gaussian(SIGMA).sample(clean, seeded())
    found, falls = filter_if_better(off, Gaussian(SIGMA), noisy, variance_error=0.0)
    done = []
    while isinstance(found, Off):
        done.insert(0, (found.bins, found.part))
        found = found.network
    assert done == passes
    assert len(falls) == len(passes)
    assert found is off


@pytest.mark.parametrize("correlated", [False, True])
def test_noise_that_is_not_as_modelled_is_left_where_it_looks_like_details(
    correlated: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(like_places, "NonLocalBayes", Off)
    monkeypatch.setattr(Off, "left", (0.0, 0.0))
    noise = torch.randn(1, 1, 128, 128, generator=seeded())
    if correlated:
        noise = nn.functional.avg_pool2d(noise, 3, 1, 1)
    noisy = 0.5 + SIGMA * noise / noise.std()
    network = nn.Identity()
    found, falls = filter_if_better(network, Gaussian(SIGMA), noisy, variance_error=0.0)
    assert (found is network and not falls) == correlated


def test_a_level_that_nobody_knows_decides_nothing() -> None:
    clean = crop_of(data.brick, 192)
    noisy = Gaussian(SIGMA).sample(clean, seeded())
    network = zoo.load(zoo.DEFAULT)[0]
    sure, unsure = (
        filter_if_better(network, Gaussian(SIGMA), noisy, variance_error=part)
        for part in (0.0, 0.3)
    )
    assert sure[1]
    assert unsure == (network, [])


class Rounding(nn.Module):
    """Answers in bfloat16, as fast networks do."""

    def forward(self, images: Tensor) -> Tensor:
        blurred = nn.functional.avg_pool2d(images, 3, 1, 1, count_include_pad=False)
        return blurred.bfloat16()


def test_a_network_may_answer_in_less_precision() -> None:
    noisy = Gaussian(SIGMA).sample(crop_of(data.brick, 128), seeded())
    found, falls = filter_if_better(Rounding(), Gaussian(SIGMA), noisy, variance_error=0.0)
    assert falls
    assert found(noisy).dtype == noisy.dtype


def test_the_denoiser_is_asked_once_for_each_image() -> None:
    asked = []

    def denoiser(images: Tensor) -> Tensor:
        asked.append(images)
        return 2 * images

    remembering = Remembering(denoiser)
    one, other = torch.ones(1, 1, 2, 2), torch.zeros(1, 1, 2, 2)
    for images in (one, other, one.clone(), other.clone()):
        assert torch.equal(remembering(images), 2 * images)
    assert len(asked) == 2

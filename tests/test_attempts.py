"""Of several attempts at an image, tuned, the one is taken that is surely better."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Generator, Tensor, nn

from gaintuning import zoo
from gaintuning.adaptation import Adaptation
from gaintuning.adapting import default_network, look_at
from gaintuning.attempts import Attempt, best_attempt, untuned_attempt
from gaintuning.in_range import bring_into_range
from gaintuning.judging import Risk
from gaintuning.noise import Gaussian, Poisson
from gaintuning.scaling import IntensityRange

UNIT = IntensityRange(0.0, 1.0)
CLEAN = 0.5 + 0.2 * torch.sin(torch.arange(128.0) / 7).expand(1, 1, 128, 128)
SOME = torch.tensor([0])


class Mean(nn.Module):
    """Over k x k pixels."""

    def __init__(self, side: int) -> None:
        super().__init__()
        self.means = nn.AvgPool2d(side, stride=1, padding=side // 2, count_include_pad=False)
        self.unused = nn.Parameter(torch.zeros(1))

    def forward(self, images: Tensor) -> Tensor:
        means: Tensor = self.means(images)
        return means


@pytest.fixture(params=[Gaussian(0.2), Poisson(0.1)], ids=str)
def adaptation(request: pytest.FixtureRequest) -> Adaptation:
    return Adaptation(UNIT, UNIT, request.param)


def attempt_by(side: int, adaptation: Adaptation, seed: int = 0) -> Attempt:
    noisy = adaptation.noise.sample(CLEAN, Generator().manual_seed(seed))
    unit = torch.from_numpy(adaptation.network_sees.to_unit(noisy.numpy())).float()
    return untuned_attempt(Mean(side).eval(), adaptation, unit)


def test_a_surely_better_attempt_is_taken_whatever_its_turn(adaptation: Adaptation) -> None:
    worse, better = attempt_by(1, adaptation), attempt_by(5, adaptation)
    assert best_attempt([worse, better], SOME) is better
    assert best_attempt([better, worse], SOME) is better


def test_the_first_stays_where_another_is_as_good(adaptation: Adaptation) -> None:
    attempts = [attempt_by(5, adaptation), attempt_by(5, adaptation)]
    assert best_attempt(attempts, SOME) is attempts[0]
    assert best_attempt(attempts[:1], SOME) is attempts[0]


def test_what_was_learned_from_these_pixels_counts_against_it(
    adaptation: Adaptation,
) -> None:
    worse, better = attempt_by(3, adaptation), attempt_by(5, adaptation)
    assert best_attempt([worse, better], SOME) is better
    apart = worse.losses(SOME)[0].mean() - better.losses(SOME)[0].mean()
    assert best_attempt([worse, replace(better, optimism=float(apart))], SOME) is worse


def test_what_orientations_and_like_places_bring_counts_if_it_is_sure(
    adaptation: Adaptation,
) -> None:
    better, worse = attempt_by(5, adaptation), attempt_by(3, adaptation)
    apart = float(worse.losses(SOME)[0].mean() - better.losses(SOME)[0].mean())
    fall = Risk(before=3 * apart, after=apart, standard_error=0.1 * apart)
    assert best_attempt([better, replace(worse, falls=(fall,))], SOME).falls == (fall,)
    unsure = replace(fall, standard_error=apart)
    assert best_attempt([better, replace(worse, falls=(unsure,))], SOME) is better


def test_the_output_is_that_of_what_was_refined(adaptation: Adaptation) -> None:
    attempt = attempt_by(5, adaptation)
    assert attempt.output() is attempt.once
    refined = nn.Sequential(attempt.network, Mean(3))
    output = replace(attempt, refined=refined).output()
    assert np.array_equal(output, refined(attempt.unit).numpy())


def test_attempts_at_another_contrast_have_the_same_error(adaptation: Adaptation) -> None:
    half = replace(adaptation, network_sees=UNIT.stretched(2.0, 0.5))
    at_one, at_half = (attempt_by(5, each).losses(SOME)[0] for each in (adaptation, half))
    assert at_half.mean().item() == pytest.approx(at_one.mean().item(), rel=0.2)


@pytest.mark.parametrize(("gain", "bins"), [(0.1, [4, 1]), (0.4, [4])])
def test_pixels_and_bins_are_both_tried_where_they_are_close(gain: float, bins: list[int]) -> None:
    down, right = torch.meshgrid(*2 * [torch.arange(256) * 2 * torch.pi / 16], indexing="ij")
    clean = (0.5 + 0.1 * down.sin() + 0.1 * (right + down / 3).sin())[None, None]
    noisy = Poisson(gain).sample(clean, Generator().manual_seed(0))
    cpu, rng = torch.device("cpu"), Generator().manual_seed(1)
    of_any_noise = default_network(cpu)
    seen, _ = look_at(noisy.numpy(), Poisson(gain), (0, 1), of_any_noise, "", blind=False, rng=rng)
    found = bring_into_range(zoo.load(zoo.DEFAULT)[0], noisy, seen)
    assert [way.bins for _, way in found] == bins

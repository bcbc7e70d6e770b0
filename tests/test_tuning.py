"""The loop: it learns from the noisy image alone, and keeps only what helps."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from copy import deepcopy
from functools import partial
from math import isfinite

import pytest
import torch
from torch import Generator, Tensor, nn

from gaintuning._types import Denoiser, Images
from gaintuning.gains import all_parameters, channel_gains, last_layers
from gaintuning.judging import Risk
from gaintuning.networks import DnCNN, UNet
from gaintuning.noise import Gaussian, Poisson
from gaintuning.objectives import LevelError, Pure, Sure
from gaintuning.tuning import Parameters, Schedule, Tuned, tune

SIGMA = 0.2
SHORT = Schedule(steps=12, pixels=48**2, rounds=1)


class Shrink(nn.Module):
    """The best linear denoiser of white images scales them: one gain is all there is to learn."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.scale = nn.Conv2d(1, 1, 1, bias=False)
        nn.init.constant_(self.scale.weight, factor)

    def forward(self, images: Tensor) -> Tensor:
        return self.scale(images)


def white_image(side: int = 64) -> tuple[Tensor, Tensor]:
    rng = Generator().manual_seed(0)
    clean = 0.3 * torch.randn(1, 1, side, side, generator=rng)
    return clean, clean + SIGMA * torch.randn(clean.shape, generator=rng)


def network(kind: type[nn.Module] = UNet, **arguments: object) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return kind(**arguments)


def test_tuning_finds_the_gain_that_theory_gives() -> None:
    clean, noisy = white_image(128)
    wiener = clean.square().mean() / (clean.square().mean() + SIGMA**2)
    schedule = Schedule(steps=60, pixels=96**2, rate=3e-2, rounds=1)
    with torch.random.fork_rng():
        start = Shrink(1.0)
    tuned = tune(start, noisy, Sure(SIGMA), schedule=schedule, rng=Generator().manual_seed(0))
    # The gain is an estimate from 128^2 pixels: its error is about one in a hundred.
    assert tuned.accepted
    assert abs(tuned.gains["scale"].item() - wiener) < 0.03
    before, after = (noisy - clean).square().mean(), (tuned.network(noisy) - clean).square().mean()
    assert after < 0.75 * before


def test_a_network_that_is_as_good_as_it_gets_is_kept() -> None:
    clean, noisy = white_image(64)
    wiener = clean.square().mean() / (clean.square().mean() + SIGMA**2)

    def misleading(denoiser: Denoiser, noisy: Images, _rng: Generator) -> Images:
        """It asks for a gain of 2, where the judge asks for the truth."""
        return (denoiser(noisy) - 2 * wiener * noisy).square()

    with torch.random.fork_rng():
        start = Shrink(float(wiener))
    tuned = tune(
        start,
        noisy,
        misleading,
        judge=Sure(SIGMA),
        schedule=Schedule(steps=30, pixels=32**2, rate=3e-2, rounds=1),
        rng=Generator().manual_seed(0),
    )
    assert not tuned.accepted
    # Where the steps led, the risk is higher: the search along the way comes back.
    assert abs(tuned.gains["scale"].item() - 1) < 0.1
    assert torch.equal(tuned.network(noisy), start(noisy))


def test_more_rounds_follow_only_where_the_last_one_brought_much() -> None:
    _, noisy = white_image()
    with torch.random.fork_rng():
        far, near = Shrink(3.0), Shrink(0.7)
    schedule = Schedule(steps=20, rate=3e-2, rounds=3)
    rng = Generator()
    long = tune(far, noisy, Sure(SIGMA), schedule=schedule, rng=rng.manual_seed(0))
    short = tune(near, noisy, Sure(SIGMA), schedule=schedule, rng=rng.manual_seed(0))
    assert len(long.losses) == 60
    assert len(short.losses) == 20


def test_the_same_seed_gives_the_same_bytes() -> None:
    _, noisy = white_image(256)
    results = [
        tune(network(), noisy, Sure(SIGMA), schedule=SHORT, rng=Generator().manual_seed(seed))
        for seed in (1, 1, 2)
    ]
    first, second, other = (result.network(noisy) for result in results)
    assert torch.equal(first, second)
    assert results[0].losses == results[1].losses
    assert not torch.equal(first, other)


def test_the_callers_network_and_image_are_untouched() -> None:
    _, noisy = white_image()
    mine = network(DnCNN, features=8, depth=4).train()
    image, state = noisy.clone(), deepcopy(mine.state_dict())
    modes = [module.training for module in mine.modules()]
    tuned = tune(mine, noisy, Sure(SIGMA), schedule=SHORT, rng=Generator().manual_seed(0))
    assert torch.equal(noisy, image)
    assert all(torch.equal(state[key], value) for key, value in mine.state_dict().items())
    assert [module.training for module in mine.modules()] == modes
    assert all(parameter.grad is None for parameter in mine.parameters())
    assert tuned.network is not mine


def test_only_the_gains_differ_in_the_tuned_network() -> None:
    _, noisy = white_image()
    mine = network()
    schedule = Schedule(steps=12, rate=0.05, rounds=1)
    tuned = tune(mine, noisy, Sure(SIGMA), schedule=schedule, rng=Generator().manual_seed(0))
    assert tuned.accepted
    for name, layer in mine.named_children():
        found = tuned.network.get_submodule(name)
        gain = tuned.gains[name]
        shape = (1, -1, 1, 1) if isinstance(layer, nn.ConvTranspose2d) else (-1, 1, 1, 1)
        assert torch.equal(found.weight, layer.weight * gain.reshape(shape))
        if layer.bias is not None:
            assert torch.equal(found.bias, layer.bias)


@pytest.mark.parametrize(
    "free", [all_parameters, partial(last_layers, example=torch.zeros(1, 1, 16, 16))]
)
def test_other_parameters_can_be_tuned(free: object) -> None:
    _, noisy = white_image()
    tuned = tune(
        network(),
        noisy,
        Sure(SIGMA),
        parameters=free,
        schedule=SHORT,
        rng=Generator().manual_seed(0),
    )
    assert tuned.accepted
    assert tuned.gains == {}


def test_a_very_small_image_can_be_tuned_on() -> None:
    _, noisy = white_image(20)
    tuned = tune(network(), noisy, Sure(SIGMA), schedule=SHORT, rng=Generator().manual_seed(0))
    assert tuned.network(noisy).shape == noisy.shape


def test_how_sure_it_must_be_is_a_matter_of_pixels() -> None:
    schedule = Schedule()
    sides = [schedule.caution_for(torch.zeros(1, 1, side, side)) for side in (64, 256, 512)]
    assert sides == [4.0, 1.0, 1.0]


def test_what_is_kept_is_hardly_ever_worse_where_there_is_nothing_to_learn() -> None:
    """The gain is the best one from the start: whatever is learned is noise."""
    wiener = 0.3**2 / (0.3**2 + SIGMA**2)
    schedule = Schedule(steps=12, rate=0.1, rounds=1)
    changes, boldest = [], []
    for seed in range(60):
        rng = Generator().manual_seed(seed)
        clean = 0.3 * torch.randn(1, 1, 64, 64, generator=rng, dtype=torch.float64)
        noisy = clean + SIGMA * torch.randn(clean.shape, generator=rng, dtype=torch.float64)
        with torch.random.fork_rng():
            start = Shrink(wiener).double()
        tuned = tune(start, noisy, Sure(SIGMA), schedule=schedule, rng=rng)
        before = (start(noisy) - clean).square().mean()
        changes.append((tuned.network(noisy) - clean).square().mean() / before - 1)
        gain = tuned.boldest_gains["scale"]
        boldest.append((wiener * gain * noisy - clean).square().mean() / before - 1)
    kept, all_of_it = torch.stack(changes), torch.stack(boldest)
    assert all_of_it.max() > 0.001  # the test has power
    assert kept.max() < 0.001


def test_an_uncertain_level_of_the_noise_holds_back() -> None:
    """A gain that lets more noise through is the more flattered, the lower the level is taken."""
    _, noisy = white_image(128)
    schedule = Schedule(steps=20, rate=3e-2, rounds=1)

    def found(part: float) -> Tuned:
        with torch.random.fork_rng():
            start = Shrink(0.5)
        return tune(
            start,
            noisy,
            Sure(SIGMA),
            judge_error=LevelError(Gaussian(SIGMA), part),
            schedule=schedule,
            rng=Generator().manual_seed(0),
        )

    sure, less_sure, unsure = map(found, (0.0, 0.1, 1.0))
    ways = [abs(each.gains["scale"].item() - 1) for each in (sure, less_sure)]
    assert sure.accepted
    assert less_sure.accepted
    assert ways[1] < ways[0]
    assert not unsure.accepted
    assert torch.equal(sure.boldest_gains["scale"], unsure.boldest_gains["scale"])
    # What is told of the fall is as unsure as the level: of the same gains, by so much more.
    assert sure.risk.before == unsure.risk.before
    assert unsure.risk.standard_error > 3 * sure.risk.standard_error


def test_a_plane_without_counts_does_not_decide() -> None:
    """Beside one that is empty, two planes are tuned to as they would be by themselves."""
    _, clean = white_image(128)
    counts = Poisson(0.1).sample(clean.abs().expand(3, 1, 128, 128), Generator().manual_seed(0))
    counts[1] = 0
    with torch.random.fork_rng():
        start = Shrink(0.5)
    tuned = tune(
        start,
        counts,
        Pure(0.1),
        judge_error=LevelError(Poisson(0.1), 0.005),
        schedule=Schedule(steps=20, rate=3e-2, rounds=1),
        rng=Generator().manual_seed(0),
    )
    assert isfinite(tuned.risk.standard_error)
    assert tuned.accepted


def test_few_pixels_are_tuned_on_slowly_and_must_bring_more_for_another_round() -> None:
    schedule = Schedule(rate=0.01, worthwhile=0.02)
    small, large = torch.zeros(1, 1, 64, 64), torch.zeros(4, 1, 300, 300)
    assert schedule.rate_for(small) < schedule.rate_for(large) == 0.01
    fall = Risk(1.0, 0.9, 0.01)
    assert schedule.goes_on_after(fall, large)
    assert not schedule.goes_on_after(fall, small)
    assert not schedule.goes_on_after(Risk(1.0, 0.9, 0.06), large)


class WithSpares(Shrink):
    """Has a number that it multiplies by, and a convolution that it does not use."""

    def __init__(self) -> None:
        super().__init__(0.9)
        self.factor = nn.Parameter(torch.tensor(1.0))
        self.spare = nn.Conv2d(1, 1, 1)

    def forward(self, images: Tensor) -> Tensor:
        return self.factor * super().forward(images)


@pytest.mark.parametrize("parameters", [channel_gains, all_parameters])
def test_what_a_network_does_not_use_stays(parameters: Parameters) -> None:
    _, noisy = white_image()
    start = network(WithSpares)
    tuned = tune(
        start,
        noisy,
        Sure(SIGMA),
        parameters=parameters,
        schedule=SHORT,
        rng=Generator().manual_seed(0),
    )
    assert tuned.accepted
    assert not torch.equal(tuned.network.scale.weight, start.scale.weight)
    assert torch.equal(tuned.network.spare.weight, start.spare.weight)


@pytest.mark.parametrize("without", [torch.no_grad, torch.inference_mode])
def test_it_learns_also_where_the_caller_wants_no_gradients(
    without: Callable[[], AbstractContextManager[None]],
) -> None:
    _, noisy = white_image()
    start = network(Shrink, factor=0.9)

    def found() -> Tensor:
        return tune(
            start, noisy.clone(), Sure(SIGMA), schedule=SHORT, rng=Generator().manual_seed(0)
        ).network.scale.weight

    expected = found()
    with without():
        assert torch.equal(found(), expected)


def test_progress_counts_every_step() -> None:
    _, noisy = white_image()
    calls: list[tuple[int, int]] = []
    schedule = Schedule(steps=4, rounds=1)
    tune(
        network(),
        noisy,
        Sure(SIGMA),
        schedule=schedule,
        rng=Generator().manual_seed(0),
        progress=lambda done, steps: calls.append((done, steps)),
    )
    assert calls == [(1, 4), (2, 4), (3, 4), (4, 4)]


@pytest.mark.parametrize(
    ("wrong", "fewest"),
    [({"steps": 0}, 1), ({"pixels": 0}, 2), ({"pixels": 1}, 2), ({"rounds": 0}, 1)],
)
def test_a_schedule_of_nothing_is_refused(wrong: dict[str, int], fewest: int) -> None:
    with pytest.raises(ValueError, match=f"at least {fewest}, got"):
        Schedule(**wrong)


def test_a_rate_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="above 0"):
        Schedule(rate=0.0)


def test_the_fall_of_the_risk_that_is_told_is_that_of_the_error() -> None:
    """In float64: a single gain in bfloat16 would be rounded by more than chance leaves open."""
    schedule = Schedule(steps=12, rate=0.1, rounds=1)
    gaps, falls, optimism = [], [], []
    for seed in range(60):
        rng = Generator().manual_seed(seed)
        clean = 0.3 * torch.randn(1, 1, 64, 64, generator=rng, dtype=torch.float64)
        noisy = clean + SIGMA * torch.randn(clean.shape, generator=rng, dtype=torch.float64)
        with torch.random.fork_rng():
            start = Shrink(1.0).double()
        tuned = tune(start, noisy, Sure(SIGMA), schedule=schedule, rng=rng)
        fall = (noisy - clean).square().mean() - (tuned.network(noisy) - clean).square().mean()
        gaps.append(tuned.risk.before - tuned.risk.after - fall)
        falls.append(fall)
        optimism.append(tuned.optimism)
    gap, fall = torch.stack(gaps), torch.stack(falls).mean()
    chance = gap.std() / len(gap) ** 0.5
    assert chance < 0.02 * fall  # the test has power
    assert gap.mean().abs() < 4 * chance
    # What is seen falls by more: an image's own noise is learned with it.
    learned = torch.tensor(optimism)
    assert learned.mean() > 3 * learned.std() / len(learned) ** 0.5

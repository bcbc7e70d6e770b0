"""Adam at one rate does what it is told, and only that."""

from copy import deepcopy
from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Generator, Tensor, nn

from gaintuning.baselines.classical import denoise_bm3d, denoise_wavelets
from gaintuning.baselines.fine_tuning import fine_tune
from gaintuning.gains import all_parameters, channel_gains, last_layers
from gaintuning.methods import METHODS, Task
from gaintuning.networks import UNet
from gaintuning.noise import Gaussian, Poisson
from gaintuning.objectives import Sure

SIGMA = 0.1


def network() -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return UNet()


def noisy_image() -> Tensor:
    return torch.rand(1, 1, 32, 32, generator=Generator().manual_seed(0))


@pytest.mark.parametrize(
    ("parameters", "changed"),
    [
        (channel_gains, {"weight"}),
        (all_parameters, {"weight", "bias"}),
        (partial(last_layers, example=torch.zeros(1, 1, 16, 16)), {"weight"}),
    ],
)
def test_what_may_move_moves_and_the_callers_network_does_not(
    parameters: object, changed: set[str]
) -> None:
    mine, noisy = network(), noisy_image()
    state = deepcopy(mine.state_dict())
    found = fine_tune(
        mine, noisy, Sure(SIGMA), parameters=parameters, steps=3, rng=Generator().manual_seed(0)
    )
    assert all(torch.equal(state[key], value) for key, value in mine.state_dict().items())
    moved = {key for key, value in found.state_dict().items() if not torch.equal(value, state[key])}
    assert {key.split(".")[-1] for key in moved} == changed


def test_it_is_adam() -> None:
    """In float64, beside the optimiser in four lines."""
    mine, noisy = network().double(), noisy_image().double()
    found = fine_tune(
        mine,
        noisy,
        Sure(SIGMA),
        parameters=all_parameters,
        steps=4,
        rate=1e-3,
        rng=Generator().manual_seed(1),
    )
    copy, rng = deepcopy(mine), Generator().manual_seed(1)
    optimizer = torch.optim.Adam(copy.parameters(), lr=1e-3)
    for _ in range(4):
        optimizer.zero_grad()
        Sure(SIGMA)(copy, noisy, rng).mean().backward()
        optimizer.step()
    for ours, theirs in zip(found.parameters(), copy.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-6)


def test_each_step_is_shown() -> None:
    shown: list[tuple[int, Tensor]] = []

    def watch(done: int, now: nn.Module) -> None:
        shown.append((done, now(noisy_image())))

    found = fine_tune(
        network(),
        noisy_image(),
        Sure(SIGMA),
        steps=3,
        rng=Generator().manual_seed(0),
        watch=watch,
    )
    assert [done for done, _ in shown] == [1, 2, 3]
    assert not torch.equal(shown[0][1], shown[1][1])
    assert torch.equal(shown[-1][1], found(noisy_image()))


@pytest.mark.parametrize("wrong", [{"steps": 0}, {"rate": 0.0}])
def test_nothing_to_do_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="at least 1 and rate above 0"):
        fine_tune(network(), noisy_image(), Sure(SIGMA), rng=Generator(), **wrong)


def test_several_images_are_denoised_one_by_one() -> None:
    clean = torch.full((2, 1, 48, 48), 0.5)
    noisy = Gaussian(SIGMA).sample(clean, Generator().manual_seed(0))
    both = denoise_wavelets(noisy, SIGMA)
    assert torch.equal(both[1:], denoise_wavelets(noisy[1:], SIGMA))
    assert (both - clean).square().mean() < 0.3 * SIGMA**2


def test_without_its_package_bm3d_says_where_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "bm3d", None)
    with pytest.raises(ImportError, match="not free for commercial use; install it with"):
        denoise_bm3d(noisy_image(), SIGMA)


def test_bm3d_of_counts_sees_noise_of_deviation_one_and_leaves_the_mean(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With the mean of all pixels for BM3D, which is the best for a level image."""

    def mean_of_all(image: NDArray[np.float64], sigma: float) -> NDArray[np.float64]:
        assert sigma == 1
        assert image.std() == pytest.approx(sigma, rel=0.02)
        return np.full_like(image, image.mean())

    monkeypatch.setitem(__import__("sys").modules, "bm3d", SimpleNamespace(bm3d=mean_of_all))
    noise = Poisson(gain=0.02)
    noisy = noise.sample(torch.full((1, 1, 256, 256), 0.6), Generator().manual_seed(0))
    before = noisy.clone()
    denoised = METHODS["bm3d-anscombe"](Task(noisy, noise))
    torch.testing.assert_close(denoised, torch.full_like(noisy, 0.6), atol=2e-3, rtol=0)
    assert torch.equal(noisy, before)
    with pytest.raises(ValueError, match="for shot noise"):
        METHODS["bm3d-anscombe"](Task(noisy, Gaussian(0.1)))


def test_it_learns_also_where_the_caller_wants_no_gradients() -> None:
    noisy = torch.rand(1, 1, 16, 16, generator=Generator().manual_seed(0))
    with torch.random.fork_rng():
        network = UNet()

    def run() -> nn.Module:
        rng = Generator().manual_seed(0)
        return fine_tune(network, noisy.clone(), Sure(0.1), steps=2, rng=rng)

    expected = run().state_dict()
    for context in (torch.no_grad(), torch.inference_mode()):
        with context:
            found = run().state_dict()
        assert all(torch.equal(found[key], expected[key]) for key in expected)

"""A movie whose frames differ: what one frame taught is where the next begins."""

import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Generator, nn

from gaintuning import denoise, zoo
from gaintuning.adapted import Adapted, Learned
from gaintuning.experiments.quick import write_lattice
from gaintuning.following import Following
from gaintuning.networks import DnCNN
from gaintuning.noise import Gaussian
from gaintuning.scaling import IntensityRange
from gaintuning.tuning import Schedule

NOISE = Gaussian(0.15)
BRIEF = Schedule(steps=8, rounds=1)


@pytest.fixture(scope="module")
def network() -> nn.Module:
    return zoo.load("unet")[0]


def clean() -> NDArray[np.float32]:
    """Stripes, which a network of natural images can learn more of."""
    rows, columns = np.mgrid[:128, :128]
    return (0.5 + 0.3 * np.sign(np.sin(rows / 2.2 + columns / 5))).astype(np.float32)


def frames(count: int) -> list[NDArray[np.float32]]:
    scene, rng = torch.from_numpy(clean()), Generator().manual_seed(0)
    return [NOISE.sample(scene, rng).numpy() for _ in range(count)]


def learned_of(frame: NDArray[np.float32], network: nn.Module) -> list[Learned]:
    result = denoise(
        frame,
        network=network,
        noise=NOISE,
        intensity_range=(0, 1),
        schedule=BRIEF,
        orientations=False,
    )
    return [Learned.of(found) for found in result.adaptations]


def errors(denoised: Sequence[NDArray[np.generic]]) -> list[float]:
    return [float(np.square(image - clean()).mean()) for image in denoised]


def test_frame_after_frame_the_same_scene_is_known_better(network: nn.Module) -> None:
    seen = frames(5)
    learned = learned_of(seen[0], network)
    following = Following(network, learned, objective="auto", schedule=BRIEF)
    shared = Adapted(network, learned)
    one_by_one = errors([following(frame, "YX") for frame in seen[1:]])
    by_the_first = errors([shared(frame, "YX") for frame in seen[1:]])
    assert one_by_one[-1] < one_by_one[0] < by_the_first[0]
    assert np.mean(one_by_one) < 0.95 * np.mean(by_the_first)
    # What is known now is all that the last frame was denoised by.
    now = Adapted(network, following.channels)(seen[-1], "YX")
    np.testing.assert_allclose(now, following_again(network, learned, seen)[-1], atol=1e-5)
    assert shared.channels == learned


@pytest.mark.parametrize("way", ["level", "cut off"])
def test_pixels_without_noise_do_no_harm_to_a_frame(network: nn.Module, way: str) -> None:
    first, *seen = frames(3)
    (learned,) = learned_of(first, network)
    inside = np.ones(clean().shape, bool)
    if way == "level":
        inside[:30] = inside[:, -30:] = False
    for frame in seen:
        frame[~inside] = 0
    if way == "cut off":
        seen = [frame.clip(0, 0.7) for frame in seen]
    plain = Adapted(network, [replace(learned, gains={})])
    following = Following(network, [learned], objective="auto", schedule=BRIEF)
    shared = Adapted(network, [learned])

    def error(denoised: NDArray[np.generic]) -> float:
        return float(np.square(denoised - clean().clip(*ends))[inside].mean())

    ends = (0, 0.7) if way == "cut off" else (0, 1)
    before, after, by_the_first = (
        np.mean([error(one(frame, "YX")) for frame in seen]) for one in (plain, following, shared)
    )
    assert after < by_the_first < before
    for frame in seen:
        np.testing.assert_array_equal(shared(frame, "YX")[~inside], frame[~inside])


def test_nothing_is_learned_of_noise_that_no_model_tells(network: nn.Module) -> None:
    learned = Learned(IntensityRange(0, 1), NOISE, gains={}, of_the_model=False)
    following = Following(network, [learned], objective="auto", schedule=BRIEF)
    (frame,) = frames(1)
    np.testing.assert_array_equal(following(frame, "YX"), Adapted(network, [learned])(frame, "YX"))
    assert following.channels == [learned]


def following_again(
    network: nn.Module, learned: list[Learned], seen: Sequence[NDArray[np.float32]]
) -> list[NDArray[np.generic]]:
    following = Following(network, learned, objective="auto", schedule=BRIEF)
    return [following(frame, "YX") for frame in seen[1:]]


def test_after_a_cut_it_is_begun_anew(network: nn.Module) -> None:
    (frame,) = frames(1)
    (learned,) = learned_of(frame, network)
    absurd = {name: 3 * gain for name, gain in learned.gains.items()}
    following = Following(
        network, [replace(learned, gains=absurd)], objective="auto", schedule=BRIEF
    )
    plain = Adapted(network, [replace(learned, gains={})])
    after, before = errors([following(frame, "YX"), plain(frame, "YX")])
    assert after < before


def test_the_network_of_the_caller_stays_as_it_is() -> None:
    with torch.random.fork_rng():
        network = DnCNN().train()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    strides = [parameter.stride() for parameter in network.parameters()]
    learned = [Learned(IntensityRange(0, 1), NOISE, gains={})]
    Following(network, learned, objective="auto", schedule=Schedule(steps=1))(frames(1)[0], "YX")
    assert network.training
    assert [parameter.stride() for parameter in network.parameters()] == strides
    for name, value in network.state_dict().items():
        assert torch.equal(value, before[name])


def test_an_image_has_the_same_random_numbers_whatever_came_before(network: nn.Module) -> None:
    seen = frames(3)
    learned = learned_of(seen[0], network)
    whole = Following(network, learned, objective="auto", schedule=BRIEF)
    whole(seen[1], "YX")
    halfway = Following(network, whole.channels, objective="auto", schedule=BRIEF, first=1)
    np.testing.assert_array_equal(whole(seen[2], "YX"), halfway(seen[2], "YX"))


def test_the_experiment_of_frames_runs_small(tmp_path: Path) -> None:
    (tmp_path / "tem").mkdir()
    write_lattice(tmp_path / "tem" / "lattice.tif")
    script = Path(__file__).parents[1] / "experiments" / "frames.py"
    output = str(tmp_path / "frames.csv")
    command = [sys.executable, str(script), str(tmp_path / "tem"), "--quick", "--output", output]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert "| frame by frame | 1 |" in told
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == told

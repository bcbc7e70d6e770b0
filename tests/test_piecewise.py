"""Piecewise-constant scenes: flat, seeded, and without a preferred direction."""

import numpy as np
import pytest
import torch
from torch import Tensor

from gaintuning.simulate.piecewise import piecewise_constant


def edges(scenes: Tensor, down: int, right: int) -> Tensor:
    """For each scene the share of pixels that differ from the neighbour in a direction."""
    height, width = scenes.shape[-2:]
    # The same pixels for every direction, so that only the direction tells them apart.
    inner = scenes[..., 1:-1, 1:-1]
    neighbours = scenes[..., 1 + down : height - 1 + down, 1 + right : width - 1 + right]
    return (inner != neighbours).double().mean((1, 2, 3))


def mean_and_error(numbers: Tensor) -> tuple[float, float]:
    return numbers.mean().item(), numbers.std().item() / len(numbers) ** 0.5


def test_the_seed_fixes_every_bit() -> None:
    scenes = piecewise_constant(5, 40, seed=3)
    assert scenes.shape == (5, 1, 40, 40)
    assert scenes.dtype == torch.float32
    assert torch.equal(scenes, piecewise_constant(5, 40, seed=3))
    others = piecewise_constant(5, 40, seed=4)
    assert not any(torch.equal(*pair) for pair in zip(scenes, others, strict=True))


def test_fewer_scenes_are_the_first_ones() -> None:
    assert torch.equal(piecewise_constant(2, 40, seed=3), piecewise_constant(5, 40, seed=3)[:2])


def test_no_two_scenes_are_alike() -> None:
    scenes = piecewise_constant(20, 24, seed=0)
    assert len(scenes.unique(dim=0)) == 20


def test_numpy_s_global_generator_is_not_used() -> None:
    # A fixture looks after torch's.
    before = str(np.random.get_state(legacy=False))
    piecewise_constant(2, 40, seed=0)
    assert str(np.random.get_state(legacy=False)) == before


def test_the_levels_are_those_of_an_8_bit_image_and_few() -> None:
    scenes = piecewise_constant(100, 40, seed=0)
    levels = torch.arange(256, dtype=torch.float32) / 255
    assert torch.isin(scenes, levels).all()
    counts = [len(scene.unique()) for scene in scenes]
    assert max(counts) <= 25  # 24 shapes and what is behind them
    assert min(counts) >= 1
    assert max(counts) - min(counts) > 10
    # Black and white and everything between: 100 scenes draw some 1300 of 256 levels.
    assert len(scenes.unique()) > 0.9 * len(levels)


def test_the_levels_are_spread_evenly() -> None:
    # The pixel in the middle has the last gray level that was drawn there: a uniform number.
    middle = piecewise_constant(400, 12, seed=1)[:, 0, 6, 6].double()
    mean, error = mean_and_error(middle)
    assert error < 0.02
    assert abs(mean - 0.5) < 4 * error
    mean, error = mean_and_error((middle - 0.5).square())
    # The variance of a uniform number; the levels, 1 / 255 apart, add less than 1e-3 to it.
    assert abs(mean - 1 / 12) < 4 * error + 1e-3


def test_the_scenes_are_piecewise_constant() -> None:
    scenes = piecewise_constant(100, 60, seed=0)
    changes = edges(scenes, 0, 1)
    assert changes.max() < 0.3
    assert 0.01 < changes.mean() < 0.1
    # Shapes are wider than a pixel, so only the tip of a piece differs from all its neighbours.
    inner = scenes[..., 1:-1, 1:-1]
    rows, columns = scenes[..., 1:-1, :], scenes[..., 1:-1]
    neighbours = [rows[..., :-2], rows[..., 2:], columns[..., :-2, :], columns[..., 2:, :]]
    alone = torch.stack([inner != neighbour for neighbour in neighbours]).all(0)
    assert alone.double().mean() < 0.01 * changes.mean()


@pytest.mark.parametrize(
    ("one", "other"),
    [((0, 1), (1, 0)), ((0, 1), (0, -1)), ((1, 1), (1, -1))],
    ids=["transposed", "mirrored", "across"],
)
def test_no_direction_has_more_edges(one: tuple[int, int], other: tuple[int, int]) -> None:
    scenes = piecewise_constant(300, 40, seed=0)
    difference, error = mean_and_error(edges(scenes, *one) - edges(scenes, *other))
    assert error < 0.1 * edges(scenes, *one).mean()  # the test has power
    assert abs(difference) < 4 * error


def test_edges_have_all_orientations() -> None:
    # A step of length s crosses an edge as often as s times the mean |cosine| of its angle to the
    # edge's normal. If all orientations are equally likely, that mean is 2 / pi in every direction,
    # and a diagonal step sees sqrt(2) times the edges of a straight one. With edges along the rows
    # and columns only, it would be twice as many; with diagonal edges only, as many.
    scenes = piecewise_constant(200, 120, seed=0)
    straight = edges(scenes, 0, 1) + edges(scenes, 1, 0)
    diagonal = edges(scenes, 1, 1) + edges(scenes, 1, -1)
    excess, error = mean_and_error(diagonal - 2**0.5 * straight)
    # Two edges within one step count once, which happens for a share of the steps that is the
    # share of edges itself.
    twice = diagonal.square().mean().item()
    assert 4 * error + twice < 0.2 * straight.mean()  # the test has power
    assert abs(excess) < 4 * error + twice


@pytest.mark.parametrize(
    ("name", "number"),
    # The widest line is a sixth of a scene and the narrowest is 2 pixels wide: 12 pixels it takes.
    [("count", 0), ("count", -1), ("size", 0), ("size", -5), ("size", 1), ("size", 11),
     ("seed", -1)],
)  # fmt: skip
def test_a_bad_number_is_told_with_its_name(name: str, number: int) -> None:
    with pytest.raises(ValueError, match=f"{name}.*{number}"):
        piecewise_constant(**{"count": 30, "size": 40, "seed": 0, name: number})


def test_the_smallest_scenes() -> None:
    assert piecewise_constant(20, 12, seed=0).shape == (20, 1, 12, 12)

"""The way from some parameters to others is gone as far as it is surely good."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Generator, Tensor

from gaintuning.line_search import losses_along, lowest_along, lowest_of_parabola, surest_along


def three_losses(lowest: float, rough: float, side: int = 64) -> list[list[Tensor]]:
    """Half way, the whole way and nothing of a way along which the mean loss is a parabola."""
    rng = Generator().manual_seed(0)
    noise = rough * torch.randn(1, 1, side, side, generator=rng, dtype=torch.float64)
    noise -= noise.mean()
    return [[2 + (part - lowest) ** 2 + part * noise] for part in (0.0, 0.5, 1.0)]


@given(lowest=st.floats(0, 1), rough=st.floats(0, 20), caution=st.floats(0, 5))
def test_caution_only_ever_holds_back(lowest: float, rough: float, caution: float) -> None:
    way = three_losses(lowest, rough)
    far, near = (surest_along(*way, each) for each in (caution, caution + 1))
    rounding = 1 / 40
    assert 0 <= near <= far <= lowest_along(*way) + rounding


def test_a_fall_that_is_sure_is_taken_whole_and_one_that_is_chance_not_at_all() -> None:
    assert surest_along(*three_losses(0.7, rough=0), 1.0) == pytest.approx(0.7, abs=1e-9)
    assert surest_along(*three_losses(0.7, rough=1), 1.0) > 0.6
    assert surest_along(*three_losses(0.1, rough=20), 1.0) == 0
    assert surest_along(*three_losses(0.0, rough=1), 1.0) == 0
    # Of a single block nobody knows a standard error.
    assert surest_along(*three_losses(0.7, rough=1, side=16), 1.0) == 0
    broken = three_losses(float("nan"), rough=1)
    assert surest_along(*broken, 1.0) == 0


@given(lowest=st.floats(0, 1), curvature=st.floats(0.01, 100))
def test_the_lowest_point_of_a_parabola_is_found(lowest: float, curvature: float) -> None:
    def parabola(where: float) -> float:
        return curvature * ((where - lowest) ** 2 - lowest**2)

    assert lowest_of_parabola(parabola(0.5), parabola(1.0)) == pytest.approx(lowest, abs=1e-6)


@pytest.mark.parametrize(
    ("half_way", "whole_way", "expected"),
    [(0.5, 1.0, 0.0), (-0.5, -1.0, 1.0), (1.0, -1.0, 1.0), (2.0, 1.0, 0.0), (3.0, 8.0, 0.0)],
)
def test_without_a_lowest_point_within_an_end_is_taken(
    half_way: float, whole_way: float, expected: float
) -> None:
    assert lowest_of_parabola(half_way, whole_way) == expected


def test_lowest_along_is_exact_for_a_parabola() -> None:
    def losses(where: float) -> list[Tensor]:
        steep = torch.tensor([[[[1.0, 2.0], [3.0, 4.0]]]], dtype=torch.float64)
        return [steep * (where - 0.3) ** 2 + 5]

    way = losses(0.0), losses(0.5), losses(1.0)
    assert lowest_along(*way) == pytest.approx(0.3)
    for part in (0.0, 0.3, 1.0):
        torch.testing.assert_close(losses_along(part, *way), losses(part))

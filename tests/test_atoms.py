"""Atomic columns are found where they are, and a match says how many of them."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from gaintuning.atoms import APART, find_columns, match

PIXEL = 0.08


def lattice(seed: int = 0, period: float = 30.0, side: int = 200) -> NDArray[np.float64]:
    """Places well inside the image, each a little out of place."""
    rng = np.random.default_rng(seed)
    places = np.stack(
        np.mgrid[period : side - period : period, period : side - period : period], -1
    )
    return places.reshape(-1, 2) + rng.uniform(-2, 2, (len(places) ** 2, 2))


def drawn(places: NDArray[np.float64], height: float = 1.0, side: int = 200) -> NDArray[np.float64]:
    rows, columns = np.mgrid[:side, :side]
    radius = 0.45 / PIXEL
    image = np.zeros((side, side))
    for y, x in places:
        image += height * np.exp(-((rows - y) ** 2 + (columns - x) ** 2) / 2 / radius**2)
    return image


@pytest.mark.parametrize("bright", [True, False])
def test_every_column_is_found_in_its_place(bright: bool) -> None:
    places = lattice()
    image = 0.45 + (0.2 if bright else -0.2) * drawn(places)
    found = match(find_columns(image, PIXEL, bright=bright), places, PIXEL)
    assert (found.precision, found.recall, found.f1) == (1, 1, 1)
    assert found.error < 4  # picometres, by which neighbours pull
    wrong = match(find_columns(image, PIXEL, bright=not bright), places, PIXEL)
    assert wrong.matched == 0


def test_the_place_of_a_column_by_itself_is_exact() -> None:
    place = np.array([[60.3, 71.8]])
    found = match(find_columns(drawn(place, side=140), PIXEL), place, PIXEL)
    assert found.error < 0.1


def test_places_do_not_depend_on_the_units_of_the_image() -> None:
    image = drawn(lattice())
    np.testing.assert_allclose(
        find_columns(1000 * image + 50, PIXEL), find_columns(image, PIXEL), atol=1e-6
    )


def test_faint_columns_are_found_down_to_the_part_asked_for() -> None:
    places = lattice()
    image = drawn(places[:20]) + drawn(places[20:], height=0.4)
    assert len(find_columns(image, PIXEL)) == len(places)
    assert len(find_columns(image, PIXEL, faint=0.6)) == 20


def test_nothing_is_found_where_there_is_nothing() -> None:
    assert find_columns(np.full((60, 60), 0.45), PIXEL).shape == (0, 2)


points = hnp.arrays(np.float64, st.tuples(st.integers(0, 6), st.just(2)), elements=st.floats(0, 60))


@given(found=points, true=points)
@settings(deadline=None)
def test_a_match_pairs_each_column_once_and_as_many_as_can_be(
    found: NDArray[np.float64], true: NDArray[np.float64]
) -> None:
    result = match(found, true, PIXEL)
    assert result.matched <= min(len(found), len(true))
    assert 0 <= result.f1 <= 1
    back = match(true, found, PIXEL)
    assert (back.matched, back.precision) == (result.matched, result.recall)
    if result.matched:
        assert result.error <= 100 * APART / 2 + 1e-9
    near = np.linalg.norm(found[:, None] - true, axis=2) * PIXEL <= APART / 2
    alone = near & (near.sum(0) == 1) & (near.sum(1, keepdims=True) == 1)
    assert result.matched >= alone.sum()


def test_what_is_shifted_is_off_by_the_shift() -> None:
    true = lattice()
    found = match(true + np.array([3.0, 4.0]), true, PIXEL)
    assert found.recall == 1
    assert found.error == pytest.approx(5 * PIXEL * 100)

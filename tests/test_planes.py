"""An image of any axes comes back from its planes as it was."""

from itertools import combinations, permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from gaintuning.planes import join_planes, split_planes
from gaintuning.validate import default_axes

ALL_AXES = [
    "".join(order)
    for count in range(5)
    for others in combinations("TZCS", count)
    for order in permutations("YX" + "".join(others))
]
DTYPES = ["uint8", "int8", "uint16", "int16", "uint32", "int32", "float16", "float32", "float64"]
lengths = st.fixed_dictionaries(dict.fromkeys("TZCSYX", st.integers(1, 4)))


def random_image(axes: str, length: dict[str, int], dtype: str) -> NDArray[np.generic]:
    rng, shape = np.random.default_rng(0), [length[letter] for letter in axes]
    if np.issubdtype(dtype, np.integer):
        limits = np.iinfo(dtype)
        return rng.integers(limits.min, limits.max, shape, dtype, endpoint=True)
    return rng.normal(0, 100, shape).astype(dtype)


@given(axes=st.sampled_from(ALL_AXES), length=lengths, dtype=st.sampled_from(DTYPES))
def test_joining_what_was_split_is_the_identity(
    axes: str, length: dict[str, int], dtype: str
) -> None:
    pixels = random_image(axes, length, dtype)
    before = pixels.copy()
    planes = split_planes(pixels, axes)
    back = join_planes(planes.astype(np.float64), pixels, axes)
    assert (back.dtype, back.shape) == (pixels.dtype, pixels.shape)
    np.testing.assert_array_equal(back, pixels)
    np.testing.assert_array_equal(pixels, before)
    assert not np.shares_memory(back, pixels)


@given(axes=st.sampled_from(ALL_AXES), length=lengths)
def test_planes_have_channels_first_and_y_and_x_last(axes: str, length: dict[str, int]) -> None:
    pixels = random_image(axes, length, "float64")
    length = {letter: length[letter] if letter in axes else 1 for letter in "TZCSYX"}
    planes = split_planes(pixels, axes)
    colors = {1: 1, 2: 1, 3: 3, 4: 3}[length["S"]]
    shape = (length["C"], length["T"] * length["Z"], colors, length["Y"], length["X"])
    assert planes.shape == shape
    for c, t, z, s in np.ndindex(length["C"], length["T"], length["Z"], colors):
        at = {"T": t, "Z": z, "C": c, "S": s}
        plane = pixels[tuple(at.get(letter, slice(None)) for letter in axes)]
        if axes.index("Y") > axes.index("X"):
            plane = plane.T
        np.testing.assert_array_equal(planes[c, t * length["Z"] + z, s], plane)


@given(
    axes=st.sampled_from([axes for axes in ALL_AXES if "S" in axes]),
    length=lengths,
    samples=st.sampled_from([2, 4]),
)
def test_alpha_stays_as_it_is(axes: str, length: dict[str, int], samples: int) -> None:
    pixels = random_image(axes, length | {"S": samples}, "uint8")
    planes = split_planes(pixels, axes)
    assert planes.shape[2] == samples - 1
    changed = join_planes(np.full(planes.shape, 7.0), pixels, axes)
    alpha = [samples - 1]
    axis = axes.index("S")
    np.testing.assert_array_equal(changed.take(alpha, axis), pixels.take(alpha, axis))
    assert (changed.take(range(samples - 1), axis) == 7).all()


@pytest.mark.parametrize("kind", ["u", "i"])
@pytest.mark.parametrize("size", [1, 2, 4, 8])
@given(value=st.floats(-1e30, 1e30), order=st.sampled_from("<>"))
def test_integers_are_rounded_and_do_not_wrap(
    kind: str, size: int, value: float, order: str
) -> None:
    like = np.zeros((1, 1), f"{order}{kind}{size}")
    limits = np.iinfo(like.dtype.newbyteorder("="))
    # Of 64-bit integers the largest are not among the floats: the largest float below is as near.
    highest = min(limits.max, int(np.nextafter(2.0 ** (8 * size - (kind == "i")), 0)))
    joined = join_planes(np.full((1, 1, 1, 1, 1), value), like, "YX")
    assert int(joined[0, 0]) == min(max(round(value), limits.min), highest)
    assert joined.dtype == like.dtype


def test_a_float32_result_does_not_wrap_either() -> None:
    planes = np.full((1, 1, 1, 1, 1), 3e9, np.float32)
    assert join_planes(planes, np.zeros((1, 1), np.int32), "YX")[0, 0] == 2**31 - 1


@pytest.mark.parametrize("value", [-1e6, 1e6])
def test_half_precision_does_not_overflow(value: float) -> None:
    planes = np.full((1, 1, 1, 1, 1), value)
    joined = join_planes(planes, np.zeros((1, 1), np.float16), "YX")
    assert joined[0, 0] == np.sign(value) * 65504


@pytest.mark.parametrize(
    ("shape", "axes"),
    [
        ((64, 48), "YX"),
        ((3, 4), "YX"),
        ((64, 48, 3), "YXS"),
        ((64, 48, 4), "YXS"),
        ((5, 48, 3), "YXS"),
        ((9, 64, 48), "ZYX"),
        ((3, 64, 48), "ZYX"),
        ((64, 48, 2), "ZYX"),
        ((64, 48, 5), "ZYX"),
        ((3, 48, 4), "ZYX"),
        ((2, 9, 64, 48), "TZYX"),
        ((2, 9, 64, 3), "TZYX"),
    ],
)
def test_axes_are_guessed_from_the_shape(shape: tuple[int, ...], axes: str) -> None:
    assert default_axes(shape) == axes

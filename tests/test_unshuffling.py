import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from scipy.ndimage import zoom
from skimage import data

from gaintuning import denoise
from gaintuning.adapted import Adapted, Learned
from gaintuning.metrics import psnr
from gaintuning.tuning import Schedule
from gaintuning.unshuffling import Stride, one_of_each, shuffle, unshuffle
from gaintuning.zoo import DEFAULT, load

SIDES = st.integers(4, 19)
STRIDES = st.tuples(st.integers(1, 4), st.integers(1, 4))


@given(st.integers(1, 3), st.integers(1, 3), SIDES, SIDES, STRIDES)
def test_what_is_taken_apart_is_put_together_again(
    n: int, samples: int, height: int, width: int, stride: Stride
) -> None:
    planes = np.random.default_rng(0).normal(size=(n, samples, height, width))
    given_away = planes.copy()
    parts = unshuffle(planes, stride)
    rows, columns = -(-height // stride[0]), -(-width // stride[1])
    assert parts.shape == (n * stride[0] * stride[1], samples, rows, columns)
    assert_array_equal(shuffle(parts, stride, planes.shape), planes)
    assert_array_equal(planes, given_away)


@given(STRIDES)
def test_neighbours_in_a_part_lie_apart_in_the_image(stride: Stride) -> None:
    places = np.arange(24.0 * 24).reshape(1, 1, 24, 24)
    parts = unshuffle(places, stride)
    assert (np.diff(parts, axis=-1) == stride[1]).all()
    assert (np.diff(parts, axis=-2) == 24 * stride[0]).all()


@given(st.integers(1, 40), STRIDES, st.integers(1, 3))
def test_one_part_of_each_plane_is_taken_and_all_kinds_of_them(
    n: int, stride: Stride, images: int
) -> None:
    numbers = one_of_each(n, stride, images)
    parts, kinds = np.divmod(numbers[::images] // images, stride[0] * stride[1])
    assert_array_equal(parts, np.arange(n))
    assert len(set(kinds)) == min(n, stride[0] * stride[1])
    assert len(set(numbers)) == n * images


def interpolated() -> tuple[np.ndarray, np.ndarray]:
    """A scene, and as it is where an image with noise of its own was made larger."""
    clean = data.camera()[:128, 60:188].astype(float)
    noise = np.random.default_rng(0).normal(0, 20, clean.shape)
    return tuple(zoom(image, 1.5, order=3, mode="nearest") for image in (clean, clean + noise))


def test_noise_that_goes_together_is_taken_away_by_a_network_for_noise_that_does_not() -> None:
    clean, noisy = interpolated()
    result = denoise(noisy, network=DEFAULT, schedule=Schedule(steps=5), nonlocal_bayes=False)
    (found,) = result.adaptations
    assert found.stride == (2, 2)
    assert found.objective == "sure"
    assert "between pixels 2 rows or columns apart" in found.reason
    of_noisy, of_result = (psnr(image, clean, data_range=255) for image in (noisy, result.image))
    assert of_result > of_noisy + 6
    told = result.expected_error
    assert told.shape == noisy.shape
    true = np.sqrt(np.mean((result.image - clean) ** 2))
    assert np.sqrt(np.mean(told**2)) == pytest.approx(true, rel=0.2)
    like_it = Adapted(load(DEFAULT)[0], [Learned.of(found)])
    once = denoise(
        noisy,
        network=DEFAULT,
        schedule=Schedule(steps=5),
        orientations=False,
        nonlocal_bayes=False,
    )
    assert_array_equal(like_it(noisy, "YX").round(3), once.image.round(3))


def test_texture_is_not_taken_for_noise_that_goes_together() -> None:
    grass = data.grass()[:256, :256].astype(float)
    noisy = grass + np.random.default_rng(0).normal(0, 10, grass.shape)
    (found,) = denoise(noisy, network=DEFAULT, tune=False).adaptations
    assert found.stride == (1, 1)

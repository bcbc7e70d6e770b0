"""Parts put together are the image, without what they do not share."""

import numpy as np
import pytest
import torch
from scipy.signal import lfilter
from skimage import data
from torch import nn

from gaintuning import denoise, zoo
from gaintuning.adapted import Adapted, Learned
from gaintuning.joining import join
from gaintuning.tuning import Schedule
from gaintuning.unshuffling import ALL, Stride, unshuffle

CLEAN = data.camera()[None, None, 100:196, 200:296] / 255


@pytest.fixture(scope="module")
def denoiser() -> nn.Module:
    return zoo.load(zoo.DEFAULT)[0]


def off_by(image: np.ndarray) -> float:
    return float(np.square(image - CLEAN).mean() ** 0.5)


@pytest.mark.parametrize("stride", [(1, 2), (2, 1), (2, 2), (4, 4)])
def test_what_the_parts_do_not_share_is_smoothed(stride: Stride, denoiser: nn.Module) -> None:
    """And where all is shared the image stays nearly what it is."""
    parts = unshuffle(CLEAN, stride)
    left = 0.03 * np.random.default_rng(0).normal(size=parts.shape)
    assert off_by(join(parts + left, stride, CLEAN.shape, denoiser)) < 0.7 * 0.03
    assert off_by(join(parts, stride, CLEAN.shape, denoiser)) < 0.01


def test_an_image_that_is_whole_stays_as_it_is(denoiser: nn.Module) -> None:
    np.testing.assert_array_equal(join(CLEAN, ALL, CLEAN.shape, denoiser), CLEAN)


def test_samples_and_planes_are_each_an_image(denoiser: nn.Module) -> None:
    images = np.concatenate([CLEAN, CLEAN[..., ::-1]]).repeat(3, axis=1)
    images[:, 1] *= 0.5
    joined = join(unshuffle(images, (2, 2)), (2, 2), images.shape, denoiser)
    assert joined.shape == images.shape
    with torch.inference_mode():
        alone = denoiser(torch.from_numpy(images[1:, 1:2]).float())
    np.testing.assert_allclose(joined[1:, 1:2], alone.numpy(), atol=1e-4)


def test_what_was_learned_of_parts_denoises_the_image_alike() -> None:
    white = np.random.default_rng(0).normal(0, 20, CLEAN.shape[-2:])
    noisy = 255 * CLEAN[0, 0] + lfilter([0.75**0.5], [1, -0.5], white)
    once = {"orientations": False, "nonlocal_bayes": False, "schedule": Schedule(steps=3)}
    result = denoise(noisy, network=zoo.DEFAULT, **once)
    (found,) = result.adaptations
    assert found.stride == (1, 2)
    adapted = Adapted(zoo.load(zoo.DEFAULT)[0], [Learned.of(found)])
    np.testing.assert_allclose(adapted(noisy, "YX"), result.image, atol=0.5)

"""The methods of others do what their authors wrote."""

from collections.abc import Callable

import pytest
import torch
from torch import Generator, Tensor

from gaintuning.baselines.blind_spot_alone import denoise_blind_spot_alone
from gaintuning.baselines.self2self import (
    DROPPED,
    PartialConvolution,
    PartialUNet,
    denoise_self2self,
    loss_of_dropped,
    random_mask,
)
from gaintuning.baselines.zero_shot_noise2noise import (
    denoise_zero_shot_noise2noise,
    halves,
    loss_of_halves,
)
from gaintuning.noise import Gaussian

SIGMA = 0.15
Method = Callable[[Tensor, Generator], Tensor]


def by_halves(noisy: Tensor, rng: Generator) -> Tensor:
    return denoise_zero_shot_noise2noise(noisy, steps=3, rng=rng)


def by_dropping(noisy: Tensor, rng: Generator) -> Tensor:
    return denoise_self2self(noisy, steps=2, predictions=2, rng=rng)


def by_blind_spot(noisy: Tensor, rng: Generator) -> Tensor:
    return denoise_blind_spot_alone(noisy, steps=1, rng=rng)


METHODS = pytest.mark.parametrize("method", [by_halves, by_dropping, by_blind_spot])


def smooth_image(height: int, width: int, channels: int = 1) -> Tensor:
    rows, columns = torch.arange(height)[:, None] / 8, torch.arange(width) / 11
    image = 0.5 + 0.3 * torch.sin(rows) * torch.cos(columns)
    return image.expand(1, channels, height, width).clone()


def noisy_image(height: int, width: int, channels: int = 1) -> Tensor:
    clean = smooth_image(height, width, channels)
    return Gaussian(SIGMA).sample(clean, Generator().manual_seed(0))


@METHODS
@pytest.mark.parametrize("shape", [(32, 32, 1), (33, 47, 1), (35, 32, 3)])
def test_images_of_any_size_keep_their_shape(method: Method, shape: tuple[int, int, int]) -> None:
    noisy = noisy_image(*shape)
    denoised = method(noisy, Generator().manual_seed(0))
    assert denoised.shape == noisy.shape
    assert denoised.isfinite().all()
    assert not denoised.requires_grad


@METHODS
def test_a_seed_gives_one_result_and_another_seed_another(method: Method) -> None:
    noisy = noisy_image(32, 32)
    first, again, other = (method(noisy, Generator().manual_seed(seed)) for seed in (3, 3, 4))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


@METHODS
def test_the_image_and_the_global_generator_are_as_before(method: Method) -> None:
    noisy = noisy_image(32, 32)
    before, state = noisy.clone(), torch.get_rng_state()
    method(noisy, Generator().manual_seed(0))
    assert torch.equal(noisy, before)
    assert torch.equal(torch.get_rng_state(), state)


@METHODS
def test_the_global_generator_has_no_say(method: Method) -> None:
    noisy, results = noisy_image(32, 32), []
    for seed in (1, 2):
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            results.append(method(noisy, Generator().manual_seed(0)))
    assert torch.equal(*results)


@METHODS
def test_what_cannot_be_learned_from_is_refused(method: Method) -> None:
    with pytest.raises(ValueError, match="9 x 40 pixels is too small"):
        method(noisy_image(9, 40), Generator())
    with pytest.raises(ValueError, match="one image is denoised at a time, got 2"):
        method(noisy_image(40, 40).expand(2, -1, -1, -1), Generator())


def test_every_pixel_is_in_one_half_and_weighs_as_much_as_any_other() -> None:
    image = torch.rand(1, 2, 6, 8, generator=Generator().manual_seed(0)).requires_grad_()
    gradients = []
    for half in halves(image):
        assert half.shape == (1, 2, 3, 4)
        (gradient,) = torch.autograd.grad(half.sum(), image)
        gradients.append(gradient)
    first, second = gradients
    assert (first * second == 0).all()
    assert torch.equal(first + second, torch.full_like(image, 0.5))


def test_the_halves_keep_the_mean_and_have_independent_noise_of_half_the_variance() -> None:
    clean, rng = smooth_image(200, 200), Generator().manual_seed(0)
    whole = torch.stack(halves(clean))
    torch.testing.assert_close(whole.mean(), clean.mean())
    noise = torch.stack(halves(Gaussian(SIGMA).sample(clean, rng))) - whole
    count = noise[0].numel()
    variance = noise.var(dim=(1, 2, 3, 4))
    # The standard errors of a variance and of a covariance of Gaussian variables.
    expected = torch.full((2,), SIGMA**2 / 2)
    assert ((variance - expected).abs() < 4 * expected * (2 / count) ** 0.5).all()
    assert (noise[0] * noise[1]).mean().abs() < 4 * expected[0] / count**0.5


def test_the_loss_of_a_denoiser_that_is_right_is_the_noise_of_the_halves() -> None:
    rng = Generator().manual_seed(0)
    noisy = Gaussian(SIGMA).sample(torch.full((1, 1, 200, 200), 0.5), rng)
    loss = loss_of_halves(lambda images: torch.full_like(images, 0.5), noisy)
    assert abs(loss - SIGMA**2 / 2) < 4 * SIGMA**2 / 2 * (2 / (noisy.numel() / 2)) ** 0.5


def test_halves_teach_a_network_to_denoise() -> None:
    clean, noisy = smooth_image(64, 64), noisy_image(64, 64)
    rng = Generator().manual_seed(0)
    denoised = denoise_zero_shot_noise2noise(noisy, steps=100, rng=rng)
    assert (denoised - clean).square().mean() < 0.5 * (noisy - clean).square().mean()


def test_the_mask_drops_the_published_part_of_the_pixels() -> None:
    seen = random_mask(torch.zeros(1, 1, 200, 200), Generator().manual_seed(0))
    assert set(seen.unique().tolist()) == {0.0, 1.0}
    standard_error = (DROPPED * (1 - DROPPED) / seen.numel()) ** 0.5
    assert abs(1 - seen.mean() - DROPPED) < 4 * standard_error


def test_the_loss_ignores_pixels_that_were_seen() -> None:
    rng = Generator().manual_seed(0)
    noisy, predicted, other = torch.rand(3, 1, 1, 20, 20, generator=rng)
    seen = random_mask(noisy, rng)
    loss = loss_of_dropped(predicted, noisy, seen)
    changed = torch.where(seen > 0, other, noisy)
    assert torch.equal(loss_of_dropped(predicted, changed, seen), loss)
    assert not torch.equal(loss_of_dropped(predicted, other, seen), loss)
    torch.testing.assert_close(loss, (predicted - noisy)[seen == 0].square().mean())


def test_the_prediction_does_not_depend_on_dropped_pixels() -> None:
    """Not even on those beside the border, which are repeated around the image."""
    rng = Generator().manual_seed(0)
    noisy, other = torch.rand(2, 1, 1, 33, 40, generator=rng)
    seen = random_mask(noisy, rng)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = PartialUNet(1).eval()  # the same whichever features dropout takes away
    with torch.no_grad():
        first = network(noisy, seen)
        assert torch.equal(network(torch.where(seen > 0, noisy, other), seen), first)
        assert not torch.equal(network(torch.where(seen > 0, other, noisy), seen), first)


@pytest.mark.parametrize("channels", [1, 3])
def test_a_partial_average_of_a_constant_image_with_holes_is_constant(channels: int) -> None:
    rng = Generator().manual_seed(0)
    with torch.random.fork_rng():
        average = PartialConvolution(channels, 2)
    torch.nn.init.constant_(average.sum.weight, 1 / (9 * channels))
    seen = random_mask(torch.zeros(1, channels, 20, 21), rng)
    image = torch.where(seen > 0, 0.7, torch.rand(seen.shape, generator=rng))
    output, seen_after = average(image, seen)
    assert seen_after.mean() > 0.95  # in few windows everything is dropped
    torch.testing.assert_close(output, 0.7 * seen_after.expand_as(output))


def test_a_partial_convolution_without_holes_is_a_convolution() -> None:
    with torch.random.fork_rng():
        layer = PartialConvolution(3, 4)
    image = torch.rand(1, 3, 12, 13, generator=Generator().manual_seed(0))
    output, seen = layer(image, torch.ones_like(image))
    wide = torch.nn.functional.pad(image, (1, 1, 1, 1), mode="replicate")
    torch.testing.assert_close(output, layer.sum(wide))
    assert seen.all()


def test_a_window_without_pixels_gives_the_additive_constant() -> None:
    with torch.random.fork_rng():
        layer = PartialConvolution(1, 2)
    torch.nn.init.constant_(layer.constant, 0.25)
    seen = torch.zeros(1, 1, 9, 9)
    seen[..., 0, 0] = 1
    output, seen_after = layer(torch.ones(1, 1, 9, 9), seen)
    assert seen_after.sum() == 4  # the pixel and its neighbours
    assert (output[..., 2:, 2:] == 0.25).all()

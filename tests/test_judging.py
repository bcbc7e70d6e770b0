"""The judge counts the held-out pixels, and its standard error is honest."""

import pytest
import torch
from torch import Generator

from gaintuning._types import Denoiser, Images
from gaintuning.judging import (
    compare,
    judged_pieces,
    masked_mean,
    pixel_losses,
    split_pixels,
)
from gaintuning.objectives import Sure

SIGMA = 0.2


def test_the_standard_error_of_a_comparison_is_honest() -> None:
    """Over many images of one kind, the estimated fall varies as much as it says."""
    rng = Generator().manual_seed(0)
    falls, errors = [], []
    for seed in range(400):
        noisy = (0.3**2 + SIGMA**2) ** 0.5 * torch.randn(1, 1, 96, 96, generator=rng)
        before, after = (
            pixel_losses(denoiser, noisy, Sure(SIGMA), seed)
            for denoiser in (lambda y: y, lambda y: 0.6 * y)
        )
        risk = compare(before, after)
        falls.append(risk.before - risk.after)
        errors.append(risk.standard_error)
    # The spread of 400 draws is itself known to 1 in 28, the mean of the errors better.
    assert abs(torch.tensor(falls).std() / torch.tensor(errors).mean() - 1) < 4 / 28


@pytest.mark.parametrize("size", [(513, 513), (1030, 2050)])
def test_a_large_image_is_judged_on_crops_whose_number_does_not_grow(
    size: tuple[int, int],
) -> None:
    noisy = torch.randn(1, 1, *size, generator=Generator().manual_seed(0))

    def distance(denoiser: Denoiser, noisy: Images, _rng: Generator) -> Images:
        return (denoiser(noisy) - 2 * noisy).square()

    losses = pixel_losses(lambda images: images, noisy, distance, 0)
    assert [tuple(piece.shape) for piece in losses] == [(1, 1, 256, 256)] * 4
    for piece, there in zip(losses, judged_pieces(noisy, 0), strict=True):
        torch.testing.assert_close(piece, there.double().square())
    # Of so many squares of a normal number, the mean has a standard error of sqrt(2 / count).
    assert abs(compare(losses, losses).before - 1) < 4 * (2 / 512**2) ** 0.5


def test_a_small_image_is_judged_as_a_whole() -> None:
    noisy = torch.randn(1, 1, 64, 64, generator=Generator().manual_seed(0))
    (losses,) = pixel_losses(
        lambda images: images, noisy, lambda denoiser, images, _: (2 * denoiser(images)) ** 2, 0
    )
    torch.testing.assert_close(losses, (2 * noisy.double()) ** 2)


def test_what_is_not_held_out_does_not_count() -> None:
    noisy = torch.randn(2, 1, 128, 160, generator=Generator().manual_seed(0))
    mask = split_pixels(noisy, Generator().manual_seed(0))[1]

    def squares(denoiser: Denoiser, images: Images, _rng: Generator) -> Images:
        return denoiser(images).square()

    before = pixel_losses(lambda images: images, noisy, squares, 0)
    elsewhere = torch.where(mask > 0, noisy, 100.0)
    after = pixel_losses(lambda _: elsewhere[:1], noisy[:1], squares, 0)
    risk = compare(before[:1], after, judged_pieces(mask[:1], 0))
    assert risk.before == pytest.approx(float(noisy[:1].square()[mask[:1] > 0].mean()))
    assert risk.after == pytest.approx(risk.before)
    assert risk.standard_error == 0


@pytest.mark.parametrize("shape", [(1, 1, 32, 32), (3, 1, 100, 131), (1, 3, 200, 300)])
def test_of_few_pixels_a_quarter_is_held_out_everywhere_alike(shape: tuple[int, ...]) -> None:
    images = torch.zeros(shape)
    learn, judge, unseen = split_pixels(images, Generator().manual_seed(0))
    assert torch.equal(judge, unseen)
    assert judge.shape == (shape[0], 1, *shape[2:])
    assert set(judge.unique().tolist()) == {0.0, 1.0}
    assert torch.equal(learn, 1 - judge)
    assert abs(judge.float().mean() - 0.25) < 0.08
    other = split_pixels(images, Generator().manual_seed(1))[1]
    assert not torch.equal(judge, other)


def test_of_many_pixels_one_block_in_sixteen_is_never_seen_and_all_judge() -> None:
    images = torch.zeros(1, 1, 300, 400)
    learn, judge, unseen = split_pixels(images, Generator().manual_seed(0))
    assert (judge == 1).all()
    assert torch.equal(learn, 1 - unseen)
    assert abs(unseen.float().mean() - 1 / 16) < 0.02


def test_the_mean_over_a_mask_is_that_of_its_pixels() -> None:
    rng = Generator().manual_seed(0)
    losses, mask = torch.rand(2, 3, 40, 48, generator=rng), torch.zeros(2, 1, 40, 48)
    mask[0, :, 8:24] = 1
    torch.testing.assert_close(masked_mean(losses, mask), losses[0, :, 8:24].mean())
    # Of losses at half the size, the mask follows.
    half = torch.nn.functional.avg_pool2d(losses, 2)
    torch.testing.assert_close(masked_mean(half, mask), half[0, :, 4:12].mean())
    assert masked_mean(losses, 0 * mask) == 0


def test_several_draws_of_a_probe_make_the_judge_surer() -> None:
    noisy = SIGMA * torch.randn(1, 1, 64, 64, generator=Generator().manual_seed(0))

    def spread(draws: int) -> float:
        # With the image fixed, only the probe of a denoiser that mixes pixels varies.
        blur = torch.nn.AvgPool2d(3, 1, 1)
        means = [
            compare(losses, losses).before
            for seed in range(60)
            for losses in [pixel_losses(blur, noisy, Sure(SIGMA), seed, draws)]
        ]
        return float(torch.tensor(means).std())

    assert spread(4) < 0.7 * spread(1)

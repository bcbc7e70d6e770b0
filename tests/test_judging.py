"""The judge is not fooled by what was learned, and its standard error is honest."""

import pytest
import torch
from torch import Generator

from gaintuning._types import Denoiser, Images
from gaintuning.judging import JUDGED, compare, judged_pieces, losses_unseen, pixel_losses
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


def test_an_error_that_all_blocks_share_adds_to_the_standard_error() -> None:
    losses = [torch.rand(1, 1, 64, 64, generator=Generator().manual_seed(seed)) for seed in (0, 1)]
    alone = compare(losses[:1], losses[1:])
    shared = compare(losses[:1], losses[1:], off_by=-3 * alone.standard_error)
    assert shared.standard_error == pytest.approx(10**0.5 * alone.standard_error)
    assert (shared.before, shared.after) == (alone.before, alone.after)


@pytest.mark.parametrize(
    "shape", [(1, 513, 513), (1, 1030, 2050), (1, 64, 9000), (29, 96, 96), (3, 512, 700)]
)
def test_as_much_of_a_large_image_is_judged_as_of_a_smaller_one(
    shape: tuple[int, int, int],
) -> None:
    count, *size = shape
    rng = Generator().manual_seed(0)
    noisy = torch.randn(count, 1, *size, generator=rng, dtype=torch.float64)

    def distance(denoiser: Denoiser, noisy: Images, _rng: Generator) -> Images:
        return (denoiser(noisy) - 2 * noisy).square()

    losses = pixel_losses(lambda images: images, noisy, distance, 0)
    judged = torch.cat([piece.flatten() for piece in losses])
    assert 0.8 * JUDGED < judged.numel() < 1.2 * JUDGED
    assert len(judged.unique()) == judged.numel()  # no pixel counts twice
    for piece, there in zip(losses, judged_pieces(noisy, 0), strict=True):
        torch.testing.assert_close(piece, there.double().square())
    # Of so many squares of a normal number, the mean has a standard error of sqrt(2 / count).
    assert abs(compare(losses, losses).before - 1) < 4 * (2 / 512**2) ** 0.5


def test_colors_that_go_together_make_a_comparison_no_surer() -> None:
    rng = Generator().manual_seed(0)
    before, after = torch.rand(2, 1, 1, 64, 64, generator=rng)
    gray = compare([before], [after])
    color = compare([before.expand(1, 3, 64, 64)], [after.expand(1, 3, 64, 64)])
    assert color.standard_error == pytest.approx(gray.standard_error)


def test_a_small_image_is_judged_as_a_whole() -> None:
    noisy = torch.randn(1, 1, 64, 64, generator=Generator().manual_seed(0))
    (losses,) = pixel_losses(
        lambda images: images, noisy, lambda denoiser, images, _: (2 * denoiser(images)) ** 2, 0
    )
    torch.testing.assert_close(losses, (2 * noisy.double()) ** 2)


def test_the_unseen_loss_of_a_mean_is_what_it_would_be_on_new_noise() -> None:
    """Least squares by half of the pixels each, with enough numbers to learn much of the noise."""
    rng = Generator().manual_seed(0)
    features = torch.randn(32 * 32, 60, generator=rng, dtype=torch.float64)
    truth = features @ (0.1 * torch.randn(60, generator=rng, dtype=torch.float64))
    of_black = torch.zeros(1, 1, 32, 32)
    of_black[..., :16] = 1
    is_black = of_black.flatten() > 0.5
    told, seen, true = [], [], []
    for _ in range(200):
        target = truth + torch.randn(32 * 32, generator=rng, dtype=torch.float64)
        black, white = (
            torch.linalg.lstsq(features[half], target[half, None]).solution[:, 0]
            for half in (is_black, ~is_black)
        )
        losses = [
            [(features @ weights - target).square().reshape(1, 1, 32, 32)]
            for weights in (black, white, (black + white) / 2)
        ]
        told.append(losses_unseen(*losses, [of_black])[0].mean())
        seen.append(losses[2][0].mean())
        true.append((features @ ((black + white) / 2) - truth).square().mean() + 1)
    told, seen, true = (torch.stack(each) for each in (told, seen, true))
    chance = (told - true).std() / len(told) ** 0.5
    assert chance < 0.01  # the test has power
    assert (told - true).mean().abs() < 4 * chance
    assert (seen - true).mean() < -10 * chance


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

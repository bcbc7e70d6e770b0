"""Steps as long as the gradients are certain, and none where they are noise."""

import pytest
import torch
from torch import Generator, Tensor, nn

from gaintuning.descent import ConfirmedAdam


def descend(target: float, noise: float, steps: int, size: int = 400) -> tuple[Tensor, float]:
    """Where the descent of |position - target|^2 / 2 from 1 ends, and the path's length."""
    rng = Generator().manual_seed(0)
    position = nn.Parameter(torch.ones(size))
    descent = ConfirmedAdam([position], rate=0.01)
    length = 0.0
    for _ in range(steps):
        before = position.detach().clone()
        position.grad = before - target + noise * torch.randn(size, generator=rng)
        descent.step()
        length += float((position.detach() - before).abs().mean())
    return descent.settled(), length


@pytest.mark.parametrize("target", [0.99, 0.9, 0.5, 2.0])
def test_one_rate_reaches_what_is_near_and_what_is_far(target: float) -> None:
    found, _ = descend(target, noise=0.0, steps=60)
    assert (found - target).abs().max() < 0.1 * abs(target - 1)


def test_pure_noise_moves_little() -> None:
    _, by_noise = descend(1.0, noise=1.0, steps=30)
    _, by_signal = descend(0.0, noise=0.0, steps=30)
    assert by_noise < 0.05 * by_signal


def test_a_signal_below_the_noise_is_found() -> None:
    """Of one gradient the noise is twice the signal; the mean of all ends much nearer."""
    found, _ = descend(0.9, noise=0.2, steps=60)
    assert abs(found.mean() - 0.9) < 0.02
    assert (found - 0.9).square().mean() < 0.5 * 0.1**2


def test_the_scale_of_the_loss_does_not_matter() -> None:
    ends = []
    for scale in (1e-6, 1.0, 1e6):
        position = nn.Parameter(torch.linspace(0.5, 1.5, 30))
        descent = ConfirmedAdam([position], rate=0.01)
        for _ in range(20):
            position.grad = scale * (position.detach() - 1)
            descent.step()
        ends.append(position.detach().clone())
    torch.testing.assert_close(ends[0], ends[1], rtol=0, atol=1e-5)
    torch.testing.assert_close(ends[2], ends[1], rtol=0, atol=1e-5)


def test_what_no_gradient_asks_to_move_stays() -> None:
    still, moved = nn.Parameter(torch.ones(3)), nn.Parameter(torch.ones(3))
    descent = ConfirmedAdam([still, moved], rate=0.01)
    for _ in range(10):
        still.grad, moved.grad = torch.zeros(3), moved.detach() - 0.5
        descent.step()
    descent.move_to(descent.settled())
    assert torch.equal(still, torch.ones(3))
    assert (moved < 1).all()


def test_a_filters_numbers_move_in_proportion_to_their_size() -> None:
    large, small = (nn.Parameter(torch.full((2, 4, 3, 3), size)) for size in (1.0, 0.01))
    descent = ConfirmedAdam([large, small], rate=0.01)
    for _ in range(8):
        large.grad, small.grad = torch.ones_like(large), torch.ones_like(small)
        descent.step()
    assert (1 - large.detach()).mean() > 1e-3
    torch.testing.assert_close(
        0.01 - small.detach(), 0.01 * (1 - large.detach()), rtol=1e-3, atol=1e-7
    )

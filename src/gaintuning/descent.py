"""Adam that asks of each gradient whether it confirms those before it."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

MOMENTUM = 0.8
MEMORY = 0.9
WARMUP = 4
AVERAGING = 0.7

ENOUGH = 0.3
"""With this part of the momentum confirmed, the rate stays as it is."""

GROWTH = 0.25
LARGEST_GROWTH = 5.0
SMALLEST = 1e-12


class ConfirmedAdam:
    """Adam (Kingma & Ba 2015) whose steps are as long as its gradients are certain.

    The gradient of an unsupervised loss is hardly noise where a network is far from what an image
    needs, and mostly noise where it is near. With m the running mean of the gradients g, v the mean
    of their squares, and <a, b> = sum(a b / v),

        confirmed = sum_t <g_t, m_(t-1)> / sum_t <m_(t-1), m_(t-1)>

    over the last steps is the part of m that is not noise, since the noise of g_t is its own. A
    step is `rate * confirmed * m / sqrt(v)`. The rate grows while much is confirmed, and falls once
    little is: the minimum is near then, or was passed. The result is the running mean of the
    parameters, which wanders less than they do.

    All numbers stay tensors, so that nothing here waits for a device.

    Parameters
    ----------
    parameters : what to move, in place.
    rate : of the first steps, for gains. A tensor of filters moves by less: in proportion to the
        size of its numbers, and to one over the root of how many make a filter.

    Examples
    --------
    >>> position = nn.Parameter(torch.ones(50))
    >>> descent = ConfirmedAdam([position], rate=0.02)
    >>> for _ in range(60):
    ...     position.grad = position.detach() - 0.8
    ...     descent.step()
    >>> bool((descent.settled() - 0.8).abs().max() < 0.02)
    True
    """

    def __init__(self, parameters: Sequence[nn.Parameter], rate: float) -> None:
        self.parameters = parameters
        self.average = self.positions()
        self.scale = torch.cat([_scale(each).expand(each.numel()) for each in parameters])
        self.mean = torch.zeros_like(self.average)
        self.square = torch.zeros_like(self.average)
        self.rate = self.average.new_tensor(rate)
        self.largest_rate = LARGEST_GROWTH * rate
        self.confirmed = self.possible = self.average.new_zeros(())
        self.steps = 0

    @torch.no_grad()
    def step(self) -> None:
        """Move the parameters by their gradients."""
        gradient = torch.cat([_gradient(each).flatten() for each in self.parameters])
        self.steps += 1
        self.square.lerp_(gradient.square(), 1 / self.steps)
        part = self._confirm(gradient)
        self.mean.lerp_(gradient, 1 - MOMENTUM)
        if self.steps > WARMUP:
            grown = self.rate * torch.exp(GROWTH * (part - ENOUGH))
            self.rate = grown.clamp(max=self.largest_rate)
        length = self.rate * part * min(1.0, self.steps / WARMUP)
        positions = self.positions()
        positions -= length * self.scale * self.mean / (self.square.sqrt() + SMALLEST)
        self.move_to(positions)
        self.average.lerp_(positions, 1 - AVERAGING)

    def settled(self) -> Float[Tensor, " n"]:
        """The running mean of the positions."""
        return self.average.clone()

    def _confirm(self, gradient: Tensor) -> Float[Tensor, ""]:
        """The part of the momentum that the gradients confirm."""
        weight = 1 / (self.square + SMALLEST**2)
        self.confirmed = MEMORY * self.confirmed + (weight * gradient * self.mean).sum()
        self.possible = MEMORY * self.possible + (weight * self.mean.square()).sum()
        # As if the momentum had once been noise alone: nothing is believed at first sight.
        noise = len(gradient) * (1 - MOMENTUM) / (1 + MOMENTUM)
        return (self.confirmed / (self.possible + noise)).clamp(0, 1)

    def positions(self) -> Float[Tensor, " n"]:
        """Where the parameters are, in one row."""
        return torch.cat([each.detach().flatten() for each in self.parameters])

    @torch.no_grad()
    def move_to(self, positions: Float[Tensor, " n"]) -> None:
        """Put the parameters somewhere else; the next step goes on from there."""
        sizes = [each.numel() for each in self.parameters]
        for each, values in zip(self.parameters, positions.split(sizes), strict=True):
            each.copy_(values.view_as(each))


def _gradient(parameter: nn.Parameter) -> Tensor:
    """0 for one that the network has but does not use."""
    return torch.zeros_like(parameter) if parameter.grad is None else parameter.grad


def _scale(parameter: nn.Parameter) -> Tensor:
    """How far one number may move for a gain's 1: not at all the same for a filter's."""
    size = parameter.detach().square().mean().sqrt().clamp(min=1e-3)
    filters = len(parameter) if parameter.dim() else 1
    in_a_filter: float = (parameter.numel() / filters) ** 0.5
    return size / in_a_filter

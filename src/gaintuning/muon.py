"""Muon (Jordan et al. 2024) for the filters of convolutions."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Muon


class FilterMuon(Muon):
    """Muon, which moves a matrix along the nearest orthogonal one to its mean gradient.

    The filters of a convolution, (outputs, inputs, height, width), are such a matrix with a row
    for each first index.

    Parameters
    ----------
    filters : four axes each, stored channels last (`layout.lay_out_network`).

    Examples
    --------
    >>> from gaintuning.layout import lay_out_network
    >>> layer = lay_out_network(nn.Conv2d(8, 4, 3, bias=False))
    >>> optimizer = FilterMuon([layer.weight])
    >>> layer(torch.ones(1, 8, 3, 3)).sum().backward()
    >>> before = layer.weight.clone()
    >>> optimizer.step()
    >>> bool((layer.weight == before).any())
    False
    """

    def __init__(self, filters: Sequence[nn.Parameter]) -> None:
        self._filters = list(filters)
        matrices = [nn.Parameter(_matrix(parameter.data)) for parameter in filters]
        super().__init__(matrices, weight_decay=0.0, momentum=0.95, adjust_lr_fn="match_rms_adamw")

    def zero_grad(self, set_to_none: bool = True) -> None:
        for parameter in self._filters:
            parameter.grad = None
        super().zero_grad(set_to_none)

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for matrix, parameter in zip(group["params"], self._filters, strict=True):
                matrix.grad = None if parameter.grad is None else _matrix(parameter.grad)
        # torch does not annotate `step`.
        super().step()  # type: ignore[no-untyped-call]
        return loss


def filters_and_rest(network: nn.Module) -> tuple[list[nn.Parameter], list[nn.Parameter]]:
    """The filters between hidden channels, and all other parameters of a network.

    Examples
    --------
    >>> from gaintuning.networks import DnCNN
    >>> filters, rest = filters_and_rest(DnCNN(depth=5))
    >>> len(filters), len(rest)
    (3, 13)
    """
    filters: list[nn.Parameter] = []
    rest: list[nn.Parameter] = []
    for parameter in network.parameters():
        hidden = parameter.dim() == 4 and min(parameter.shape[:2]) > 4
        (filters if hidden else rest).append(parameter)
    return filters, rest


def _matrix(filters: Tensor) -> Tensor:
    """A view, so that a step on the matrix is a step on the filters."""
    return filters.permute(0, 2, 3, 1).view(len(filters), -1)

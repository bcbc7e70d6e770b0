"""Muon moves filters along orthogonal matrices, and nothing else."""

from collections.abc import Callable
from copy import deepcopy

import pytest
import torch
from torch import Generator, Tensor, nn

from gaintuning.layout import lay_out_network
from gaintuning.muon import FilterMuon, filters_and_rest
from gaintuning.networks import BlindSpotNet, DnCNN, UNet

RATE = 0.01
# The fifth-order iteration of Muon does not end at 1: what it finds has singular values in a band
# around it, for every matrix that is not nearly singular.
LOWEST, HIGHEST = 0.5, 1.5
SHAPES = [(8, 8, 3, 3), (8, 24, 1, 1), (80, 8, 3, 3), (6, 5, 3, 5)]


def normal(shape: tuple[int, ...], seed: int) -> Tensor:
    """Stored channels last, as the gradient of a filter that is."""
    numbers = torch.randn(shape, generator=Generator().manual_seed(seed))
    return numbers.contiguous(memory_format=torch.channels_last)


def filters_at(*shapes: tuple[int, ...]) -> list[nn.Parameter]:
    filters = [nn.Parameter(normal(shape, seed=index)) for index, shape in enumerate(shapes)]
    for index, parameter in enumerate(filters):
        parameter.grad = normal(tuple(parameter.shape), seed=100 + index)
    return filters


def muon(filters: list[nn.Parameter]) -> FilterMuon:
    optimizer = FilterMuon(filters)
    for group in optimizer.param_groups:
        group["lr"] = RATE
    return optimizer


def first_step(shape: tuple[int, ...], factor: float = 1.0) -> tuple[Tensor, Tensor]:
    """Minus the change of a filter, and its gradient, as matrices."""
    (parameter,) = filters_at(shape)
    assert parameter.grad is not None
    parameter.grad *= factor
    before = parameter.detach().clone()
    muon([parameter]).step()
    return (before - parameter.detach()).flatten(1), parameter.grad.flatten(1)


@pytest.mark.parametrize("shape", SHAPES)
def test_a_step_is_nearly_orthogonal_and_as_long_as_one_of_adam(shape: tuple[int, ...]) -> None:
    step, _ = first_step(shape)
    # The rate of Muon is so scaled that the numbers in a step have the size 0.2 that is usual
    # with Adam (Liu et al. 2025).
    singular = torch.linalg.svdvals(step) / (RATE * 0.2 * max(step.shape) ** 0.5)
    assert singular.min() > LOWEST
    assert singular.max() < HIGHEST
    assert LOWEST < step.square().mean().sqrt() / (0.2 * RATE) < HIGHEST


@pytest.mark.parametrize("shape", SHAPES)
def test_a_step_goes_along_the_orthogonal_matrix_nearest_to_the_gradient(
    shape: tuple[int, ...],
) -> None:
    step, gradient = first_step(shape)
    left, singular, right = torch.linalg.svd(gradient, full_matrices=False)
    # In the axes of the gradient the step is diagonal, but for its rounding to eight bits.
    turned = left.T @ step @ right.T / (RATE * 0.2 * max(step.shape) ** 0.5)
    diagonal = turned.diagonal()
    assert diagonal.min() > LOWEST
    assert diagonal.max() < HIGHEST
    assert (turned - diagonal.diag()).abs().max() < 0.1
    assert singular.max() / singular.min() > 1.3  # the test has power: the gradient is not so


@pytest.mark.parametrize("factor", [2.0**-12, 2.0, 2.0**12])
def test_the_size_of_the_gradient_does_not_matter(factor: float) -> None:
    # By powers of two, which change no digit of a gradient.
    assert torch.equal(first_step(SHAPES[0], factor)[0], first_step(SHAPES[0])[0])


def test_a_step_turns_with_the_sign_of_the_gradient() -> None:
    torch.testing.assert_close(first_step(SHAPES[0], -1.0)[0], -first_step(SHAPES[0])[0])


def test_the_filters_move_themselves_and_not_copies_of_them() -> None:
    with torch.random.fork_rng():
        layer = lay_out_network(nn.Conv2d(8, 6, 3, bias=False))
    before = [(parameter, parameter.data_ptr()) for parameter in layer.parameters()]
    images = normal((2, 8, 5, 5), seed=0)
    output = layer(images).detach()
    optimizer = muon(list(layer.parameters()))
    layer(images).square().sum().backward()
    optimizer.step()
    assert not torch.equal(layer(images), output)
    assert layer(images).square().sum() < output.square().sum()
    for parameter, (same, place) in zip(layer.parameters(), before, strict=True):
        assert parameter is same
        assert parameter.data_ptr() == place


def test_each_filter_moves_by_its_own_gradient() -> None:
    filters = filters_at(*SHAPES)
    muon(filters).step()
    for index, shape in enumerate(SHAPES):
        alone = filters_at(*SHAPES)[index]
        muon([alone]).step()
        assert torch.equal(filters[index], alone), shape


def test_a_filter_without_a_gradient_stays() -> None:
    moved, stays = filters_at(SHAPES[0], SHAPES[0])
    stays.grad = None
    before = stays.detach().clone(), moved.detach().clone()
    muon([moved, stays]).step()
    assert torch.equal(stays, before[0])
    assert not torch.equal(moved, before[1])


def test_after_zero_grad_nothing_moves() -> None:
    filters = filters_at(*SHAPES)
    optimizer = muon(filters)
    optimizer.step()
    optimizer.zero_grad()
    assert all(parameter.grad is None for parameter in filters)
    before = [parameter.detach().clone() for parameter in filters]
    optimizer.step()
    for parameter, earlier in zip(filters, before, strict=True):
        assert torch.equal(parameter, earlier)


def test_a_rate_of_zero_moves_nothing() -> None:
    (parameter,) = filters_at(SHAPES[0])
    before = parameter.detach().clone()
    optimizer = muon([parameter])
    optimizer.param_groups[0]["lr"] = 0.0
    optimizer.step()
    assert torch.equal(parameter, before)


def advance(optimizer: FilterMuon, filters: list[nn.Parameter], steps: range) -> None:
    for step in steps:
        for index, parameter in enumerate(filters):
            parameter.grad = normal(tuple(parameter.shape), seed=1000 * step + index)
        optimizer.step()


def test_a_saved_state_goes_on_to_the_same_filters() -> None:
    through = filters_at(*SHAPES)
    optimizer = muon(through)
    advance(optimizer, through, range(1, 4))
    resumed = [nn.Parameter(parameter.detach().clone()) for parameter in through]
    other = FilterMuon(resumed)
    # As from a file: torch's optimizers hand out their state itself.
    other.load_state_dict(deepcopy(optimizer.state_dict()))
    forgetful = [nn.Parameter(parameter.detach().clone()) for parameter in through]
    advance(optimizer, through, range(4, 6))
    advance(other, resumed, range(4, 6))
    advance(muon(forgetful), forgetful, range(4, 6))
    for parameter, same, different in zip(through, resumed, forgetful, strict=True):
        assert torch.equal(parameter, same)
        assert not torch.equal(parameter, different)


def test_a_closure_is_called_before_its_gradients_are_used() -> None:
    (expected,) = filters_at(SHAPES[0])
    muon([expected]).step()
    (parameter,) = filters_at(SHAPES[0])
    gradient, parameter.grad = parameter.grad, None

    def closure() -> float:
        parameter.grad = gradient
        return 7.0

    assert muon([parameter]).step(closure) == 7.0
    assert torch.equal(parameter, expected)


@pytest.mark.parametrize(
    "build",
    [
        DnCNN,
        lambda: DnCNN(bias=False, features=3),
        UNet,
        lambda: UNet(channels=3, bias=False),
        BlindSpotNet,
    ],
    ids=["DnCNN", "narrow BFCNN", "UNet", "color UNet", "BlindSpotNet"],
)
def test_each_parameter_is_either_a_filter_or_of_the_rest(build: Callable[[], nn.Module]) -> None:
    with torch.device("meta"):
        network = build()
    filters, rest = filters_and_rest(network)
    parameters = list(network.parameters())
    assert len(filters) + len(rest) == len(parameters)
    assert {id(each) for each in (*filters, *rest)} == {id(each) for each in parameters}
    assert all(parameter.dim() == 4 for parameter in filters)


@pytest.mark.parametrize("network", [DnCNN, UNet, BlindSpotNet])
def test_the_filters_are_those_between_hidden_channels(network: type[nn.Module]) -> None:
    with torch.device("meta"):
        built = network()
    convolutions = [
        module.weight
        for module in built.modules()
        if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d))
        and min(module.in_channels, module.out_channels) > 4
    ]
    assert len(convolutions) > 2
    assert {id(each) for each in filters_and_rest(built)[0]} == {id(each) for each in convolutions}

"""A convolution of few output channels is the same one, computed in squares."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Generator, nn

from gaintuning.narrow import convolve_squares, side_of_squares


@given(
    channels=st.tuples(st.integers(1, 5), st.integers(1, 4)),
    size=st.tuples(st.integers(5, 19), st.integers(5, 19)),
    kernel=st.tuples(st.integers(1, 5), st.integers(1, 5)),
    padding=st.tuples(st.integers(0, 3), st.integers(0, 3)),
    side=st.sampled_from([2, 4]),
    constant=st.booleans(),
    seed=st.integers(0, 2**32 - 1),
)
def test_squares_are_the_convolution(
    channels: tuple[int, int],
    size: tuple[int, int],
    kernel: tuple[int, int],
    padding: tuple[int, int],
    side: int,
    constant: bool,
    seed: int,
) -> None:
    rng = Generator().manual_seed(seed)
    seen, made = channels
    features = torch.rand(2, seen, *size, generator=rng, dtype=torch.double)
    filters = torch.rand(made, seen, *kernel, generator=rng, dtype=torch.double)
    constants = torch.rand(made, generator=rng, dtype=torch.double) if constant else None
    expected = torch.conv2d(features, filters, constants, padding=padding)
    found = convolve_squares(features, filters, constants, padding, side)
    assert torch.allclose(found, expected, rtol=1e-12)


@pytest.mark.parametrize(
    "layer",
    [
        nn.Conv2d(8, 8, 3),
        nn.Conv2d(8, 1, 1),
        nn.Conv2d(8, 1, 3, stride=2),
        nn.Conv2d(8, 1, 3, dilation=2),
        nn.Conv2d(2, 2, 3, groups=2),
        nn.Conv2d(8, 1, 3, padding="same"),
        nn.Conv2d(8, 1, 3, padding=1, padding_mode="reflect"),
        nn.ConvTranspose2d(8, 1, 3),
        nn.Conv1d(8, 1, 3),
        nn.Linear(8, 1),
    ],
    ids=str,
)
def test_others_are_left_as_they_are(layer: nn.Module) -> None:
    assert side_of_squares(layer) == 1

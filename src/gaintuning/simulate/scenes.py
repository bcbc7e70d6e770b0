"""Many scenes from one seed."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from gaintuning._types import Images

Scene = Callable[[int, np.random.Generator], NDArray[Any]]


def scenes(scene: Scene, count: int, size: int, seed: int, *, smallest: int) -> Images:
    """So many of a kind, each from random numbers of its own, so that fewer are the first ones.

    Parameters
    ----------
    scene : makes one, of `size` pixels a side, with gray levels from 0 to 255.

    Returns
    -------
    (count, 1, size, size), in [0, 1]

    Examples
    --------
    >>> scenes(lambda size, rng: rng.integers(256, size=(size, size)), 3, 16, 0, smallest=8).shape
    torch.Size([3, 1, 16, 16])
    """
    if count < 1 or size < smallest or seed < 0:
        raise ValueError(
            f"count must be at least 1, size at least {smallest} and seed at least 0, got "
            f"{count}, {size} and {seed}"
        )
    seeds = np.random.SeedSequence(seed).spawn(count)
    made = np.stack([scene(size, np.random.default_rng(child)) for child in seeds])
    return torch.from_numpy(made)[:, None].float() / 255

"""Random numbers that nobody's noise is made of."""

import numpy as np
from torch import Generator


def generator(*words: int) -> Generator:
    """A source of random numbers, on the CPU, for non-negative integers that name it.

    Who simulates noise has seeded torch with 0 or 1 more often than not. Probes drawn from the same
    seed are that very noise, and what they estimate is wrong; so a seed is never taken as it is.

    Raises
    ------
    ValueError : a negative one.

    Examples
    --------
    >>> import torch
    >>> noise, probes = torch.Generator().manual_seed(0), generator(0)
    >>> together = torch.randn(10_000, generator=noise) * torch.randn(10_000, generator=probes)
    >>> bool(together.mean().abs() < 0.05)
    True
    """
    if min(words) < 0:
        raise ValueError(f"a seed is 0 or above, got {min(words)}")
    seed = np.random.SeedSequence(words).generate_state(1, np.uint64)[0]
    return Generator().manual_seed(int(seed >> np.uint64(1)))

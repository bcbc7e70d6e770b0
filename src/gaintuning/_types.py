"""The words that signatures share."""

from collections.abc import Callable
from typing import Any, Protocol, TypeAlias, runtime_checkable

import numpy as np
from jaxtyping import Float
from torch import Generator, Tensor

Images: TypeAlias = Float[Tensor, "n c h w"]

Denoiser: TypeAlias = Callable[[Tensor], Tensor]
"""Any map from `Images` to `Images` of the same shape."""

Progress: TypeAlias = Callable[[int, int], None]
"""Called with the number of steps done and the number of steps in all."""


@runtime_checkable
class Pixels(Protocol):
    """Pixels that may still be in a file: parts of them are arrays once numpy.asarray is called."""

    @property
    def shape(self) -> tuple[int, ...]: ...

    @property
    def dtype(self) -> np.dtype[Any]: ...

    def __getitem__(self, part: Any) -> Any: ...


@runtime_checkable
class Objective(Protocol):
    """An unsupervised loss: what `tune` minimises, computed from the noisy image alone.

    It returns the loss of every pixel, whose mean is the objective. The pixels are kept apart
    because the decision to keep what tuning found needs the standard error of that mean.
    """

    def __call__(self, denoiser: Denoiser, noisy: Images, rng: Generator) -> Images: ...

"""What a denoiser does to one image, seen as a linear map: f(y) = A y + b near y (section 6).

A is the Jacobian of f at y, and b what is left. A row of A holds the weights with which the noisy
pixels make one denoised pixel; without additive constants, b is zero (Mohan et al. 2020).
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Generator, Tensor
from torch.autograd.functional import jvp
from torch.nn.functional import unfold

from gaintuning._types import Denoiser, Images
from gaintuning.divergence import random_signs


def equivalent_filter(
    denoiser: Denoiser, noisy: Images, row: int, column: int
) -> Float[Tensor, "c h w"]:
    """The weights of all noisy pixels in one denoised pixel: a row of the Jacobian.

    Parameters
    ----------
    denoiser : f
    noisy : (1, c, h, w); of several channels, the first one's pixel.
    row, column : of the denoised pixel.

    Raises
    ------
    ValueError : there are more images than one, or no such pixel.

    Examples
    --------
    >>> noisy = torch.rand(1, 1, 5, 5)
    >>> equivalent_filter(lambda y: y / 2, noisy, 2, 3).nonzero().tolist()
    [[0, 2, 3]]
    """
    n, _, height, width = noisy.shape
    if n != 1:
        raise ValueError(f"one image is looked at at a time, got {n}; give them one by one")
    if not (0 <= row < height and 0 <= column < width):
        raise ValueError(
            f"there is no pixel ({row}, {column}) in an image of {height} x {width} pixels"
        )
    seen = noisy.detach().clone().requires_grad_()
    (weights,) = torch.autograd.grad(denoiser(seen)[0, 0, row, column], seen)
    return weights[0]


def net_bias(denoiser: Denoiser, noisy: Images) -> Images:
    """The constant b = f(y) - A y of the local affine map.

    Examples
    --------
    >>> net_bias(lambda y: y / 2 + 3, torch.rand(1, 1, 1, 2))
    tensor([[[[3., 3.]]]])
    """
    denoised, linear = jvp(denoiser, noisy, noisy)
    bias: Tensor = denoised - linear
    return bias


def effective_dimension(
    denoiser: Denoiser, noisy: Images, *, probes: int = 16, rng: Generator
) -> tuple[float, float]:
    """The sum of the squared singular values of A, and the standard error of this estimate.

    Of a projection it is the number of dimensions that pass; of a denoiser, the part of the noise
    that does: sigma^2 times it is the squared norm of what is left of the noise. For signs v at
    random, the mean of |A v|^2 is the sum that is asked for (Hutchinson 1989).

    Parameters
    ----------
    denoiser : f
    noisy : (n, c, h, w)
    probes : how many v are drawn.
    rng : source of randomness, on the CPU.

    Examples
    --------
    >>> noisy = torch.rand(1, 1, 8, 8)
    >>> rng = torch.Generator().manual_seed(0)
    >>> effective_dimension(lambda y: y / 2, noisy, probes=2, rng=rng)
    (16.0, 0.0)
    """
    if probes < 2:
        raise ValueError(f"probes must be at least 2, got {probes}")
    found = []
    for _ in range(probes):
        _, passed = jvp(denoiser, noisy, random_signs(noisy, rng))
        found.append(passed.double().square().sum())
    squares = torch.stack(found)
    return float(squares.mean()), float(squares.std() / probes**0.5)


@dataclass(frozen=True)
class GainProfile:
    """The gains of one layer: their mean, spread, lowest and highest."""

    mean: float
    spread: float
    lowest: float
    highest: float


def gain_profiles(gains: Mapping[str, Tensor]) -> dict[str, GainProfile]:
    """The gains of each layer in four numbers, in the order of the layers.

    Parameters
    ----------
    gains : by the name of their layer, as in `Tuned` and `Adaptation`.

    Examples
    --------
    >>> gain_profiles({"conv1": torch.tensor([0.5, 1.5])})["conv1"].lowest
    0.5
    """
    return {
        layer: GainProfile(
            float(values.mean()),
            float(values.std(correction=0)),
            float(values.min()),
            float(values.max()),
        )
        for layer, values in gains.items()
    }


def self_similarity(clean: Images, *, side: int = 8, patches: int = 300, rng: Generator) -> float:
    """How much of the detail of an image's patches is found again elsewhere in it.

    For patches p at random, and q the most alike of those that do not overlap p, both without
    their mean: 1 - sum |p - q|^2 / sum |p|^2. It is 1 where everything repeats itself, as where
    there is no detail at all, and about 0 or below for white noise.

    Parameters
    ----------
    clean : (1, 1, h, w)
    side : of a patch in pixels.
    patches : how many p are drawn.
    rng : source of randomness, on the CPU.

    Examples
    --------
    >>> rng = torch.Generator().manual_seed(0)
    >>> tile = torch.rand(1, 1, 16, 16, generator=rng)
    >>> round(self_similarity(tile.repeat(1, 1, 4, 4), rng=rng), 4)
    1.0
    """
    height, width = clean.shape[-2:]
    smallest = 3 * side - 1  # in which each patch has another that it does not overlap
    if len(clean) != 1 or min(height, width) < smallest:
        raise ValueError(
            f"one image of at least {smallest} x {smallest} pixels is needed, got the shape "
            f"{tuple(clean.shape)}"
        )
    every = unfold(clean.double(), side)[0].T
    every = every - every.mean(1, keepdim=True)
    across = width - side + 1
    chosen = torch.randperm(len(every), generator=rng)[:patches]
    rows, columns = (torch.arange(len(every)) // across, torch.arange(len(every)) % across)
    distances = torch.cdist(every[chosen], every).square()
    near = (rows[chosen, None] - rows).abs() < side
    near &= (columns[chosen, None] - columns).abs() < side
    nearest = distances.masked_fill(near, torch.inf).min(1).values
    detail = every[chosen].square().sum()
    return float(1 - nearest.sum() / detail) if detail > 0 else 1.0

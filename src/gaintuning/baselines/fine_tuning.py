"""Adaptation as it is written down: Adam at one rate on the whole image, and no decision."""

from collections.abc import Callable
from typing import TypeAlias

import torch
from torch import Generator, nn

from gaintuning._types import Images, Objective
from gaintuning.gains import channel_gains, fold, free_parameters
from gaintuning.layout import lay_out_images, lay_out_network
from gaintuning.tuning import Parameters, fuse_for

Watch: TypeAlias = Callable[[int, nn.Module], None]
"""Called after each step with the number of steps done and a plain network, which is a copy."""


@torch.inference_mode(False)
@torch.enable_grad()
def fine_tune(
    network: nn.Module,
    noisy: Images,
    objective: Objective,
    *,
    parameters: Parameters = channel_gains,
    steps: int = 100,
    rate: float = 1e-3,
    rng: Generator,
    watch: Watch | None = None,
) -> nn.Module:
    """Minimise an unsupervised loss on noisy images, Eq. 3, for so many steps.

    With `channel_gains` this is the method of the paper by itself, with `all_parameters` what was
    done before (Soltanayev & Chun 2018; Vaksman et al. 2020), and with `last_layers` what lies
    between. Nothing keeps it from learning the noise but the number of steps.

    Parameters
    ----------
    network : the pre-trained network; not changed.
    noisy : (n, c, h, w), with intensities as the network was trained on.
    objective : what to minimise.
    parameters : what may move: `channel_gains`, `all_parameters` or a partial `last_layers`.
    steps, rate : of Adam.
    rng : source of randomness, on the CPU.
    watch : sees the network on its way.

    Returns
    -------
    Plain, of the class that was handed in.

    Examples
    --------
    >>> from gaintuning.networks import UNet
    >>> from gaintuning.objectives import Sure
    >>> noisy = torch.rand(1, 1, 32, 32)
    >>> rng = torch.Generator().manual_seed(0)
    >>> type(fine_tune(UNet(), noisy, Sure(0.1), steps=2, rng=rng)).__name__
    'UNet'
    """
    if steps < 1 or not rate > 0:
        raise ValueError(f"steps must be at least 1 and rate above 0, got {steps} and {rate}")
    free = lay_out_network(parameters(network))
    # Exact, since the small probes of SURE would be lost in the rounding of bfloat16.
    moving, images = fuse_for(free, noisy, exact=True), lay_out_images(noisy.clone())
    optimizer = torch.optim.Adam(free_parameters(free), lr=rate)
    for done in range(1, steps + 1):
        optimizer.zero_grad()
        objective(moving, images, rng).mean().backward()
        optimizer.step()
        if watch:
            watch(done, fold(free))
    return fold(free)

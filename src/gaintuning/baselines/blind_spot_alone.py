"""A blind-spot network that has seen nothing but the noisy image (Laine et al. 2019)."""

import torch
from torch import Generator

from gaintuning._types import Images
from gaintuning.hardware import has_bfloat16_units
from gaintuning.networks import BlindSpotNet
from gaintuning.objectives import BlindSpotByArchitecture
from gaintuning.patches import random_crops, random_orientations
from gaintuning.validate import check_single_image

SMALLEST = 32
"""Side in pixels of the smallest image: the network halves it several times."""

PATCH = 64
BATCH = 4


def denoise_blind_spot_alone(
    noisy: Images, *, steps: int = 2000, rate: float = 1e-3, rng: Generator
) -> Images:
    """Train a blind-spot network on one image alone, and predict each pixel from its surroundings.

    Adam on random crops in random orientations, in bfloat16 where that is faster. The noise must be
    independent from pixel to pixel; its level is not needed, and what the pixel itself could tell
    is not used.

    Parameters
    ----------
    noisy : (1, c, h, w), with intensities in about [0, 1]; not changed.
    steps, rate : of Adam.
    rng : source of randomness, on the CPU.

    Raises
    ------
    ValueError : more images than one, or one too small.

    Examples
    --------
    >>> noisy = torch.rand(1, 1, 32, 32, generator=torch.Generator().manual_seed(0))
    >>> rng = torch.Generator().manual_seed(0)
    >>> denoise_blind_spot_alone(noisy, steps=1, rng=rng).shape
    torch.Size([1, 1, 32, 32])
    """
    check_single_image(noisy, SMALLEST, "to train a network on")
    with torch.random.fork_rng():
        torch.manual_seed(int(torch.randint(2**62, (), generator=rng)))
        network = BlindSpotNet(noisy.shape[1]).to(noisy)
    optimizer = torch.optim.Adam(network.parameters(), lr=rate)
    objective = BlindSpotByArchitecture()
    fast = has_bfloat16_units(noisy.device)
    for _ in range(steps):
        crops = random_orientations(random_crops(noisy, PATCH, BATCH, rng), rng)
        optimizer.zero_grad()
        with torch.autocast(noisy.device.type, torch.bfloat16, enabled=fast):
            loss = objective(network, crops, rng).mean()
        loss.backward()
        optimizer.step()
    with torch.inference_mode():
        denoised: Images = network.eval()(noisy)
    return denoised

"""How far off a result may be, pixel by pixel."""

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from torch import nn

from gaintuning._types import Images
from gaintuning.divergence import random_signs
from gaintuning.gains import channel_gains
from gaintuning.judging import JUDGED
from gaintuning.noise import Noise
from gaintuning.randomness import generator
from gaintuning.tiles import run_in_tiles
from gaintuning.trust import ErrorEstimate
from gaintuning.tuning import fuse_for

MOST_PROBES = 4
STEP = 0.3
"""Size of a probe, in standard deviations of the noise."""

NEIGHBORHOOD = 3.0
"""Standard deviation in pixels of the weights with which neighbours are averaged."""

FURTHEST = 2.0
"""A map is brought to the error of the whole by this factor at most."""


@torch.inference_mode()
def expected_error(
    network: nn.Module,
    noisy: Images,
    denoised: NDArray[np.float64],
    noise: Noise,
    error: ErrorEstimate | None = None,
) -> NDArray[np.float32]:
    """The root mean squared error that a result is expected to have, pixel by pixel.

    For Gaussian noise of variance v, the posterior variance of a pixel, given the noisy image, is v
    times the slope of the best denoiser's output there to the input there (Efron 2011; Manor &
    Michaeli 2024). The slope is found with random signs b and a step h of some of the noise,

    b (f(y + h b) - f(y)) / h,

    and averaged over neighbouring pixels. As the network at hand is not the best denoiser, the map
    is brought to the estimated error of the whole, where that is known well.

    Parameters
    ----------
    network : f
    noisy : y, (n, c, h, w); images are seen one at a time, and large ones in tiles.
    denoised : f(y)
    noise : in the units of the images.
    error : of the result as a whole, in the same units.

    Returns
    -------
    In the shape of `noisy`. Averaged over some 100 pixels, since a single one tells nothing.

    Examples
    --------
    >>> from gaintuning.noise import Gaussian
    >>> noisy = torch.rand(1, 1, 64, 64, generator=torch.Generator().manual_seed(0))
    >>> third = nn.Conv2d(1, 1, 1, bias=False).requires_grad_(False)
    >>> _ = third.weight.fill_(1 / 3)
    >>> found = expected_error(third, noisy, noisy.double().numpy() / 3, Gaussian(0.1))
    >>> bool(abs(found.mean() - 0.1 / 3**0.5) < 1e-3)
    True
    """
    like = next(network.parameters())
    fast = fuse_for(channel_gains(network), noisy[:1].to(like))
    probes = int(np.clip(JUDGED // noisy[0, 0].numel(), 1, MOST_PROBES))
    rng = generator(0)
    square = np.zeros(denoised.shape, np.float32)
    for index, image in enumerate(noisy.to(like.dtype).split(1)):
        image = image.to(like.device)
        before = torch.from_numpy(denoised[index : index + 1]).to(image)
        variance = noise.variance(before)
        step = STEP * variance.mean().sqrt()
        if not step > 0:  # where nothing was counted, nothing is known
            continue
        for _ in range(probes):
            probe = random_signs(image, rng)
            after = run_in_tiles(fast, image + step * probe, reach_of=network)
            change = after.sub_(before).mul_(probe).mul_(variance / (step * probes))
            square[index] += change[0].float().cpu().numpy()
        for channel in square[index]:
            gaussian_filter(channel, NEIGHBORHOOD, mode="reflect", output=channel)
    square = square.clip(min=0)
    mean = float(square.mean())
    if error and mean > 0 and error.mean_square > 2 * error.standard_error:
        square *= np.clip(error.mean_square / mean, FURTHEST**-2, FURTHEST**2)
    return np.sqrt(square)

"""Shot noise made Gaussian for a network that knows only that: Anscombe's transform."""

import torch
from torch import Tensor, nn

from gaintuning._types import Images

KNOWN = 50 / 255
"""A level of noise that networks know well; a stretched image has no more than this."""


@torch.inference_mode()
def denoise_stabilized(network: nn.Module, noisy: Images, gain: float) -> Images:
    """Denoise between the transform t = 2 sqrt(z + 3/8) of counts z and the inverse of its mean.

    The noise of t has a standard deviation of about 1 whatever the count is. t is mapped to [0, 1]
    for the network, wider where that would make the noise stronger than 50 / 255. The inverse is
    the closed form of the exact unbiased one.

    Parameters
    ----------
    network : trained on Gaussian noise, for intensities in [0, 1].
    noisy : (n, c, h, w), gain times a Poisson variable, with intensities in about [0, 1].
    gain : intensity of one count.

    References
    ----------
    Anscombe, The transformation of Poisson, binomial and negative-binomial data, Biometrika 1948.
    Makitalo & Foi, A closed-form approximation of the exact unbiased inverse of the Anscombe
    variance-stabilizing transformation, IEEE Transactions on Image Processing 2011.

    Examples
    --------
    >>> counts = torch.poisson(torch.full((1, 1, 64, 64), 9.0))
    >>> same = denoise_stabilized(nn.Identity(), counts / 20, gain=1 / 20)
    >>> same.shape
    torch.Size([1, 1, 64, 64])
    """
    if not gain > 0:
        raise ValueError(f"gain, the intensity of one count, must be above 0, got {gain}")
    low, high = (stabilize(torch.tensor(counts)).item() for counts in (0.0, 1 / gain))
    width = max(high - low, 1 / KNOWN)
    stabilized = stabilize((noisy / gain).clamp(min=0))
    denoised: Tensor = network((stabilized - low) / width) * width + low
    return gain * mean_count(denoised)


def stabilize(counts: Tensor) -> Tensor:
    """2 sqrt(z + 3/8)

    Examples
    --------
    >>> stabilize(torch.tensor([0.625]))
    tensor([2.])
    """
    return 2 * (counts + 3 / 8) ** 0.5


def mean_count(stabilized: Tensor) -> Tensor:
    """The mean of z whose mean of t this is; 0 for values that no mean has.

    Examples
    --------
    >>> mean_count(torch.tensor([7.0])).round(decimals=1)
    tensor([12.1])
    """
    t = stabilized.clamp(min=2 * (3 / 8) ** 0.5)
    root = 1.5**0.5
    counts = t**2 / 4 + root / 4 / t - 11 / 8 / t**2 + 5 * root / 8 / t**3 - 1 / 8
    return counts.clamp(min=0)

"""Images whose pixels are finer than what they show, as a network sees more of at a time."""

from typing import TypeAlias

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, interpolate, pad

from gaintuning._types import Images

Means: TypeAlias = Float[Tensor, "n c rows columns"]
"""Over the bins of images."""


class Binned(nn.Module):
    """A denoiser of fine pixels: a network between means over bins and their interpolation.

    Where a scene is smooth over k pixels, the mean over k x k of them has all that there is to
    know, and 1 / k of the noise. The network sees k times as far, and takes 1 / k^2 of the time.

    Parameters
    ----------
    network : for the means, whose noise is `Noise.averaged`.
    factor : k, rows and columns of a bin.

    Examples
    --------
    >>> import torch
    >>> rows = torch.arange(120.0)[:, None]
    >>> wave = torch.sin(rows / 10).expand(1, 1, 120, 90)
    >>> noisy = wave + torch.randn(wave.shape, generator=torch.Generator().manual_seed(0))
    >>> (Binned(nn.Identity(), 4)(noisy) - wave).std() < 0.3
    tensor(True)
    """

    def __init__(self, network: nn.Module, factor: int) -> None:
        super().__init__()
        self.network = network
        self.factor = factor

    def forward(self, images: Images) -> Images:
        return unbinned(self.network(binned(images, self.factor)), self.factor, images)


def over_bins(network: nn.Module, factor: int) -> nn.Module:
    """`Binned`, or the network itself where a bin is a pixel."""
    return Binned(network, factor) if factor > 1 else network


def binned(images: Images, factor: int) -> Means:
    """Means over bins; a last bin that the image fills in part is filled by its reflection."""
    if factor == 1:
        return images
    height, width = images.shape[-2:]
    return avg_pool2d(pad(images, (0, -width % factor, 0, -height % factor), "reflect"), factor)


def unbinned(means: Means, factor: int, like: Images) -> Images:
    """A smooth image, as large as another, whose means over bins are these but for a per cent."""
    if factor == 1:
        return means
    fine = _interpolated(means, factor)
    fine = fine + _interpolated(means - avg_pool2d(fine, factor), factor)
    return fine[..., : like.shape[2], : like.shape[3]]


def _interpolated(means: Means, factor: int) -> Images:
    fine: Tensor = interpolate(means, scale_factor=factor, mode="bicubic")
    return fine

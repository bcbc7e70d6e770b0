"""Shot noise as a network knows it that has only seen Gaussian noise."""

from math import copysign
from typing import TypeAlias

import torch
from torch import Tensor, nn

from gaintuning._types import Images
from gaintuning.noise import Noise, Poisson, PoissonGaussian

ShotNoise: TypeAlias = Poisson | PoissonGaussian

STRONGEST = 50 / 255
"""The noise is no stronger than this for the network, so that it is one that it knows."""


class Stabilized(nn.Module):
    """A denoiser of shot noise: a network between Anscombe's transform and its inverse.

    For y = offset + gain z + sigma e, z a Poisson count and e normal,

        t = 2 sqrt(max(0, (y - offset) / gain + 3/8 + (sigma / gain)^2))

    has noise of a standard deviation of about 1 whatever the count. t is mapped to [0, 1] for the
    network, wider where its noise would be too strong. What comes back is the intensity whose t has
    the denoised one as its mean, in the closed form of Makitalo & Foi.

    Parameters
    ----------
    network : for intensities in [0, 1] with Gaussian noise.
    noise : in the units of the images, which lie in about [0, 1].

    References
    ----------
    Anscombe, The transformation of Poisson, binomial and negative-binomial data, Biometrika 1948.
    Makitalo & Foi, A closed-form approximation of the exact unbiased inverse of the Anscombe
    variance-stabilizing transformation, IEEE Transactions on Image Processing 2011; Optimal
    inversion of the generalized Anscombe transformation for Poisson-Gaussian noise, 2013.

    Examples
    --------
    >>> counts = torch.poisson(torch.full((1, 1, 65, 65), 20.0), torch.Generator().manual_seed(0))
    >>> mean = nn.AvgPool2d(65, stride=1, padding=32, count_include_pad=False)
    >>> 50 * Stabilized(mean, Poisson(1 / 50))(counts / 50)[0, 0, 32, 32].round(decimals=3)
    tensor(20.)
    """

    def __init__(self, network: nn.Module, noise: ShotNoise) -> None:
        super().__init__()
        self.network = network
        self.gain, self.offset = noise.gain, noise.offset
        self.read = (noise.sigma / noise.gain) ** 2
        low, high = self.stabilize(torch.tensor([0.0, 1.0])).tolist()
        # Of an inverted image it falls.
        self.low, self.width = low, copysign(max(abs(high - low), 1 / STRONGEST), noise.gain)

    def forward(self, images: Images) -> Images:
        seen = (self.stabilize(images) - self.low) / self.width
        return self.mean_of(self.network(seen) * self.width + self.low)

    def stabilize(self, images: Tensor) -> Tensor:
        counts = (images - self.offset) / self.gain
        return 2 * (counts + (3 / 8 + self.read)).clamp(min=0).sqrt()

    def mean_of(self, stabilized: Tensor) -> Tensor:
        """The intensity whose t has this mean; that of no count where no mean is so low."""
        t = stabilized.clamp(min=2 * (3 / 8) ** 0.5)
        root = 1.5**0.5
        counts = t**2 / 4 + root / 4 / t - 11 / 8 / t**2 + 5 * root / 8 / t**3 - 1 / 8
        intensities: Tensor = (counts - self.read).clamp(min=0) * self.gain + self.offset
        return intensities


def stabilized(network: nn.Module, noise: Noise) -> Stabilized:
    """A network between Anscombe's transform and its inverse.

    Raises
    ------
    ValueError : the noise is not shot noise.
    """
    if not isinstance(noise, (Poisson, PoissonGaussian)):
        raise ValueError(f"Anscombe's transform is for shot noise, and the noise is {noise}")
    return Stabilized(network, noise)


def of_inner_network(gains: dict[str, Tensor], *, stabilized: bool) -> dict[str, Tensor]:
    """Gains by the names that their layers have in the network itself, `Stabilized` or not."""
    around = "network." if stabilized else ""
    return {layer.removeprefix(around): gain for layer, gain in gains.items()}

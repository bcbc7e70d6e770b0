"""The blind-spot network of Laine et al. 2019, in the form of UDVD (Sheth et al. 2021)."""

from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import interpolate, leaky_relu, max_pool2d, pad

from gaintuning._types import Images


class BlindSpotNet(nn.Module):
    """Each output pixel is predicted from all input pixels but the one in its place.

    Four rotated copies of the image go through one U-Net that sees only what lies above a pixel.
    Rotated back and joined by 1 x 1 convolutions, the four half-planes cover everything around a
    pixel and leave out the pixel itself: d output[j] / d input[j] = 0 exactly.

    Parameters
    ----------
    channels : channels of the image.
    bias : whether the layers have additive constants.

    Examples
    --------
    >>> import torch
    >>> from gaintuning.networks import BlindSpotNet
    >>> BlindSpotNet()(torch.zeros(1, 1, 21, 30)).shape
    torch.Size([1, 1, 21, 30])
    """

    def __init__(self, channels: int = 1, bias: bool = True) -> None:
        super().__init__()
        self.half_plane = HalfPlaneUNet(channels, bias)
        self.join = nn.ModuleList(
            nn.Conv2d(inputs, outputs, 1, bias=bias)
            for inputs, outputs in [(384, 384), (384, 96), (96, channels)]
        )
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight, a=0.1)

    def forward(self, noisy: Images) -> Images:
        views = [
            torch.rot90(self.half_plane(torch.rot90(noisy, turns, (2, 3))), -turns, (2, 3))
            for turns in range(4)
        ]
        features = torch.cat(views, dim=1)
        for layer in self.join[:-1]:
            features = leaky_relu(layer(features), 0.1)
        predicted: Tensor = self.join[-1](features)
        return predicted


class HalfPlaneUNet(nn.Module):
    """A U-Net whose output at a pixel depends only on the rows above that pixel."""

    def __init__(self, channels: int, bias: bool) -> None:
        super().__init__()

        def chain(*widths: int) -> nn.Sequential:
            return nn.Sequential(*(ConvolutionAbove(i, o, bias) for i, o in pairwise(widths)))

        self.encode1 = chain(channels, 48, 48, 48)
        self.encode2 = chain(48, 48, 48, 48)
        self.encode3 = chain(48, 96, 96, 48)
        self.decode2 = chain(96, 96, 96, 96, 96)
        self.decode1 = chain(96 + channels, 96, 96, 96, 96)

    def forward(self, noisy: Images) -> Float[Tensor, "n features h w"]:
        height, width = noisy.shape[-2:]
        # Zeros, not a reflection: a reflected pixel would be seen from its own place.
        whole = pad(noisy, (0, -width % 4, 0, -height % 4))
        half = pool_above(self.encode1(whole))
        quarter = pool_above(self.encode2(half))
        deep = interpolate(self.encode3(quarter), scale_factor=2, mode="nearest")
        deep = self.decode2(torch.cat([deep, half], dim=1))
        deep = interpolate(deep, scale_factor=2, mode="nearest")
        features: Tensor = self.decode1(torch.cat([deep, whole], dim=1))
        return shift_down(features)[..., :height, :width]


class ConvolutionAbove(nn.Module):
    """A 3 x 3 convolution of a pixel's own row and the two rows above it, then a leaky ReLU."""

    def __init__(self, inputs: int, outputs: int, bias: bool) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(inputs, outputs, 3, bias=bias)

    def forward(self, features: Float[Tensor, "n i h w"]) -> Float[Tensor, "n o h w"]:
        return leaky_relu(self.convolution(pad(features, (1, 1, 2, 0))), 0.1)


def pool_above(features: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c half_h half_w"]:
    """Maximum over 2 x 2 pixels, shifted so that, up-sampled again, none comes from below."""
    return max_pool2d(shift_down(features), 2)


def shift_down(features: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h w"]:
    return pad(features, (0, 0, 1, -1))

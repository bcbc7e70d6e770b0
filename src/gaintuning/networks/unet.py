"""The small UNet of Zhang et al. 2018 (DURR), as used for GainTuning and by Mohan et al. 2020."""

import torch
from torch import nn
from torch.nn.functional import pad

from gaintuning._types import Images


class UNet(nn.Module):
    """One down-sampling, dilated convolutions at half resolution, one skip connection.

    Parameters
    ----------
    channels : channels of the image.
    bias : whether the layers (all but the last, which never has one) have additive constants.
    residual : predict the noise, output = input - prediction, instead of the image. The
        published checkpoints predict the image; the residual form learns faster from scratch.

    Examples
    --------
    >>> import torch
    >>> from gaintuning.networks import UNet
    >>> UNet()(torch.zeros(1, 1, 21, 30)).shape
    torch.Size([1, 1, 21, 30])
    """

    def __init__(self, channels: int = 1, bias: bool = True, residual: bool = False) -> None:
        super().__init__()
        self.residual = residual
        self.conv1 = nn.Conv2d(channels, 32, 5, padding=2, bias=bias)
        self.conv2 = nn.Conv2d(32, 32, 3, padding=1, bias=bias)
        self.conv3 = nn.Conv2d(32, 64, 3, stride=2, padding=1, bias=bias)
        self.conv4 = nn.Conv2d(64, 64, 3, padding=1, bias=bias)
        self.conv5 = nn.Conv2d(64, 64, 3, dilation=2, padding=2, bias=bias)
        self.conv6 = nn.Conv2d(64, 64, 3, dilation=4, padding=4, bias=bias)
        self.conv7 = nn.ConvTranspose2d(64, 64, 4, stride=2, padding=1, bias=bias)
        self.conv8 = nn.Conv2d(96, 32, 3, padding=1, bias=bias)
        self.conv9 = nn.Conv2d(32, channels, 5, padding=2, bias=False)
        for name, weight in self.named_parameters():
            if name.endswith("weight"):
                nn.init.kaiming_normal_(weight)
        # kaiming_normal_ counts the fan-in of a transposed convolution on the wrong axis.
        nn.init.normal_(self.conv7.weight, std=(2 / (64 * 4)) ** 0.5)
        nn.init.normal_(self.conv9.weight, std=1e-3 if residual else 1e-2)

    def forward(self, noisy: Images) -> Images:
        height, width = noisy.shape[-2:]
        even = pad(noisy, (0, width % 2, 0, height % 2))
        skip = torch.relu(self.conv2(torch.relu(self.conv1(even))))
        features = torch.relu(self.conv3(skip))
        features = torch.relu(self.conv4(features))
        features = torch.relu(self.conv5(features))
        features = torch.relu(self.conv6(features))
        features = torch.relu(self.conv7(features))
        features = torch.relu(self.conv8(torch.cat([features, skip], dim=1)))
        predicted: torch.Tensor = self.conv9(features)[..., :height, :width]
        return noisy - predicted if self.residual else predicted

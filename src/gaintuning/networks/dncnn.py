"""DnCNN (Zhang et al. 2017) and, without additive constants, BFCNN (Mohan et al. 2020)."""

import torch
from torch import nn

from gaintuning._types import Images


class DnCNN(nn.Module):
    """A chain of 3 x 3 convolutions that predicts the noise; the output is input - prediction.

    With `bias=False` it is BFCNN: no layer adds a constant, and batch normalisation only divides,
    so that f(a y) = a f(y) for every a > 0.

    Parameters
    ----------
    channels : channels of the image.
    features : channels of every hidden layer.
    depth : number of convolutions, at least 2.
    bias : whether the layers have additive constants.

    Examples
    --------
    >>> import torch
    >>> from gaintuning.networks import DnCNN
    >>> DnCNN(channels=3, features=8, depth=4)(torch.zeros(1, 3, 20, 30)).shape
    torch.Size([1, 3, 20, 30])
    """

    def __init__(
        self, channels: int = 1, features: int = 64, depth: int = 20, bias: bool = True
    ) -> None:
        super().__init__()
        if depth < 2:
            raise ValueError(f"depth must be at least 2, got {depth}")
        hidden = range(depth - 2)
        normalisation = nn.BatchNorm2d if bias else BiasFreeBatchNorm2d
        # The names are those of the published checkpoints.
        self.first_layer = nn.Conv2d(channels, features, 3, padding=1, bias=bias)
        self.hidden_layer_list = nn.ModuleList(
            nn.Conv2d(features, features, 3, padding=1, bias=bias) for _ in hidden
        )
        self.bn_layer_list = nn.ModuleList(normalisation(features) for _ in hidden)
        self.last_layer = nn.Conv2d(features, channels, 3, padding=1, bias=bias)
        for layer in (self.first_layer, *self.hidden_layer_list):
            nn.init.kaiming_normal_(layer.weight)
        # Starts as the identity, which at low noise is already a good denoiser.
        nn.init.normal_(self.last_layer.weight, std=1e-3)

    def forward(self, noisy: Images) -> Images:
        features = torch.relu(self.first_layer(noisy))
        for convolution, normalisation in zip(
            self.hidden_layer_list, self.bn_layer_list, strict=True
        ):
            features = torch.relu(normalisation(convolution(features)))
        noise: torch.Tensor = self.last_layer(features)
        return noisy - noise


class BiasFreeBatchNorm2d(nn.BatchNorm2d):
    """Batch normalisation that subtracts and adds nothing: weight * x / (sqrt(variance) + eps).

    `bias` and `running_mean` exist, unused, because the published checkpoints hold them.
    """

    def forward(self, features: Images) -> Images:
        if self.training:
            # Not features.var(), which is twice as slow. Under mixed precision the features are
            # bfloat16, too coarse for a sum.
            sums = torch.promote_types(features.dtype, torch.float32)
            pixels = features.movedim(1, -1).flatten(0, 2)
            mean = pixels.mean(0, dtype=sums)
            spread = pixels.square().mean(0, dtype=sums) - mean.square()
            variance = spread.clamp(min=0) * len(pixels) / (len(pixels) - 1)
            momentum = 0.1 if self.momentum is None else self.momentum
            assert self.running_var is not None
            with torch.no_grad():
                self.running_var.lerp_(variance, momentum)
        else:
            assert self.running_var is not None
            variance = self.running_var
        scale = self.weight / (variance.sqrt() + self.eps)
        return features * scale.to(features.dtype)[:, None, None]

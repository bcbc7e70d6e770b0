"""What may move: one gain per channel of each convolution (Eq. 2), the last layers, or everything.

Each function here copies a network, freezes the copy and frees some of its parameters. The
network that was handed in is never touched.
"""

from copy import deepcopy
from typing import TypeAlias

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from gaintuning._types import Images

CONVOLUTIONS = (
    nn.Conv1d,
    nn.Conv2d,
    nn.Conv3d,
    nn.ConvTranspose1d,
    nn.ConvTranspose2d,
    nn.ConvTranspose3d,
)
Convolution: TypeAlias = (
    nn.Conv1d | nn.Conv2d | nn.Conv3d | nn.ConvTranspose1d | nn.ConvTranspose2d | nn.ConvTranspose3d
)


def channel_gains(network: nn.Module) -> nn.Module:
    """Copy a network so that the filters of each output channel carry a free gain, Eq. 2.

    theta(gamma)[l, c] = gamma[l, c] theta[l, c], with gamma = 1 at first. Additive constants and
    everything that is not a convolution stay as they are. A convolution that is used several
    times has one set of gains.

    Parameters
    ----------
    network : any module with convolutions, plain or transposed, in 1, 2 or 3 dimensions.

    Returns
    -------
    A copy in eval mode whose only parameters that require a gradient are the gains.

    Raises
    ------
    ValueError : no convolution, or one whose weight is computed from other parameters.

    Examples
    --------
    >>> from gaintuning.networks import DnCNN
    >>> sum(gain.numel() for gain in free_parameters(channel_gains(DnCNN())))
    1217
    """
    copy = frozen_copy(network)
    convolutions = _convolutions(copy)
    for name, layer in convolutions.items():
        if not isinstance(layer._parameters.get("weight"), nn.Parameter):
            raise ValueError(
                f"the weight of layer {name!r} is computed from other parameters (weight_norm, "
                "spectral_norm or a parametrization), so it cannot carry a gain; bake it in "
                "first, with torch.nn.utils.parametrize.remove_parametrizations, "
                "remove_weight_norm or remove_spectral_norm"
            )
        if isinstance(layer.weight, nn.parameter.UninitializedParameter):
            raise ValueError(f"layer {name!r} has no weights yet; call the network once first")
        parametrize.register_parametrization(layer, "weight", ChannelGain(layer))
    return copy


class ChannelGain(nn.Module):
    """Scales the filters of each output channel of one convolution by a gain."""

    def __init__(self, layer: Convolution) -> None:
        super().__init__()
        self.gain = nn.Parameter(layer.weight.new_ones(layer.out_channels))
        self.transposed = layer.transposed
        self.groups = layer.groups

    def forward(self, weight: Tensor) -> Tensor:
        if not self.transposed:
            return weight * self.gain.reshape(-1, *[1] * (weight.dim() - 1))
        # A transposed convolution stores (inputs, outputs / groups, ...): each group of inputs
        # meets its own outputs.
        gain = self.gain.reshape(self.groups, 1, -1)
        gain = gain.expand(-1, weight.shape[0] // self.groups, -1).flatten(0, 1)
        return weight * gain.reshape(*weight.shape[:2], *[1] * (weight.dim() - 2))


def all_parameters(network: nn.Module) -> nn.Module:
    """Copy a network so that every parameter is free: fine-tuning, as in most prior work.

    Examples
    --------
    >>> from gaintuning.networks import UNet
    >>> sum(parameter.numel() for parameter in free_parameters(all_parameters(UNet())))
    233440
    """
    return frozen_copy(network).requires_grad_(True)


def last_layers(network: nn.Module, example: Images, count: int = 1) -> nn.Module:
    """Copy a network so that only its last convolutions are free, weights and constants.

    Parameters
    ----------
    network : any module with convolutions.
    example : images to call it with once, since only a call shows which layers come last.
    count : number of convolutions, counted from the output.

    Examples
    --------
    >>> from gaintuning.networks import UNet
    >>> copy = last_layers(UNet(), torch.zeros(1, 1, 16, 16), count=2)
    >>> [name for name, parameter in copy.named_parameters() if parameter.requires_grad]
    ['conv8.weight', 'conv8.bias', 'conv9.weight']
    """
    if count < 1:
        raise ValueError(f"count must be at least 1, got {count}")
    copy = frozen_copy(network)
    called: list[nn.Module] = []
    hooks = [
        layer.register_forward_hook(lambda layer, *_: called.append(layer))
        for layer in _convolutions(copy).values()
    ]
    with torch.inference_mode():
        copy(example)
    for hook in hooks:
        hook.remove()
    last_first = list(dict.fromkeys(reversed(called)))
    for layer in last_first[:count]:
        layer.requires_grad_(True)
    return copy


def free_parameters(network: nn.Module) -> list[nn.Parameter]:
    """The parameters that tuning may move."""
    return [parameter for parameter in network.parameters() if parameter.requires_grad]


def gains_by_layer(network: nn.Module) -> dict[str, Tensor]:
    """The gains of each convolution, by the name of its layer; empty for a plain network."""
    return {
        name: gain.gain.detach().clone()
        for name, layer in network.named_modules()
        if (gain := _gain_of(layer)) is not None
    }


def fold(network: nn.Module) -> nn.Module:
    """Multiply the gains into the filters: a plain network of the original class and keys.

    Examples
    --------
    >>> from gaintuning.networks import UNet
    >>> network = UNet()
    >>> list(fold(channel_gains(network)).state_dict()) == list(network.state_dict())
    True
    """
    copy = frozen_copy(network)
    for layer in list(copy.modules()):
        if _gain_of(layer) is not None:
            parametrize.remove_parametrizations(layer, "weight")
            # The weight has been registered anew; a bias that came after it goes after it again.
            bias = layer._parameters.pop("bias")
            layer.register_parameter("bias", bias)
            layer.requires_grad_(False)
    return copy


def frozen_copy(network: nn.Module) -> nn.Module:
    """A copy in eval mode whose parameters are all fixed."""
    return deepcopy(network).eval().requires_grad_(False)


def _convolutions(network: nn.Module) -> dict[str, Convolution]:
    found = {name: m for name, m in network.named_modules() if isinstance(m, CONVOLUTIONS)}
    if not found:
        raise ValueError(
            f"{type(network).__name__} has no convolution, and GainTuning moves the gains of "
            "convolutions; give a convolutional network, or tune all_parameters"
        )
    return found


def _gain_of(layer: nn.Module) -> ChannelGain | None:
    if not parametrize.is_parametrized(layer, "weight"):
        return None
    first = layer.parametrizations["weight"][0]  # type: ignore[index]
    return first if isinstance(first, ChannelGain) else None

"""What may move: one gain per channel of each convolution (Eq. 2), the last layers, or everything.

Each function here copies a network, freezes the copy and frees some of its parameters. The
network that was handed in is never touched.
"""

from collections.abc import Mapping
from copy import deepcopy
from typing import TypeAlias

import torch
from torch import Tensor, nn
from torch.func import functional_call

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


BAKE_IN = (
    "bake it in first, with torch.nn.utils.parametrize.remove_parametrizations, "
    "remove_weight_norm or remove_spectral_norm"
)


def channel_gains(network: nn.Module) -> "Gained":
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
    for name, layer in _convolutions(network).items():
        if not isinstance(layer._parameters.get("weight"), nn.Parameter):
            raise ValueError(
                f"the weight of layer {name!r} is computed from other parameters (weight_norm, "
                f"spectral_norm or a parametrization), so it cannot carry a gain; {BAKE_IN}"
            )
        if isinstance(layer.weight, nn.parameter.UninitializedParameter):
            raise ValueError(f"layer {name!r} has no weights yet; call the network once first")
    return Gained(frozen_copy(network))


class Gained(nn.Module):
    """A network whose convolutions' filters are multiplied by gains whenever it is called."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        self.layers = list(_convolutions(network))
        self.gains = nn.ParameterList(
            nn.Parameter(layer.weight.new_ones(layer.out_channels))
            for layer in _convolutions(network).values()
        )

    def forward(self, images: Tensor) -> Tensor:
        # tie_weights would swap a shared layer's weight twice, and restore it wrongly.
        output: Tensor = functional_call(self.network, self.weights(), (images,), tie_weights=False)
        return output

    def weights(self) -> dict[str, Tensor]:
        """The filters times their gains, by the names of the network's parameters."""
        layers = _convolutions(self.network).values()
        return {
            f"{name}.weight".removeprefix("."): layer.weight * per_filter(layer, gain)
            for name, layer, gain in zip(self.layers, layers, self.gains, strict=True)
        }


def per_filter(layer: Convolution, values: Tensor) -> Tensor:
    """A value for each output channel, in a shape that multiplies the layer's filters."""
    axes = layer.weight.dim()
    if layer.transposed:
        # A transposed convolution stores (inputs, outputs / groups, ...): each group of inputs
        # meets its own outputs.
        per_group = values.reshape(layer.groups, 1, -1)
        per_input = per_group.expand(-1, layer.in_channels // layer.groups, -1).flatten(0, 1)
        return per_input.reshape(*layer.weight.shape[:2], *[1] * (axes - 2))
    return values.reshape(-1, *[1] * (axes - 1))


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
    if not isinstance(network, Gained):
        return {}
    gains = [gain.detach().clone() for gain in network.gains]
    return dict(zip(network.layers, gains, strict=True))


def with_gains(network: nn.Module, gains: Mapping[str, Tensor]) -> nn.Module:
    """A plain network with gains by the names of their layers multiplied into its filters.

    Examples
    --------
    >>> network = nn.Sequential(nn.Conv2d(1, 2, 3))
    >>> doubled = with_gains(network, {"0": torch.full((2,), 2.0)})
    >>> torch.equal(doubled[0].weight, 2 * network[0].weight)
    True
    """
    gained = Gained(frozen_copy(network))
    for layer, gain in zip(gained.layers, gained.gains, strict=True):
        gain.data.copy_(gains[layer])
    return fold(gained)


def fold(network: nn.Module) -> nn.Module:
    """Multiply the gains into the filters: a plain network of the original class and keys.

    Examples
    --------
    >>> from gaintuning.networks import UNet
    >>> network = UNet()
    >>> list(fold(channel_gains(network)).state_dict()) == list(network.state_dict())
    True
    """
    if not isinstance(network, Gained):
        return frozen_copy(network)
    copy = frozen_copy(network.network)
    for name, weight in network.weights().items():
        layer = copy.get_submodule(name.removesuffix("weight").removesuffix("."))
        layer.weight = nn.Parameter(weight.detach(), requires_grad=False)
    return copy


def frozen_copy(network: nn.Module) -> nn.Module:
    """A copy in eval mode whose parameters are all fixed."""
    try:
        copy = deepcopy(network).eval()
    except RuntimeError as error:  # of a tensor that is computed, as by the older weight_norm
        raise ValueError(
            f"{type(network).__name__} cannot be copied, since some of its weights are computed "
            f"from others; {BAKE_IN}"
        ) from error
    for parameter in copy.parameters():
        parameter.requires_grad = False
    return copy


def _convolutions(network: nn.Module) -> dict[str, Convolution]:
    found = {name: m for name, m in network.named_modules() if isinstance(m, CONVOLUTIONS)}
    if not found:
        raise ValueError(
            f"{type(network).__name__} has no convolution, and GainTuning moves the gains of "
            "convolutions; give a convolutional network, or tune all_parameters"
        )
    return found

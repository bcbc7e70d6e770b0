"""A network with free gains at the speed of its bare convolutions.

The network's graph is traced, and each convolution taken together with the batch normalisation and
the ReLU that follow it. Of such a group nothing is kept for the gradient but its output.
"""

from collections.abc import Callable
from copy import deepcopy
from math import gcd
from typing import Any, cast

import torch
from torch import Tensor, fx, nn
from torch.autograd import Function
from torch.nn import functional
from torch.nn.modules.batchnorm import _BatchNorm

from gaintuning._types import Images
from gaintuning.gains import CONVOLUTIONS, Convolution, Gained, per_filter
from gaintuning.narrow import convolve_squares, side_of_squares

SMALLEST_GAIN = 1e-3
"""With a gain nearer to zero the plain network is used, since the gradient is divided by it."""

GRADIENTS_APART = 0.01
"""Part of the largest gradient by which another may be off: a feature that is zero but for rounding
passes a ReLU or does not. Of 20 layers that makes up to 0.0016."""


def fuse(free: nn.Module, example: Images, dtype: torch.dtype = torch.float32) -> nn.Module:
    """The same function of the same gains, in groups; or `free` itself where that cannot be.

    Parameters
    ----------
    free : what `channel_gains` gave; any other module comes back as it is.
    example : images on which both have to agree.
    dtype : of the convolutions; images and gains keep theirs.

    Examples
    --------
    >>> from gaintuning.gains import channel_gains, free_parameters
    >>> from gaintuning.networks import DnCNN
    >>> fused = fuse(channel_gains(DnCNN(depth=3)), torch.rand(1, 1, 16, 16))
    >>> type(fused).__name__, len(free_parameters(fused))
    ('Fused', 3)
    """
    if not isinstance(free, Gained):
        return free
    try:
        fused = Fused(free, example.dtype)
        same = _agree(free, fused, example)
    except Exception:  # whatever the network's own code raises when it is traced
        return free
    if not same:
        return free
    return fused if dtype == example.dtype else Fused(free, dtype)


def _agree(free: Gained, fused: "Fused", example: Images) -> bool:
    """Whether two networks with the same gains have the same output, and gradients."""
    example = example.clone()  # which can be learned from, wherever the caller made it
    outputs = free(example), fused(example)
    # Far above rounding, far below what a wrong group would do.
    if not _are_near(*outputs, 10 * torch.finfo(example.dtype).eps ** 0.75):
        return False
    if not outputs[0].requires_grad:
        return True
    # A network that writes over its features may do so to what a group keeps for the gradient.
    gains = list(free.gains)
    gradients = (torch.autograd.grad(each.square().sum(), gains) for each in outputs)
    first, second = map(torch.cat, gradients)
    return _are_near(first, second, GRADIENTS_APART)


def _are_near(one: Tensor, other: Tensor, bound: float) -> bool:
    return one.shape == other.shape and bool((one - other).abs().max() <= bound * one.abs().max())


class Fused(nn.Module):
    """A traced network; its groups have the gains of the network it was traced from."""

    def __init__(self, free: Gained, dtype: torch.dtype) -> None:
        super().__init__()
        self.gains = free.gains
        self._plain = [free]  # in a list, so that its parameters are not counted again
        self.traced = fx.GraphModule(free.network, _Tracer().trace(free.network))
        layers = dict(zip(free.layers, free.gains, strict=True))
        nodes = list(self.traced.graph.nodes)
        called = [node for node in nodes if node.op == "call_module" and node.target in layers]
        taken = [node.target for node in nodes if node.op == "get_attr"]
        if {node.target for node in called} != layers.keys() or any(
            name.removesuffix(".weight") in layers for name in taken
        ):
            raise ValueError("some convolution is not called as a module, so its gain is lost")
        for node in called:
            _group(self.traced, node, layers[node.target], dtype)
        self.traced.graph.eliminate_dead_code()
        self.traced.recompile()
        self.traced.delete_all_unused_submodules()

    def forward(self, images: Tensor) -> Tensor:
        network = self._plain[0] if self._needs_plain() else self.traced
        return cast(Tensor, network(images)).to(images.dtype)

    def _needs_plain(self) -> bool:
        gains = torch.cat([gain.detach() for gain in self.gains])
        # To ask a GPU would wait for it; there the gradient is bounded instead, see `_Group`.
        return gains.device.type == "cpu" and bool(gains.abs().min() <= SMALLEST_GAIN)


class FusedConvolution(nn.Module):
    """act(gain * filters * x + constant), with the filters of a convolution.

    Parameters
    ----------
    layer : the convolution.
    gain : of each output channel.
    scale, offset : of the normalisation that follows, channel by channel.
    slope : of the activation below zero: 0 is ReLU, 1 is none.
    dtype : of the convolution.
    """

    filters: Tensor
    constant: Tensor | None

    def __init__(
        self,
        layer: Convolution,
        gain: nn.Parameter,
        scale: Tensor,
        offset: Tensor,
        slope: float,
        dtype: torch.dtype,
    ) -> None:
        super().__init__()
        self.layer = layer
        self.gain = gain
        self.slope = slope
        self.dtype = dtype
        self.side = side_of_squares(layer)
        constant = offset if layer.bias is None else offset + scale * layer.bias.detach()
        filters = (layer.weight * per_filter(layer, scale)).detach()
        if layer.weight.dim() == 4:
            filters = filters.to(memory_format=torch.channels_last)
        self.register_buffer("filters", filters)
        self.register_buffer("constant", constant if constant.any() else None)

    def forward(self, features: Tensor) -> Tensor:
        # torch does not annotate `Function.apply`.
        output: Tensor = _Group.apply(features, self.gain, self)  # type: ignore[no-untyped-call]
        return output


class PlainConvolution(nn.Module):
    """A convolution that pads with something other than zeros, with its gain in the filters."""

    def __init__(self, layer: Convolution, gain: nn.Parameter) -> None:
        super().__init__()
        self.layer = layer
        self.gain = gain

    def forward(self, features: Tensor) -> Tensor:
        filters = self.layer.weight * per_filter(self.layer, self.gain)
        forward: Callable[..., Tensor] = cast(Any, self.layer)._conv_forward
        return forward(features, filters, self.layer.bias)


class _Group(Function):
    """The gradient of a group in its gain, without a gradient of the filters.

    With u = filters * x, z = act(gain u + constant) and G the gradient in gain u + constant, the
    gradient in the gain is sum(G u) = sum(G (gain u + constant) - G constant) / gain, and for a
    ReLU, leaky or not, G (gain u + constant) is z times the gradient in z. So z is all it takes.
    """

    @staticmethod
    def forward(ctx: Any, features: Tensor, gain: Tensor, group: FusedConvolution) -> Tensor:
        dtype = features.dtype
        filters = (group.filters * per_filter(group.layer, gain)).to(group.dtype)
        constant = None if group.constant is None else group.constant.to(group.dtype)
        features = features.to(group.dtype)
        if group.side > 1 and features.device.type == "cpu":
            padding = cast(tuple[int, int], group.layer.padding)
            output = convolve_squares(features, filters, constant, padding, group.side)
        else:
            output = torch.convolution(features, filters, constant, *_geometry(group.layer))
        if group.slope == 0:
            _clear_negative(output)
        elif group.slope != 1:
            functional.leaky_relu_(output, group.slope)
        ctx.save_for_backward(output, filters, gain)
        ctx.group = group
        ctx.shape = features.shape
        ctx.dtype = dtype
        return output

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor, None]:
        output, filters, gain = ctx.saved_tensors
        group = ctx.group
        gradient = gradient.to(group.dtype)
        in_gain = _channel_products(gradient, output, gain.dtype)
        if group.slope == 0:
            gradient = torch.ops.aten.threshold_backward(gradient, output, 0)
        elif group.slope != 1:
            gradient = torch.ops.aten.leaky_relu_backward(gradient, output, group.slope, True)
        if group.constant is not None:
            in_gain = in_gain - group.constant * _channel_sums(gradient, gain.dtype)
        in_features = None
        if ctx.needs_input_grad[0]:
            # Of the features only the shape counts here, so they need not have been kept.
            shape_only = gradient.new_empty(1).expand(ctx.shape)
            in_features, _, _ = torch.ops.aten.convolution_backward(
                gradient,
                shape_only,
                filters,
                None,
                *_geometry(group.layer),
                [True, False, False],
            )
            in_features = in_features.to(ctx.dtype)
        bounded = torch.where(gain.abs() > SMALLEST_GAIN, gain, SMALLEST_GAIN)
        return in_features, in_gain / bounded, None


def _clear_negative(values: Tensor) -> None:
    if values.dtype == torch.bfloat16:
        # The sign of a bfloat16 is that of the same bits as an integer, which is compared faster.
        values.view(torch.int16).clamp_(min=0)
    else:
        values.relu_()


def _channel_products(first: Tensor, second: Tensor, dtype: torch.dtype) -> Tensor:
    """sum(first * second), channel by channel: the diagonal of a product of matrices."""
    products = torch.bmm(_in_blocks(first).transpose(1, 2), _in_blocks(second))
    return products.diagonal(dim1=1, dim2=2).sum(0, dtype=dtype)


def _channel_sums(values: Tensor, dtype: torch.dtype) -> Tensor:
    """sum(values), channel by channel."""
    blocks = _in_blocks(values)
    ones = blocks.new_ones(len(blocks), 1, blocks.shape[1])
    return torch.bmm(ones, blocks).sum((0, 1), dtype=dtype)


def _in_blocks(values: Tensor) -> Tensor:
    """(block, pixel, channel): one block would be summed by one thread, and rounded only once."""
    rows = values.movedim(1, -1)
    blocks = len(values) * gcd(values.shape[2], 16)
    return rows.reshape(blocks, -1, values.shape[1])


def _geometry(layer: Convolution) -> tuple[Any, ...]:
    return (
        layer.stride,
        layer.padding,
        layer.dilation,
        layer.transposed,
        layer.output_padding,
        layer.groups,
    )


class _Tracer(fx.Tracer):
    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        # A subclass with a forward of its own does more than its class, and is looked into.
        plain = any(type(m).forward is kind.forward for kind in CONVOLUTIONS)
        return (
            plain or isinstance(m, _BatchNorm) or super().is_leaf_module(m, module_qualified_name)
        )


def _group(traced: fx.GraphModule, node: fx.Node, gain: nn.Parameter, dtype: torch.dtype) -> None:
    """Put one module in the place of a convolution and of what can be joined to it."""
    layer = cast(Convolution, traced.get_submodule(str(node.target)))
    group: nn.Module
    last = node
    if layer.padding_mode != "zeros" or isinstance(layer.padding, str) or len(node.args) != 1:
        group = PlainConvolution(layer, gain)
    else:
        scale, offset, last = _normalisation(traced, node, layer)
        slope, last = _activation(traced, last)
        group = FusedConvolution(layer, gain, scale, offset, slope, dtype)
    name = f"group_{node.name}"
    traced.add_submodule(name, group)
    with traced.graph.inserting_before(node):
        joined = traced.graph.call_module(name, node.args, node.kwargs)
    last.replace_all_uses_with(joined)


def _normalisation(
    traced: fx.GraphModule, node: fx.Node, layer: Convolution
) -> tuple[Tensor, Tensor, fx.Node]:
    """Scale and offset of the normalisation that alone takes the node's output, and its node."""
    scale = layer.weight.new_ones(layer.out_channels)
    offset = torch.zeros_like(scale)
    follower = _only_user(node)
    if follower is None or follower.op != "call_module":
        return scale, offset, node
    module = traced.get_submodule(str(follower.target))
    if not isinstance(module, _BatchNorm) or module.running_var is None:
        return scale, offset, node
    # In eval mode each kind is some affine map, known by its values at zero and at one.
    precise = deepcopy(module).cpu().double()
    with torch.no_grad():
        zero = torch.zeros(1, len(scale), *[1] * (layer.weight.dim() - 2), dtype=torch.double)
        at_zero = precise(zero).flatten()
        at_one = precise(zero + 1).flatten()
    return (at_one - at_zero).to(scale), at_zero.to(scale), follower


RELU = (torch.relu, torch.relu_, functional.relu, functional.relu_, "relu", "relu_")
LEAKY_RELU = (functional.leaky_relu, functional.leaky_relu_)


def _activation(traced: fx.GraphModule, node: fx.Node) -> tuple[float, fx.Node]:
    """Slope below zero of the ReLU that alone takes the node's output, and its node."""
    follower = _only_user(node)
    if follower is None:
        return 1.0, node
    if follower.op == "call_module":
        module = traced.get_submodule(str(follower.target))
        if isinstance(module, nn.ReLU):
            return 0.0, follower
        if isinstance(module, nn.LeakyReLU) and module.negative_slope > 0:
            return module.negative_slope, follower
    elif follower.target in RELU:
        return 0.0, follower
    elif follower.target in LEAKY_RELU:
        slope = dict(enumerate(follower.args)).get(1, follower.kwargs.get("negative_slope", 0.01))
        if isinstance(slope, float) and slope > 0:
            return slope, follower
    return 1.0, node


def _only_user(node: fx.Node) -> fx.Node | None:
    users = list(node.users)
    return users[0] if len(users) == 1 else None

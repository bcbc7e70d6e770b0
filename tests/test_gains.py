"""Eq. 2: what moves, what does not, and what the gains mean."""

from copy import deepcopy

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn.functional import pad

from gaintuning.gains import (
    CONVOLUTIONS,
    Gained,
    all_parameters,
    channel_gains,
    fold,
    free_parameters,
    frozen_copy,
    gains_by_layer,
    last_layers,
)
from gaintuning.networks import BlindSpotNet, DnCNN, UNet


class Attentive(nn.Module):
    """Convolutions beside attention and a linear layer; one convolution is used twice."""

    def __init__(self) -> None:
        super().__init__()
        self.shared = nn.Conv2d(4, 4, 3, padding=1)
        self.first = nn.Conv2d(1, 4, 3, padding=1)
        self.attention = nn.MultiheadAttention(4, 2, batch_first=True)
        self.linear = nn.Linear(4, 4)
        self.again = self.shared

    def forward(self, images: Tensor) -> Tensor:
        features = self.again(torch.relu(self.shared(self.first(images))))
        tokens = features.flatten(2).transpose(1, 2)
        tokens = self.linear(self.attention(tokens, tokens, tokens)[0])
        return tokens.mean(2).reshape(images.shape) + images


def networks() -> dict[str, tuple[nn.Module, tuple[int, ...]]]:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        dncnn, bfcnn = DnCNN(features=6, depth=4), DnCNN(features=6, depth=4, bias=False)
        for network in (dncnn, bfcnn):
            for module in network.modules():
                if isinstance(module, nn.BatchNorm2d):
                    module.running_mean.normal_()
                    module.running_var.uniform_(0.5, 2)
            nn.init.normal_(network.last_layer.weight)
        cases = {
            "dncnn": (dncnn, (2, 1, 9, 10)),
            "bfcnn": (bfcnn, (2, 1, 9, 10)),
            "unet": (UNet(), (1, 1, 12, 13)),
            "blind spot": (BlindSpotNet(), (1, 1, 8, 9)),
            "shared, attention, linear": (Attentive(), (1, 1, 6, 6)),
            "1-D": (
                nn.Sequential(nn.Conv1d(2, 4, 3), nn.ConvTranspose1d(4, 2, 3, bias=False)),
                (1, 2, 9),
            ),
            "3-D": (
                nn.Sequential(nn.Conv3d(2, 4, 3), nn.ConvTranspose3d(4, 2, 3)),
                (1, 2, 5, 6, 7),
            ),
            "grouped, dilated, strided": (
                nn.Sequential(
                    nn.Conv2d(4, 6, 3, groups=2, dilation=2, padding=2, padding_mode="circular"),
                    nn.ReLU(inplace=True),
                    nn.Conv2d(6, 8, 4, stride=2, padding=1, groups=2),
                    nn.ConvTranspose2d(8, 4, 4, stride=2, padding=1, groups=4),
                ),
                (1, 4, 10, 12),
            ),
        }
    return {name: (net.double().eval(), shape) for name, (net, shape) in cases.items()}


NETWORKS = networks()
every_network = pytest.mark.parametrize("name", NETWORKS)


def case(name: str) -> tuple[nn.Module, Tensor]:
    network, shape = NETWORKS[name]
    images = torch.rand(shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    return network, images


def with_random_gains(network: nn.Module) -> Gained:
    copy = channel_gains(network)
    rng = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for gain in free_parameters(copy):
            gain.copy_(0.5 + torch.rand(gain.shape, generator=rng))
    return copy


@every_network
def test_gains_of_one_change_not_a_bit(name: str) -> None:
    network, images = case(name)
    # Where some parameter takes a gradient, torch has another kernel for attention.
    with torch.no_grad():
        assert torch.equal(channel_gains(network)(images), network(images))


@every_network
def test_fold_is_exact_and_gives_back_a_plain_network(name: str) -> None:
    network, images = case(name)
    gained = with_random_gains(network)
    folded = fold(gained)
    assert (folded(images) - gained(images)).abs().max() < 1e-12
    assert (folded(images) - network(images)).abs().max() > 1e-6
    assert type(folded) is type(network)
    assert list(folded.state_dict()) == list(network.state_dict())
    assert [type(m) for m in folded.modules()] == [type(m) for m in network.modules()]
    assert gains_by_layer(folded) == {}
    assert not free_parameters(folded)


@every_network
def test_the_network_that_was_handed_in_is_untouched(name: str) -> None:
    network, images = case(name)
    network = deepcopy(network).train()
    before = deepcopy(network.state_dict())
    gained = with_random_gains(network)
    gained(images).sum().backward()
    fold(gained)
    after = network.state_dict()
    assert all(torch.equal(before[key], after[key]) for key in before)
    assert all(module.training for module in network.modules())
    assert all(parameter.grad is None for parameter in network.parameters())


@every_network
def test_only_the_gains_are_free_one_for_each_channel_of_each_convolution(name: str) -> None:
    network, _ = case(name)
    gained = channel_gains(network)
    channels = [m.out_channels for m in network.modules() if isinstance(m, CONVOLUTIONS)]
    assert [gain.numel() for gain in free_parameters(gained)] == channels
    free = [key for key, parameter in gained.named_parameters() if parameter.requires_grad]
    assert all(key.startswith("gains.") for key in free)
    assert len(gains_by_layer(gained)) == len(channels)


@every_network
def test_gradients_equal_finite_differences_of_the_loss(name: str) -> None:
    network, images = case(name)
    gained = with_random_gains(network)
    gains = free_parameters(gained)

    def loss() -> Tensor:
        return (gained(images) - 0.3).square().mean()

    loss().backward()
    rng = torch.Generator().manual_seed(3)
    direction = [torch.randn(g.shape, generator=rng, dtype=g.dtype) for g in gains]
    expected = sum((g.grad * d).sum() for g, d in zip(gains, direction, strict=True))
    step = 1e-7
    values = []
    with torch.no_grad():
        for sign in (1, -1):
            for gain, along in zip(gains, direction, strict=True):
                gain.add_(along, alpha=sign * step)
            values.append(loss())
            for gain, along in zip(gains, direction, strict=True):
                gain.add_(along, alpha=-sign * step)
    difference = (values[0] - values[1]) / (2 * step)
    assert abs(difference - expected) < 1e-6 * max(1.0, abs(expected))


@given(
    transposed=st.booleans(),
    groups=st.sampled_from([1, 2, 3]),
    bias=st.booleans(),
    channel=st.integers(0, 5),
    gain=st.floats(-2, 2),
)
def test_a_gain_scales_its_own_channel_and_no_constant(
    transposed: bool, groups: int, bias: bool, channel: int, gain: float
) -> None:
    kind = nn.ConvTranspose2d if transposed else nn.Conv2d
    with torch.random.fork_rng():
        torch.manual_seed(4)
        layer = kind(6, 6, 3, groups=groups, bias=bias).double()
        images = torch.rand(1, 6, 5, 7, dtype=torch.float64)
    gained = channel_gains(nn.Sequential(layer))
    with torch.no_grad():
        free_parameters(gained)[0][channel] = gain
    constant = layer.bias[:, None, None] if bias else torch.zeros(6, 1, 1, dtype=torch.float64)
    scale = torch.ones(6, 1, 1, dtype=torch.float64)
    scale[channel] = gain
    expected = (layer(images) - constant) * scale + constant
    torch.testing.assert_close(gained(images), expected, rtol=0, atol=1e-12)


def test_a_shared_convolution_has_one_set_of_gains() -> None:
    network, _ = case("shared, attention, linear")
    gained = channel_gains(network)
    assert gained.network.get_submodule("again") is gained.network.get_submodule("shared")
    assert sorted(gains_by_layer(gained)) == ["first", "shared"]


def test_the_published_numbers_of_gains() -> None:
    with torch.random.fork_rng():
        for network, count in ((DnCNN(), 1217), (DnCNN(bias=False), 1217), (UNet(), 417)):
            assert sum(g.numel() for g in free_parameters(channel_gains(network))) == count


def test_all_parameters_frees_all_and_last_layers_the_last_to_be_called() -> None:
    class OutOfOrder(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.output = nn.Conv2d(3, 1, 1)
            self.middle = nn.Conv2d(2, 3, 1)
            self.input = nn.Conv2d(1, 2, 1)

        def forward(self, images: Tensor) -> Tensor:
            return self.output(self.middle(self.input(pad(images, (0, 0, 0, 0)))))

    with torch.random.fork_rng():
        network = OutOfOrder()
    assert len(free_parameters(all_parameters(network))) == 6
    copy = last_layers(network, torch.zeros(1, 1, 4, 4), count=2)
    free = {key for key, parameter in copy.named_parameters() if parameter.requires_grad}
    assert free == {"output.weight", "output.bias", "middle.weight", "middle.bias"}
    with pytest.raises(ValueError, match="count must be at least 1"):
        last_layers(network, torch.zeros(1, 1, 4, 4), count=0)


def test_what_cannot_carry_gains_is_refused_with_the_cure() -> None:
    with torch.random.fork_rng():
        linear = nn.Linear(2, 2)
        normed = nn.utils.parametrizations.weight_norm(nn.Conv2d(1, 1, 3))
        lazy = nn.LazyConv2d(2, 3)
        with pytest.warns(FutureWarning):
            computed = nn.utils.weight_norm(nn.Conv2d(1, 1, 3))
    with pytest.raises(ValueError, match="no convolution"):
        channel_gains(linear)
    with pytest.raises(ValueError, match=r"computed from others; .*remove_weight_norm"):
        frozen_copy(nn.Sequential(computed))
    with pytest.raises(ValueError, match="remove_parametrizations"):
        channel_gains(nn.Sequential(normed))
    with pytest.raises(ValueError, match="call the network once"):
        channel_gains(nn.Sequential(lazy))

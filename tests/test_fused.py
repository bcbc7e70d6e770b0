"""Fused groups are the same function of the same gains, with the same gradients."""

from collections.abc import Callable

import pytest
import torch
from torch import Generator, Tensor, nn

from gaintuning import zoo
from gaintuning.fused import Fused, fuse
from gaintuning.gains import Gained, all_parameters, channel_gains
from gaintuning.layout import lay_out_network
from gaintuning.networks import BlindSpotNet, DnCNN, UNet


class Shared(nn.Module):
    """One convolution that is called twice, each time with another follower."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Conv2d(4, 4, 3, padding=1)
        self.ends = nn.ModuleList([nn.Conv2d(1, 4, 1), nn.Conv2d(4, 1, 1)])
        self.normalisation = nn.BatchNorm2d(4)

    def forward(self, images: Tensor) -> Tensor:
        features = torch.relu(self.normalisation(self.layer(self.ends[0](images))))
        return self.ends[1](self.layer(features).relu() + features)


class Seen(nn.Module):
    """The output of a convolution is wanted before its ReLU too."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Conv2d(1, 4, 3, padding=1), nn.Conv2d(4, 1, 3, padding=1)

    def forward(self, images: Tensor) -> Tensor:
        features = self.first(images)
        return self.last(torch.relu(features)) + features.mean(1, keepdim=True)


class Ordered(nn.Module):
    """The ReLU comes before the normalisation, so the two cannot join the convolution."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Conv2d(1, 4, 3, padding=1), nn.Conv2d(4, 1, 3, padding=1)
        self.normalisation = nn.BatchNorm2d(4)

    def forward(self, images: Tensor) -> Tensor:
        return self.last(self.normalisation(torch.relu(self.first(images))))


def chain(*layers: nn.Module) -> Callable[[], nn.Module]:
    return lambda: nn.Sequential(*layers)


TRACED: dict[str, Callable[[], nn.Module]] = {
    "dncnn": lambda: DnCNN(features=6, depth=4),
    "bfcnn": lambda: DnCNN(features=6, depth=4, bias=False),
    "unet": UNet,
    "unet, residual and without constants": lambda: UNet(bias=False, residual=True),
    "blind-spot": BlindSpotNet,
    "shared": Shared,
    "seen": Seen,
    "ordered": Ordered,
    "leaky": lambda: nn.Sequential(nn.Conv2d(1, 4, 3), nn.LeakyReLU(0.2), nn.Conv2d(4, 1, 1)),
    "grouped": lambda: nn.Sequential(
        nn.Conv2d(1, 4, 3, dilation=2), nn.ReLU(), nn.Conv2d(4, 6, 3, groups=2), nn.Conv2d(6, 1, 1)
    ),
    "transposed": lambda: nn.Sequential(
        nn.Conv2d(1, 4, 3, stride=2),
        nn.ConvTranspose2d(4, 4, 4, stride=2, groups=2, output_padding=1),
        nn.BatchNorm2d(4),
        nn.ReLU(inplace=True),
        nn.Conv2d(4, 1, 1),
    ),
    "circular": lambda: nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1, padding_mode="circular"), nn.ReLU(), nn.Conv2d(4, 1, 1)
    ),
    "same": lambda: nn.Sequential(nn.Conv2d(1, 4, 3, padding="same"), nn.Conv2d(4, 1, 1)),
}


class Branching(nn.Module):
    """Its path depends on the values of the image."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Conv2d(1, 1, 3, padding=1)

    def forward(self, images: Tensor) -> Tensor:
        return self.layer(images) if images.mean() > 0 else images


class Standardised(nn.Conv2d):
    """A convolution that does something of its own with its weight."""

    def forward(self, images: Tensor) -> Tensor:
        return self._conv_forward(images, self.weight - self.weight.mean(), self.bias)


class Overwriting(nn.Module):
    """It adds to the output of a convolution in its place."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Conv2d(1, 4, 3, padding=1), nn.Conv2d(4, 1, 3, padding=1)

    def forward(self, images: Tensor) -> Tensor:
        return self.last(self.first(images).add_(images))


LEFT_ALONE: dict[str, Callable[[], nn.Module]] = {
    "branching": Branching,
    "overwriting": Overwriting,
    "activated in its place": lambda: nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.SiLU(inplace=True), nn.Conv2d(4, 1, 1)
    ),
    "its own forward": lambda: nn.Sequential(Standardised(1, 4, 3), nn.Conv2d(4, 1, 1)),
}


def with_gains(build: Callable[[], nn.Module], low: float = 0.7) -> Gained:
    """A network in double precision with random statistics and gains."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = build().double()
        for layer in network.modules():
            if isinstance(layer, nn.BatchNorm2d):
                layer.running_mean.normal_()
                layer.running_var.uniform_(0.5, 2)
                nn.init.uniform_(layer.weight, 0.5, 2)
                nn.init.normal_(layer.bias)
        free = lay_out_network(channel_gains(network))
        for gain in free.gains:
            gain.data.uniform_(low, 1.3)
    return free


def images(dtype: torch.dtype = torch.double) -> Tensor:
    return torch.rand(2, 1, 22, 25, generator=Generator().manual_seed(1), dtype=torch.double).to(
        dtype
    )


def gradients(network: nn.Module, free: Gained) -> Tensor:
    """Of a loss that weighs every output differently."""
    output = network(images())
    weights = torch.linspace(-1, 1, output.numel()).double().view_as(output)
    found = torch.autograd.grad((weights * output + output**2).sum(), list(free.gains))
    return torch.cat(found)


@pytest.mark.parametrize("low", [0.7, -1.3], ids=["positive", "any sign"])
@pytest.mark.parametrize("name", TRACED)
def test_output_and_gradients_are_those_of_plain_autograd(name: str, low: float) -> None:
    free = with_gains(TRACED[name], low)
    fused = fuse(free, images(), torch.double)
    assert isinstance(fused, Fused)
    torch.testing.assert_close(fused(images()), free(images()), rtol=1e-10, atol=1e-10)
    expected = gradients(free, free)
    # Divided by a small gain, rounding grows by its inverse.
    slack = 1e-11 * expected.abs().max() / min(gain.abs().min().item() for gain in free.gains)
    torch.testing.assert_close(gradients(fused, free), expected, rtol=0, atol=slack.item())


@pytest.mark.parametrize("name", LEFT_ALONE)
def test_a_network_that_cannot_be_traced_is_left_as_it_is(name: str) -> None:
    free = with_gains(LEFT_ALONE[name])
    assert fuse(free, images(), torch.double) is free


def test_what_has_no_gains_is_left_as_it_is() -> None:
    with torch.random.fork_rng():
        free = all_parameters(UNet())
    assert fuse(free, images(torch.float32)) is free


@pytest.mark.parametrize("gain", [0.0, 1e-9, -1e-9])
def test_a_gain_near_zero_has_its_exact_gradient(gain: float) -> None:
    free = with_gains(TRACED["dncnn"])
    fused = fuse(free, images(), torch.double)
    free.gains[1].data[2] = gain
    assert isinstance(fused, Fused)
    assert torch.equal(gradients(fused, free), gradients(free, free))


def test_a_step_on_the_gains_is_seen_by_both() -> None:
    free = with_gains(TRACED["unet"])
    fused = fuse(free, images(), torch.double)
    assert {id(p) for p in fused.parameters() if p.requires_grad} == {id(g) for g in free.gains}
    before = fused(images())
    for gain in free.gains:
        gain.data *= 1.1
    torch.testing.assert_close(fused(images()), free(images()), rtol=1e-10, atol=1e-10)
    assert (fused(images()) - before).abs().max() > 0.01


@pytest.mark.parametrize("name", ["dncnn", "bfcnn", "unet"])
def test_of_each_group_the_output_alone_is_kept(name: str) -> None:
    free = with_gains(TRACED[name])
    fused = fuse(free, images(), torch.double)
    kept: dict[int, Tensor] = {}

    def keep(tensor: Tensor) -> Tensor:
        if tensor.dim() == 4 and tensor.shape[0] == 2:
            kept[tensor.data_ptr()] = tensor
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        output = fused(images())
    assert output.requires_grad
    assert len(kept) <= len(free.gains)


def test_no_filter_has_a_gradient() -> None:
    free = with_gains(TRACED["dncnn"])
    fused = fuse(free, images(), torch.double)
    fused(images()).square().sum().backward()
    moved = [name for name, p in fused.named_parameters() if p.grad is not None]
    assert moved == [f"gains.{index}" for index in range(4)]


def test_bfloat16_gives_nearly_the_same_gradients() -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        free = lay_out_network(channel_gains(UNet(residual=True)))
    noisy = images(torch.float32)
    coarse = fuse(free, noisy, torch.bfloat16)
    assert isinstance(coarse, Fused)

    def gradient(network: nn.Module) -> Tensor:
        output = network(noisy)
        assert output.dtype == torch.float32
        return torch.cat(torch.autograd.grad(output.square().sum(), list(free.gains)))

    expected, found = gradient(free), gradient(coarse)
    # Eight bits of each product, over the nine layers of the network.
    assert (found - expected).norm() < 9 * 2**-8 * expected.norm()


@pytest.mark.parametrize("name", ["unet-bias-free", "unet-tem", "dncnn", "bfcnn"])
@pytest.mark.parametrize("level", [0.05, 0.6])
def test_networks_on_board_are_fused_for_an_empty_image_too(name: str, level: float) -> None:
    """In which the gradients of some gains are small differences of large sums."""
    free = lay_out_network(channel_gains(zoo.load(name)[0]))
    for seed in range(3):
        rng = Generator().manual_seed(seed)
        noisy = level + 0.12 * torch.randn(1, 1, 64, 64, generator=rng)
        assert isinstance(fuse(free, noisy), Fused)


def test_the_output_has_the_type_of_the_images() -> None:
    free = lay_out_network(channel_gains(zoo.load("unet")[0]))
    free.network.residual = False
    noisy = torch.rand(1, 1, 64, 64, generator=Generator().manual_seed(0))
    fused = fuse(free, noisy, torch.bfloat16)
    assert isinstance(fused, Fused)
    assert fused(noisy).dtype == noisy.dtype

"""Self2Self (Quan et al., CVPR 2020): what is dropped of an image is predicted from the rest."""

import torch
from jaxtyping import Float
from torch import Generator, Tensor, nn
from torch.nn.functional import avg_pool2d, interpolate, leaky_relu, max_pool2d, pad

from gaintuning._types import Images
from gaintuning.validate import check_single_image

DROPPED = 0.3
"""Part of the pixels that is dropped, and of the decoder's features."""

SMALLEST = 32
"""Side in pixels of the smallest image: the encoder halves it five times."""


def denoise_self2self(
    noisy: Images, *, steps: int = 150_000, predictions: int = 100, rng: Generator
) -> Images:
    """Denoise an image by a network with dropout that is trained on it alone, as published.

    In each step random pixels are dropped, and the network learns to predict them (Adam at 1e-4).
    The result is the mean of many such predictions. The noise must be independent from pixel to
    pixel; its level is not needed.

    Parameters
    ----------
    noisy : (1, c, h, w), with intensities in about [0, 1]; not changed.
    steps : number of steps; the published number takes hours.
    predictions : how many are averaged, each with pixels and features dropped.
    rng : source of randomness, on the CPU: the same state gives the same result there.

    Returns
    -------
    (1, c, h, w), within [0, 1]

    Raises
    ------
    ValueError : more images than one, or one too small.

    References
    ----------
    Quan, Chen, Pang & Ji, Self2Self With Dropout: Learning Self-Supervised Denoising From Single
    Image, CVPR 2020

    Examples
    --------
    >>> noisy = torch.rand(1, 1, 32, 32, generator=torch.Generator().manual_seed(0))
    >>> rng = torch.Generator().manual_seed(0)
    >>> denoise_self2self(noisy, steps=2, predictions=2, rng=rng).shape
    torch.Size([1, 1, 32, 32])
    """
    check_single_image(noisy, SMALLEST, "for a network that halves it five times")
    # Layers draw their first weights and what they drop from the global generator alone.
    with torch.random.fork_rng():
        torch.manual_seed(int(torch.randint(2**62, (), generator=rng)))
        network = PartialUNet(noisy.shape[1]).to(noisy)
        optimizer = torch.optim.Adam(network.parameters(), lr=1e-4)
        for _ in range(steps):
            image = noisy.flip(random_axes(rng))
            seen = random_mask(image, rng)
            optimizer.zero_grad()
            loss_of_dropped(network(image, seen), image, seen).backward()
            optimizer.step()
        return mean_prediction(network, noisy, predictions, rng)


def random_axes(rng: Generator) -> list[int]:
    """The axes along which to mirror: none, one or both."""
    drawn = torch.randint(2, (2,), generator=rng).tolist()
    return [axis for axis, mirrored in zip((-2, -1), drawn, strict=True) if mirrored]


def random_mask(images: Images, rng: Generator) -> Images:
    """1 where a pixel is seen, 0 where it is dropped, each channel by itself."""
    return (torch.rand(images.shape, generator=rng) >= DROPPED).to(images)


def loss_of_dropped(predicted: Images, noisy: Images, seen: Images) -> Tensor:
    """Mean squared error over the dropped pixels.

    Examples
    --------
    >>> seen = torch.tensor([[[[1.0, 0.0]]]])
    >>> loss_of_dropped(torch.zeros(1, 1, 1, 2), torch.tensor([[[[7.0, 3.0]]]]), seen).item()
    9.0
    """
    dropped = 1 - seen
    return ((predicted - noisy).square() * dropped).sum() / dropped.sum().clamp(min=1)


@torch.no_grad()
def mean_prediction(network: nn.Module, noisy: Images, count: int, rng: Generator) -> Images:
    total = torch.zeros_like(noisy)
    for _ in range(count):
        axes = random_axes(rng)
        image = noisy.flip(axes)
        total += network(image, random_mask(image, rng)).flip(axes)
    return total / count


class PartialConvolution(nn.Module):
    """A 3 x 3 convolution over the pixels that are seen (Liu et al. 2018).

    Its sum is divided by the part of the window that is seen. A pixel of the output is seen if any
    pixel of its window is.

    Examples
    --------
    >>> image = torch.zeros(1, 3, 8, 8)
    >>> output, seen = PartialConvolution(3, 48)(image, torch.ones_like(image))
    >>> output.shape, seen.shape
    (torch.Size([1, 48, 8, 8]), torch.Size([1, 1, 8, 8]))
    """

    def __init__(self, channels: int, features: int) -> None:
        super().__init__()
        self.sum = nn.Conv2d(channels, features, 3, bias=False)
        self.constant = nn.Parameter(torch.zeros(features, 1, 1))
        nn.init.xavier_uniform_(self.sum.weight)

    def forward(
        self, images: Float[Tensor, "n c h w"], seen: Float[Tensor, "n seen h w"]
    ) -> tuple[Float[Tensor, "n features h w"], Float[Tensor, "n 1 h w"]]:
        around = (1, 1, 1, 1)
        total = self.sum(pad(images * seen, around, mode="replicate"))
        part = avg_pool2d(pad(seen, around, mode="replicate"), 3, stride=1).mean(1, keepdim=True)
        # Where nothing is seen the sum is 0, and stays so whatever it is divided by.
        return total / part.clamp(min=1e-6) + self.constant, (part > 0).to(part)


class PartialUNet(nn.Module):
    """Partial convolutions on the way down, dropout on the way up, a skip at each resolution.

    Examples
    --------
    >>> image = torch.zeros(1, 1, 33, 40)
    >>> with torch.random.fork_rng():
    ...     PartialUNet(1)(image, torch.ones_like(image)).shape
    torch.Size([1, 1, 33, 40])
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = PartialConvolution(channels, 48)
        self.down = nn.ModuleList(PartialConvolution(48, 48) for _ in range(5))
        self.deepest = PartialConvolution(48, 48)
        self.up = nn.ModuleList(
            nn.Sequential(*dropped_convolution(wide, middle), *dropped_convolution(middle, narrow))
            for wide, middle, narrow in [
                (48 + 48, 96, 96),
                *[(96 + 48, 96, 96)] * 3,
                (96 + channels, 64, 32),
            ]
        )
        self.last = nn.Sequential(nn.Dropout(DROPPED), convolution(32, channels), nn.Sigmoid())

    def forward(self, images: Images, seen: Images) -> Images:
        image = images * seen
        features, seen = self.first(image, seen)
        features = leaky_relu(features, 0.1)
        skips = [image]
        for layer in self.down:
            features, seen = layer(features, seen)
            features = max_pool2d(leaky_relu(features, 0.1), 2, ceil_mode=True)
            seen = max_pool2d(seen, 2, ceil_mode=True)
            skips.append(features)
        features, _ = self.deepest(skips.pop(), seen)
        features = leaky_relu(features, 0.1)
        for block in self.up:
            skip = skips.pop()
            height, width = skip.shape[-2:]
            wider = interpolate(features, scale_factor=2)[..., :height, :width]
            features = block(torch.cat([wider, skip], dim=1))
        predicted: Tensor = self.last(features)
        return predicted


def dropped_convolution(channels: int, features: int) -> list[nn.Module]:
    """Dropout, a convolution and a leaky ReLU."""
    return [nn.Dropout(DROPPED), convolution(channels, features, 2**0.5), nn.LeakyReLU(0.1)]


def convolution(channels: int, features: int, gain: float = 1.0) -> nn.Conv2d:
    """One whose output varies `gain` times as much as its input."""
    layer = nn.Conv2d(channels, features, 3, padding=1, padding_mode="replicate")
    for name, parameter in layer.named_parameters():
        std = gain / (9 * channels) ** 0.5 if name == "weight" else 0.0
        nn.init.normal_(parameter, std=std)
    return layer

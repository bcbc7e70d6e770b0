"""Zero-Shot Noise2Noise (Mansour & Heckel, CVPR 2023): two halves of an image teach a network."""

from typing import TypeAlias

import torch
from jaxtyping import Float
from torch import Generator, Tensor, nn
from torch.nn.functional import mse_loss

from gaintuning._types import Denoiser, Images
from gaintuning.validate import check_single_image

Half: TypeAlias = Float[Tensor, "n c half_h half_w"]

SMALLEST = 10
"""Side in pixels of the smallest image: its halves are as large as what the network sees."""


def denoise_zero_shot_noise2noise(noisy: Images, *, steps: int = 2000, rng: Generator) -> Images:
    """Denoise an image by a small network that is trained on it alone, as published.

    Adam at 1e-3, halved every 1000 steps, on the whole image. The noise must be independent from
    pixel to pixel; its level is not needed.

    Parameters
    ----------
    noisy : (1, c, h, w), with intensities in about [0, 1]; not changed.
    steps : number of steps.
    rng : source of the first weights, on the CPU.

    Returns
    -------
    (1, c, h, w), not clipped

    Raises
    ------
    ValueError : more images than one, or one too small.

    References
    ----------
    Mansour & Heckel, Zero-Shot Noise2Noise: Efficient Image Denoising without any Data, CVPR 2023,
    https://arxiv.org/abs/2303.11253

    Examples
    --------
    >>> noisy = torch.rand(1, 1, 32, 32, generator=torch.Generator().manual_seed(0))
    >>> rng = torch.Generator().manual_seed(0)
    >>> denoise_zero_shot_noise2noise(noisy, steps=3, rng=rng).shape
    torch.Size([1, 1, 32, 32])
    """
    check_single_image(noisy, SMALLEST, "to learn from")
    network = noise_network(noisy.shape[1], rng).to(noisy)

    def denoiser(images: Tensor) -> Tensor:
        predicted: Tensor = network(images)
        return images - predicted

    optimizer = torch.optim.Adam(network.parameters(), lr=1e-3)
    rates = torch.optim.lr_scheduler.StepLR(optimizer, step_size=1000, gamma=0.5)
    for _ in range(steps):
        optimizer.zero_grad()
        loss_of_halves(denoiser, noisy).backward()
        optimizer.step()
        rates.step()
    with torch.no_grad():
        return denoiser(noisy)


def noise_network(channels: int, rng: Generator) -> nn.Module:
    """The network, which predicts the noise; two convolutions see 5 x 5 pixels.

    Examples
    --------
    >>> sum(p.numel() for p in noise_network(3, torch.Generator()).parameters())
    22275
    """
    # Layers draw their first weights from the global generator and from no other.
    with torch.random.fork_rng():
        torch.manual_seed(int(torch.randint(2**62, (), generator=rng)))
        return nn.Sequential(
            nn.Conv2d(channels, 48, 3, padding=1),
            nn.LeakyReLU(0.2),
            nn.Conv2d(48, 48, 3, padding=1),
            nn.LeakyReLU(0.2),
            nn.Conv2d(48, channels, 1),
        )


def halves(images: Images) -> tuple[Half, Half]:
    """Two images of half the size: the means along the two diagonals of each 2 x 2 square.

    No pixel is in both, so that their noise is independent. A last odd row or column is left out.

    Examples
    --------
    >>> first, second = halves(torch.tensor([[[[1.0, 2.0], [3.0, 5.0]]]]))
    >>> first.item(), second.item()
    (2.5, 3.0)
    """
    height, width = (side // 2 * 2 for side in images.shape[-2:])
    even = images[..., :height, :width]
    top, bottom = even[..., ::2, :], even[..., 1::2, :]
    falling = (top[..., ::2] + bottom[..., 1::2]) / 2
    rising = (top[..., 1::2] + bottom[..., ::2]) / 2
    return rising, falling


def loss_of_halves(denoiser: Denoiser, noisy: Images) -> Tensor:
    """Eq. 6: each half denoised is like the other (residual) and like the whole (consistency).

    Examples
    --------
    >>> loss_of_halves(lambda y: y, torch.full((1, 1, 32, 32), 0.5)).item()
    0.0
    """
    first, second = halves(noisy)
    first_denoised, second_denoised = denoiser(first), denoiser(second)
    first_of_denoised, second_of_denoised = halves(denoiser(noisy))
    residual = mse_loss(first_denoised, second) + mse_loss(second_denoised, first)
    consistency = mse_loss(first_denoised, first_of_denoised)
    consistency = consistency + mse_loss(second_denoised, second_of_denoised)
    return (residual + consistency) / 2

"""Random crops of images, and the eight orientations of a square."""

from collections.abc import Iterator, Sequence
from math import ceil

import torch
from jaxtyping import Float
from torch import Generator, Tensor

from gaintuning._types import Images


def random_crops(
    images: Images | Sequence[Tensor], size: int, count: int, rng: Generator
) -> Float[Tensor, "count c side side"]:
    """Draw `count` square crops, each from an image and a place at random.

    Parameters
    ----------
    images : (n, c, h, w), or (c, h, w) tensors of any sizes. Where one of them is narrower than
        `size`, the crops are as large as it allows.
    size : side of a crop in pixels.
    count : number of crops.
    rng : source of randomness, on the CPU.

    Returns
    -------
    (count, c, size, size)

    Examples
    --------
    >>> import torch
    >>> rng = torch.Generator().manual_seed(0)
    >>> random_crops(torch.rand(2, 1, 40, 50), size=16, count=3, rng=rng).shape
    torch.Size([3, 1, 16, 16])
    """
    side = min(size, min(min(image.shape[-2:]) for image in images))
    crops = []
    for _ in range(count):
        image = images[_integer(len(images), rng)]
        top = _integer(image.shape[-2] - side + 1, rng)
        left = _integer(image.shape[-1] - side + 1, rng)
        crops.append(image[..., top : top + side, left : left + side])
    return torch.stack(crops)


def every_part(images: Images, pixels: int, rng: Generator) -> Iterator[Images]:
    """Windows of about so many pixels in all, without end: each once before any comes again.

    Drawn like this, they miss and repeat nothing, so that what one takes away from the mean of all
    the others bring back. Small images come whole, several at a time.

    Examples
    --------
    >>> import torch
    >>> parts = every_part(torch.rand(1, 1, 512, 300), 256**2, torch.Generator().manual_seed(0))
    >>> next(parts).shape
    torch.Size([1, 1, 256, 256])
    """
    height, width = images.shape[-2:]
    side = int(pixels**0.5)
    tall = min(height, max(side, pixels // width))
    wide = min(width, pixels // tall)
    windows = [
        image[..., top : top + tall, left : left + wide]
        for image in images
        for top in _spread(height, tall)
        for left in _spread(width, wide)
    ]
    together = max(1, pixels // (tall * wide))
    while True:
        order = torch.randperm(len(windows), generator=rng).tolist()
        for start in range(0, len(order), together):
            yield torch.stack([windows[index] for index in order[start : start + together]])


def random_orientations(squares: Images, rng: Generator) -> Images:
    """Turn and mirror each square at random.

    Examples
    --------
    >>> import torch
    >>> rng = torch.Generator().manual_seed(0)
    >>> random_orientations(torch.rand(3, 1, 16, 16), rng).shape
    torch.Size([3, 1, 16, 16])
    """
    turned = [torch.rot90(square, _integer(4, rng), (-2, -1)) for square in squares]
    return torch.stack([square.flip(-1) if _integer(2, rng) else square for square in turned])


def _spread(length: int, window: int) -> list[int]:
    """Where windows start that together cover a length evenly."""
    count = ceil(length / window)
    return [round(index * (length - window) / max(1, count - 1)) for index in range(count)]


def _integer(below: int, rng: Generator) -> int:
    return int(torch.randint(below, (), generator=rng))

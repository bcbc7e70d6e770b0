"""Random crops of images, and the eight orientations of a square."""

from collections.abc import Sequence

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


def _integer(below: int, rng: Generator) -> int:
    return int(torch.randint(below, (), generator=rng))

"""Random crops of images, and the eight orientations of a square."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product
from math import ceil

import torch
from jaxtyping import Float
from torch import Generator, Tensor
from torch.nn.functional import avg_pool2d

from gaintuning._types import Images
from gaintuning.orientations import orient


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


def middle(images: Float[Tensor, "... h w"], size: int) -> Float[Tensor, "... height width"]:
    """The square in the middle, or what there is of it.

    Examples
    --------
    >>> middle(torch.zeros(1, 1, 10, 4), 6).shape
    torch.Size([1, 1, 6, 4])
    """
    top, left = (max(0, (length - size) // 2) for length in images.shape[-2:])
    return images[..., top : top + size, left : left + size]


def detailed_crops(images: Images, size: int, count: int) -> Float[Tensor, "crops c side side"]:
    """Of crops that cover the images, those at most in which there is most to see.

    That is told by the variance of means over 8 x 8 pixels, since these have little noise.

    Examples
    --------
    >>> image = torch.zeros(1, 1, 100, 150)
    >>> image[..., 60:80, 120:140] = 1
    >>> [int(crop.sum()) for crop in detailed_crops(image, size=50, count=1)]
    [400]
    """
    side = min(size, *images.shape[-2:])
    tops, lefts = (
        torch.linspace(0, length - side, ceil(length / side)).long().tolist()
        for length in images.shape[-2:]
    )
    crops = torch.stack(
        [
            image[..., top : top + side, left : left + side]
            for image, top, left in product(images, tops, lefts)
        ]
    )
    seen = avg_pool2d(crops, min(8, side)).var((1, 2, 3), correction=0)
    return crops[seen.topk(min(count, len(crops))).indices]


@dataclass(frozen=True)
class Windows:
    """Equal parts of images that do not overlap.

    Parameters
    ----------
    images : (n, c, h, w)
    places : index of the image, top and left of each window.
    height, width : of a window.
    """

    images: Images
    places: list[tuple[int, int, int]]
    height: int
    width: int

    def parity(self, image: int, top: int, left: int) -> int:
        """Black or white, on a chess board of the windows; of each image the other way round."""
        return (image + top // self.height + left // self.width) % 2

    def draw(self, pixels: int, rng: Generator) -> Iterator[Images]:
        """Windows of about so many pixels in all, without end: each once before any comes again.

        Drawn like this, they miss and repeat nothing, so that what one takes away from the mean of
        all the others bring back.
        """
        together = max(1, round(pixels / (self.height * self.width)))
        while True:
            order = torch.randperm(len(self.places), generator=rng).tolist()
            for start in range(0, len(order), together):
                drawn = [self.places[index] for index in order[start : start + together]]
                yield torch.stack(
                    [
                        self.images[image][..., top : top + self.height, left : left + self.width]
                        for image, top, left in drawn
                    ]
                )

    def mask(self) -> Float[Tensor, "n 1 h w"]:
        """1 within the windows, else 0."""
        n, _, height, width = self.images.shape
        mask = torch.zeros(n, 1, height, width, dtype=torch.half)
        for image, top, left in self.places:
            mask[image, :, top : top + self.height, left : left + self.width] = 1
        return mask


def cut(images: Images, pixels: int, fewest: int = 1) -> Windows:
    """Cut images into windows of so many pixels at most.

    Each image has at least `fewest` rows and as many columns of them.

    Examples
    --------
    >>> windows = cut(torch.rand(2, 1, 512, 300), 256**2)
    >>> len(windows.places), windows.height, windows.width
    (8, 256, 150)
    """
    side = pixels**0.5
    rows, columns = (max(fewest, ceil(length / side)) for length in images.shape[-2:])
    height, width = images.shape[-2] // rows, images.shape[-1] // columns
    places = [
        (image, row * height, column * width)
        for image, row, column in product(range(len(images)), range(rows), range(columns))
    ]
    return Windows(images, places, height, width)


def chess_board(images: Images, pixels: int) -> tuple[Windows, Windows]:
    """Cut images into windows of so many pixels at most; the black ones and the white ones.

    Each image has at least two rows and two columns of them.

    Examples
    --------
    >>> black, white = chess_board(torch.rand(1, 1, 512, 300), 256**2)
    >>> black.places, white.places, (black.height, black.width)
    ([(0, 0, 0), (0, 256, 150)], [(0, 0, 150), (0, 256, 0)], (256, 150))
    """
    board = cut(images, pixels, fewest=2)
    black, white = (
        replace(board, places=[place for place in board.places if board.parity(*place) == parity])
        for parity in (0, 1)
    )
    return black, white


def random_orientations(squares: Images, rng: Generator) -> Images:
    """Turn and mirror each square at random.

    Examples
    --------
    >>> import torch
    >>> rng = torch.Generator().manual_seed(0)
    >>> random_orientations(torch.rand(3, 1, 16, 16), rng).shape
    torch.Size([3, 1, 16, 16])
    """
    turns = [_integer(4, rng) for _ in squares]
    mirrored = [_integer(2, rng) == 1 for _ in squares]
    return torch.stack([orient(*one) for one in zip(squares, turns, mirrored, strict=True)])


def _integer(below: int, rng: Generator) -> int:
    return int(torch.randint(below, (), generator=rng))

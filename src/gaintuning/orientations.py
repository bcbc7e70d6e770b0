"""The mean over the eight orientations of a square: the same network, asked eight times."""

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from gaintuning._types import Images


class MeanOfOrientations(nn.Module):
    """A denoiser that turns and mirrors the image, denoises it, undoes that, and takes the mean.

    A scene has no preferred orientation, so each of the eight results is as good as any other. They
    err in part each for itself, and the mean of several has at most the mean of their squared
    errors.

    Parameters
    ----------
    network : for images of any orientation.

    Examples
    --------
    >>> shift = nn.Conv2d(1, 1, 3, padding=1, bias=False).requires_grad_(False)
    >>> _ = shift.weight.zero_()
    >>> shift.weight[..., 1, 0] = 1
    >>> image = torch.zeros(1, 1, 5, 5)
    >>> image[..., 2, 2] = 8
    >>> MeanOfOrientations(shift)(image)[0, 0, 1:4, 1:4]
    tensor([[0., 2., 0.],
            [2., 0., 2.],
            [0., 2., 0.]])
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Images) -> Images:
        mean = torch.zeros_like(images)
        for denoised in self.each(images):
            mean += denoised / 8
        return mean

    def each(self, images: Images) -> Iterator[Images]:
        """The eight results, in the orientation of the images."""
        for turns, mirrored in orientations():
            seen = orient(images, turns, mirrored)
            yield orient_back(self.network(seen), turns, mirrored)

    def variance(self, images: Images) -> Images:
        """How far the eight results lie apart, pixel by pixel.

        It is what the mean gains: whatever the clean image, the mean of the squared errors of the
        eight is the squared error of their mean and this.
        """
        results = torch.stack(list(self.each(images)))
        return results.var(0, correction=0)


def orientations() -> Iterator[tuple[int, bool]]:
    """Quarter turns, and whether mirrored after that."""
    for turns in range(4):
        yield turns, False
        yield turns, True


def orient(images: Tensor, turns: int, mirrored: bool) -> Tensor:
    """Turn (..., h, w) by quarters, then mirror it."""
    turned = torch.rot90(images, turns, (-2, -1))
    return turned.flip(-1) if mirrored else turned


def orient_back(images: Images, turns: int, mirrored: bool) -> Tensor:
    """Undo `orient`.

    Examples
    --------
    >>> image = torch.rand(1, 1, 3, 4)
    >>> torch.equal(orient_back(orient(image, 3, True), 3, True), image)
    True
    """
    turned = images.flip(-1) if mirrored else images
    return torch.rot90(turned, -turns, (-2, -1))

"""Piecewise-constant images: a crude model of natural ones (Lee, Mumford & Huang 2001)."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from gaintuning._types import Images
from gaintuning.simulate.scenes import scenes


def piecewise_constant(count: int, size: int, seed: int) -> Images:
    """Scenes of flat shapes that hide each other, each of one random gray level.

    A shape is a disc, a half-plane (an edge across the scene) or a line with two parallel sides;
    its place, size, orientation and gray level are random. A scene has from 1 to 24 of them.

    Parameters
    ----------
    count : number of scenes.
    size : side of a scene in pixels.
    seed : the same seed gives the same scenes, and fewer of them are the first ones.

    Returns
    -------
    (count, 1, size, size), multiples of 1 / 255 in [0, 1]

    Examples
    --------
    >>> scenes = piecewise_constant(count=2, size=90, seed=0)
    >>> scenes.shape, len(scenes[0].unique()) <= 25
    (torch.Size([2, 1, 90, 90]), True)
    """
    return scenes(flat_shapes, count, size, seed, smallest=12)


def flat_shapes(size: int, rng: np.random.Generator) -> NDArray[Any]:
    scene = np.full((size, size), _gray(rng), np.float32)
    for _ in range(rng.integers(1, 25)):
        scene[_shape(size, rng)] = _gray(rng)
    return scene


def _gray(rng: np.random.Generator) -> int:
    return int(rng.integers(256))


def _shape(size: int, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Where a random shape lies."""
    inside: NDArray[np.bool_]
    rows, columns = np.ogrid[:size, :size]
    top, left = rng.uniform(0, size, 2)
    down, right = (rows - top).astype(np.float32), (columns - left).astype(np.float32)
    kind = rng.integers(3)
    if kind == 0:
        # Sizes spread evenly on a logarithmic scale look alike from every distance.
        radius = np.exp(rng.uniform(np.log(3), np.log(size / 3)))
        inside = down**2 + right**2 < radius**2
    else:
        angle = rng.uniform(0, 2 * np.pi)
        distance = np.float32(np.cos(angle)) * down + np.float32(np.sin(angle)) * right
        width = np.exp(rng.uniform(np.log(2), np.log(size / 6)))
        inside = distance > 0 if kind == 1 else np.abs(distance) < width / 2
    return inside

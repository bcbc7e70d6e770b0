"""A long movie: tuned once, on parts of all of it, and denoised frame by frame."""

from itertools import product
from math import prod
from typing import Any

import numpy as np

from gaintuning._types import Progress
from gaintuning.adaptation import Array
from gaintuning.adapted import Adapted
from gaintuning.hardware import freed_memory_kept
from gaintuning.image import Image, OpenImage
from gaintuning.scaling import spread
from gaintuning.unfinished import Unfinished

LONG = 2**25
"""A stack of more pixels than that is denoised frame by frame."""

PARTS, SIDE = 16, 256
"""Number and side of the squares that the network is tuned on, as far as there is room for them."""


def is_long(image: OpenImage) -> bool:
    """Whether it is a stack of frames that are better not all in memory at once."""
    return image.axes[0] in "TZ" and prod(image.pixels.shape) > LONG


def frame_of(movie: OpenImage, index: int) -> Array:
    """One frame, in this machine's byte order.

    Raises
    ------
    ValueError : some of it is no number.
    """
    frame = np.asarray(movie.pixels[index])
    frame = frame.astype(frame.dtype.newbyteorder("="), copy=False)
    if frame.dtype.kind == "f" and not np.isfinite(frame).all():
        raise ValueError(
            f"frame {index} (the first is 0) has pixels that are NaN or infinite; replace them "
            "first, as with numpy.nan_to_num"
        )
    return frame


def check_frames(movie: OpenImage) -> None:
    """Raise if a pixel of any frame is no number, before the work starts."""
    if movie.pixels.dtype.kind == "f":
        for index in range(len_of(movie)):
            frame_of(movie, index)


def parts_of(movie: OpenImage) -> Image:
    """Squares of planes all over the movie, at random places, as a movie of their own.

    No pixel is in two of them, as some of them judge what was learned from the others. Few frames
    that are small have room for fewer than `PARTS`.

    Examples
    --------
    >>> parts_of(Image(np.zeros((40, 300, 200), np.uint16), "TYX")).pixels.shape
    (16, 256, 200)
    >>> parts_of(Image(np.zeros((4, 30, 300, 200), np.uint16), "TZYX")).pixels.shape
    (16, 1, 256, 200)
    >>> parts_of(Image(np.zeros((4, 300, 200), np.uint16), "TYX")).pixels.shape
    (4, 256, 200)
    """
    rng = np.random.default_rng(0)
    indices = spread(len_of(movie), PARTS)
    numbers = np.bincount(np.arange(PARTS) % len(indices))
    parts: list[Array] = []
    for index, number in zip(indices, numbers, strict=True):
        frame = frame_of(movie, int(index))
        places = _places(frame.shape, movie.axes[1:], int(number), rng)
        parts.extend(frame[place] for place in places)
    return Image(np.stack(parts), movie.axes, movie.pixel_size, movie.acquisition)


def _places(
    shape: tuple[int, ...], axes: str, number: int, rng: np.random.Generator
) -> list[tuple[slice, ...]]:
    """Where so many squares of a frame lie apart, or as many as fit."""
    along_axes = [[slice(None)] for _ in shape]
    for axis, most in (("T", 1), ("Z", 1), ("Y", SIDE), ("X", SIDE)):
        if axis in axes:
            length = shape[axes.index(axis)]
            side = min(most, length)
            cells = length // side if number > 1 else 1
            start = int(rng.integers(length - cells * side + 1))
            edges = range(start, start + cells * side, side)
            along_axes[axes.index(axis)] = [slice(edge, edge + side) for edge in edges]
    places = list(product(*along_axes))
    return [places[index] for index in rng.permutation(len(places))[:number]]


def len_of(movie: OpenImage) -> int:
    return movie.pixels.shape[0]


@freed_memory_kept()
def denoise_frames(
    work: Unfinished, adapted: Adapted, dtype: np.dtype[Any], progress: Progress
) -> None:
    """Denoise the frames that are not done yet, to that dtype, and finish the file.

    Raises
    ------
    KeyboardInterrupt : with a word on how to go on.
    """
    count = len_of(work.movie)
    try:
        for index in range(work.done, count):
            progress(index, count)
            frame = frame_of(work.movie, index).astype(dtype, copy=False)
            before = list(adapted.channels)
            denoised = adapted(frame, work.movie.axes[1:])
            new = any(now is not then for now, then in zip(adapted.channels, before, strict=True))
            work.write(denoised, adapted.channels if new else None)
        progress(count, count)
    except KeyboardInterrupt as stop:
        raise KeyboardInterrupt(
            f"after {work.done} of {count} frames; the same command goes on there"
        ) from stop
    work.finish()

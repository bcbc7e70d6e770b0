"""What the caller handed in, checked before any work starts; each error names the cure."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from gaintuning._types import Images

AXES = "TZCYXS"
SMALLEST_TO_TUNE = 32
"""Side in pixels of the smallest image that has enough to tune from."""


def default_axes(shape: tuple[int, ...]) -> str:
    """The likely meaning of an array's axes.

    Examples
    --------
    >>> default_axes((64, 64)), default_axes((64, 64, 3)), default_axes((9, 64, 64))
    ('YX', 'YXS', 'ZYX')
    """
    if len(shape) == 3 and shape[-1] in (3, 4) and shape[0] > 4:
        return "YXS"
    return "TZYX"[-len(shape) :]


def check_pixels(pixels: NDArray[np.generic], axes: str) -> None:
    """Raise a TypeError or ValueError unless the array is an image that can be denoised."""
    if pixels.dtype == bool or not (
        np.issubdtype(pixels.dtype, np.integer) or np.issubdtype(pixels.dtype, np.floating)
    ):
        raise TypeError(
            f"an image needs real numbers, got {pixels.dtype}; convert it first, as with "
            "image.astype('float32')"
        )
    if not 2 <= pixels.ndim <= len(AXES):
        raise ValueError(
            f"an image has 2 to {len(AXES)} axes, got {pixels.ndim} (shape {pixels.shape}); take a "
            "part of it, or denoise its parts one by one"
        )
    if isinstance(pixels, np.ma.MaskedArray) and np.ma.is_masked(pixels):
        raise ValueError(
            "some pixels are masked, which is not looked at; give them one value, as by "
            "image.filled(0): areas where nothing varies stay as they are"
        )
    if len(axes) != pixels.ndim or len(set(axes)) != len(axes) or set(axes) - set(AXES):
        raise ValueError(
            f"axes must name each of the {pixels.ndim} axes of the image by another letter of "
            f"{AXES}, got {axes!r}"
        )
    if not {"Y", "X"} <= set(axes):
        raise ValueError(f"axes must contain Y and X, got {axes!r}")
    if pixels.size == 0:
        raise ValueError(f"the image is empty (shape {pixels.shape}); give one with pixels")
    if np.issubdtype(pixels.dtype, np.floating) and not np.isfinite(pixels).all():
        bad = int(pixels.size - np.isfinite(pixels).sum())
        raise ValueError(
            f"{bad} of {pixels.size} pixels are NaN or infinite; replace single ones first by the "
            "mean of their neighbours, and areas by one value: where nothing varies, an image "
            "stays as it is"
        )
    if pixels.min() == pixels.max():
        raise ValueError(
            f"every pixel is {pixels.min()}, so there is no image to denoise; was the right file "
            "or frame given?"
        )


def check_large_enough_to_tune(height: int, width: int) -> None:
    if min(height, width) < SMALLEST_TO_TUNE:
        raise ValueError(
            f"an image of {height} x {width} pixels is too small to tune from: at least "
            f"{SMALLEST_TO_TUNE} x {SMALLEST_TO_TUNE} are needed; give a larger region, or use "
            "the pre-trained network as it is (tune=False, --no-tune)"
        )


def check_can_be_halved(noisy: Images) -> None:
    """Raise unless images have finite pixels, of which each half can learn something."""
    if min(noisy.shape[-2:]) < 2:
        height, width = noisy.shape[-2:]
        raise ValueError(f"images of {height} x {width} pixels have no two halves to learn from")
    if not noisy.isfinite().all():
        raise ValueError("some pixels are NaN or infinite; replace them first")


def find_device(name: str | torch.device) -> torch.device:
    """A device that works here; "auto" is a GPU where there is one, else the CPU."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        torch.ones(1, device=name).item()  # "meta" can hold a tensor, but no numbers
    except (RuntimeError, AssertionError, ImportError) as error:
        raise ValueError(f"there is no device {str(name)!r} here; use cpu, or auto") from error
    return torch.device(name)


def image_channels(network: nn.Module, samples: int) -> int:
    """How many channels a network takes: all samples of a color image at once, or 1.

    Raises
    ------
    ValueError : it takes neither, or its output has another shape than its input.
    """
    parameter = next(network.parameters(), None)
    if parameter is None:
        raise ValueError("the network has no parameters; give a trained network")
    for channels in dict.fromkeys([samples, 1]):
        try:
            with torch.inference_mode():
                probe = torch.zeros(1, channels, 64, 64).to(parameter)
                output = network(probe)
        except RuntimeError:
            continue
        if isinstance(output, Tensor) and output.shape == probe.shape:
            return channels
    wanted = "1" if samples == 1 else f"1 or {samples}"
    raise ValueError(
        f"the network does not turn images of {wanted} channels into images of the same shape; "
        "give a denoiser for such images"
    )


def check_blind(network: nn.Module, channels: int) -> bool:
    """Whether the network's output at a pixel ignores the input at that pixel."""
    rng = torch.Generator().manual_seed(0)
    image = torch.rand(1, channels, 64, 64, generator=rng)
    image = image.to(next(network.parameters()))
    changed = image.clone()
    changed[..., 31, 33] += 1.0
    with torch.inference_mode():
        moved = (network(image) - network(changed)).abs()
    # Not exactly zero: fast convolutions on a GPU spread rounding errors over neighbours.
    return bool(moved[..., 31, 33].max() <= 1e-4 * moved.max())


def check_single_image(images: Images, smallest: int, purpose: str) -> None:
    """Raise unless this is one image whose sides are at least `smallest`, and say for what."""
    n, _, height, width = images.shape
    if n != 1:
        raise ValueError(f"one image is denoised at a time, got {n}; give them one by one")
    if min(height, width) < smallest:
        raise ValueError(
            f"an image of {height} x {width} pixels is too small {purpose}: at least "
            f"{smallest} x {smallest} are needed; give a larger region"
        )

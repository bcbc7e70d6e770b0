"""One plane of an image before and after denoising, as pictures for a page."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, prod

import imagecodecs
import matplotlib
import numpy as np
import torch
from matplotlib.colors import to_hex
from numpy.typing import NDArray
from torch import Tensor

from gaintuning.adaptation import Adaptation, Array
from gaintuning.denoising import Denoised
from gaintuning.figures import data_uri
from gaintuning.likelihood import likelihood_map
from gaintuning.noise import Noise
from gaintuning.planes import split_planes
from gaintuning.trust import residual_of
from gaintuning.unshuffling import ALL

LARGEST = 1024
"""Side in pixels of the largest image that is shown as it is."""
CROP = 512
"""Side in pixels of the part of a larger image that is shown as it is."""
RESIDUAL_LIMIT = 3.0
"""Where the colors of the residual end, in standard deviations of the noise."""
LIKELIHOOD_LIMIT = 6.0
"""Where those of the likelihood end, in its standard deviations."""

LABELS = {"noisy": "Noisy", "pretrained": "Pre-trained", "tuned": "Result"}

LEVELS = matplotlib.colormaps["viridis"]
LEVEL_COLORS = [to_hex(color) for color in LEVELS(np.linspace(0, 1, 11))]
"""From 0 to the highest value of a `LevelMap`."""

SIGNED = matplotlib.colormaps["RdBu_r"]
SIGNED_COLORS = [to_hex(color) for color in SIGNED(np.linspace(0, 1, 11))]
"""From the lowest to the highest value of a `SignedMap`."""


@dataclass(frozen=True)
class Panel:
    """One of the images to compare."""

    key: str
    label: str
    uri: str


@dataclass(frozen=True)
class SignedMap:
    """An image of signed values around 0; `limit` is where its colors end."""

    uri: str
    limit: float


@dataclass(frozen=True)
class LevelMap:
    """An image of values from 0; `limit` is where its colors end."""

    uri: str
    limit: float


@dataclass(frozen=True)
class View:
    """The same part of each image, at the same scale.

    Parameters
    ----------
    label : what part it is.
    height, width : of the pictures, in their pixels.
    averaged : how many values of the image, pixels and colors, make one value of `residual`.
    black, white : the intensities that are shown so.
    panels : the images; the first is noisy, the last the result.
    residual : noisy - result, in standard deviations of the noise.
    residual_sigma : standard deviation of noisy - result, in the units of the image.
    noise_sigma : standard deviation of the noise by its model, likewise.
    correlation : of neighbouring values of noisy - result, in standard deviations of the noise.
    likelihood : of the noisy image if the result is the truth, see `likelihood_map`; None where the
        noise is not independent from pixel to pixel.
    change : result - pre-trained, in the units of the image; None if they are the same.
    expected_error : of the result, in the units of the image; None where it cannot be told.
    """

    label: str
    height: int
    width: int
    averaged: int
    black: float
    white: float
    panels: list[Panel]
    residual: SignedMap
    residual_sigma: float
    noise_sigma: float
    correlation: float
    likelihood: SignedMap | None
    change: SignedMap | None
    expected_error: LevelMap | None


def draw_views(noisy: Array, denoised: Denoised[Array]) -> list[View]:
    """Compare one plane: whole if it is small, else its centre and an average of the whole.

    Of a stack this is the middle plane, of several channels the first. One range of intensities,
    the 0.5 to 99.5 percentiles of the result, is shown from black to white in all images.

    Parameters
    ----------
    noisy : the image as it was given to `denoise`.
    denoised : what `denoise` returned.

    Examples
    --------
    >>> from gaintuning.denoising import denoise
    >>> from gaintuning.networks import UNet
    >>> noisy = np.random.default_rng(0).normal(100, 20, (48, 64))
    >>> (view,) = draw_views(noisy, denoise(noisy, network=UNet(), tune=False))
    >>> [panel.label for panel in view.panels]
    ['Noisy', 'Pre-trained']
    """
    images = [noisy, denoised.pretrained, denoised.image, denoised.expected_error]
    planes = np.stack([_shown_plane(image, denoised.axes) for image in images])
    found = denoised.adaptations[0]
    noise = [found.noise] * planes.shape[1]
    if "C" not in denoised.axes and len(denoised.adaptations) > 1:  # one of each color
        noise = [adaptation.noise for adaptation in denoised.adaptations]
    low, high = map(float, np.percentile(planes[2], [0.5, 99.5]))
    limits = (low, high if high > low else low + 1)
    sides = planes.shape[-2:]
    if max(sides) <= LARGEST:
        return [_draw_view("Whole image", planes, limits, found, noise)]
    rows, columns = (slice(max(0, side - CROP) // 2, (side + CROP) // 2) for side in sides)
    factor = ceil(max(sides) / LARGEST)
    whole = f"Whole image, averaged {factor} \N{MULTIPLICATION SIGN} {factor}"
    return [
        _draw_view("Centre, pixel by pixel", planes[..., rows, columns], limits, found, noise),
        _draw_view(whole, planes, limits, found, noise, factor),
    ]


def describe_plane(axes: str, shape: tuple[int, ...]) -> str:
    """Which plane `draw_views` shows, counted from 1; empty if there is only one.

    Examples
    --------
    >>> describe_plane("TCYX", (5, 2, 64, 48))
    'T 3 of 5, channel 1 of 2'
    """
    sizes = {axis: size for axis, size in zip(axes, shape, strict=True) if size > 1}
    shown = [f"{axis} {sizes[axis] // 2 + 1} of {sizes[axis]}" for axis in "TZ" if axis in sizes]
    if "C" in sizes:
        shown.append(f"channel 1 of {sizes['C']}")
    return ", ".join(shown)


def _shown_plane(image: Array, axes: str) -> NDArray[np.float64]:
    """(samples, height, width), with three samples for a color image and one for any other."""
    sizes = dict(zip(axes, image.shape, strict=True))
    times, depths = sizes.get("T", 1), sizes.get("Z", 1)
    plane: Array = split_planes(image, axes)[0, times // 2 * depths + depths // 2]
    return (plane if len(plane) == 3 else plane[:1]).astype(np.float64)


def _draw_view(
    label: str,
    planes: NDArray[np.float64],
    limits: tuple[float, float],
    adaptation: Adaptation,
    noise: Sequence[Noise],
    factor: int = 1,
) -> View:
    """Draw (noisy and pre-trained and tuned and expected error, samples, height, width)."""
    noisy, pretrained, tuned, expected_error = planes
    block = tuple(min(factor, side) for side in noisy.shape[-2:])
    before, after = torch.from_numpy(noisy), torch.from_numpy(tuned)
    variance = np.stack(
        [of.variance(sample).numpy() for of, sample in zip(noise, after, strict=True)]
    )
    residual = noisy - tuned
    relative = np.divide(
        residual, np.sqrt(variance), out=np.zeros_like(residual), where=variance > 0
    )
    # The mean of n independent values, times the root of n, has their standard deviation.
    count = len(residual) * prod(block)
    mean_residual = _average(relative.mean(axis=0), block) * count**0.5
    change = _average((tuned - pretrained).mean(axis=0), block)
    limit = float(np.percentile(np.abs(change), 99.5)) or 1.0
    differs = adaptation.accepted or adaptation.orientations > 1 or adaptation.nonlocal_bayes
    keys = ["noisy", "pretrained", "tuned"] if differs else ["noisy", "pretrained"]
    height, width = change.shape
    return View(
        label,
        height,
        width,
        count,
        *limits,
        [
            Panel(key, LABELS[key], _intensity_image(_average(plane, block), *limits))
            for key, plane in zip(keys, planes, strict=False)
        ],
        _signed_map(mean_residual, RESIDUAL_LIMIT),
        float(residual.std()),
        float(variance.mean() ** 0.5),
        residual_of(before, after, adaptation.noise).correlation,
        _likelihood(before, after, adaptation, block) if len(set(noise)) == 1 else None,
        _signed_map(change, limit) if differs else None,
        None if np.isnan(expected_error).any() else _level_map(expected_error, block),
    )


def _likelihood(
    noisy: Tensor, result: Tensor, adaptation: Adaptation, block: tuple[int, ...]
) -> SignedMap | None:
    if adaptation.stride != ALL or not adaptation.noise_is_of_the_model:
        return None
    found = likelihood_map(noisy, result, adaptation.noise).numpy()
    return _signed_map(_average(found, block), LIKELIHOOD_LIMIT)


def _average(pixels: NDArray[np.float64], block: tuple[int, ...]) -> NDArray[np.float64]:
    """The means of blocks of (..., height, width); what fills no block is left out."""
    rows, columns = (side // size for side, size in zip(pixels.shape[-2:], block, strict=True))
    whole = pixels[..., : rows * block[0], : columns * block[1]]
    blocks = whole.reshape(*pixels.shape[:-2], rows, block[0], columns, block[1])
    means: NDArray[np.float64] = blocks.mean(axis=(-3, -1))
    return means


def _intensity_image(pixels: NDArray[np.float64], low: float, high: float) -> str:
    """An 8-bit PNG of (samples, height, width), black at `low` and white at `high`."""
    unit = np.clip((pixels - low) / (high - low), 0, 1)
    shades = np.rint(255 * unit).astype(np.uint8)
    image = shades[0] if len(shades) == 1 else np.ascontiguousarray(shades.transpose(1, 2, 0))
    return data_uri("image/png", imagecodecs.png_encode(image))


def _level_map(values: NDArray[np.float64], block: tuple[int, ...]) -> LevelMap:
    """Root mean squares of blocks of (samples, height, width), from 0 to their 99.5 percentile."""
    levels = np.sqrt(_average(np.square(values).mean(axis=0), block))
    limit = float(np.percentile(levels, 99.5)) or 1.0
    colors = np.ascontiguousarray(LEVELS(levels / limit, bytes=True)[..., :3])
    return LevelMap(data_uri("image/png", imagecodecs.png_encode(colors)), limit)


def _signed_map(values: NDArray[np.float64], limit: float) -> SignedMap:
    """(height, width): blue at `-limit` and below, white at 0, red at `limit` and above."""
    colors = np.ascontiguousarray(SIGNED((values / limit + 1) / 2, bytes=True)[..., :3])
    # PNG's filters predict colors from their neighbours, which nearly doubles the size of noise.
    content = imagecodecs.png_encode(colors, filter=imagecodecs.PNG.FILTER.NONE)
    return SignedMap(data_uri("image/png", content), limit)

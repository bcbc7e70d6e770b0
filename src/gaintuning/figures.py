"""The pictures of a report, as data URIs: the same bytes for the same input."""

from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from math import ceil, prod

import imagecodecs
import matplotlib
import numpy as np
import torch
from matplotlib import style
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray
from scipy.ndimage import median_filter
from torch import Tensor

from gaintuning.denoising import Adaptation, Array, Denoised
from gaintuning.planes import split_planes

LARGEST = 1024
"""Side in pixels of the largest image that is shown as it is."""
CROP = 512
"""Side in pixels of the part of a larger image that is shown as it is."""
RESIDUAL_LIMIT = 3.0
"""Where the colors of the residual end, in standard deviations of the noise."""

INK, FAINT, ACCENT = "#1d2630", "#8b97a3", "#0b6cb8"
CHART = {
    "svg.hashsalt": "gaintuning",
    "font.size": 9,
    "text.color": INK,
    "axes.edgecolor": FAINT,
    "axes.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": FAINT,
    "ytick.color": FAINT,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "legend.frameon": False,
}


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
class View:
    """The same part of each image, at the same scale.

    Parameters
    ----------
    label : what part it is.
    height, width : of the pictures, in their pixels.
    panels : the images; the first is noisy, the last the result.
    residual : noisy - result, in standard deviations of the noise.
    residual_sigma : standard deviation of noisy - result, in the units of the image.
    noise_sigma : standard deviation of the noise by its model, likewise.
    change : tuned - pre-trained, in the units of the image; None if nothing tuned was kept.
    """

    label: str
    height: int
    width: int
    panels: list[Panel]
    residual: SignedMap
    residual_sigma: float
    noise_sigma: float
    change: SignedMap | None


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
    images = [noisy, denoised.pretrained, denoised.image]
    planes = np.stack([_shown_plane(image, denoised.axes) for image in images])
    adaptation = denoised.adaptations[0]
    low, high = map(float, np.percentile(planes[-1], [0.5, 99.5]))
    limits = (low, high if high > low else low + 1)
    sides = planes.shape[-2:]
    if max(sides) <= LARGEST:
        return [_draw_view("Whole image", planes, limits, adaptation)]
    rows, columns = (slice(max(0, side - CROP) // 2, (side + CROP) // 2) for side in sides)
    factor = ceil(max(sides) / LARGEST)
    whole = f"Whole image, averaged {factor} × {factor}"
    return [
        _draw_view("Centre, pixel by pixel", planes[..., rows, columns], limits, adaptation),
        _draw_view(whole, planes, limits, adaptation, factor),
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
    return ", ".join(shown + [f"channel 1 of {sizes['C']}"] * ("C" in sizes))


def loss_chart(losses: Sequence[float]) -> str:
    """An SVG of the loss at each step, faint, and of its running median.

    Examples
    --------
    >>> loss_chart([3.0, 2.0, 1.5])[:26]
    'data:image/svg+xml;base64,'
    """

    def draw(axes: Axes) -> None:
        steps = np.arange(1, len(losses) + 1)
        window = max(1, len(losses) // 10) | 1
        median = median_filter(np.array(losses), window, mode="nearest")
        axes.plot(steps, losses, color=FAINT, linewidth=0.8, alpha=0.7, label="each step")
        axes.plot(steps, median, color=ACCENT, linewidth=1.8, label=f"median of {window} steps")
        axes.set(xlabel="step", ylabel="loss (squared units of the image)")
        axes.margins(x=0.01)
        axes.legend()

    return _svg(draw)


def gain_chart(gains: Mapping[str, Tensor]) -> str:
    """An SVG with a column for each layer and in it a dot for each gain.

    Examples
    --------
    >>> gain_chart({"conv1": torch.ones(32)})[:26]
    'data:image/svg+xml;base64,'
    """

    def draw(axes: Axes) -> None:
        axes.axhline(1, color=FAINT, linewidth=1)
        for column, gain in enumerate(gains.values()):
            # Multiples of the golden ratio spread the dots evenly, and the same way each time.
            aside = (np.arange(len(gain)) * 0.618034 % 1 - 0.5) * 0.6
            axes.plot(
                column + aside,
                gain.cpu().numpy(),
                ".",
                color=ACCENT,
                markersize=4,
                markeredgewidth=0,
                alpha=0.55,
                rasterized=True,
            )
        axes.set(ylabel="gain", xlim=(-0.6, len(gains) - 0.4))
        axes.set_xticks(
            range(len(gains)),
            [name if len(name) <= 20 else "…" + name[-19:] for name in gains],
            rotation=0 if len(gains) <= 5 else 90,
            fontsize=9 if len(gains) <= 12 else 6.5,
        )
        axes.tick_params(axis="x", length=0)

    return _svg(draw)


def _shown_plane(image: Array, axes: str) -> NDArray[np.float64]:
    """(samples, height, width), with three samples for a color image and one for any other."""
    sizes = dict(zip(axes, image.shape, strict=True))
    times, depths = sizes.get("T", 1), sizes.get("Z", 1)
    plane = split_planes(image, axes)[0, times // 2 * depths + depths // 2]
    return (plane if len(plane) == 3 else plane[:1]).astype(np.float64)


def _draw_view(
    label: str,
    planes: NDArray[np.float64],
    limits: tuple[float, float],
    adaptation: Adaptation,
    factor: int = 1,
) -> View:
    """Draw (noisy and pre-trained and tuned, samples, height, width)."""
    noisy, pretrained, tuned = planes
    block = tuple(min(factor, side) for side in noisy.shape[-2:])
    variance = adaptation.noise.variance(torch.from_numpy(tuned)).numpy()
    residual = noisy - tuned
    # Where the model has no noise, as where nothing was counted, there is no unit to divide by.
    relative = np.divide(
        residual, np.sqrt(variance), out=np.zeros_like(residual), where=variance > 0
    )
    # The mean of n independent values, times the root of n, has their standard deviation.
    count = len(residual) * prod(block)
    mean_residual = _average(relative.mean(axis=0), block) * count**0.5
    change = _average((tuned - pretrained).mean(axis=0), block)
    keys = ["noisy", "pretrained", "tuned"] if adaptation.accepted else ["noisy", "pretrained"]
    labels = {"noisy": "Noisy", "pretrained": "Pre-trained", "tuned": "Tuned"}
    return View(
        label,
        *change.shape,
        [
            Panel(key, labels[key], _intensity_image(_average(plane, block), *limits))
            for key, plane in zip(keys, planes, strict=False)
        ],
        SignedMap(_signed_image(mean_residual, RESIDUAL_LIMIT), RESIDUAL_LIMIT),
        float(residual.std()),
        float(variance.mean() ** 0.5),
        _draw_change(change) if adaptation.accepted else None,
    )


def _draw_change(change: NDArray[np.float64]) -> SignedMap:
    limit = float(np.percentile(np.abs(change), 99.5)) or 1.0
    return SignedMap(_signed_image(change, limit), limit)


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
    return _png(np.rint(255 * unit).astype(np.uint8).transpose(1, 2, 0))


def _signed_image(values: NDArray[np.float64], limit: float) -> str:
    """A PNG of (height, width): blue at `-limit` and below, white at 0, red at `limit`."""
    colors = matplotlib.colormaps["RdBu_r"]((values / limit + 1) / 2, bytes=True)
    return _png(colors[..., :3])


def _png(pixels: NDArray[np.uint8]) -> str:
    return _data_uri("image/png", imagecodecs.png_encode(np.ascontiguousarray(pixels)))


def _svg(draw: Callable[[Axes], None]) -> str:
    # The reader's own matplotlib settings would change the bytes.
    with style.context(["default", CHART]):
        figure = Figure(figsize=(5.6, 3.4), dpi=200, layout="constrained")
        draw(figure.subplots())
        content = BytesIO()
        nothing = dict.fromkeys(["Creator", "Date", "Format", "Type"])
        figure.savefig(content, format="svg", transparent=True, metadata=nothing)
    return _data_uri("image/svg+xml", content.getvalue())


def _data_uri(kind: str, content: bytes | bytearray) -> str:
    return f"data:{kind};base64,{b64encode(content).decode()}"

"""Figure 5 and section G.4: the filters that a denoiser applies, before and after tuning."""

from base64 import b64decode, b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from torch.nn.functional import pad

from gaintuning import zoo
from gaintuning.analysis import equivalent_filter
from gaintuning.evaluation import clean_image
from gaintuning.experiments.experiment import Check, Experiment, Sources
from gaintuning.layout import lay_out_network
from gaintuning.methods import tune_by
from gaintuning.noise import Gaussian
from gaintuning.tables import Kind, Row, markdown

SIDE = 41
"""Of the part of a filter that is kept, around its pixel."""

MIDDLE = np.s_[10:-10, 10:-10]
"""Of that, what is drawn."""

PIXELS = 6


@dataclass(frozen=True)
class Case:
    """A network tuned to an image, looked at in so many pixels of much detail."""

    image: str
    network: str
    sigma: int
    pixels: int
    seed: int


@dataclass(frozen=True)
class Filters:
    """Means over the pixels: of the radius in which the weights lie, and the filters themselves.

    Parameters
    ----------
    radius_before, radius_after : root of the mean squared distance from the pixel, in pixels,
        weighted by the squares of the weights.
    passed_before, passed_after : the sum of the squares: the part of the noise's variance left.
    places : row:column of each pixel.
    before, after : (pixels, SIDE, SIDE) weights as float16 in base 64.
    """

    radius_before: float
    radius_after: float
    passed_before: float
    passed_after: float
    places: str
    before: str
    after: str


def cases(sources: Sources) -> list[Case]:
    images = sources.first_images("set12", 7)
    network = "bfcnn-piecewise"
    return [Case(image, network, 30, PIXELS, seed) for seed, image in enumerate(images)]


def measure(case: Case, folder: Path) -> Filters:
    noise, rng = Gaussian(case.sigma / 255), torch.Generator().manual_seed(case.seed)
    network = lay_out_network(zoo.load(case.network)[0])
    clean = clean_image(folder / case.image)
    noisy = noise.sample(clean, rng)
    tuned = tune_by("sure", network, noisy, noise, rng=rng)
    places = detailed_places(clean[0, 0].numpy(), case.pixels)
    before, after = (
        np.stack([around(each, noisy, *place) for place in places]) for each in (network, tuned)
    )
    return Filters(
        radius(before),
        radius(after),
        passed(before),
        passed(after),
        " ".join(f"{row}:{column}" for row, column in places),
        packed(before),
        packed(after),
    )


def detailed_places(clean: NDArray[Any], count: int) -> list[tuple[int, int]]:
    """The pixel with the most detail around it in each of `count` strips, away from the border."""
    fine = clean - gaussian_filter(clean, 2)
    edge = SIDE // 2
    inside = gaussian_filter(fine**2, 3)[edge:-edge, edge:-edge]
    places = []
    for strip in np.array_split(np.arange(inside.shape[1]), count):
        row, column = divmod(int(inside[:, strip].argmax()), len(strip))
        places.append((edge + row, edge + int(strip[column])))
    return places


def around(network: torch.nn.Module, noisy: torch.Tensor, row: int, column: int) -> NDArray[Any]:
    """The part of an equivalent filter around its pixel, of which the network needs only a part."""
    reach = 2 * SIDE
    top, left = (max(0, place - reach) for place in (row, column))
    part = noisy[..., top : row + reach + 1, left : column + reach + 1]
    weights = equivalent_filter(network, part, row - top, column - left)[0]
    edge = SIDE // 2
    padded = pad(weights, (edge, edge, edge, edge))
    cut = padded[row - top : row - top + SIDE, column - left : column - left + SIDE]
    return cut.double().numpy()


def radius(filters: NDArray[Any]) -> float:
    rows, columns = np.ogrid[:SIDE, :SIDE]
    squared = (rows - SIDE // 2) ** 2 + (columns - SIDE // 2) ** 2
    weights = filters**2
    return float(((weights * squared).sum((1, 2)) / weights.sum((1, 2))).mean() ** 0.5)


def passed(filters: NDArray[Any]) -> float:
    return float((filters**2).sum((1, 2)).mean())


def packed(filters: NDArray[Any]) -> str:
    return b64encode(filters.astype("<f2").tobytes()).decode()


def unpacked(text: str) -> NDArray[Any]:
    return np.frombuffer(b64decode(text), "<f2").reshape(-1, SIDE, SIDE).astype(np.float64)


def table(rows: Sequence[Row]) -> str:
    names = ["radius_before", "radius_after", "passed_before", "passed_after"]
    return markdown(
        ["image", "network", *(name.replace("_", ", ") for name in names)],
        [
            [row["image"], row["network"], *(f"{float(row[name]):.3f}" for name in names)]
            for row in rows
            if not row["error"]
        ],
    )


def checks(rows: Sequence[Row]) -> list[Check]:
    before, after = (
        fmean(float(row[name]) for row in rows if not row["error"])
        for name in ("radius_before", "radius_after")
    )
    return [
        Check(
            "after GainTuning the weighting functions are more precisely targeted",
            f"radius {before:.2f} before, {after:.2f} pixels after",
            after < before,
        )
    ]


def draw(rows: Sequence[Row]) -> Figure:
    some = [row for row in rows if not row["error"]][:2]
    figure = Figure((1.75 * PIXELS, 3.6 * len(some)), layout="constrained")
    grid = figure.subplots(2 * len(some), PIXELS, squeeze=False)
    for index, row in enumerate(some):
        for line, name in enumerate(("before", "after")):
            for axes, weights in zip(grid[2 * index + line], unpacked(row[name]), strict=False):
                most = np.abs(weights).max()
                axes.imshow(weights[MIDDLE], "RdBu_r", vmin=-most, vmax=most)
                axes.set_xticks([])
                axes.set_yticks([])
            grid[2 * index + line, 0].set_ylabel(f"{Path(row['image']).stem}, {name}")
    return figure


EXPERIMENT = Experiment(
    title="How tuning adapts to images that are new",
    paper=(
        "The weighting functions (filters) of pre-trained CNN are dispersed, consistent with the "
        "training set. However, after GainTuning, the weighting functions are more precisely "
        "targeted to the local features."
    ),
    differs=(
        f"Filters where there is most detail in each of {PIXELS} strips of an image; their radius "
        "says how dispersed they are, and what is passed is the part of the noise's variance."
    ),
    cases=cases,
    table=table,
    checks=checks,
    draw=draw,
    measured="radius in pixels",
    kind=Kind(Case, Filters),
    measure=measure,
)

"""Section 5.4: micrographs of so few electrons that noise hides the atoms."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from time import perf_counter
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure
from numpy.typing import NDArray

from gaintuning._types import Images
from gaintuning.atoms import APART, Points, are_bright, find_columns, match
from gaintuning.experiments.changes import panels
from gaintuning.experiments.experiment import Check, Experiment, Sources
from gaintuning.files import read_image
from gaintuning.image import Image
from gaintuning.methods import Task, parse_method
from gaintuning.metrics import psnr, ssim
from gaintuning.noise import Poisson
from gaintuning.tables import Kind, Row, markdown

LEVELS = (3, 10)
"""PSNR of the noisy micrographs, in dB."""

OURS, LOCAL, ONCE, IN_RANGE = "gaintuning", "gaintuning-local", "gaintuning-once", "in-range"
WAYS = (
    *(("pretrained", "unet-tem"), (IN_RANGE, "unet-tem")),
    *((ONCE, "unet-tem"), (LOCAL, "unet-tem"), (OURS, "unet-tem")),
    *(("pretrained", "unet"), (OURS, "unet")),
    *(("noise-resampling@8", "unet-tem"), ("all-parameters@8", "unet-tem")),
    *(("pretrained", "blind-spot-tem"), (OURS, "blind-spot-tem")),
    *(("topaz", ""), ("bm3d-anscombe", ""), ("bm3d-anscombe@8", "")),
    *(("zero-shot-noise2noise@8", ""), ("blind-spot-alone@8:300", ""), ("self2self@8:1000", "")),
)
"""Methods, and their networks."""

PLACES = ("surface", "inside", "support")

ANGSTROM = {"Å": 1.0, "nm": 10.0, "pm": 0.01}
"""Of each unit that a micrograph's pixel size comes in."""


@dataclass(frozen=True)
class Case:
    """A clean micrograph with shot noise of a PSNR in dB."""

    image: str
    noisy_psnr: int
    method: str
    network: str
    seed: int


@dataclass(frozen=True)
class Outcome:
    """How a method did.

    Parameters
    ----------
    psnr : in dB, for intensities from 0 to 1.
    ssim : structural similarity, likewise.
    surface, inside, support : how well the columns are found that the clean micrograph shows at
        the surface of the particle, inside it, and below it: the F1 score, against those found
        nearer to them than to others; None if there are none.
    recall, precision : of all columns that it shows, the part that is found; of all found, the part
        that it shows.
    off_by : root mean square distance of these from where it shows them, in pm.
    seconds : that the method took.
    """

    psnr: float
    ssim: float
    surface: float | None
    inside: float | None
    support: float | None
    recall: float
    precision: float
    off_by: float
    seconds: float


def cases(sources: Sources) -> list[Case]:
    # The lattice of a quick run is no micrograph.
    natural = [way for way in WAYS if way[1] == "unet"]
    levels, ways = (LEVELS[1:], natural) if sources.quick else (LEVELS, WAYS)
    return [
        Case(image, level, method, network, seed)
        for level in levels
        for method, network in ways
        for seed, image in enumerate(sources.images("tem"))
    ]


def measure(case: Case, folder: Path) -> Outcome:
    path = folder / case.image
    image = read_image(path)
    clean = torch.from_numpy(image.pixels)[None, None].float()
    noise = Poisson(10 ** (-case.noisy_psnr / 10) / float(clean.mean()))
    noisy = noise.sample(clean, torch.Generator().manual_seed(case.seed))
    way, task = parse_method(case.method), Task(noisy, noise, case.network, seed=case.seed)
    start = perf_counter()
    denoised = way(task).to(clean)
    seconds = perf_counter() - start
    return Outcome(
        psnr(denoised, clean, data_range=1.0),
        ssim(denoised[0, 0], clean[0, 0], data_range=1.0),
        *columns_kept(denoised, clean, pixel_size(image), path.with_suffix(".csv")),
        seconds,
    )


def pixel_size(image: Image) -> float:
    """In Å."""
    length, unit = image.pixel_size["Y"]
    return length * ANGSTROM[unit]


def columns_kept(
    denoised: Images, clean: Images, pixel_size: float, table: Path
) -> tuple[float | None, float | None, float | None, float, float, float]:
    """`surface`, `inside`, `support`, `recall`, `precision` and `off_by` of `Outcome`."""
    bright = are_bright(clean[0, 0].numpy(), pixel_size)
    shown, found = (
        find_columns(one[0, 0].numpy(), pixel_size, bright=bright) for one in (clean, denoised)
    )
    places = place_of_each(shown, pixel_size, table)
    nearest = np.linalg.norm(found[:, None] - shown, axis=2).argmin(1) if len(found) else []
    scores = [
        match(found[places[nearest] == place], shown[places == place], pixel_size).f1
        if place in places
        else None
        for place in PLACES
    ]
    every = match(found, shown, pixel_size)
    return scores[0], scores[1], scores[2], every.recall, every.precision, every.error


def place_of_each(shown: Points, pixel_size: float, table: Path) -> NDArray[Any]:
    """Which of `PLACES` each column is at, by the nearest in the table; empty where none is near.

    Parameters
    ----------
    shown : (n, 2), in pixels.
    table : as `gaintuning simulate nanoparticles` writes it beside a micrograph.
    """
    with table.open(newline="") as file:
        rows = list(csv.DictReader(file))
    true = np.array([[float(row["y"]), float(row["x"])] for row in rows])
    places = np.array([_place(row) for row in rows])
    distances = np.linalg.norm(shown[:, None] - true, axis=2) * pixel_size
    return np.where(distances.min(1) <= APART / 2, places[distances.argmin(1)], "")


def _place(column: Row) -> str:
    if column["element"] != "Pt":
        return "support"
    return "surface" if column["outside"] == "1" else "inside"


def _some(rows: Sequence[Row], level: int, method: str, network: str) -> dict[str, Row]:
    """By image."""
    wanted = (str(level), method, network)
    return {
        row["image"]: row
        for row in rows
        if (row["noisy_psnr"], row["method"], row["network"]) == wanted and not row["error"]
    }


def _mean(rows: Sequence[Row], column: str) -> float:
    """Over the images that have it."""
    values = [float(row[column]) for row in rows if row[column] not in ("", "nan")]
    return fmean(values) if values else float("nan")


COLUMNS = {
    "psnr": ("PSNR", ".2f"),
    "ssim": ("SSIM", ".3f"),
    "surface": ("F1, surface", ".3f"),
    "inside": ("F1, inside", ".3f"),
    "support": ("F1, support", ".3f"),
    "recall": ("all found", ".0%"),
    "precision": ("true", ".0%"),
    "off_by": ("off by, pm", ".0f"),
    "seconds": ("s", ".0f"),
}


def table(rows: Sequence[Row]) -> str:
    lines = []
    for level in LEVELS:
        for method, network in WAYS:
            some = list(_some(rows, level, method, network).values())
            if some:
                means = [f"{_mean(some, name):{form}}" for name, (_, form) in COLUMNS.items()]
                lines.append([f"{level} dB", method, network, str(len(some)), *means])
    titles = [title for title, _ in COLUMNS.values()]
    return markdown(["noisy", "method", "network", "images", *titles], lines)


def checks(rows: Sequence[Row]) -> list[Check]:
    found = []
    for level in LEVELS:
        of_level = [(way, some) for way in WAYS if (some := _some(rows, level, *way))]
        for network in ("unet-tem", "unet", "blind-spot-tem"):
            before, after = (_some(rows, level, each, network) for each in ("pretrained", OURS))
            if before and after:
                found += _better(f"{level} dB, {network}", before, after)
        shown, once, ours = (
            _some(rows, level, each, "unet-tem") for each in (IN_RANGE, ONCE, OURS)
        )
        if shown and once:
            found += _better(f"{level} dB, unet-tem, both in bins and once", shown, once)
        for (method, network), some in of_level:
            both = ours.keys() & some.keys()
            if network or not both:
                continue
            changes = [float(ours[image]["psnr"]) - float(some[image]["psnr"]) for image in both]
            found.append(
                Check(
                    f"{level} dB: GainTuning beats {method}",
                    f"by {fmean(changes):.2f} dB in the mean, {min(changes):.2f} dB at least",
                    min(changes) > 0,
                )
            )
    return found


def _better(what: str, before: dict[str, Row], after: dict[str, Row]) -> list[Check]:
    both = sorted(before.keys() & after.keys())
    changes = [float(after[image]["psnr"]) - float(before[image]["psnr"]) for image in both]
    found = [
        Check(
            f"{what}: GainTuning beats the pre-trained network on every image",
            f"mean {fmean(changes):+.2f} dB, worst {min(changes):+.3f} dB",
            min(changes) > 0,
        )
    ]
    for place in ("surface", "support"):
        parts = [
            [float(some[image][place]) for image in both if some[image][place]]
            for some in (before, after)
        ]
        if parts[0]:
            found.append(_finds_more(what, place, *parts))
    return found


def _finds_more(what: str, place: str, before: list[float], after: list[float]) -> Check:
    return Check(
        f"{what}: and finds the columns of the {place} no worse on any image",
        f"F1 {fmean(before):.3f} and {fmean(after):.3f} in the mean",
        all(new >= old for old, new in zip(before, after, strict=True)),
    )


def draw(rows: Sequence[Row]) -> Figure:
    levels = [level for level in LEVELS if any(row["noisy_psnr"] == str(level) for row in rows)]
    figure, every = panels([f"{level} dB" for level in levels], width=4.8)
    figure.set_figheight(1 + 0.2 * len(WAYS))
    for axes, level in zip(every, levels, strict=True):
        found = {way: list(some.values()) for way in WAYS if (some := _some(rows, level, *way))}
        where = range(len(found))
        for place in PLACES:
            axes.plot([_mean(some, place) for some in found.values()], where, "o", label=place)
        names = [f"{method}, {network}" if network else method for method, network in found]
        axes.set_yticks(where, names, fontsize="small")
        axes.invert_yaxis()
        axes.grid(axis="y", linewidth=0.5)
        axes.set_xlabel("columns found, F1")
        axes.set_xlim(right=1.02)
    points = every[0].get_legend_handles_labels()
    figure.legend(*points, loc="outside lower center", ncols=len(PLACES), frameon=False)
    return figure


EXPERIMENT = Experiment(
    title="Atoms in a micrograph of few electrons",
    paper=(
        "In contrast to the existing methodology, GainTuning is able to faithfully reconstruct the "
        "structure of catalytic nanoparticles from these data at extremely low signal-to-noise "
        "ratios."
    ),
    differs=(
        "The micrographs are simulated, so that the truth is known, and their noise is shot noise. "
        "A column counts as found within 0.6 Å of where the clean micrograph shows it. Methods "
        "with `unet` have a network that was trained on natural images, those with `unet-tem` and "
        "`blind-spot-tem` one that was trained on other simulated micrographs; `topaz` was trained "
        "on those of proteins in ice, and the others see the noisy image alone. `pretrained` sees "
        "every pixel; `gaintuning` is this package as it comes, which sees means of bins where "
        "that is better, takes the mean over eight orientations, and filters places that look "
        "alike together. `in-range` has these bins and no gains, `gaintuning-once` both but no "
        "other orientations, `gaintuning-local` all but the like places. "
        "So that others have bins as well, they are shown those that stand behind an @, of 8 x 8 "
        "pixels, which are best for BM3D on the published micrographs of the docs. Fewer steps "
        "than published stand behind a colon."
    ),
    cases=cases,
    table=table,
    checks=checks,
    draw=draw,
    kind=Kind(Case, Outcome),
    measure=measure,
)

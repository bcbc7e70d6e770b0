"""Section 5.4: micrographs of so few electrons that noise hides the atoms."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from time import perf_counter

import torch
from matplotlib.figure import Figure

from gaintuning.experiments.changes import panels
from gaintuning.experiments.experiment import Check, Experiment, Sources
from gaintuning.experiments.kept_columns import PLACES, columns_kept, pixel_size
from gaintuning.files import read_image
from gaintuning.methods import Task, parse_method
from gaintuning.metrics import psnr, ssim
from gaintuning.noise import Poisson
from gaintuning.tables import Kind, Row, markdown

LEVELS = (3, 10)
"""PSNR of the noisy micrographs, in dB."""

OURS, LOCAL, ONCE, IN_RANGE = "gaintuning", "gaintuning-local", "gaintuning-once", "in-range"
RESAMPLING, ALL = "noise-resampling@8", "all-parameters@8"
WAYS = (
    *(("pretrained", "unet-tem"), (IN_RANGE, "unet-tem")),
    *((ONCE, "unet-tem"), (LOCAL, "unet-tem"), (OURS, "unet-tem")),
    *(("gaintuning-auto", "auto"), ("pretrained", "unet"), (OURS, "unet")),
    *((RESAMPLING, "unet-tem"), (ALL, "unet-tem")),
    *(("pretrained", "blind-spot-tem"), ("blind-spot", "blind-spot-tem")),
    *((IN_RANGE, "blind-spot-tem"), (ONCE, "blind-spot-tem"), (OURS, "blind-spot-tem")),
    *(("topaz", ""), ("bm3d-anscombe", ""), ("bm3d-anscombe@8", "")),
    *(("zero-shot-noise2noise@8", ""), ("blind-spot-alone@8:300", ""), ("self2self@8:1000", "")),
)
"""Methods, and their networks."""


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
        for network in ("unet-tem", "unet", "blind-spot-tem"):
            before, after = (_some(rows, level, each, network) for each in ("pretrained", OURS))
            found += _better(f"{level} dB, {network}", "the pre-trained network", before, after)
        for network in ("unet-tem", "blind-spot-tem"):
            shown, once = (_some(rows, level, each, network) for each in (IN_RANGE, ONCE))
            what = f"{level} dB, {network}, both in bins and once"
            found += _better(what, "the pre-trained network", shown, once)
            found += _best(f"{level} dB, {network}", _some(rows, level, OURS, network), rows, level)
        once = _some(rows, level, ONCE, "unet-tem")
        for other in (RESAMPLING, ALL):
            some = _some(rows, level, other, "unet-tem")
            what = f"{level} dB, unet-tem, applied once"
            found += _better(what, other.partition("@")[0], some, once)
    return found


def _better(what: str, other: str, before: dict[str, Row], after: dict[str, Row]) -> list[Check]:
    both = sorted(before.keys() & after.keys())
    if not both:
        return []
    changes = [float(after[image]["psnr"]) - float(before[image]["psnr"]) for image in both]
    found = [
        Check(
            f"{what}: GainTuning beats {other} on every image",
            f"mean {fmean(changes):+.2f} dB, worst {min(changes):+.3f} dB",
            min(changes) > 0,
        )
    ]
    for place in ("surface", "support"):
        parts = [_scores(some, both, place) for some in (before, after)]
        if parts[0]:
            means = " and ".join(f"{fmean(part.values()):.3f}" for part in parts)
            worse = _worse(*parts)
            found.append(
                Check(
                    f"{what}: and finds the columns of the {place} no worse on any image",
                    f"F1 {means} in the mean" + (f"; worse on {worse}" if worse else ""),
                    not worse,
                )
            )
    return found


def _best(what: str, ours: dict[str, Row], rows: Sequence[Row], level: int) -> list[Check]:
    """Against every method that has no network of ours."""
    found = []
    worse = {place: dict[str, str]() for place in ("surface", "support")}
    for method in (method for method, network in WAYS if not network):
        some = _some(rows, level, method, "")
        both = sorted(ours.keys() & some.keys())
        if not both:
            continue
        changes = [float(ours[image]["psnr"]) - float(some[image]["psnr"]) for image in both]
        found.append(
            Check(
                f"{what}: GainTuning beats {method}",
                f"by {fmean(changes):.2f} dB in the mean, {min(changes):.2f} dB at least",
                min(changes) > 0,
            )
        )
        for place, lost in worse.items():
            if images := _worse(*(_scores(each, both, place) for each in (some, ours))):
                lost[method] = images
    if not found:
        return []
    for place, lost in worse.items():
        told = "; ".join(f"worse than {method} on {images}" for method, images in lost.items())
        claim = f"{what}: and finds the columns of the {place} no worse than any on any image"
        found.append(Check(claim, told or "on none", not lost))
    return found


def _scores(some: dict[str, Row], images: Sequence[str], place: str) -> dict[str, float]:
    return {image: float(some[image][place]) for image in images if some[image][place]}


def _worse(before: dict[str, float], after: dict[str, float]) -> str:
    """The images, by the names of their files."""
    return ", ".join(Path(image).stem for image in before if after[image] < before[image])


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
        "alike together. `gaintuning-auto` is not told the noise and the range of intensities, "
        "and chooses the network itself; the others are told. `in-range` has these bins and no "
        "gains, `gaintuning-once` both but neither other orientations nor like places, "
        "`gaintuning-local` all but the like places; `blind-spot` is the paper's method, gains by "
        "the blind-spot loss for every pixel. "
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

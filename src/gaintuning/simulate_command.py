"""`gaintuning simulate`: a folder of simulated clean images, to train on."""

import csv
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from gaintuning._types import Images, Progress
from gaintuning.files import write_image
from gaintuning.image import Image
from gaintuning.outputs import whole_file
from gaintuning.progress import progress_bars
from gaintuning.simulate.documents import documents
from gaintuning.simulate.piecewise import piecewise_constant
from gaintuning.workers import workers

if TYPE_CHECKING:
    from gaintuning.simulate.nanoparticle import Columns

SCENES: dict[str, Callable[[int, int, int], Images]] = {
    "piecewise": piecewise_constant,
    "documents": documents,
}

OF_A_SPECIMEN = 10
"""So many micrographs are taken of each."""


@dataclass(frozen=True)
class Series:
    """What makes a folder of micrographs: the same series makes the same folder."""

    scenes: str
    count: int
    size: int
    seed: int
    dose: float | None


def simulate_images(
    scenes: str,
    folder: Path,
    *,
    count: int,
    size: int,
    seed: int,
    dose: float | None,
    processes: int,
    force: bool,
    quiet: bool,
) -> None:
    """Write images with the numbers 0, 1, ... as names."""
    if folder.exists() and not folder.is_dir():
        raise NotADirectoryError(f"{folder} is a file; give a folder")
    series = Series(scenes, count, size, seed, dose)
    going_on = scenes == "nanoparticles" and _begun(folder) == asdict(series)
    if folder.is_dir() and any(folder.iterdir()) and not (force or going_on):
        raise FileExistsError(
            f"{folder} is not empty; give another folder, or --force to write into it"
        )
    if scenes == "nanoparticles":
        with progress_bars(quiet) as bar:
            _simulate_micrographs(series, folder, processes, not going_on, bar(scenes))
    elif dose is not None:
        raise ValueError(f"--dose is for nanoparticles, and not for {scenes}; leave it out")
    else:
        _write_scenes(SCENES[scenes](count, size, seed), folder)
    if not quiet:
        print(f"{count} images in {folder}")


def _write_scenes(images: Images, folder: Path) -> None:
    """As 8-bit PNG, in place of those of another series."""
    folder.mkdir(parents=True, exist_ok=True)
    for former in folder.glob("*.png"):
        if former.stem.isdecimal():
            former.unlink()
    for index, image in enumerate(images):
        pixels = (255 * image[0]).round().to(torch.uint8).numpy()
        name = f"{_name(index, len(images))}.png"
        write_image(folder / name, Image(pixels, "YX"), overwrite=True)


def _name(index: int, count: int) -> str:
    return f"{index:0{len(str(count - 1))}}"


def _begun(folder: Path) -> dict[str, object] | None:
    """The series that the folder was begun with."""
    file = folder / "series.json"
    found: dict[str, object] | None = json.loads(file.read_text()) if file.is_file() else None
    return found


def _simulate_micrographs(
    series: Series, folder: Path, processes: int, anew: bool, progress: Progress
) -> None:
    """Specimen by specimen; those whose micrographs are there already are left out."""
    if (
        series.count < 1
        or processes < 1
        or series.seed < 0
        or (series.dose is not None and not series.dose > 0)
    ):
        raise ValueError("count, processes and dose must be above 0, and the seed at least 0")
    folder.mkdir(parents=True, exist_ok=True)
    if anew:
        _remove_micrographs(folder)
        with whole_file(folder / "series.json") as file:
            file.write(json.dumps(asdict(series)).encode())
    specimens = range(0, series.count, OF_A_SPECIMEN)
    missing = [first for first in specimens if anew or not _is_done(series, folder, first)]
    make = partial(write_micrographs, series, folder)
    progress(len(specimens) - len(missing), len(specimens))
    if processes == 1:
        for done, first in enumerate(missing, 1 + len(specimens) - len(missing)):
            make(first)
            progress(done, len(specimens))
        return
    with workers(processes) as pool:
        for done, _ in enumerate(pool.map(make, missing), 1 + len(specimens) - len(missing)):
            progress(done, len(specimens))


def _remove_micrographs(folder: Path) -> None:
    """Those of another series, which would be trained on, and their tables, which tell of them."""
    for pattern in ("*.csv", "*.tif", "noisy/*.tif"):
        for file in folder.glob(pattern):
            if file.stem.isdigit():
                file.unlink()


def _is_done(series: Series, folder: Path, first: int) -> bool:
    """The table of columns is written last, after the images."""
    last = min(first + OF_A_SPECIMEN, series.count) - 1
    return (folder / f"{_name(last, series.count)}.csv").is_file()


def write_micrographs(series: Series, folder: Path, first: int) -> None:
    """Those of one specimen: clean, counted if there is a dose, and where the columns are."""
    from gaintuning.simulate.micrograph import counts, micrographs

    seed = np.random.SeedSequence([series.seed, first // OF_A_SPECIMEN])
    some = min(OF_A_SPECIMEN, series.count - first)
    rng = np.random.default_rng(seed.spawn(1)[0])
    for index, found in enumerate(micrographs(some, series.size, seed), first):
        path = folder / f"{_name(index, series.count)}.tif"
        pixel_size = dict.fromkeys("YX", (found.pixel_size, "Å"))
        taken = {"voltage": (300.0, "kV")}
        write_image(path, Image(found.pixels, "YX", pixel_size, taken), overwrite=True)
        if series.dose is not None:
            noisy = folder / "noisy"
            noisy.mkdir(exist_ok=True)
            taken |= {"dose": (series.dose, "e/Å²")}
            image = Image(counts(found, series.dose, rng), "YX", pixel_size, taken)
            write_image(noisy / path.name, image, overwrite=True)
        _write_columns(path.with_suffix(".csv"), found.columns)


def _write_columns(path: Path, columns: "Columns") -> None:
    """Pixels from the middle of the first; the heaviest element and the number of its atoms."""
    text = StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(["y", "x", "element", "atoms", "outside"])
    each = (columns.y, columns.x, columns.element, columns.atoms, columns.outside)
    for y, x, element, atoms, outside in zip(*each, strict=True):
        table.writerow([f"{y:.2f}", f"{x:.2f}", element, atoms, int(outside)])
    with whole_file(path) as file:
        file.write(text.getvalue().encode())

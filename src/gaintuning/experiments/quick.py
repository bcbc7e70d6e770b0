"""A few small images that come with the package's own dependencies, for a first look."""

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from skimage import data

from gaintuning.experiments.experiment import Sources
from gaintuning.files import write_image
from gaintuning.image import Image
from gaintuning.simulate.documents import documents

SIDE, LATTICE_SIDE = 160, 192


def quick_sources(folder: Path) -> Sources:
    """The sets of `SETS` with one to three images each, and a small one, written into a folder."""
    (page,) = (255 * documents(1, SIDE, seed=1)).round().to(torch.uint8).numpy()
    images: dict[str, NDArray[np.uint8]] = {
        "set12/camera": data.camera()[100:, 180:],
        "set12/coins": data.coins()[20:, 20:],
        "bsd68/moon": data.moon()[150:, 60:],
        "bsd68/cell": data.cell()[300:, 200:],
        "bsd68/wall": data.brick()[200:, 200:],
        "urban100/brick": data.brick(),
        "urban100/grid": data.checkerboard()[20:, 20:] // 2 + 64,
        "documents/page": page[0],
        "small/camera": data.camera()[120:216, 200:296],
    }
    for name, pixels in images.items():
        path = folder / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_image(path, Image(pixels[:SIDE, :SIDE].copy(), "YX"), overwrite=True)
    write_lattice(folder / "tem" / "lattice.tif")
    return Sources(folder, quick=True)


def write_lattice(path: Path) -> None:
    """Rows of columns below a vacuum, with their table: platinum, and two rows of cerium."""
    y, x = (places.ravel() for places in np.mgrid[60:LATTICE_SIDE:24, 12:LATTICE_SIDE:24])
    down, right = np.mgrid[:LATTICE_SIDE, :LATTICE_SIDE]
    pixels = np.full((LATTICE_SIDE, LATTICE_SIDE), 0.45, np.float32)
    for row, column in zip(y, x, strict=True):
        pixels += 0.2 * np.exp(-((down - row) ** 2 + (right - column) ** 2) / 40).astype(np.float32)
    path.parent.mkdir(exist_ok=True)
    write_image(path, Image(pixels, "YX", dict.fromkeys("YX", (0.1, "Å"))), overwrite=True)
    lines = ["y,x,element,atoms,outside"]
    for row, column in zip(y, x, strict=True):
        element = "Pt" if row < LATTICE_SIDE - 48 else "Ce"
        lines.append(f"{row},{column},{element},1,{int(row == 60)}")
    path.with_suffix(".csv").write_text("\n".join(lines) + "\n")

"""Tables of atomic columns for clean micrographs of platinum on ceria that come without them.

python experiments/columns.py FOLDER --pixel-size 0.05 --output tem/

The vacuum is at the top, and the beam goes along [110] of both. Columns are found in each
micrograph. Those whose neighbour in the same row is as near as in platinum are platinum, and at the
surface of the particle if fewer are around them than around others; the rest is support. Micrograph
and table are written as 'gaintuning simulate nanoparticles' writes them, for 'gaintuning reproduce
micrographs'.
"""

import argparse
import csv
from pathlib import Path

import numpy as np

from gaintuning.atoms import Points, are_bright, find_columns
from gaintuning.files import image_files, read_image, write_image
from gaintuning.image import Image

NEAREST = (2.1, 2.8)
"""Distance in Å of the nearest column of platinum in a row; of cerium more, of oxygen less."""

ROW = 1.0
"""Columns that lie no more than that apart in height, in Å, are in a row."""

AROUND = 3.2
"""Columns of platinum nearer than that, in Å, are neighbours: six inside the particle."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--pixel-size", type=float, required=True, help="in Å")
    parser.add_argument("--output", type=Path, required=True)
    arguments = parser.parse_args()
    arguments.output.mkdir(parents=True, exist_ok=True)
    for path in image_files(arguments.folder):
        pixels = read_image(path).pixels
        size = dict.fromkeys("YX", (arguments.pixel_size, "Å"))
        target = arguments.output / path.name
        write_image(target, Image(pixels, "YX", size), overwrite=True)
        bright = are_bright(pixels, arguments.pixel_size)
        columns = find_columns(pixels, arguments.pixel_size, bright=bright)
        write_table(target.with_suffix(".csv"), columns, arguments.pixel_size)


def write_table(path: Path, columns: Points, pixel_size: float) -> None:
    distances = np.linalg.norm(columns[:, None] - columns, axis=2) * pixel_size
    np.fill_diagonal(distances, np.inf)
    height = columns[:, 0] * pixel_size
    in_row = np.abs(height[:, None] - height) <= ROW
    nearest = np.where(in_row, distances, np.inf).min(1)
    platinum = (distances.min(1) >= NEAREST[0]) & (nearest < NEAREST[1])
    neighbors = (distances[:, platinum] < AROUND).sum(1)
    outside = platinum & (neighbors < neighbors[platinum].max(initial=0))
    with path.open("w", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(["y", "x", "element", "atoms", "outside"])
        for (y, x), metal, at_surface in zip(columns, platinum, outside, strict=True):
            element = "Pt" if metal else "Ce"
            table.writerow([f"{y:.2f}", f"{x:.2f}", element, "", int(at_surface)])
    found = f"{len(columns)} columns, {platinum.sum()} of platinum"
    print(f"{path}: {found}, {outside.sum()} of these at the surface")


if __name__ == "__main__":
    main()

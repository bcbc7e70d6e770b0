"""Which columns of a clean micrograph a denoised one keeps, and where on the particle they are."""

import csv
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gaintuning._types import Images
from gaintuning.atoms import APART, Points, are_bright, find_columns, match
from gaintuning.image import Image
from gaintuning.tables import Row

PLACES = ("surface", "inside", "support")

ANGSTROM = {"Å": 1.0, "nm": 10.0, "pm": 0.01}
"""Of each unit that a micrograph's pixel size comes in."""


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

"""Columns that a denoised micrograph keeps, by place, against those that the clean one shows."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from gaintuning.experiments.kept_columns import columns_kept, pixel_size, place_of_each
from gaintuning.experiments.quick import write_lattice
from gaintuning.files import read_image, write_image
from gaintuning.image import Image

PIXEL = 0.1
COLUMNS = Path(__file__).parents[1] / "experiments" / "columns.py"


@pytest.fixture
def micrograph(tmp_path: Path) -> Path:
    path = tmp_path / "lattice.tif"
    write_lattice(path)
    return path


def test_the_clean_micrograph_keeps_them_all(micrograph: Path) -> None:
    image = read_image(micrograph)
    clean = torch.from_numpy(image.pixels)[None, None]
    table = micrograph.with_suffix(".csv")
    assert columns_kept(clean, clean, pixel_size(image), table) == (1, 1, 1, 1, 1, 0)
    dark = 1 - clean
    assert columns_kept(dark, dark, pixel_size(image), table) == (1, 1, 1, 1, 1, 0)


def test_a_column_that_is_lost_is_missed_where_it_was(micrograph: Path) -> None:
    clean = torch.from_numpy(read_image(micrograph).pixels)[None, None]
    denoised = clean.clone()
    denoised[..., 48:72, :24] = 0.45  # the first column of the surface
    surface, inside, support, recall, precision, error = columns_kept(
        denoised, clean, PIXEL, micrograph.with_suffix(".csv")
    )
    assert surface == pytest.approx(2 * 7 / (7 + 8))
    assert recall == pytest.approx(47 / 48)
    assert (inside, support, precision) == (1, 1, 1)
    assert error < 5


def test_atoms_that_are_not_there_lower_the_precision(micrograph: Path) -> None:
    clean = torch.from_numpy(read_image(micrograph).pixels)[None, None]
    atom = np.zeros(clean.shape[-2:], np.float32)
    atom[30, 100] = 1
    denoised = clean + 20 * torch.from_numpy(gaussian_filter(atom, 4.5))
    kept = columns_kept(denoised, clean, PIXEL, micrograph.with_suffix(".csv"))
    assert kept[:3] == (pytest.approx(2 * 8 / (8 + 9)), 1, 1)  # the surface is nearest
    assert kept[3:5] == (1, pytest.approx(48 / 49))
    nothing = columns_kept(0 * clean, clean, PIXEL, micrograph.with_suffix(".csv"))
    assert nothing[:5] == (0, 0, 0, 0, 0)


def test_a_column_far_from_those_of_the_table_is_of_no_place(micrograph: Path) -> None:
    shown = np.array([[60.0, 12.0], [60.0, 24.0], [84.0, 36.0], [180.0, 12.0]])
    places = place_of_each(shown, PIXEL, micrograph.with_suffix(".csv"))
    assert list(places) == ["surface", "", "inside", "support"]


@pytest.mark.parametrize(("length", "unit"), [(0.1, "Å"), (0.01, "nm"), (10.0, "pm")])
def test_pixels_have_a_size_in_angstrom(length: float, unit: str) -> None:
    image = Image(np.zeros((4, 4)), "YX", dict.fromkeys("YX", (length, unit)))
    assert pixel_size(image) == pytest.approx(0.1)


def test_columns_of_a_published_micrograph_are_told_apart(tmp_path: Path) -> None:
    """Platinum 2.4 Å apart above cerium 3.4 Å apart; columns with a neighbour less are outside."""
    side = 200
    image = np.zeros((side, side), np.float32)
    platinum = [(row, column) for row in (60, 84, 108) for column in range(40, 160, 24)]
    cerium = [(row, column) for row in (140, 174) for column in range(20, side, 34)]
    for place in platinum + cerium:
        image[place] = 1
    image = 0.45 + 10 * gaussian_filter(image, 4.5)
    (tmp_path / "published").mkdir()
    write_image(tmp_path / "published" / "a.tif", Image(image, "YX"), overwrite=False)
    command = [sys.executable, str(COLUMNS), str(tmp_path / "published")]
    command += ["--pixel-size", str(PIXEL), "--output", str(tmp_path / "tem")]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    found = f"{len(platinum) + len(cerium)} columns, {len(platinum)} of platinum"
    assert f"{found}, {len(platinum) - 3} of these at the surface" in told
    assert pixel_size(read_image(tmp_path / "tem" / "a.tif")) == pytest.approx(PIXEL)
    shown = np.array([*platinum, *cerium], float)
    places = place_of_each(shown, PIXEL, tmp_path / "tem" / "a.csv")
    assert list(places[len(platinum) :]) == ["support"] * len(cerium)
    assert (places == "inside").sum() == 3

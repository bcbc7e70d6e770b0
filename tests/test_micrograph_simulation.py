"""Simulated micrographs: crystals as they are, waves that lose nothing, counts of the dose."""

import subprocess
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from scipy.ndimage import maximum_filter, minimum_filter
from scipy.spatial import cKDTree
from typer.testing import CliRunner

from gaintuning import simulate_command
from gaintuning.cli import app
from gaintuning.files import read_image
from gaintuning.simulate.micrograph import (
    VACUUM,
    Micrograph,
    Microscope,
    Wave,
    counts,
    exit_wave,
    intensity,
    micrographs,
    take,
)
from gaintuning.simulate.nanoparticle import (
    CERIA,
    PLATINUM,
    SURFACE,
    Columns,
    ceria_support,
    columns,
    platinum_particle,
    supported_particle,
)

SEEDS = range(6)
IDEAL = Microscope(
    focal_spread=0, angular_spread=0, aperture=60, vibration=0, blur=0, contrast=1, defocus=0
)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


@pytest.fixture(scope="module")
def specimen() -> Atoms:
    return next(
        atoms for atoms in map(supported_particle, map(rng, SEEDS)) if "Pt" in atoms.symbols
    )


@pytest.fixture(scope="module")
def wave(specimen: Atoms) -> Wave:
    return exit_wave(specimen, 300.0, (0.0, 0.0))


@pytest.mark.parametrize("seed", SEEDS)
def test_neighbours_in_the_particle_are_as_far_apart_as_in_platinum(seed: int) -> None:
    positions = platinum_particle(rng(seed)).positions
    nearest, _ = cKDTree(positions).query(positions, 2)
    assert nearest[:, 1].min() == pytest.approx(PLATINUM / 2**0.5, rel=1e-6)
    assert abs(positions[:, 1].min()) < 1e-6


@pytest.mark.parametrize("seed", SEEDS)
def test_no_two_atoms_are_in_the_same_place_across_the_border_of_the_cell(seed: int) -> None:
    atoms = supported_particle(rng(seed))
    width, _, depth = atoms.cell.lengths()
    assert -1e-6 < atoms.positions[:, 2].min() <= atoms.positions[:, 2].max() < depth + 1e-6
    across = atoms.positions.copy()
    across[:, 0] = np.mod(across[:, 0], width) % width  # since -1e-20 % width is the width
    nearest, _ = cKDTree(across, boxsize=(width, 1e4, 1e4)).query(across, 2)
    assert nearest[:, 1].min() > 1.5
    oxide = atoms[[symbol != "Pt" for symbol in atoms.symbols]]
    of_bond, _ = cKDTree(oxide.positions).query(oxide.positions, 2)
    assert np.median(of_bond[:, 1]) == pytest.approx(CERIA * 3**0.5 / 4, rel=1e-6)


WITHOUT_A_STEP = {"111": (0, 2, 3, 6, 7, 8, 11, 15), "001": (5, 9, 13, 14), "110": (4, 10)}
"""Seeds of such supports, by the surface that is drawn for them."""


@pytest.mark.parametrize(
    ("surface", "seed"), [(name, seed) for name, seeds in WITHOUT_A_STEP.items() for seed in seeds]
)
def test_every_layer_of_a_support_is_whole_the_last_one_too(surface: str, seed: int) -> None:
    support = ceria_support(rng(seed))
    heights = support.positions[:, 1].round(2)
    layers = Counter(zip(heights.tolist(), support.symbols, strict=True))
    for element in ("Ce", "O"):
        assert len({count for (_, symbol), count in layers.items() if symbol == element}) == 1
    # Along [111] oxygen lies above cerium by a quarter of the distance to the next cerium.
    highest = SURFACE + (CERIA * 3**0.5 / 12 if surface == "111" else 0.0)
    last = {symbol for height, symbol in layers if height == pytest.approx(highest, abs=0.01)}
    assert last == {"111": {"O"}, "001": {"Ce"}, "110": {"Ce", "O"}}[surface]
    assert heights.max() == pytest.approx(highest, abs=0.01)


def test_the_columns_hold_every_heavy_atom(specimen: Atoms) -> None:
    found = columns(specimen)
    for element in ("Pt", "Ce"):
        of_element = found.element == element
        assert found.atoms[of_element].sum() == sum(s == element for s in specimen.symbols)
    apart, _ = cKDTree(np.stack([found.x, found.y], 1)).query(np.stack([found.x, found.y], 1), 2)
    assert apart[:, 1].min() > 0.3
    bottom = (found.element == "Ce") & (found.y > 5) & (found.y < SURFACE - 8)
    assert not found.outside[bottom].any()
    highest = np.where(found.element == "Pt", found.y, -np.inf).argmax()
    assert found.outside[highest]


def test_no_electron_is_lost(wave: Wave) -> None:
    image = intensity(wave, IDEAL, wave.gpts)
    assert image.mean() == pytest.approx(1, abs=0.02)


def test_where_there_is_nothing_the_intensity_is_that_of_the_beam(wave: Wave) -> None:
    image = intensity(wave, Microscope(), (460, 480))
    vacuum = image[:, 430:450]
    assert vacuum.mean() == pytest.approx(1, abs=0.01)
    assert vacuum.std() < 0.01


@pytest.mark.parametrize(("defocus", "bright"), [(-100.0, True), (60.0, False)])
def test_columns_are_bright_or_dark_as_the_defocus_has_it(
    wave: Wave, specimen: Atoms, defocus: float, bright: bool
) -> None:
    """And where they are said to be, in an image that is cut out and turned upside down."""
    microscope = replace(Microscope(), defocus=defocus)
    everywhere = (take(wave, columns(specimen), microscope, 256, 0.11, rng(n)) for n in range(9))
    found = max(everywhere, key=lambda each: (each.columns.element == "Pt").sum())
    assert found.pixels.dtype == np.float32
    platinum = found.columns.element == "Pt"
    inside = (found.columns.x > 15) & (found.columns.x < 240) & (found.columns.y > 15)
    rows, across = (
        values[platinum & inside].round().astype(int)
        for values in (found.columns.y, found.columns.x)
    )
    assert len(rows) > 10
    highest, lowest = maximum_filter(found.pixels, 9), minimum_filter(found.pixels, 9)
    at = found.pixels[rows, across]
    relative = (at - lowest[rows, across]) / (highest - lowest)[rows, across]
    assert (np.median(relative) > 0.7) == bright
    assert (np.median(relative) < 0.3) != bright


def test_more_vibration_or_blur_is_less_contrast(wave: Wave) -> None:
    sharp = intensity(wave, Microscope(), (460, 480)).std()
    for softer in ({"vibration": 0.6}, {"blur": 4.0}, {"contrast": 0.3}, {"focal_spread": 90.0}):
        assert intensity(wave, replace(Microscope(), **softer), (460, 480)).std() < sharp


def test_the_counts_are_those_of_the_dose() -> None:
    none = Columns(*[np.zeros(0)] * 2, np.zeros(0, str), np.zeros(0, int), np.zeros(0, bool))
    clean = Micrograph(np.full((300, 300), VACUUM, np.float32), 0.5, none)
    counted = counts(clean, dose=40.0, rng=rng())
    expected = 40 * 0.5**2
    assert counted.mean() == pytest.approx(expected, abs=4 * (expected / 300**2) ** 0.5)
    assert counted.var() == pytest.approx(expected, rel=0.03)


def test_the_same_seed_gives_the_same_micrographs_and_another_others() -> None:
    first, again, other = (
        next(micrographs(1, 64, np.random.SeedSequence(seed))) for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(first.pixels, again.pixels)
    assert not np.array_equal(first.pixels, other.pixels)
    assert first.pixels.shape == (64, 64)


@pytest.mark.parametrize("size", [16, 700])
def test_an_impossible_size_is_refused(size: int) -> None:
    with pytest.raises(ValueError, match="size must be from 32 to 640"):
        next(micrographs(1, size, np.random.SeedSequence(0)))


def test_the_picture_of_the_docs_is_drawn(tmp_path: Path) -> None:
    script = Path(__file__).parents[1] / "experiments" / "micrographs.py"
    picture = tmp_path / "small.png"
    command = [sys.executable, str(script), "--quick", "--output", str(picture)]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert "4 micrographs" in told
    assert read_image(picture).pixels.std() > 0


def simulate(folder: Path, *options: str) -> str:
    arguments = ["simulate", "nanoparticles", "-o", str(folder), "--size", "48", *options]
    return CliRunner().invoke(app, arguments).output


def test_another_series_that_was_stopped_keeps_nothing_of_the_one_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def write(series: simulate_command.Series, folder: Path, first: int) -> None:
        if (series.seed, first) == (1, 20) and not (tmp_path / "stopped").exists():
            (tmp_path / "stopped").touch()
            raise KeyboardInterrupt
        for index in range(first, first + 10):
            (folder / f"{index}.csv").write_text(str(series.seed))

    monkeypatch.setattr(simulate_command, "write_micrographs", write)
    folder = tmp_path / "a"
    words = ["simulate", "nanoparticles", "-o", str(folder), "--force", "--count", "40"]
    for seed in "011":
        CliRunner().invoke(app, [*words, "--seed", seed])
    assert (tmp_path / "stopped").exists()
    assert {path.read_text() for path in folder.glob("*.csv")} == {"1"}
    assert len(list(folder.glob("*.csv"))) == 40


def test_of_another_number_of_micrographs_none_is_left_among_the_new_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def write(series: simulate_command.Series, folder: Path, first: int) -> None:
        (folder / "noisy").mkdir(exist_ok=True)
        digits = len(str(series.count - 1))
        for index in range(first, min(first + 10, series.count)):
            for name in (f"{index:0{digits}}.tif", f"noisy/{index:0{digits}}.tif"):
                (folder / name).touch()
            (folder / f"{index:0{digits}}.csv").touch()

    monkeypatch.setattr(simulate_command, "write_micrographs", write)
    simulate(tmp_path / "a", "--count", "11")
    for name in ("of mine.tif", "of mine.csv"):
        (tmp_path / "a" / name).touch()
    simulate(tmp_path / "a", "--count", "3", "--force")
    names = sorted(str(path.relative_to(tmp_path / "a")) for path in (tmp_path / "a").rglob("*.*"))
    made = [f"{index}.{suffix}" for index in range(3) for suffix in ("csv", "tif")]
    noisy = [f"noisy/{index}.tif" for index in range(3)]
    assert names == [*made, *noisy, "of mine.csv", "of mine.tif", "series.json"]


def test_a_folder_of_micrographs_that_was_stopped_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(simulate_command, "OF_A_SPECIMEN", 2)
    made = simulate(tmp_path / "a", "--count", "3", "--dose", "50")
    assert "3 images" in made
    names = sorted(path.relative_to(tmp_path / "a") for path in (tmp_path / "a").rglob("*.*"))
    assert len(names) == 3 * 3 + 1
    kept = {name: (tmp_path / "a" / name).read_bytes() for name in names}
    noisy = read_image(tmp_path / "a" / "noisy" / "2.tif")
    assert noisy.acquisition["dose"] == (50.0, "e/Å²")
    assert noisy.pixel_size == read_image(tmp_path / "a" / "2.tif").pixel_size
    (tmp_path / "a" / "2.csv").unlink()
    (tmp_path / "a" / "0.tif").write_bytes(b"of a specimen that is done")
    assert "3 images" in simulate(tmp_path / "a", "--count", "3", "--dose", "50")
    kept[Path("0.tif")] = b"of a specimen that is done"
    assert {name: (tmp_path / "a" / name).read_bytes() for name in names} == kept
    assert "is not empty" in simulate(tmp_path / "a", "--count", "4", "--dose", "50")
    for dose in ("0", "-1"):
        assert "must be above 0" in simulate(tmp_path / "c", "--count", "3", "--dose", dose)
    assert "for nanoparticles" in CliRunner().invoke(
        app, ["simulate", "documents", "-o", str(tmp_path / "b"), "--dose", "3"]
    ).output  # fmt: skip

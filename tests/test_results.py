"""The figures in the documentation are those of the raw results, and hold what they must."""

import csv
import importlib
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from gaintuning import zoo
from gaintuning.experiments import registry
from gaintuning.experiments.experiment import Sources
from gaintuning.experiments.page import page as page_of_experiment
from gaintuning.tables import read_table

ROOT = Path(__file__).parents[1]
EXPERIMENTS = ROOT / "experiments"


@pytest.fixture
def experiment(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], ModuleType]:
    """A script as a module, by its name."""
    monkeypatch.syspath_prepend(EXPERIMENTS)
    return importlib.import_module


def rows(name: str) -> list[dict[str, str]]:
    with (ROOT / "docs" / f"{name}.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def page(name: str) -> str:
    return (ROOT / "docs" / f"{name}.md").read_text(encoding="utf-8")


def test_the_tables_in_the_documentation_are_those_of_the_raw_results(
    experiment: Callable[[str], ModuleType],
) -> None:
    names = ("networks", "noise_levels", "out_of_range", "frames", "like_places")
    networks, noise_levels, out_of_range, frames, like_places = map(experiment, names)
    assert out_of_range.table(rows("out-of-range")) in page("noise")
    assert noise_levels.table(rows("noise")) in page("noise")
    assert frames.table(rows("frames")) in page("micrographs")
    assert like_places.table(rows("like-places")) in page("noise")
    assert networks.cards() in page("networks")
    assert networks.table(rows("networks")) in page("networks")


SIZES = {"set12": 12, "bsd68": 68, "urban100": 50, "documents": 12, "tem": 7}
"""Images of the sets that the full experiments were made with."""

REPRODUCED = sorted((ROOT / "docs" / "reproduced").glob("*.csv"))


@pytest.mark.parametrize("table", REPRODUCED, ids=lambda table: table.stem)
def test_the_pages_of_experiments_are_those_of_their_rows(table: Path, tmp_path: Path) -> None:
    experiment = registry.load(table.stem)
    for name, count in SIZES.items():
        (tmp_path / name).mkdir()
        for index in range(count):
            (tmp_path / name / f"{index}.png").touch()
    asked = len(experiment.cases(Sources(tmp_path, quick=False)))
    found = read_table(table, experiment.kind)
    assert found
    assert not any(row["error"] for row in found)
    text = page_of_experiment(table.stem, experiment, found, asked=asked, quick=False)
    assert table.with_suffix(".md").read_text(encoding="utf-8") == text
    assert "<svg" in table.with_suffix(".svg").read_text()
    assert f"reproduced/{table.stem}.md" in page("results")


def test_the_networks_of_the_results_are_those_on_board(
    experiment: Callable[[str], ModuleType],
) -> None:
    networks = experiment("networks")
    for name in networks.for_gaussian_noise():
        weights = networks.fingerprint(zoo.load(name)[0].state_dict().values())[:12]
        assert {row["weights"] for row in rows("networks") if row["network"] == name} == {weights}


@pytest.mark.parametrize("sigma", ["30", "50"])
@pytest.mark.parametrize("name", ["unet", "unet-bias-free"])
def test_the_networks_on_board_are_nearly_as_good_as_the_published_ones(
    name: str, sigma: str
) -> None:
    psnr = {
        row["network"]: float(row["psnr"])
        for row in rows("networks")
        if (row["images"], row["sigma"], row["count"]) == ("BSD68", sigma, "68")
    }
    assert psnr[name] >= psnr[f"published/{name}"] - 0.25


IN_THE_README = {
    "| Set12, sigma 30": ("fig3", "set12", "gaussian:30", "published/unet", "sure"),
    "| Set12, sigma 80": ("fig4", "set12", "gaussian:80", "published/unet", "gaintuning"),
    "| Set12, 5 counts": ("poisson", "set12", "poisson:51", "published/dncnn", "gaintuning"),
    "| simulated scanned pages": ("fig4", "documents", "gaussian:30", "published/unet", "sure"),
    "| published Pt/CeO2": ("micrographs", "tem", "3", "unet-tem", "gaintuning"),
}
"""Rows of its table: the experiment, and which of its rows."""


def scores(name: str, images: str, level: str, network: str, method: str) -> np.ndarray:
    """PSNR before and after in the rows of an experiment, an image a row."""
    table = rows(f"reproduced/{name}")
    ways = [
        {
            each["image"]: float(each["psnr"])
            for each in table
            if each["image"].startswith(images)
            and level in (each.get("noise"), each.get("noisy_psnr"))
            and (each["network"], each["method"]) == (network, way)
        }
        for way in ("pretrained", method)
    ]
    before, after = ways
    return np.array([(before[image], after[image]) for image in after])


@pytest.mark.parametrize("row", IN_THE_README)
def test_the_table_in_the_readme_is_that_of_the_raw_results(row: str) -> None:
    found = scores(*IN_THE_README[row])
    assert len(found) >= 7
    before, after = found.mean(0)
    (line,) = [line for line in (ROOT / "README.md").read_text("utf-8").splitlines() if row in line]
    assert f"| {before:.2f} | {after:.2f} |" in line


def test_sure_improves_images_like_the_training_set_and_harms_none() -> None:
    before, after = scores("fig3", "set12", "gaussian:30", "published/unet", "sure").T
    assert len(before) == 12
    assert (after - before).mean() >= 0.08
    assert (after - before).min() >= -0.01


@pytest.mark.parametrize("objective", ["blind-spot", "noise-resampling"])
def test_the_other_losses_mend_noise_beyond_the_training_range(objective: str) -> None:
    before, after = scores("losses", "set12", "gaussian:80", "published/unet", objective).T
    assert len(before) == 12
    assert (after - before).mean() >= 4


def test_a_network_of_flat_scenes_smooths_natural_images_and_tuning_mends_it() -> None:
    natural, flat = (
        float(row["psnr"])
        for network in ("dncnn", "dncnn-piecewise")
        for row in rows("networks")
        if (row["network"], row["images"], row["sigma"]) == (network, "Set12", "30")
    )
    assert flat <= natural - 0.8
    before, after = scores("fig4", "set12", "gaussian:30", "dncnn-piecewise", "sure").T
    assert len(before) >= 7
    assert (after - before).mean() >= 1.0
    assert (after - before).min() > 0.4


def test_like_places_harm_no_natural_image() -> None:
    found = rows("like-places")
    changes = [float(row["with"]) - float(row["without"]) for row in found]
    assert len(changes) >= 36
    assert min(changes) > -0.005


HOLD = {
    "fig3": ["SURE improves the mean", "up to 0.3 dB", "worse in 3 of 412"],
    "fig4": ["unet at sigma 80", "unet at sigma 70", "to pages, published/unet, sure", "(a) flat"],
    "parameters": ["sure: fine-tuning all parameters overfits", "sure: gains outperform"],
    "transfer": ["generalise to images that are similar"],
    "losses": ["SURE is no worse than noise resampling", "outperforms the blind-spot loss"],
    "poisson": ["(pure) restores", "(gaintuning) restores", "(blind-spot) restores"],
    "net-bias": ["grows at new levels", "reduces the constant term"],
    "filters": ["more precisely targeted"],
    "micrographs": [
        "-tem: GainTuning beats the pre-trained",
        "3 dB, blind-spot-tem: GainTuning beats",
        "3 dB, blind-spot-tem: and finds the columns of the surface no worse on",
        "3 dB, blind-spot-tem: and finds the columns of the support no worse on",
        "beats bm3d-anscombe.",
        "beats bm3d-anscombe@8.",
        "beats topaz.",
        "beats zero-shot-noise2noise@8.",
    ],
}
"""Claims that were found to hold, by a part of each, which may end with its full stop.

Of those that were not, the pages tell.
"""


@pytest.mark.parametrize("name", HOLD)
def test_what_the_documentation_says_to_hold_does(name: str) -> None:
    experiment = registry.load(name)
    found = read_table(ROOT / "docs" / "reproduced" / f"{name}.csv", experiment.kind)
    checks = experiment.checks(found)
    for claim in HOLD[name]:
        some = [check for check in checks if claim in f"{check.claim}."]
        assert some, claim
        for check in some:
            assert check.holds, f"{check.claim}: {check.found}"


def test_the_weights_are_small_enough_to_come_with_the_package() -> None:
    files = list((ROOT / "src" / "gaintuning" / "weights").glob("*.safetensors"))
    assert sum(file.stat().st_size for file in files) < 25e6


HARDLY_SMOOTH = {"5": {"test031", "test036"}, "10": {"test031"}}
"""Images of BSD68 without a smooth place, by the sigma at which it matters: grass and needles, and
sand whose grain is as good as white noise."""


def test_the_noise_of_natural_images_is_found() -> None:
    errors: dict[tuple[str, ...], dict[str, float]] = {}
    for row in rows("noise"):
        case = (row["model"], row["level"], row["read"])
        errors.setdefault(case, {})[row["image"]] = abs(float(row["error"]))
    assert len(errors) == 15
    for (model, level, _), found in errors.items():
        assert len(found) == 68
        assert np.median(list(found.values())) <= (0.03 if model == "gaussian" else 0.10)
        if model == "gaussian":
            far_off = {image for image, error in found.items() if error > 0.10}
            assert far_off <= HARDLY_SMOOTH.get(level, set())
        if model == "whole":
            assert sum(error == 0 for error in found.values()) >= 60


@pytest.mark.parametrize("sigma", ["70", "80", "100"])
@pytest.mark.parametrize("network", ["DnCNN", "UNet"])
def test_contrast_and_gains_make_a_network_for_levels_it_was_not_trained_for(
    network: str, sigma: str
) -> None:
    def mean(column: str, network: str) -> float:
        found = [
            float(row[column])
            for row in rows("out-of-range")
            if (row["network"], row["sigma"]) == (network, sigma)
        ]
        assert len(found) == 12
        return float(np.mean(found))

    gold = mean("before", "DnCNN, all levels")
    assert mean("with_contrast", network) >= gold - 0.15
    assert mean("as_it_comes", network) >= gold + 0.1
    assert mean("before", network) < gold - 2


@pytest.mark.parametrize(
    ("name", "folders", "words"),
    [
        ("networks", ["data/set12", "data/bsd68"], f"| {zoo.DEFAULT} |"),
        ("noise_levels", ["data/bsd68"], "| sigma 20 | 2 |"),
        ("noise_together", ["data/set12"], "| made 1.5 times as large | 1 of 1 |"),
        ("out_of_range", ["checkpoints", "data/set12"], "| 80 | UNet | 2 |"),
        ("like_places", ["data/set12"], "| set12 | 2 |"),
        ("particle", [], "3 images in"),
        ("scenes", [], "12 scenes"),
        ("other_noise", [], "| sigma 5 and sigma 40, side by side | Gaussian, sigma 5"),
    ],
)
def test_the_experiments_run_small(
    published: Callable[[str], Path], tmp_path: Path, name: str, folders: list[str], words: str
) -> None:
    command = [sys.executable, str(EXPERIMENTS / f"{name}.py")]
    command += [str(published(folder)) for folder in folders]
    if name not in ("noise_together", "other_noise"):
        command += ["--output", str(tmp_path / ("small.csv" if folders else "small.png"))]
    command += [] if name == "scenes" else ["--quick"]
    assert words in subprocess.run(command, capture_output=True, text=True, check=True).stdout

"""The figures in the documentation are those of the raw results, and hold what they must."""

import csv
import importlib.util
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

ROOT = Path(__file__).parents[1]
SCRIPT = ROOT / "experiments" / "set12.py"


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("set12", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def rows() -> list[dict[str, str]]:
    with (ROOT / "docs" / "set12.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def scores(network: str, sigma: int, objective: str) -> np.ndarray:
    """PSNR before and after, an image a row."""
    wanted = (network, str(sigma), objective)
    return np.array(
        [
            (float(row["before"]), float(row["after"]))
            for row in rows()
            if (row["network"], row["sigma"], row["objective"]) == wanted
        ]
    )


def test_the_table_in_the_documentation_is_that_of_the_raw_results(script: ModuleType) -> None:
    assert script.table(rows(), script.RUNS) in (ROOT / "docs" / "results.md").read_text(
        encoding="utf-8"
    )


@pytest.mark.parametrize("network", ["DnCNN", "UNet"])
def test_sure_improves_images_like_the_training_set_and_harms_none(network: str) -> None:
    before, after = scores(network, 30, "sure").T
    assert len(before) == 12
    assert (after - before).mean() >= 0.08
    assert (after - before).min() >= -0.01


def test_gains_alone_nearly_make_a_network_for_all_levels() -> None:
    tuned = scores("DnCNN", 80, "sure")
    gold = scores("DnCNN, all levels", 80, "none")
    assert len(tuned) == len(gold) == 12
    assert tuned[:, 1].mean() >= gold[:, 1].mean() - 0.25


@pytest.mark.parametrize("objective", ["blind-spot", "noise-resampling"])
def test_the_other_losses_mend_noise_beyond_the_training_range(objective: str) -> None:
    before, after = scores("DnCNN", 80, objective).T
    assert (after - before).mean() >= 4


def test_the_experiment_runs_small_and_goes_on_where_it_stopped(
    published: Callable[[str], Path], tmp_path: Path
) -> None:
    output = tmp_path / "small.csv"
    command = [sys.executable, str(SCRIPT), str(published("checkpoints")), "--quick"]
    command += [str(published("data/set12")), "--output", str(output)]
    first = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    whole = output.read_text()
    output.write_text("".join(whole.splitlines(keepends=True)[:-3]))
    again = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert output.read_text().count("\n") == whole.count("\n")
    assert first.splitlines()[:5] == again.splitlines()[:5]

"""Each benchmark runs small, on images made here."""

import subprocess
import sys
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """A folder with two smooth images."""
    folder = tmp_path / "images"
    folder.mkdir()
    # Larger than the crop that the benchmarks take in a quick run.
    rows, columns = np.arange(160)[:, None], np.arange(160)
    for index, period in enumerate((9, 14)):
        wave = np.sin(rows / period) * np.cos(columns / (period + 3))
        iio.imwrite(folder / f"{index}.png", np.rint(120 + 80 * wave).astype(np.uint8))
    return folder


def printed_by(name: str, *arguments: object) -> list[str]:
    """The lines that a quick run prints."""
    command = [sys.executable, str(BENCHMARKS / f"{name}.py"), *map(str, arguments), "--quick"]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout.splitlines()


def first_cells(lines: list[str], header: str) -> list[str]:
    """The first column of a Markdown table, found by the first cell of its header."""
    (start,) = (i for i, line in enumerate(lines) if line.startswith(f"| {header} |"))
    return [line.split("|")[1].strip() for line in lines[start + 2 :] if line.startswith("|")]


def test_the_methods_are_compared(images: Path, tmp_path: Path) -> None:
    lines = printed_by("peers", images, "--output", tmp_path)
    methods = first_cells(lines, "method")
    left_out = [line for line in lines if "BM3D is left out" in line]
    expected = ["unet-bias-free, pre-trained", "unet-bias-free, tuned"]
    expected += ["dncnn, pre-trained", "dncnn, tuned", *([] if left_out else ["BM3D"])]
    expected += ["non-local means", "wavelets, BayesShrink"]
    expected += ["Zero-Shot Noise2Noise, 5 steps", "Self2Self, 2 steps"]
    assert methods == expected
    assert (tmp_path / "peers.svg").stat().st_size > 0


def test_a_step_is_measured_for_each_network(tmp_path: Path) -> None:
    networks = first_cells(printed_by("step", "--output", tmp_path), "network")
    assert set(networks) == {"DnCNN", "UNet"}
    assert networks.count("DnCNN") == networks.count("UNet") >= 2
    assert (tmp_path / "step.svg").stat().st_size > 0


def test_the_adaptation_is_followed_at_each_level(images: Path, tmp_path: Path) -> None:
    lines = printed_by("adapt", "unet-bias-free", images, "--output", tmp_path)
    assert [line.split(":")[0] for line in lines if line.startswith("sigma")] == [
        "sigma 30",
        "sigma 80",
    ]
    for name in ("Adam, 0.001", "Adam, 0.003", "Adam, 0.01", "gaintuning"):
        assert sum(line.strip().startswith(name) for line in lines) == 2
    assert (tmp_path / "adapt.svg").stat().st_size > 0


def test_each_size_is_measured(tmp_path: Path) -> None:
    assert first_cells(printed_by("scale", "--output", tmp_path), "pixels") == [
        "64 x 64",
        "96 x 96",
    ]
    assert (tmp_path / "scale.svg").stat().st_size > 0


def test_a_movie_is_measured_beside_the_passes_of_its_network() -> None:
    lines = printed_by("movie")
    assert first_cells(lines, "side") == ["passes of the plain network", "denoised"]
    assert any(line.startswith("ratio ") for line in lines)

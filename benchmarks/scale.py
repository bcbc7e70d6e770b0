"""Seconds and memory of a whole denoising against the size of the image.

python benchmarks/scale.py [--network NAME] [--sides 64 128 ...] [--output FOLDER] [--quick]

Each size runs in a process of its own: a smooth image with Gaussian noise, denoised with the
noise given. `a pass` is that of the whole image through the pre-trained network, which the tuned
one repeats; the rest is for the range of the intensities and the units. Memory is the growth of the
largest resident size, less the results themselves, which are as large as the image.
"""

import argparse
import json
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
from matplotlib.figure import Figure

SIDES = (64, 128, 256, 512, 1024, 2048, 4096)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--network", default="unet-bias-free")
    parser.add_argument("--sides", type=int, nargs="+", default=SIDES)
    parser.add_argument("--output", type=Path, help="folder for the figure")
    parser.add_argument("--quick", action="store_true", help="two small sizes")
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        print(json.dumps(measure(arguments.network, arguments.one)))
        return
    rows = []
    for side in (64, 96) if arguments.quick else arguments.sides:
        command = [sys.executable, __file__, "--network", arguments.network, "--one", str(side)]
        ran = subprocess.run(command, capture_output=True, text=True, check=True)
        rows.append(json.loads(ran.stdout))
    print(table(rows))
    if arguments.output:
        draw(rows, arguments.output / "scale.svg")


def measure(network: str, side: int) -> dict[str, float]:
    from gaintuning import Gaussian, attempts, denoise

    rng = np.random.default_rng(0)
    wave = np.sin(np.arange(side) / 9)
    noisy = (120 + 60 * wave[:, None] * wave + rng.normal(0, 25, (side, side))).astype(np.float32)
    small = noisy[:64, :64]
    denoise(small, network=network, noise=Gaussian(25))  # what is loaded and compiled once
    took: dict[str, list[float]] = {"run": [], "tune": []}
    for name, seconds_of_name in took.items():
        setattr(attempts, name, timed(getattr(attempts, name), seconds_of_name))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = perf_counter()
    result = denoise(noisy, network=network, noise=Gaussian(25))
    seconds = perf_counter() - start
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024
    grown -= result.image.nbytes + result.pretrained.nbytes
    return {
        "side": side,
        "seconds": seconds,
        "tuning": sum(took["tune"]),
        "a pass": took["run"][0],
        "memory": grown / 2**20,
    }


def timed(function: Callable[..., Any], seconds: list[float]) -> Callable[..., Any]:
    """The same function; the time of each call is added to the list."""

    def call(*arguments: object, **options: object) -> object:
        start = perf_counter()
        result = function(*arguments, **options)
        seconds.append(perf_counter() - start)
        return result

    return call


def table(rows: list[dict[str, float]]) -> str:
    lines = [
        "| pixels | s | of it tuning | a pass | ns a pixel of a pass | MiB |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for row in rows:
        side = round(row["side"])
        lines.append(
            f"| {side} x {side} | {row['seconds']:.1f} | {row['tuning']:.1f} | "
            f"{row['a pass']:.2f} | {1e9 * row['a pass'] / side**2:.0f} | {row['memory']:.0f} |"
        )
    return "\n".join(lines)


def draw(rows: list[dict[str, float]], path: Path) -> None:
    figure = Figure(figsize=(8, 3), layout="constrained")
    times, memory = figure.subplots(1, 2)
    sides = [row["side"] for row in rows]
    for name, color in (("seconds", "black"), ("tuning", "#0b6cb8"), ("a pass", "#8b97a3")):
        times.plot(sides, [row[name] for row in rows], ".-", color=color, label=name)
    times.set(xscale="log", yscale="log", xlabel="side in pixels", ylabel="seconds")
    times.legend(frameon=False)
    memory.plot(sides, [row["memory"] for row in rows], ".-", color="#0b6cb8")
    memory.set(xscale="log", xlabel="side in pixels", ylabel="memory in MiB")
    for axes in (times, memory):
        axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path)


if __name__ == "__main__":
    main()

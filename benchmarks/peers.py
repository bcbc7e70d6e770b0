"""Quality against seconds: this package beside other methods for a single noisy image.

python benchmarks/peers.py IMAGES [--sigma 30] [--count 12] [--self2self-steps 1000]
    [--output FOLDER] [--quick]

IMAGES is a folder of clean grey images. Gaussian noise of `sigma` is added to each, drawn from the
level and the image alone and not clipped. The methods take turns image by image in one process,
with the threads that torch has; each is called once on a small crop before, for what is loaded and
compiled once. Methods that need a range are told that it is 0 to 1, and those that need the level
are told that. Outputs are clipped to [0, 1] for PSNR.

Zero-Shot Noise2Noise runs as published. Self2Self was published with 150,000 steps, and has the
number that is given here: it is short of what it can do. BM3D needs the package `bm3d` (the extra
`peers`), which is not free for commercial use; it is left out where it is not installed.
"""

import argparse
import statistics
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import cycle
from pathlib import Path
from time import perf_counter
from typing import TypeAlias

import torch
from matplotlib.figure import Figure
from torch import Generator, Tensor

sys.path.append(str(Path(__file__).parents[1] / "experiments"))
from rows import read_images

from gaintuning import denoise
from gaintuning.methods import METHODS, Task
from gaintuning.metrics import psnr
from gaintuning.noise import Gaussian
from gaintuning.tuning import Schedule

NETWORKS = ("unet-bias-free", "dncnn")

Method: TypeAlias = Callable[[Tensor, float], Tensor]
"""From a noisy image (1, 1, h, w) in [0, 1] and its sigma to the denoised image."""


@dataclass(frozen=True)
class Score:
    """What a method did to one image: PSNR in dB, before and after, seconds, and pixels."""

    before: float
    after: float
    seconds: float
    pixels: int


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("images", type=Path)
    parser.add_argument("--sigma", type=int, default=30)
    parser.add_argument("--count", type=int, default=12, help="of the images")
    parser.add_argument("--self2self-steps", type=int, default=1000)
    parser.add_argument("--output", type=Path, help="folder for the figure")
    parser.add_argument("--quick", action="store_true", help="two small crops and a few steps")
    arguments = parser.parse_args()
    images = list(read_images(arguments.images, arguments.quick).values())[: arguments.count]
    methods = few_steps() if arguments.quick else all_steps(arguments.self2self_steps)
    if find_spec("bm3d") is None:
        del methods["BM3D"]
        print("BM3D is left out: the package bm3d is not installed\n")
    scores = compare(methods, images, arguments.sigma)
    print(f"{len(images)} images, sigma {arguments.sigma}, {torch.get_num_threads()} threads\n")
    print(table(scores))
    if arguments.output:
        draw(scores, arguments.sigma, arguments.output / "peers.svg")


def all_steps(self2self_steps: int) -> dict[str, Method]:
    return methods_with(2000, self2self_steps)


def few_steps() -> dict[str, Method]:
    return methods_with(
        5, 2, schedule=Schedule(steps=3, rounds=1), orientations=False, nonlocal_bayes=False
    )


def methods_with(
    zero_shot_steps: int, self2self_steps: int, **options: object
) -> dict[str, Method]:
    """Options are those of `denoise`."""
    methods: dict[str, Method] = {}
    for network in NETWORKS:
        methods[f"{network}, pre-trained"] = by_network(network, tune=False)
        methods[f"{network}, tuned"] = by_network(network, tune=True, **options)
    for label, name, steps in (
        ("BM3D", "bm3d", None),
        ("non-local means", "non-local-means", None),
        ("wavelets, BayesShrink", "wavelets", None),
        (
            f"Zero-Shot Noise2Noise, {zero_shot_steps} steps",
            "zero-shot-noise2noise",
            zero_shot_steps,
        ),
        (f"Self2Self, {self2self_steps} steps", "self2self", self2self_steps),
    ):
        methods[label] = by_name(name, steps)
    return methods


def by_network(network: str, **options: object) -> Method:
    """The package as it is called for an image, with its objective and its decision."""

    def method(noisy: Tensor, sigma: float) -> Tensor:
        noise = Gaussian(sigma)
        result = denoise(
            noisy[0, 0], network=network, noise=noise, intensity_range=(0.0, 1.0), **options
        )
        return result.image[None, None]

    return method


def by_name(name: str, steps: int | None) -> Method:
    return lambda noisy, sigma: METHODS[name](Task(noisy, Gaussian(sigma), steps=steps))


def compare(methods: dict[str, Method], images: list[Tensor], sigma: int) -> dict[str, list[Score]]:
    """Each method on each image."""
    noise = Gaussian(sigma / 255)
    for method in methods.values():
        method(noise.sample(images[0], Generator().manual_seed(0))[..., :48, :48], noise.sigma)
    scores: dict[str, list[Score]] = {name: [] for name in methods}
    for index, clean in enumerate(images):
        noisy = noise.sample(clean, Generator().manual_seed(1000 * sigma + index))
        before = psnr(noisy, clean, data_range=1.0)
        for name, method in methods.items():
            start = perf_counter()
            denoised = method(noisy, noise.sigma)
            seconds = perf_counter() - start
            after = psnr(denoised.clamp(0, 1), clean, data_range=1.0)
            scores[name].append(Score(before, after, seconds, clean.numel()))
    return scores


def table(scores: dict[str, list[Score]]) -> str:
    lines = [
        "| method | PSNR | gained | s, median | s a megapixel |",
        "| --- | --- | --- | --- | --- |",
    ]
    for name, of_method in scores.items():
        gained = statistics.fmean(score.after - score.before for score in of_method)
        megapixels = sum(score.pixels for score in of_method) / 1e6
        lines.append(
            f"| {name} | {mean_psnr(of_method):.2f} | {gained:+.2f} | "
            f"{median_seconds(of_method):.3g} | "
            f"{sum(score.seconds for score in of_method) / megapixels:.1f} |"
        )
    return "\n".join(lines)


def mean_psnr(scores: list[Score]) -> float:
    return statistics.fmean(score.after for score in scores)


def median_seconds(scores: list[Score]) -> float:
    return statistics.median(score.seconds for score in scores)


def draw(scores: dict[str, list[Score]], sigma: int, path: Path) -> None:
    figure = Figure(figsize=(7, 3.5), layout="constrained")
    axes = figure.subplots()
    # Some points lie close together, so that names beside them would overlap.
    for (name, of_method), marker in zip(scores.items(), cycle("os^vDPX<>"), strict=False):
        color = "#0b6cb8" if name.startswith(NETWORKS) else "#8b97a3"
        seconds, quality = median_seconds(of_method), mean_psnr(of_method)
        axes.plot(seconds, quality, marker, color=color, label=name)
    axes.set(xscale="log", xlabel="seconds an image, median", ylabel="PSNR, dB, mean")
    axes.set_title(f"sigma {sigma}")
    axes.spines[["top", "right"]].set_visible(False)
    figure.legend(loc="outside right upper", frameon=False, fontsize=8)
    figure.savefig(path)


if __name__ == "__main__":
    main()

"""PSNR against seconds: this package beside the method as it is written down.

python benchmarks/adapt.py NETWORK IMAGES [--sigma 30 80] [--count 12] [--output FOLDER] [--quick]

The reference is 100 steps of Adam on the whole image, by plain autograd through filters times
gains, at each of three rates, of which the one that gets there first counts. Its gradients are
those of the package (tests/test_fused.py), so its path is followed with the package's step and each
of its steps is charged with the seconds of a plain one, timed on each image. The package is run
whole, from the noisy image to the decision, once with one round of each of several numbers of steps
and once as it comes. NETWORK is a name or file, IMAGES a folder of clean images.
"""

import argparse
import statistics
import sys
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from time import perf_counter

from matplotlib.figure import Figure
from torch import Generator, Tensor, nn

sys.path.append(str(Path(__file__).parents[1] / "experiments"))
from rows import read_images

from gaintuning import zoo
from gaintuning.baselines.fine_tuning import fine_tune
from gaintuning.choosing import choose_objective
from gaintuning.evaluation import score
from gaintuning.gains import channel_gains
from gaintuning.noise import Gaussian
from gaintuning.objectives import Sure
from gaintuning.tuning import Schedule, tune

RATES = (1e-3, 3e-3, 1e-2)

STEPS = (4, 8, 16, 24)
"""Of the only round; the last is the length of one by default."""


@dataclass(frozen=True)
class Curve:
    """PSNR in dB, relative to the pre-trained network, after so many seconds."""

    seconds: list[float]
    gained: list[float]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("network")
    parser.add_argument("images", type=Path)
    parser.add_argument("--sigma", type=int, nargs="+", default=[30, 80])
    parser.add_argument("--count", type=int, default=12, help="of the images")
    parser.add_argument("--output", type=Path, help="folder for the figure")
    parser.add_argument("--quick", action="store_true", help="two small crops and a few steps")
    arguments = parser.parse_args()
    images = list(read_images(arguments.images, arguments.quick).values())[: arguments.count]
    network = zoo.load(arguments.network)[0]
    reference_steps = 4 if arguments.quick else 100
    schedules = [Schedule(steps=each, rounds=1) for each in ((2, 4) if arguments.quick else STEPS)]
    if not arguments.quick:
        schedules.append(Schedule())
    curves = {}
    for sigma in arguments.sigma:
        noise = Gaussian(sigma / 255)
        pairs = [
            (clean, noise.sample(clean, Generator().manual_seed(1000 * sigma + index)))
            for index, clean in enumerate(images)
        ]
        references = {
            rate: mean(
                [follow(network, *pair, noise.sigma, rate, reference_steps) for pair in pairs]
            )
            for rate in RATES
        }
        ours = [
            [adapt(network, *pair, noise, schedule) for pair in pairs] for schedule in schedules
        ]
        curves[sigma] = references, mean([join(points) for points in zip(*ours, strict=True)])
        tell(sigma, *curves[sigma])
    if arguments.output:
        draw(curves, arguments.output / "adapt.svg")


def follow(
    network: nn.Module, clean: Tensor, noisy: Tensor, sigma: float, rate: float, steps: int
) -> Curve:
    """The reference, step by step."""
    before, objective = score(network, noisy, clean), Sure(sigma)
    marks, gained = [0], [0.0]

    def watch(done: int, now: nn.Module) -> None:
        if done % 10 == 0 or done == steps:
            marks.append(done)
            gained.append(score(now, noisy, clean) - before)

    rng = Generator().manual_seed(0)
    fine_tune(network, noisy, objective, steps=steps, rate=rate, rng=rng, watch=watch)
    each = plain_seconds(network, noisy, objective)
    return Curve([each * done for done in marks], gained)


def plain_seconds(network: nn.Module, noisy: Tensor, objective: Sure) -> float:
    """Median time of a plain step."""
    free = channel_gains(network)
    times = []
    for _ in range(3):
        start = perf_counter()
        objective(free, noisy, Generator().manual_seed(0)).mean().backward()
        times.append(perf_counter() - start)
    return statistics.median(times)


def adapt(
    network: nn.Module, clean: Tensor, noisy: Tensor, noise: Gaussian, schedule: Schedule
) -> tuple[float, float]:
    """Seconds and gain of the package's whole tuning."""
    _, objective, judge = choose_objective("sure", network, noise, blind=False)
    rng = Generator().manual_seed(0)
    start = perf_counter()
    tuned = tune(network, noisy, objective, judge=judge, schedule=schedule, rng=rng)
    seconds = perf_counter() - start
    return seconds, score(tuned.network, noisy, clean) - score(network, noisy, clean)


def join(points: tuple[tuple[float, float], ...]) -> Curve:
    return Curve([0.0, *(point[0] for point in points)], [0.0, *(point[1] for point in points)])


def mean(curves: list[Curve]) -> Curve:
    def middle(values: list[list[float]]) -> list[float]:
        return [statistics.fmean(each) for each in zip(*values, strict=True)]

    return Curve(middle([c.seconds for c in curves]), middle([c.gained for c in curves]))


def seconds_to(curve: Curve, gained: float) -> float | None:
    """When a curve first reaches a gain, in a straight line between its points."""
    points = list(zip(curve.seconds, curve.gained, strict=True))
    for (t0, g0), (t1, g1) in pairwise(points):
        if g1 >= gained:
            return t0 + (t1 - t0) * max(0.0, gained - g0) / (g1 - g0)
    return None


def tell(sigma: int, references: dict[float, Curve], ours: Curve) -> None:
    target = 0.95 * max(curve.gained[-1] for curve in references.values())
    mine = seconds_to(ours, target)
    print(f"sigma {sigma}: gain in dB after seconds, mean over the images")
    named = {f"Adam, {rate:g}": curve for rate, curve in references.items()}
    for name, curve in (named | {"gaintuning": ours}).items():
        points = zip(curve.seconds, curve.gained, strict=True)
        print(f"  {name:11}", ", ".join(f"{g:+.3f} ({t:.1f} s)" for t, g in points))
    of_each = {name: seconds_to(curve, target) for name, curve in named.items()}
    theirs = {name: seconds for name, seconds in of_each.items() if seconds is not None}
    if theirs and mine is not None:
        first = min(theirs, key=theirs.__getitem__)
        print(
            f"  to {target:+.3f} dB, 95 % of the best rate's: {first} {theirs[first]:.1f} s, "
            f"gaintuning {mine:.1f} s, {theirs[first] / mine:.1f} times fewer"
        )
    else:
        print(f"  {target:+.3f} dB, 95 % of the best rate's, is not reached by gaintuning")


def draw(curves: dict[int, tuple[dict[float, Curve], Curve]], path: Path) -> None:
    figure = Figure(figsize=(4 * len(curves), 3), layout="constrained")
    grays = ("#b4bcc4", "#8b97a3", "#5d6771")
    for axes, (sigma, (references, ours)) in zip(
        figure.subplots(1, len(curves), squeeze=False)[0], curves.items(), strict=True
    ):
        for color, (rate, curve) in zip(grays, references.items(), strict=True):
            label = f"Adam {rate:g}, whole image, plain autograd"
            axes.plot(curve.seconds[1:], curve.gained[1:], ".-", color=color, label=label)
        axes.plot(ours.seconds[1:], ours.gained[1:], ".-", color="#0b6cb8", label="gaintuning")
        axes.set(xscale="log", xlabel="seconds", ylabel="gained, dB", title=f"sigma {sigma}")
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(frameon=False, fontsize=8)
    figure.savefig(path)


if __name__ == "__main__":
    main()

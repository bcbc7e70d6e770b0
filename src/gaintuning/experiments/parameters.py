"""Section E: the gains, the last layer or all parameters, followed step by step."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import fmean

import torch
from matplotlib.figure import Figure
from torch import nn

from gaintuning import zoo
from gaintuning._types import Objective
from gaintuning.baselines.fine_tuning import fine_tune
from gaintuning.evaluation import clean_image, score
from gaintuning.experiments.changes import panels
from gaintuning.experiments.experiment import Check, Experiment, Sources
from gaintuning.gains import all_parameters, channel_gains, last_layers
from gaintuning.layout import lay_out_network
from gaintuning.methods import tune_by
from gaintuning.noise import Gaussian
from gaintuning.objectives import BlindSpot, NoiseResampling, Sure
from gaintuning.patches import middle
from gaintuning.tables import Kind, Row, markdown
from gaintuning.tuning import Parameters

LAST = partial(last_layers, example=torch.zeros(1, 1, 16, 16))
ALIKE: dict[str, tuple[Parameters, float]] = {
    "gains": (channel_gains, 1e-3),
    "last layer": (LAST, 1e-3),
    "all parameters": (all_parameters, 1e-3),
}
SLOWER: dict[str, tuple[Parameters, float]] = {
    "last layer, 1e-4": (LAST, 1e-4),
    "last three layers, 1e-4": (partial(LAST, count=3), 1e-4),
    "all parameters, 1e-4": (all_parameters, 1e-4),
    "all parameters, 1e-5": (all_parameters, 1e-5),
}
MOVING = ALIKE | SLOWER
"""What moves, and the rate of Adam."""

STOPPED = "all parameters, stopped"
LOSSES = ("sure", "noise-resampling", "blind-spot")
ASKED = {"set12": (4, LOSSES), "urban100": (3, LOSSES[:1])}
"""Of each set, so many images, and with these losses."""

MARKS = (0, 5, 10, 20, 40, 80, 160)
"""Steps after which PSNR is taken."""

SIDE = 256
"""Of the middle of the image, which is all that is looked at."""


@dataclass(frozen=True)
class Case:
    """What moves, by which loss and for how many steps, with noise of `sigma` of 255."""

    image: str
    network: str
    sigma: int
    loss: str
    moving: str
    steps: int
    seed: int


@dataclass(frozen=True)
class Curve:
    """Steps done and PSNR in dB, as 0:29.3 5:29.4; of what was stopped, its first and its last."""

    curve: str


def cases(sources: Sources) -> list[Case]:
    sets, ways = (["set12"], ALIKE) if sources.quick else (list(ASKED), MOVING)
    return [
        Case(
            image,
            sources.network("unet"),
            30,
            loss,
            moving,
            20 if sources.quick else MARKS[-1],
            seed,
        )
        for name in sets
        for seed, image in enumerate(sources.first_images(name, ASKED[name][0]))
        for loss in (LOSSES[:1] if sources.quick else ASKED[name][1])
        for moving in ((*ways, STOPPED) if loss == "sure" else ALIKE)
    ]


def measure(case: Case, folder: Path) -> Curve:
    noise, rng = Gaussian(case.sigma / 255), torch.Generator().manual_seed(case.seed)
    network = lay_out_network(zoo.load(case.network)[0])
    clean = middle(clean_image(folder / case.image), SIDE)
    noisy = noise.sample(clean, rng)
    points = []

    def mark(step: int, now: nn.Module) -> None:
        if step in MARKS:
            points.append(f"{step}:{score(now, noisy, clean):.3f}")

    mark(0, network)
    if case.moving == STOPPED:
        tuned = tune_by("sure", network, noisy, noise, parameters=all_parameters, rng=rng)
        mark(MARKS[-1], tuned)
    else:
        parameters, rate = MOVING[case.moving]
        fine_tune(
            network,
            noisy,
            objective(case.loss, network, noise),
            parameters=parameters,
            steps=case.steps,
            rate=rate,
            rng=rng,
            watch=mark,
        )
    return Curve(" ".join(points))


def objective(name: str, network: nn.Module, noise: Gaussian) -> Objective:
    if name == "sure":
        return Sure(noise.sigma)
    return BlindSpot() if name == "blind-spot" else NoiseResampling(network, noise)


Key = tuple[str, str, str]


def mean_curves(rows: Sequence[Row]) -> dict[Key, dict[int, float]]:
    """Mean change of PSNR by step, for each set of images, loss and what moves."""
    found: dict[Key, dict[int, list[float]]] = {}
    for row in rows:
        if row["error"]:
            continue
        points = [point.split(":") for point in row["curve"].split()]
        curve = {int(step): float(value) for step, value in points}
        images = row["image"].split("/")[0]
        of_key = found.setdefault((images, row["loss"], row["moving"]), {})
        for step, value in curve.items():
            of_key.setdefault(step, []).append(value - curve[0])
    return {
        key: {step: fmean(values) for step, values in curves.items()}
        for key, curves in found.items()
    }


def table(rows: Sequence[Row]) -> str:
    curves = mean_curves(rows)
    marks = sorted({step for curve in curves.values() for step in curve})
    return markdown(
        ["images", "loss", "what moves", *(f"{mark} steps" for mark in marks)],
        [
            [*key, *(f"{curve[mark]:+.3f}" if mark in curve else "" for mark in marks)]
            for key, curve in curves.items()
        ],
    )


def checks(rows: Sequence[Row]) -> list[Check]:
    curves, found = mean_curves(rows), []
    for (images, loss, moving), curve in curves.items():
        gains = curves.get((images, loss, "gains"))
        if moving == STOPPED or not gains:
            continue
        last, last_of_gains = (each[max(each)] for each in (curve, gains))
        best = max(curve.values())
        told = f"best {best:+.3f}, last {last:+.3f} dB"
        overfits = last < best - 0.02
        if moving == "gains":
            found.append(Check(f"{images}, {loss}: gains do not overfit", told, not overfits))
            continue
        if moving.startswith("all"):
            what = f"{images}, {loss}: fine-tuning {moving} overfits"
            found.append(Check(what, told, overfits))
        found.append(
            Check(
                f"{images}, {loss}: gains outperform {moving}",
                f"{last_of_gains:+.3f} and {last:+.3f} dB",
                last_of_gains > last,
            )
        )
    return found


def draw(rows: Sequence[Row]) -> Figure:
    curves = mean_curves(rows)
    shown = list(dict.fromkeys((images, loss) for images, loss, _ in curves))
    figure, every = panels([f"{images}, {loss}" for images, loss in shown])
    for axes, (images, loss) in zip(every, shown, strict=True):
        for moving in (*MOVING, STOPPED):
            curve = curves.get((images, loss, moving))
            if curve and moving == STOPPED:
                axes.axhline(curve[max(curve)], linestyle="dashed", color="gray", label=moving)
            elif curve:
                axes.plot(list(curve), list(curve.values()), "o-", label=moving)
        axes.set_xlabel("steps")
        axes.set_ylabel("change of PSNR in dB")
        axes.legend(frameon=False, fontsize="small")
    return figure


EXPERIMENT = Experiment(
    title="Gains, the last layer, or all parameters",
    paper=(
        "Fine-tuning the full set of CNN parameters using only a single test image can lead to "
        "overfitting. [...] Performing GainTuning provides better performance when compared to "
        "fine-tuning only the last few layers of the pre-trained network."
    ),
    differs=(
        "Adam on all pixels, at 1e-3 where no other rate is named, and no decision. At that rate "
        "the first steps throw weights off, which gains bear. UNet at sigma 30, the "
        f"middle {SIDE} x {SIDE} pixels. Buildings are out of distribution. `stopped` is all "
        "parameters by this package's loop: two halves judge each other and stop it."
    ),
    cases=cases,
    table=table,
    checks=checks,
    draw=draw,
    kind=Kind(Case, Curve),
    measure=measure,
)

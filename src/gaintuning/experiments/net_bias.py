"""Section G.3: the constant term of the denoiser's local affine map, before and after."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

import torch
from matplotlib.figure import Figure

from gaintuning import analysis, zoo
from gaintuning.evaluation import clean_image
from gaintuning.experiments.changes import panels
from gaintuning.experiments.experiment import Check, Experiment, Sources
from gaintuning.layout import lay_out_network
from gaintuning.methods import tune_by
from gaintuning.noise import Gaussian
from gaintuning.patches import random_crops
from gaintuning.tables import Kind, Row, markdown

SIGMAS = (10, 30, 50, 70, 80, 100)
TRAINED_UP_TO = 55
NEGLIGIBLE = 0.1
"""Part of the error that is left."""

SIDE = 128
"""Of the part of the image on which the constant term is looked at."""


@dataclass(frozen=True)
class Case:
    """One network on one image with noise of `sigma` of 255."""

    image: str
    network: str
    sigma: int
    seed: int


@dataclass(frozen=True)
class Constant:
    """Root mean square of the constant term, in gray levels of 255, and of the noise left."""

    before: float
    after: float
    error_before: float
    error_after: float


def cases(sources: Sources) -> list[Case]:
    images = sources.first_images("set12", 3)
    sigmas = SIGMAS[4:5] if sources.quick else SIGMAS
    networks = ("dncnn",) if sources.quick else ("dncnn", "unet")
    return [
        Case(image, sources.network(network), sigma, seed)
        for seed, image in enumerate(images)
        for network in networks
        for sigma in sigmas
    ]


def measure(case: Case, folder: Path) -> Constant:
    noise, rng = Gaussian(case.sigma / 255), torch.Generator().manual_seed(case.seed)
    network = lay_out_network(zoo.load(case.network)[0])
    clean = clean_image(folder / case.image)
    noisy = noise.sample(clean, rng)
    tuned = tune_by("sure", network, noisy, noise, rng=rng)
    part, true = (
        random_crops(each, SIDE, 1, torch.Generator().manual_seed(case.seed))
        for each in (noisy, clean)
    )
    constants = [255 * _rms(analysis.net_bias(each, part)) for each in (network, tuned)]
    with torch.inference_mode():
        errors = [255 * _rms(each(part) - true) for each in (network, tuned)]
    return Constant(*constants, *errors)


def _rms(images: torch.Tensor) -> float:
    return float(images.square().mean().sqrt())


def means(rows: Sequence[Row]) -> dict[tuple[str, int], list[float]]:
    """Of the scores, by network and level."""
    keys = sorted({(row["network"], int(row["sigma"])) for row in rows})
    return {
        key: [
            fmean(
                float(row[column])
                for row in rows
                if (row["network"], int(row["sigma"])) == key and row[column]
            )
            for column in ("before", "after", "error_before", "error_after")
        ]
        for key in keys
    }


def table(rows: Sequence[Row]) -> str:
    return markdown(
        ["network", "sigma", "constant, before", "after", "error, before", "after"],
        [
            [network, str(sigma), *(f"{value:.1f}" for value in found)]
            for (network, sigma), found in means(rows).items()
        ],
    )


def checks(rows: Sequence[Row]) -> list[Check]:
    every, found = means(rows), []
    for network in dict.fromkeys(network for network, _ in every):
        of_network = {sigma: each for (name, sigma), each in every.items() if name == network}
        within, beyond = (
            {sigma: each for sigma, each in of_network.items() if (sigma > TRAINED_UP_TO) is new}
            for new in (False, True)
        )
        if within:
            found += _within(network, within)
        if within and beyond:
            most, least = (
                max(each[0] for each in within.values()),
                min(each[0] for each in beyond.values()),
            )
            found.append(
                Check(
                    f"{network}: the constant term grows at new levels of noise",
                    f"at most {most:.1f} at those it was trained for, and at least {least:.1f}",
                    5 * most < least,
                )
            )
        found += [
            Check(
                f"{network} at sigma {sigma}: GainTuning reduces the constant term",
                f"{before:.1f} before, {after:.1f} after",
                after < before,
            )
            for sigma, (before, after, *_) in beyond.items()
        ]
    return found


def _within(network: str, found: dict[int, list[float]]) -> list[Check]:
    """At levels that it was trained for."""
    of_noise = [before / sigma for sigma, (before, *_) in found.items()]
    of_error = [before / error for before, _, error, _ in found.values()]
    raised = [sigma for sigma, (before, after, *_) in found.items() if after > before]
    return [
        Check(
            f"{network}: the constant term is negligible at levels it was trained for",
            f"{min(of_noise):.0%} to {max(of_noise):.0%} of the noise, {min(of_error):.0%} to "
            f"{max(of_error):.0%} of the error that is left",
            max(of_error) < NEGLIGIBLE,
        ),
        Check(
            f"{network}: nor does GainTuning raise it there",
            f"raised at sigma {', '.join(map(str, raised))}" if raised else "lower at each",
            not raised,
        ),
    ]


def draw(rows: Sequence[Row]) -> Figure:
    found = means(rows)
    networks = list(dict.fromkeys(network for network, _ in found))
    figure, every = panels(networks)
    for axes, network in zip(every, networks, strict=True):
        sigmas = [sigma for name, sigma in found if name == network]
        for index, label in enumerate(("pre-trained", "tuned")):
            axes.plot(sigmas, [found[network, sigma][index] for sigma in sigmas], "o-", label=label)
        axes.axvline(TRAINED_UP_TO, color="gray", linewidth=0.8, linestyle="dotted")
        axes.set_xlabel("sigma")
        axes.set_ylabel("constant term in gray levels")
        axes.legend(frameon=False)
    return figure


EXPERIMENT = Experiment(
    title="How tuning adapts to noise that is new",
    paper=(
        "The first-order Taylor approximation of denoising CNNs trained on multiple noise levels "
        "tend to have a negligible constant term, and [...] the growth of this term is the primary "
        "culprit for the failure of these models when tested on new noise levels. GainTuning "
        "reduces the amplitude of this constant term, facilitating generalization."
    ),
    differs=(
        f"Root mean square over {SIDE} x {SIDE} pixels of three images, in gray levels of 255; "
        f"trained up to {TRAINED_UP_TO}, the dotted line."
    ),
    cases=cases,
    table=table,
    checks=checks,
    draw=draw,
    measured="intensities from 0 to 255",
    kind=Kind(Case, Constant),
    measure=measure,
)

"""Section G.2: gains tuned on one image, applied to others like it and unlike it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

import torch
from matplotlib.figure import Figure
from torch import Tensor

from gaintuning import zoo
from gaintuning.evaluation import clean_image, score
from gaintuning.experiments.changes import panels
from gaintuning.experiments.experiment import Check, Experiment, Sources
from gaintuning.layout import lay_out_network
from gaintuning.methods import tune_by
from gaintuning.noise import Gaussian
from gaintuning.tables import Kind, Row, markdown

KINDS = {
    "itself": "the half that was tuned on",
    "other_half": "the other half of the same image",
    "other_image": "half of another image",
}


@dataclass(frozen=True)
class Transfer:
    """Gains tuned on the left half of `image`, with noise of `sigma` of 255."""

    image: str
    other: str
    network: str
    sigma: int
    seed: int


@dataclass(frozen=True)
class Changes:
    """Of PSNR by these gains, in dB: on the half itself, its other half, and another image."""

    itself: float
    other_half: float
    other_image: float


def cases(sources: Sources) -> list[Transfer]:
    found = []
    for images, network in (
        (sources.images("set12"), "bfcnn-piecewise"),
        (sources.images("urban100"), sources.network("unet")),
    ):
        some = images[:2] if sources.quick else images
        found += [
            Transfer(image, other, network, 30, seed)
            for seed, (image, other) in enumerate(zip(some, [*images[1:], images[0]], strict=False))
        ]
    return found[1:] if sources.quick else found


def measure(case: Transfer, folder: Path) -> Changes:
    noise = Gaussian(case.sigma / 255)
    network = lay_out_network(zoo.load(case.network)[0])
    half, other_half = clean_image(folder / case.image).tensor_split(2, -1)
    other_image = clean_image(folder / case.other).tensor_split(2, -1)[0]
    rng = torch.Generator().manual_seed(case.seed)
    noisy = [noise.sample(clean, rng) for clean in (half, other_half, other_image)]
    tuned = tune_by("sure", network, noisy[0], noise, rng=rng)

    def change(clean: Tensor, noisy: Tensor) -> float:
        return score(tuned, noisy, clean) - score(network, noisy, clean)

    return Changes(*map(change, (half, other_half, other_image), noisy))


def means(rows: Sequence[Row]) -> dict[str, dict[str, float]]:
    networks = dict.fromkeys(row["network"] for row in rows)
    return {
        network: {
            kind: fmean(float(row[kind]) for row in rows if row["network"] == network and row[kind])
            for kind in KINDS
        }
        for network in networks
    }


def table(rows: Sequence[Row]) -> str:
    return markdown(
        ["network", "images", *KINDS.values()],
        [
            [
                network,
                str(sum(row["network"] == network for row in rows)),
                *(f"{mean:+.3f}" for mean in found.values()),
            ]
            for network, found in means(rows).items()
        ],
    )


def checks(rows: Sequence[Row]) -> list[Check]:
    return [
        Check(
            f"{network}: gains generalise to images that are similar to the one they were tuned "
            "on, and less to others",
            f"{found['itself']:+.3f} dB there, {found['other_half']:+.3f} on the other half, "
            f"{found['other_image']:+.3f} on another image",
            found["other_half"] > max(0, found["other_image"]),
        )
        for network, found in means(rows).items()
    ]


def draw(rows: Sequence[Row]) -> Figure:
    found = means(rows)
    figure, every = panels(list(found))
    for axes, network in zip(every, found, strict=True):
        some = [row for row in rows if row["network"] == network and not row["error"]]
        changes = [[float(row[kind]) for row in some] for kind in KINDS]
        axes.boxplot(changes, tick_labels=["itself", "other half", "other image"])
        axes.axhline(0, color="black", linewidth=0.8)
        axes.set_ylabel("change of PSNR in dB")
    return figure


EXPERIMENT = Experiment(
    title="Gains of one image on another",
    paper=(
        "GainTuning can achieve generalization to images that are similar to the test image used "
        "for adaptation."
    ),
    differs=(
        "Like an image is its other half; unlike it, the next image of the set. Flat scenes to "
        "natural images, and natural images to buildings, at sigma 30."
    ),
    cases=cases,
    table=table,
    checks=checks,
    draw=draw,
    kind=Kind(Transfer, Changes),
    measure=measure,
)

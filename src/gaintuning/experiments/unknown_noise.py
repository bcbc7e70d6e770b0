"""Beyond the paper: noise of a level that nobody knows, and a result that can be believed."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from statistics import fmean, median

import numpy as np
import torch
from matplotlib.figure import Figure
from scipy.stats import spearmanr
from torch import Tensor
from torch.nn.functional import avg_pool2d

from gaintuning.denoising import Denoised, denoise
from gaintuning.evaluation import clean_image, psnr_in_range
from gaintuning.experiments.changes import panels
from gaintuning.experiments.experiment import Check, Experiment, Sources, interleaved
from gaintuning.noise import Gaussian
from gaintuning.tables import Kind, Row, markdown

LEVELS = {"set12": (15, 30, 50, 80), "bsd68": (15, 25, 50)}
MANY = 30
"""So many images tell how well the others are predicted."""

BLOCK = 16
"""Side of the blocks in which expected and true errors are compared."""


@dataclass(frozen=True)
class Case:
    """A network on an image with noise of `sigma` of 255, which is told to it or not."""

    image: str
    network: str
    sigma: int
    known: bool
    seed: int


@dataclass(frozen=True)
class Outcome:
    """PSNR in dB, true and predicted, and how well the expected errors of the pixels tell it.

    Parameters
    ----------
    pretrained, tuned : of the pre-trained network, with the contrast that was found, and in the
        end.
    predicted, prediction_error : of the result, without the clean image; None where it is not
        told.
    rank : rank correlation of expected and true errors over blocks.
    worst_quarter, others : the true error over the expected one, of the blocks from which most is
        expected, and of the others.
    """

    pretrained: float
    tuned: float
    predicted: float | None
    prediction_error: float | None
    rank: float | None
    worst_quarter: float | None
    others: float | None


def cases(sources: Sources) -> list[Case]:
    images = interleaved(*map(sources.first_images, LEVELS))
    some = slice(1, 2) if sources.quick else slice(None)
    return [
        Case(image, "unet", sigma, known, 1000 * sigma + index)
        for index, image in enumerate(images)
        for sigma in LEVELS[image.split("/")[0]][some]
        for known in (True, False)
    ]


def measure(case: Case, folder: Path) -> Outcome:
    clean, noise = clean_image(folder / case.image), Gaussian(case.sigma / 255)
    noisy = noise.sample(clean, torch.Generator().manual_seed(case.seed))[0, 0]
    result = denoise(
        noisy,
        network=case.network,
        noise=noise if case.known else "auto",
        intensity_range=(0.0, 1.0),
        seed=case.seed,
    )
    told = result.adaptations[0].error
    before, after = (
        psnr_in_range(image, clean[0, 0]) for image in (result.pretrained, result.image)
    )
    return Outcome(
        before,
        after,
        told.psnr if told else None,
        told.psnr_error if told else None,
        *reliability(result, clean),
    )


def reliability(
    result: Denoised[Tensor], clean: Tensor
) -> tuple[float, float, float] | tuple[None, None, None]:
    """`rank`, `worst_quarter` and `others` of `Outcome`."""
    if np.isnan(result.expected_error).any():
        return None, None, None
    squares = torch.from_numpy(result.expected_error).square(), (result.image - clean[0, 0]) ** 2
    expected, true = (avg_pool2d(square[None], BLOCK).flatten().numpy() for square in squares)
    worst = expected > np.quantile(expected, 0.75)
    worst_quarter, others = (
        float(true[some].mean() / expected[some].mean()) ** 0.5 for some in (worst, ~worst)
    )
    return float(spearmanr(expected, true).statistic), worst_quarter, others


def _some(rows: Sequence[Row], images: str, sigma: int | None, known: bool) -> list[Row]:
    """Of a set at a level, or at all of them."""
    return [
        row
        for row in rows
        if row["image"].startswith(images)
        and sigma in (None, int(row["sigma"]))
        and row["known"] == str(known)
    ]


def _told(rows: Sequence[Row]) -> list[tuple[float, float]]:
    """How far each prediction is off, and its standard error."""
    return [
        (abs(float(row["predicted"]) - float(row["tuned"])), float(row["prediction_error"]))
        for row in rows
        if row["predicted"]
    ]


def table(rows: Sequence[Row]) -> str:
    lines = []
    for images, levels in LEVELS.items():
        for sigma in (*levels, None):
            for known in (True, False):
                some = _some(rows, images, sigma, known)
                if some:
                    named = [images, str(sigma or "all"), "known" if known else "unknown"]
                    lines.append([*named, *_summary(some)])
    header = ["images", "sigma", "noise", "count", "pre-trained", "result"]
    header += ["prediction off by, median", "within its standard error"]
    header += ["rank correlation, median", "true / expected error, worst quarter", "others"]
    return markdown(header, lines)


def _summary(rows: Sequence[Row]) -> list[str]:
    means = [fmean(float(row[name]) for row in rows) for name in ("pretrained", "tuned")]
    told = _told(rows)
    within = sum(miss <= error for miss, error in told)
    of_blocks = [
        [float(row[name]) for row in rows if row[name]]
        for name in ("rank", "worst_quarter", "others")
    ]
    return [
        str(len(rows)),
        *(f"{mean:.3f}" for mean in means),
        f"{median(miss for miss, _ in told):.3f} dB" if told else "",
        f"{within} of {len(told)}",
        *(f"{median(values):.2f}" if values else "" for values in of_blocks),
    ]


def checks(rows: Sequence[Row]) -> list[Check]:
    found = []
    for sigma in LEVELS["set12"]:
        known, unknown = (
            {row["image"]: float(row["tuned"]) for row in _some(rows, "set12", sigma, each)}
            for each in (True, False)
        )
        both = known.keys() & unknown.keys()
        if both:
            cost = fmean(known[image] - unknown[image] for image in both)
            found.append(
                Check(
                    f"Set12, sigma {sigma}: not to know the noise costs at most 0.05 dB",
                    f"{cost:.3f} dB",
                    cost <= 0.05,
                )
            )
    for (images, name), (stated, noise) in product(
        (("bsd68", "BSD68"), ("set12", "Set12")), ((True, "known"), (False, "unknown"))
    ):
        told = _told(_some(rows, images, None, known=stated))
        if len(told) < MANY:
            continue
        miss = median(miss for miss, _ in told)
        within = sum(miss <= error for miss, error in told) / len(told)
        found += [
            Check(
                f"{name}, {noise} noise: the predicted PSNR is within 0.1 dB of the true one in "
                "the median",
                f"{miss:.3f} dB",
                miss <= 0.1,
            ),
            Check(
                f"{name}, {noise} noise: its standard error covers about 68 %",
                f"{100 * within:.0f} % of {len(told)}",
                abs(within - 0.68) <= 0.1,
            ),
        ]
    return found


def draw(rows: Sequence[Row]) -> Figure:
    figure, (axes, of_errors) = panels(["predicted PSNR", "off by, in standard errors"])
    told = [row for row in rows if row["predicted"] and row["known"] == "False"]
    true, predicted, errors = (
        np.array([float(row[name]) for row in told])
        for name in ("tuned", "predicted", "prediction_error")
    )
    axes.errorbar(true, predicted, errors, fmt=".", markersize=4, elinewidth=0.6)
    axes.axline((float(true.mean()),) * 2, slope=1, color="black", linewidth=0.8)
    axes.set_xlabel("true PSNR in dB")
    axes.set_ylabel("predicted, without the clean image")
    of_errors.hist(((predicted - true) / errors).clip(-5, 5), np.linspace(-5, 5, 21).tolist())
    of_errors.set_xlabel("(predicted - true) / standard error")
    of_errors.set_ylabel("images")
    return figure


EXPERIMENT = Experiment(
    title="Noise that nobody knows, and what a result is worth",
    paper=(
        "When integrated into the GainTuning framework, the SURE loss is limited to additive "
        "Gaussian noise."
    ),
    differs=(
        "The UNet on board, everything left to the program, and once more with the level of the "
        f"noise given. Expected and true errors are compared over blocks of {BLOCK} x {BLOCK} "
        "pixels."
    ),
    cases=cases,
    table=table,
    checks=checks,
    draw=draw,
    kind=Kind(Case, Outcome),
    measure=measure,
)

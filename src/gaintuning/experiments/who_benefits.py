"""Section G.1: which images gain most, and whether it is those that repeat themselves."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from matplotlib.figure import Figure
from scipy.stats import spearmanr

from gaintuning.analysis import self_similarity
from gaintuning.evaluation import Case, clean_image, measure
from gaintuning.experiments.experiment import (
    Check,
    Experiment,
    Sources,
    comparison,
    interleaved,
)
from gaintuning.tables import Kind, Row, markdown

SETS = ("set12", "urban100", "bsd68")
MANY = 10
"""So many images of a set can tell of a correlation."""

ENDS = 5
"""So many images with the most and with the least improvement are named."""


@dataclass(frozen=True)
class Benefit:
    """PSNR of the pre-trained and of the tuned network, and the self-similarity of the image."""

    pretrained: float | None
    tuned: float | None
    similarity: float


def cases(sources: Sources) -> list[Case]:
    images = interleaved(*map(sources.images, SETS))
    return comparison(images, ["gaussian:30"], [(sources.network("unet"), "sure")])


def benefit(case: Case, folder: Path) -> Benefit:
    before, after = (
        measure(replace(case, method=method), folder).psnr for method in ("pretrained", case.method)
    )
    similarity = self_similarity(
        clean_image(folder / case.image), rng=torch.Generator().manual_seed(0)
    )
    return Benefit(before, after, similarity)


def ranked(rows: Sequence[Row]) -> list[tuple[float, float, str]]:
    """Improvement, self-similarity and name of each image, the most improved first."""
    return sorted(
        (
            (float(row["tuned"]) - float(row["pretrained"]), float(row["similarity"]), row["image"])
            for row in rows
            if not row["error"]
        ),
        reverse=True,
    )


def table(rows: Sequence[Row]) -> str:
    every = list(enumerate(ranked(rows), 1))
    shown = every if len(every) <= 2 * ENDS else [*every[:ENDS], *every[-ENDS:]]
    return markdown(
        ["rank", "image", "change in dB", "self-similarity"],
        [
            [str(rank), image, f"{change:+.3f}", f"{similarity:.2f}"]
            for rank, (change, similarity, image) in shown
        ],
    )


def checks(rows: Sequence[Row]) -> list[Check]:
    """Also within each set, since sets may differ in more than their repetition."""
    every = ranked(rows)
    within = {images: [each for each in every if each[2].startswith(images)] for images in SETS}
    found = []
    for images, some in ({"all": every} | within).items():
        if images != "all" and len(some) < MANY:
            continue
        changes, similarities, _ = zip(*some, strict=True)
        rank = spearmanr(changes, similarities)
        found.append(
            Check(
                f"{images}: the improvement is larger if the image contains highly repetitive "
                "patterns",
                f"rank correlation {rank.statistic:.2f} over {len(some)} images, "
                f"p = {rank.pvalue:.2g}",
                bool(rank.statistic > 0 and (rank.pvalue < 0.05 or len(some) < MANY)),
            )
        )
    return found


def draw(rows: Sequence[Row]) -> Figure:
    figure = Figure((5, 3.5), layout="constrained")
    axes = figure.subplots()
    for images in SETS:
        some = [each for each in ranked(rows) if each[2].startswith(images)]
        if some:
            changes, similarities, _ = zip(*some, strict=True)
            axes.scatter(similarities, changes, 14, label=images)
    axes.set_xlabel("self-similarity of the clean image")
    axes.set_ylabel("change of PSNR in dB")
    axes.legend(frameon=False)
    return figure


EXPERIMENT = Experiment(
    title="Which images benefit most",
    paper=(
        "The improvement in performance achieved by GainTuning is larger if the test image "
        "contains highly repetitive patterns."
    ),
    differs=(
        "The paper shows the images; here the repetition is measured: how much of the detail of "
        "patches of 8 x 8 pixels is found again in another place of the clean image."
    ),
    cases=cases,
    table=table,
    checks=checks,
    draw=draw,
    kind=Kind(Case, Benefit),
    measure=benefit,
)

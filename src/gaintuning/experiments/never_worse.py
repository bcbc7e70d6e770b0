"""Section 7: whether what is kept is ever worse than the pre-trained network."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean

import torch
from matplotlib.figure import Figure
from torch import Tensor

from gaintuning import zoo
from gaintuning.adapted import Adapted, Learned
from gaintuning.denoising import Denoised, denoise
from gaintuning.evaluation import clean_image, psnr_in_range
from gaintuning.experiments.changes import histogram, panels
from gaintuning.experiments.experiment import Check, Experiment, Sources
from gaintuning.noise import Gaussian
from gaintuning.patches import middle
from gaintuning.tables import Kind, Row, markdown

SETS = ("set12", "bsd68", "urban100")
NETWORKS = (
    *("unet", "unet-bias-free", "unet", "dncnn"),
    *("unet", "unet-bias-free") * 2,
    *("unet", "unet-bias-free", "unet-bias-free", "bfcnn"),
    *("unet", "unet-bias-free") * 2,
)
"""On board, by turns; the two of 20 layers, which take ten times as long, less often."""

SIGMAS = (10, 20, 30, 40, 50, 60, 70, 80)
RUNS = 520
MANY = 30
"""So many runs tell what part of the gain is kept."""

TOLERANCE = 0.005
"""In dB: below it nothing was lost."""


@dataclass(frozen=True)
class Case:
    """The middle of an image, `side` pixels wide, with noise of `sigma` of 255."""

    image: str
    network: str
    sigma: int
    side: int
    seed: int


@dataclass(frozen=True)
class Outcome:
    """What was kept, and what it brought in PSNR against the network with the same contrast.

    Parameters
    ----------
    before : PSNR of the pre-trained network with the contrast and the bins that were found, in dB.
    contrast : what that contrast and these bins brought, in dB.
    always : what the gains that were found bring, kept or not, in dB.
    kept : what the result of the program brings, in dB.
    accepted, withdrawn : as in `Adaptation`.
    found : the noise that was found.
    fall, standard_error : of the estimated risk, as parts of it.
    """

    before: float
    contrast: float
    always: float
    kept: float
    accepted: bool
    withdrawn: bool
    found: str
    fall: float
    standard_error: float


def cases(sources: Sources) -> list[Case]:
    images = [image for name in SETS for image in sources.images(name)]
    if sources.quick:
        return [Case(images[0], NETWORKS[0], SIGMAS[-1], 96, seed=0)]
    return [
        Case(
            images[run % len(images)],
            NETWORKS[run % len(NETWORKS)],
            SIGMAS[(3 * (run // len(images)) + run // 4) % len(SIGMAS)],
            256,
            run,
        )
        for run in range(RUNS)
    ]


def measure(case: Case, folder: Path) -> Outcome:
    clean = middle(clean_image(folder / case.image), case.side)
    noisy = Gaussian(case.sigma / 255).sample(clean, torch.Generator().manual_seed(case.seed))
    plain = zoo.load(case.network)[0]
    result = denoise(
        noisy[0, 0],
        network=plain,
        intensity_range=(0.0, 1.0),
        seed=case.seed,
        orientations=False,  # these would hide what gains do
        nonlocal_bayes=False,
    )
    (found,) = result.adaptations
    with torch.inference_mode():
        as_it_is = plain(noisy)[0, 0]

    def score(image: Tensor) -> float:
        return psnr_in_range(image, clean[0, 0])

    before, risk = score(result.pretrained), found.risk
    assert risk is not None
    return Outcome(
        before,
        before - score(as_it_is),
        score(with_all_gains(result, case.network, noisy)) - before,
        score(result.image) - before,
        found.accepted,
        found.withdrawn,
        str(found.noise),
        (risk.before - risk.after) / abs(risk.before),
        risk.standard_error / abs(risk.before),
    )


def with_all_gains(result: Denoised[Tensor], network: str, noisy: Tensor) -> Tensor:
    """What the gains that were found make of the image, whether they were kept or not."""
    (found,) = result.adaptations
    boldest = replace(Learned.of(found), gains=found.boldest_gains)
    denoised = Adapted(zoo.load(network)[0], [boldest])(noisy[0, 0].numpy(), "YX")
    return torch.from_numpy(denoised)


def part_kept(rows: Sequence[Row]) -> float:
    """Of what tuning brings if all of it is kept, in the runs that it does not harm then."""
    brought = sum(max(change, 0.0) for change in _numbers(rows, "always"))
    return sum(_numbers(rows, "kept")) / brought if brought else 1.0


def _numbers(rows: Sequence[Row], column: str) -> list[float]:
    return [float(row[column]) for row in rows]


def table(rows: Sequence[Row]) -> str:
    parts = {
        **{f"sigma {each}": [row for row in rows if row["sigma"] == str(each)] for each in SIGMAS},
        **{each: [row for row in rows if row["image"].startswith(f"{each}/")] for each in SETS},
        **{each: [row for row in rows if row["network"] == each] for each in sorted(set(NETWORKS))},
        "all": list(rows),
    }
    lines = []
    for part, some in parts.items():
        if not some:
            continue
        contrast, kept, always = (
            _numbers(some, column) for column in ("contrast", "kept", "always")
        )
        lines.append(
            [
                *(part, str(len(some)), f"{fmean(contrast):+.3f}", f"{min(contrast):+.3f}"),
                *(f"{fmean(always):+.3f}", f"{min(always):+.3f}"),
                *(f"{fmean(kept):+.3f}", f"{min(kept):+.3f}"),
                f"{100 * part_kept(some):.0f} %",
                str(sum(change < -TOLERANCE for change in kept)),
            ]
        )
    header = ["of", "runs", "less contrast, bins", "worst", "tuned always", "worst"]
    header += ["tuned and kept", "worst"]
    return markdown([*header, "part kept", f"worse by more than {TOLERANCE} dB"], lines)


def checks(rows: Sequence[Row]) -> list[Check]:
    found = [
        _never_worse("what is kept is never worse than the pre-trained network", rows, "kept"),
        _never_worse("and that not worse with less contrast, or in bins", rows, "contrast"),
    ]
    if len(rows) >= MANY:
        found.append(
            Check(
                "at least 95 % of what tuning always brings, where it harms nothing, is kept",
                f"{100 * part_kept(rows):.1f} %",
                part_kept(rows) >= 0.95,
            )
        )
    return found


def _never_worse(claim: str, rows: Sequence[Row], column: str) -> Check:
    worse = [change for change in _numbers(rows, column) if change < -TOLERANCE]
    return Check(
        claim,
        f"worse by more than {TOLERANCE} dB in {len(worse)} of {len(rows)} runs"
        + (f", at most {min(worse):+.3f} dB" if worse else ""),
        not worse,
    )


def draw(rows: Sequence[Row]) -> Figure:
    figure, every = panels(["all changes", "from -0.1 to 0.1 dB"], width=4.5)
    changes = {
        "tuned always": _numbers(rows, "always"),
        "tuned and kept": _numbers(rows, "kept"),
    }
    near = {
        label: [value for value in values if abs(value) <= 0.1] for label, values in changes.items()
    }
    for axes, shown in zip(every, (changes, near), strict=True):
        histogram(axes, shown)
        axes.set_yscale("symlog")
        axes.locator_params("x", nbins=5)
        axes.set_ylabel("runs")
    return figure


EXPERIMENT = Experiment(
    title="Is what is kept ever worse?",
    paper=(
        "When the pre-trained denoiser is highly optimized, and the test image is within "
        "distribution, GainTuning occasionally causes a slight degradation of performance. This is "
        "atypical (3 occurrences in 412 GainTuning experiments using DnCNN and SURE), and the "
        "decreases are quite small (maximum PSNR degradation of about 0.02dB [...])."
    ),
    differs=(
        "The middle 256 x 256 pixels of images of three sets, four networks on board by turns, and "
        "everything left to the program: noise, loss, contrast and whether to keep what tuning "
        "found; but without the mean over orientations and without like places, which would hide "
        "what gains do."
    ),
    cases=cases,
    table=table,
    checks=checks,
    draw=draw,
    kind=Kind(Case, Outcome),
    measure=measure,
)

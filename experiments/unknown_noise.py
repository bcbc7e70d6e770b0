"""What it costs not to know the noise, and how far what is told of a result can be believed.

python experiments/unknown_noise.py SET12 BSD68 [--network unet] [--output FILE] [--quick]

Each image of Set12 (sigma 15, 30, 50, 80) and of BSD68 (15, 25, 50) is denoised by a network on
board with everything left to the program, and those of Set12 with the level of the noise given as
well. PSNR, and the PSNR that is predicted without the clean image, with its standard error; the
rank correlation of expected and true errors over blocks of 16 x 16 pixels, and the true error over
the expected one in the worst quarter of the blocks and in the others. Rows that are in the output
already are not computed again.
"""

import argparse
import statistics
from pathlib import Path

import numpy as np
import torch
from scipy.stats import spearmanr
from set12 import read_images, read_rows, write_rows
from torch import Tensor
from torch.nn.functional import avg_pool2d

from gaintuning.denoising import denoise
from gaintuning.metrics import psnr
from gaintuning.noise import Gaussian

LEVELS = {"set12": (15, 30, 50, 80), "bsd68": (15, 25, 50)}
RUNS = (("set12", "known"), ("set12", "auto"), ("bsd68", "auto"))
FIELDS = [
    *("set", "sigma", "image", "noise", "pretrained", "tuned"),
    *("predicted_pretrained", "pretrained_error", "predicted_tuned", "tuned_error"),
    *("rank", "worst_quarter", "others"),
]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("set12", type=Path)
    parser.add_argument("bsd68", type=Path)
    parser.add_argument("--network", default="unet")
    parser.add_argument("--output", type=Path, default=Path("unknown-noise.csv"))
    parser.add_argument("--quick", action="store_true", help="two small crops, one level")
    arguments = parser.parse_args()
    rows = read_rows(arguments.output)
    done = {(row["set"], row["sigma"], row["image"], row["noise"]) for row in rows}
    images = {name: read_images(getattr(arguments, name), arguments.quick) for name in LEVELS}
    for name, noise in RUNS:
        for sigma in LEVELS[name][1:2] if arguments.quick else LEVELS[name]:
            for index, (image, clean) in enumerate(images[name].items()):
                if (name, str(sigma), image, noise) in done:
                    continue
                found = measure(clean, sigma, index, arguments.network, noise == "known")
                row = {"set": name, "sigma": str(sigma), "image": image, "noise": noise} | found
                rows.append(row)
                write_rows(arguments.output, rows, FIELDS)
    print(table(rows))


def measure(clean: Tensor, sigma: int, seed: int, network: str, known: bool) -> dict[str, str]:
    model = Gaussian(sigma / 255)
    noisy = model.sample(clean, torch.Generator().manual_seed(1000 * sigma + seed))[0, 0]
    result = denoise(
        noisy,
        network=network,
        noise=model if known else "auto",
        intensity_range=(0.0, 1.0),
        seed=seed,
    )
    (adaptation,) = result.adaptations
    scores = {}
    for name, image, told in (
        ("pretrained", result.pretrained, adaptation.pretrained_error),
        ("tuned", result.image, adaptation.error),
    ):
        scores[name] = psnr(image.clamp(0, 1), clean[0, 0], data_range=1.0)
        if told:
            scores[f"predicted_{name}"], scores[f"{name}_error"] = told.psnr, told.psnr_error
    expected, true = (
        avg_pool2d(square[None], 16).flatten().numpy()
        for square in (
            torch.from_numpy(result.expected_error).square(),
            (result.image - clean[0, 0]).square(),
        )
    )
    if not np.isnan(expected).any():
        worst = expected > np.quantile(expected, 0.75)
        scores["rank"] = spearmanr(expected, true).statistic
        for name, some in (("worst_quarter", worst), ("others", ~worst)):
            scores[name] = (true[some].mean() / expected[some].mean()) ** 0.5
    return {name: f"{score:.3f}" for name, score in scores.items()}


def table(rows: list[dict[str, str]]) -> str:
    """Means and medians over the images, as Markdown."""
    lines = [
        "| images | sigma | noise | count | pre-trained | tuned | prediction off by, median | "
        "within its standard error | rank correlation, median | true / expected error, worst "
        "quarter | others |",
        "| " + " | ".join(["---"] * 11) + " |",
    ]
    for name, levels in LEVELS.items():
        for sigma in (*levels, "all"):
            for noise in ("known", "auto"):
                some = [
                    row
                    for row in rows
                    if (row["set"], row["noise"]) == (name, noise)
                    and (sigma == "all" or row["sigma"] == str(sigma))
                ]
                if some:
                    cells = [name, str(sigma), noise, str(len(some)), *summary(some)]
                    lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def summary(rows: list[dict[str, str]]) -> list[str]:
    means = [statistics.fmean(float(row[name]) for row in rows) for name in ("pretrained", "tuned")]
    told = [row for row in rows if row["predicted_tuned"]]
    off = [abs(float(row["predicted_tuned"]) - float(row["tuned"])) for row in told]
    within = sum(miss <= float(row["tuned_error"]) for miss, row in zip(off, told, strict=True))
    medians = [
        statistics.median(float(row[name]) for row in told if row[name])
        for name in ("rank", "worst_quarter", "others")
    ]
    return [
        *(f"{mean:.3f}" for mean in means),
        f"{statistics.median(off):.3f} dB",
        f"{100 * within / len(told):.0f} %",
        *(f"{median:.2f}" for median in medians),
    ]


if __name__ == "__main__":
    main()

"""Whether what is kept is ever worse than the pre-trained network, over hundreds of images.

python experiments/never_worse.py SET12 BSD68 URBAN100 [--side 256] [--output FILE] [--quick]

Each run takes the middle 256 x 256 pixels of one image, one of four networks on board (the two of
20 layers, which take longest, less often) and one level of Gaussian noise between 10 and 80, by
turns, and denoises with everything left to the program: noise, loss, contrast and whether to keep
what tuning found; but without the mean over orientations, which would hide what gains do. `kept` is
the change of PSNR against the pre-trained network of the same contrast; `always` is that with the
gains that were found, kept or not; `contrast` is what less contrast brought alone; `found` is the
noise that was found, `fall` that of the risk and `standard_error` its own, both as parts of the
risk. Rows that are in the output already are not computed again: a run that was stopped goes on.
Beside the output stands a histogram.
"""

import argparse
import statistics
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import torch
from set12 import read_images, read_rows, write_rows
from torch import Tensor

from gaintuning import zoo
from gaintuning.contrast import with_contrast
from gaintuning.denoising import Denoised, denoise
from gaintuning.gains import channel_gains, fold
from gaintuning.metrics import psnr
from gaintuning.noise import Gaussian
from gaintuning.stabilizing import Stabilized

NETWORKS = (
    "unet",
    "unet-bias-free",
    "unet",
    "dncnn",
    "unet",
    "unet-bias-free",
    "unet-bias-free",
    "bfcnn",
)
SIGMAS = (10, 20, 30, 40, 50, 60, 70, 80)
FIELDS = [
    *("run", "image", "network", "sigma", "before", "kept", "always", "contrast"),
    *("found", "fall", "standard_error"),
]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("images", type=Path, nargs=3)
    parser.add_argument("--count", type=int, default=520, help="of the runs")
    parser.add_argument("--output", type=Path, default=Path("never-worse.csv"))
    parser.add_argument("--quick", action="store_true", help="two runs")
    parser.add_argument("--side", type=int, default=256, help="of the part of an image")
    arguments = parser.parse_args()
    images = {
        f"{folder.name}/{name}": middle(clean, arguments.side)
        for folder in arguments.images
        for name, clean in read_images(folder, arguments.quick).items()
    }
    names = list(images)
    rows = read_rows(arguments.output)
    done = {int(row["run"]) for row in rows}
    for run in range(2 if arguments.quick else arguments.count):
        if run in done:
            continue
        name, network = names[run % len(names)], NETWORKS[run % len(NETWORKS)]
        sigma = SIGMAS[(3 * (run // len(names)) + run // 4) % len(SIGMAS)]
        scores = measure(images[name], network, sigma, run)
        told = [str(run), name, network, str(sigma), *scores]
        rows.append(dict(zip(FIELDS, told, strict=True)))
        write_rows(arguments.output, rows, FIELDS)
    print(table(rows))
    draw(rows, arguments.output.with_suffix(".svg"))


def middle(clean: Tensor, side: int) -> Tensor:
    top, left = (max(0, (length - side) // 2) for length in clean.shape[-2:])
    return clean[..., top : top + side, left : left + side]


def measure(clean: Tensor, network: str, sigma: int, seed: int) -> list[str]:
    noisy = Gaussian(sigma / 255).sample(clean, torch.Generator().manual_seed(seed))
    options = {"intensity_range": (0.0, 1.0), "seed": seed, "orientations": False}
    result = denoise(noisy[0, 0], network=network, **options)
    found = result.adaptations[0]
    plain = result.pretrained
    if found.contrast < 1:
        plain = denoise(
            noisy[0, 0], network=network, noise=found.noise, intensity_range=(0.0, 1.0), tune=False
        ).image
    scores = [of(image, clean) for image in (plain, result.pretrained, result.image)]
    risk = found.risk
    numbers = [
        scores[1],
        scores[2] - scores[1],
        of(with_all_gains(result, network, noisy), clean) - scores[1],
        scores[1] - scores[0],
    ]
    parts = [(risk.before - risk.after) / abs(risk.before), risk.standard_error / abs(risk.before)]
    return [
        *(f"{number:.4f}" for number in numbers),
        str(found.noise),
        *(f"{part:.5f}" for part in parts),
    ]


def with_all_gains(result: Denoised[Tensor], network: str, noisy: Tensor) -> Tensor:
    """What the gains that were found make of the image, whether they were kept or not."""
    found = result.adaptations[0]
    gained = channel_gains(zoo.load(network)[0])
    for layer, gain in zip(gained.layers, gained.gains, strict=True):
        gain.data.copy_(found.gains[layer])
    tuned = fold(gained)
    if found.stabilized:
        tuned = Stabilized(tuned, found.noise)
    with torch.inference_mode():
        denoised = with_contrast(tuned, found.contrast, float(noisy.mean()))(noisy)
    return denoised[0, 0]


def of(image: Tensor, clean: Tensor) -> float:
    return psnr(image.clamp(0, 1), clean[0, 0], data_range=1.0)


def table(rows: list[dict[str, str]]) -> str:
    """By level of noise, as Markdown."""
    lines = [
        "| sigma | runs | less contrast | tuned always | tuned and kept | part kept | worst | "
        "worse by more than 0.005 dB |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for sigma in (*SIGMAS, "all"):
        some = [row for row in rows if sigma == "all" or row["sigma"] == str(sigma)]
        if not some:
            continue
        contrast, always, kept = (
            [float(row[name]) for row in some] for name in ("contrast", "always", "kept")
        )
        means = [statistics.fmean(values) for values in (contrast, always, kept)]
        part = f"{100 * means[2] / means[1]:.0f} %" if means[1] > 0 else ""
        worse = sum(change < -0.005 for change in kept)
        cells = [str(sigma), str(len(some)), *(f"{mean:+.3f}" for mean in means)]
        lines.append("| " + " | ".join([*cells, part, f"{min(kept):+.3f}", str(worse)]) + " |")
    return "\n".join(lines)


def draw(rows: list[dict[str, str]], path: Path) -> None:
    kept, always = (np.array([float(row[name]) for row in rows]) for name in ("kept", "always"))
    figure, axes = plt.subplots(figsize=(6, 3.2), layout="constrained")
    edges = np.linspace(-0.3, 1.0, 66)
    for values, label in ((always, "tuned always"), (kept, "tuned and kept")):
        axes.hist(values.clip(edges[0], edges[-1]), edges, alpha=0.6, label=label)
    axes.axvline(0, color="black", linewidth=0.8)
    axes.set_xlabel("change of PSNR against the pre-trained network in dB")
    axes.set_ylabel("runs")
    axes.set_yscale("symlog")
    axes.legend(frameon=False)
    figure.savefig(path)
    plt.close(figure)


if __name__ == "__main__":
    main()

"""Counted particles: a network trained on Gaussian noise, adapted to Poisson noise (section F.2).

python experiments/poisson.py CHECKPOINTS SET12 [--output docs/poisson.csv] [--quick]

CHECKPOINTS as for set12.py; the network is DnCNN for Gaussian noise of sigma 0 to 55. The brightest
pixel of an image in [0, 1] gives `peak` counts on average. PSNR of the network as it is, with the
contrast that the estimated risk prefers, with gains tuned by SURE with the Gaussian sigma that
matches, by PURE and by a blind spot, and of the network as it is between Anscombe's transform and
the unbiased inverse of Makitalo & Foi (2011). Rows that are in the output already are not computed
again.
"""

import argparse
import statistics
from pathlib import Path

import torch
from set12 import NETWORKS, read_images, read_rows, score, write_rows
from torch import Tensor, nn

from gaintuning.contrast import find_contrast, with_contrast
from gaintuning.denoising import denoise
from gaintuning.gains import channel_gains
from gaintuning.layout import lay_out_network
from gaintuning.metrics import psnr
from gaintuning.networks.checkpoint import load_network
from gaintuning.noise import Gaussian, Noise, Poisson
from gaintuning.objectives import Recorrupted
from gaintuning.tuning import Schedule, fuse_for

PEAKS = (5, 10, 30)
METHODS = ["pretrained", "contrast", "anscombe", "sure", "pure", "blind-spot"]
FIELDS = ["peak", "image", *METHODS]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("checkpoints", type=Path)
    parser.add_argument("images", type=Path)
    parser.add_argument("--output", type=Path, default=Path("poisson.csv"))
    parser.add_argument("--quick", action="store_true", help="two small crops, a few steps")
    arguments = parser.parse_args()
    images = read_images(arguments.images, arguments.quick)
    network = lay_out_network(load_network(arguments.checkpoints / NETWORKS["DnCNN"])[0])
    schedule = Schedule(steps=3, rounds=1) if arguments.quick else Schedule()
    rows = read_rows(arguments.output)
    done = {(row["peak"], row["image"]) for row in rows}
    for peak in PEAKS[:1] if arguments.quick else PEAKS:
        for index, (image, clean) in enumerate(images.items()):
            if (str(peak), image) not in done:
                scores = measure(network, clean, peak, index, schedule)
                rows.append({"peak": str(peak), "image": image} | scores)
                write_rows(arguments.output, rows, FIELDS)
    print(table(rows))


def measure(
    network: nn.Module, clean: Tensor, peak: int, index: int, schedule: Schedule
) -> dict[str, str]:
    noise = Poisson(1 / peak)
    noisy = noise.sample(clean, torch.Generator().manual_seed(1000 * peak + index))
    matched = Gaussian(float(noise.variance(noisy).mean() ** 0.5))
    fast, center = fuse_for(channel_gains(network), noisy), float(noisy.mean())
    contrast = find_contrast(fast, noisy, Recorrupted(noise), center)
    with torch.inference_mode():
        images = {
            "contrast": with_contrast(network, contrast, center)(noisy),
            "anscombe": through_anscombe(network, noisy, peak),
        }
    for objective, model in (("sure", matched), ("pure", noise), ("blind-spot", noise)):
        images[objective] = tuned(network, noisy, model, objective, index, schedule)
    scores = {"pretrained": score(network, noisy, clean)} | {
        method: psnr(image.clamp(0, 1), clean, data_range=1.0) for method, image in images.items()
    }
    return {method: f"{scores[method]:.3f}" for method in METHODS}


def tuned(
    network: nn.Module, noisy: Tensor, noise: Noise, objective: str, seed: int, schedule: Schedule
) -> Tensor:
    result = denoise(
        noisy[0, 0],
        network=network,
        noise=noise,
        objective=objective,
        intensity_range=(0.0, 1.0),
        schedule=schedule,
        seed=seed,
    )
    return result.image[None, None]


def through_anscombe(network: nn.Module, noisy: Tensor, peak: int) -> Tensor:
    """Counts to noise of standard deviation 1, which the network sees at a level that it knows."""
    stabilized = 2 * (noisy * peak + 3 / 8).sqrt()
    low, high = 2 * (3 / 8) ** 0.5, 2 * (peak + 3 / 8) ** 0.5
    width = max(high - low, 255 / 50)  # so that sigma is 50 at most
    denoised = network((stabilized - low) / width) * width + low
    d = denoised.clamp(min=low)
    root = 1.5**0.5
    counts = d**2 / 4 + root / 4 / d - 11 / 8 / d**2 + 5 * root / 8 / d**3 - 1 / 8
    return counts.clamp(min=0) / peak


def table(rows: list[dict[str, str]]) -> str:
    """Means over the images, as Markdown."""
    lines = [
        f"| peak | images | {' | '.join(METHODS)} | PURE, worst against contrast | pretrained |",
        "| " + " | ".join(["---"] * (len(METHODS) + 4)) + " |",
    ]
    for peak in PEAKS:
        some = [row for row in rows if row["peak"] == str(peak)]
        if not some:
            continue
        means = [statistics.fmean(float(row[method]) for row in some) for method in METHODS]
        worst = [
            min(float(row["pure"]) - float(row[method]) for row in some)
            for method in ("contrast", "pretrained")
        ]
        cells = [str(peak), str(len(some)), *(f"{mean:.2f}" for mean in means)]
        lines.append("| " + " | ".join([*cells, *(f"{change:+.3f}" for change in worst)]) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()

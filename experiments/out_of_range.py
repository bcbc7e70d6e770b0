"""Noise that networks were not trained on: what less contrast brings alone, and with gains.

python experiments/out_of_range.py CHECKPOINTS SET12 [--output docs/out-of-range.csv] [--quick]

CHECKPOINTS holds the networks of github.com/LabForComputationalVision/bias_free_denoising as
{dncnn,unet}/{bias,bias_free}/0-55.pt and dncnn/bias/0-100.pt, SET12 the twelve images of Set12.
Each image gets one draw of noise, which is not clipped and depends on sigma and the image alone;
outputs are clipped to [0, 1] for PSNR. For each network, level and image: PSNR of the network as it
is, with the contrast that the estimated risk prefers, and, for the networks with additive constants
at sigma 70 to 100, with gains: tuned at that contrast, or in bins, and applied once; and as the
package comes, which also takes the mean over eight orientations and filters like places. Beside
them stands the network that was trained on all levels. Rows that are in the output already are not
computed again.
"""

import argparse
import statistics
from pathlib import Path

import torch
from rows import place_of_rows, read_images, read_rows, write_rows
from torch import Tensor, nn

from gaintuning.choosing import error_to_compare_by
from gaintuning.contrast import find_contrast, with_contrast
from gaintuning.denoising import denoise
from gaintuning.evaluation import psnr_in_range, score
from gaintuning.gains import channel_gains
from gaintuning.layout import lay_out_network
from gaintuning.networks.checkpoint import load_network
from gaintuning.noise import Gaussian
from gaintuning.tables import markdown
from gaintuning.tuning import fuse_for

NETWORKS = {
    "DnCNN": "dncnn/bias/0-55.pt",
    "BFCNN": "dncnn/bias_free/0-55.pt",
    "UNet": "unet/bias/0-55.pt",
    "UNet bias-free": "unet/bias_free/0-55.pt",
    "DnCNN, all levels": "dncnn/bias/0-100.pt",
}
SIGMAS = (80, 100, 70, 5, 10, 30, 50, 60, 120)
TUNED = [(name, sigma) for name in ("DnCNN", "UNet") for sigma in (70, 80, 100)]
GOLD = "DnCNN, all levels"
FIELDS = [
    "network",
    "sigma",
    "image",
    "before",
    "contrast",
    "with_contrast",
    "gains",
    "as_it_comes",
]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("checkpoints", type=Path)
    parser.add_argument("images", type=Path)
    parser.add_argument("--output", type=Path, default=Path("out-of-range.csv"))
    parser.add_argument("--quick", action="store_true", help="two small crops, one level, UNet")
    arguments = parser.parse_args()
    images = read_images(arguments.images, arguments.quick)
    output = place_of_rows(arguments)
    rows = read_rows(output)
    done = {(row["network"], row["sigma"], row["image"]) for row in rows}
    for sigma in SIGMAS[:1] if arguments.quick else SIGMAS:
        for name in ("UNet", GOLD) if arguments.quick else NETWORKS:
            network = lay_out_network(load_network(arguments.checkpoints / NETWORKS[name])[0])
            for index, (image, clean) in enumerate(images.items()):
                if (name, str(sigma), image) in done:
                    continue
                scores = measure(network, clean, sigma, index, tuned=(name, sigma) in TUNED)
                rows.append({"network": name, "sigma": str(sigma), "image": image} | scores)
                write_rows(output, rows, FIELDS)
    print(table(rows))


def measure(
    network: nn.Module, clean: Tensor, sigma: int, index: int, *, tuned: bool
) -> dict[str, str]:
    noise = Gaussian(sigma / 255)
    noisy = noise.sample(clean, torch.Generator().manual_seed(1000 * sigma + index))
    center, fast = float(noisy.mean()), fuse_for(channel_gains(network), noisy)
    contrast = find_contrast(fast, noisy, error_to_compare_by(noise, fast), center)
    with torch.inference_mode():
        images = {"with_contrast": with_contrast(network, contrast, center)(noisy)}
    if tuned:
        for way, alone in (("gains", True), ("as_it_comes", False)):
            result = denoise(
                noisy[0, 0],
                network=network,
                noise=noise,
                intensity_range=(0.0, 1.0),
                orientations=not alone,
                nonlocal_bayes=not alone,
                seed=index,
            )
            images[way] = result.image[None, None]
    scores = {"before": score(network, noisy, clean)} | {
        name: psnr_in_range(image, clean) for name, image in images.items()
    }
    return {"contrast": f"{contrast:.4f}", "gains": "", "as_it_comes": ""} | {
        name: f"{found:.3f}" for name, found in scores.items()
    }


def table(rows: list[dict[str, str]]) -> str:
    """Means over the images, as Markdown."""
    ways = ["as it is", "less contrast", "and gains", "as the package comes", "all levels"]
    header = ["sigma", "network", "images", *ways]
    lines = []
    for sigma in sorted({int(row["sigma"]) for row in rows}):
        level = [row for row in rows if row["sigma"] == str(sigma)]
        gold = [float(row["before"]) for row in level if row["network"] == GOLD]
        for name in NETWORKS:
            some = [row for row in level if row["network"] == name]
            if not some or name == GOLD:
                continue
            before, bare = (
                statistics.fmean(float(row[column]) for row in some)
                for column in ("before", "with_contrast")
            )
            tuned = [
                [float(row[column]) for row in some if row[column]]
                for column in ("gains", "as_it_comes")
            ]
            cells = [
                *(str(sigma), name, str(len(some)), f"{before:.2f}", f"{bare:.2f}"),
                *(f"{statistics.fmean(scores):.2f}" if scores else "" for scores in tuned),
                f"{statistics.fmean(gold):.2f}" if len(gold) == len(some) else "",
            ]
            lines.append(cells)
    return markdown(header, lines)


if __name__ == "__main__":
    main()

"""PSNR on Set12 before and after GainTuning, with the published checkpoints.

python experiments/set12.py CHECKPOINTS IMAGES [--output docs/set12.csv] [--quick]

CHECKPOINTS holds the networks of github.com/LabForComputationalVision/bias_free_denoising as
{dncnn,unet}/{bias,bias_free}/0-55.pt and dncnn/bias/0-100.pt, IMAGES the twelve images of Set12.
Each image gets one draw of noise, which is not clipped and depends on sigma and the image alone,
so that all rows see the same noisy images. Outputs are clipped to [0, 1] for PSNR. Rows that are
in the output already are not computed again: a run that was stopped goes on.
"""

import argparse
import csv
from pathlib import Path
from time import perf_counter

import torch
from torch import Tensor, nn

from gaintuning.choosing import choose_objective
from gaintuning.evaluation import score
from gaintuning.files import read_image
from gaintuning.networks.checkpoint import load_network
from gaintuning.noise import Gaussian
from gaintuning.tuning import Schedule, tune

NETWORKS = {
    "DnCNN": "dncnn/bias/0-55.pt",
    "BFCNN": "dncnn/bias_free/0-55.pt",
    "UNet": "unet/bias/0-55.pt",
    "UNet bias-free": "unet/bias_free/0-55.pt",
    "DnCNN, all levels": "dncnn/bias/0-100.pt",
}
RUNS = [
    *((name, sigma, "none") for sigma in (30, 50, 70, 80) for name in NETWORKS),
    ("UNet", 30, "sure"),
    ("UNet", 80, "sure"),
    ("DnCNN", 30, "sure"),
    ("DnCNN", 80, "sure"),
    ("DnCNN", 80, "noise-resampling"),
    ("DnCNN", 80, "blind-spot"),
]
FIELDS = ["network", "sigma", "objective", "image", "before", "after", "accepted", "seconds"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("checkpoints", type=Path)
    parser.add_argument("images", type=Path)
    parser.add_argument("--output", type=Path, default=Path("set12.csv"))
    parser.add_argument("--quick", action="store_true", help="two small crops and a few steps")
    arguments = parser.parse_args()
    images = read_images(arguments.images, arguments.quick)
    schedule = Schedule(steps=3, rounds=1) if arguments.quick else Schedule()
    output = place_of_rows(arguments)
    rows = read_rows(output)
    for name, sigma, objective in RUNS:
        network = load_network(arguments.checkpoints / NETWORKS[name])[0]
        fill(rows, output, name, network, sigma, objective, images, schedule)
    print(table(rows, RUNS))


def place_of_rows(arguments: argparse.Namespace) -> Path:
    """Those of a quick run have a file of their own, or a full run would take them for its own."""
    output: Path = arguments.output
    return output.with_name(f"quick-{output.name}") if arguments.quick else output


def fill(
    rows: list[dict[str, str]],
    output: Path,
    name: str,
    network: nn.Module,
    sigma: int,
    objective: str,
    images: dict[str, Tensor],
    schedule: Schedule,
) -> None:
    """Add to the rows, and to the file, what they lack of a run."""
    done = {(row["network"], row["sigma"], row["objective"], row["image"]) for row in rows}
    for index, (image, clean) in enumerate(images.items()):
        if (name, str(sigma), objective, image) not in done:
            row = measure(network, clean, sigma, objective, schedule, seed=index)
            rows.append({"network": name, "objective": objective, "image": image} | row)
            write_rows(output, rows, FIELDS)


def measure(
    network: nn.Module, clean: Tensor, sigma: int, objective: str, schedule: Schedule, seed: int
) -> dict[str, str]:
    """One image, one noise level, one objective."""
    noise = Gaussian(sigma / 255)
    noisy = noise.sample(clean, torch.Generator().manual_seed(1000 * sigma + seed))
    before = score(network, noisy, clean)
    after, accepted, start = before, False, perf_counter()
    if objective != "none":
        rng = torch.Generator().manual_seed(seed)
        _, loss, judge = choose_objective(objective, network, noise, blind=False)
        tuned = tune(network, noisy, loss, judge=judge, schedule=schedule, rng=rng)
        after, accepted = score(tuned.network, noisy, clean), tuned.accepted
    return {
        "sigma": str(sigma),
        "before": f"{before:.3f}",
        "after": f"{after:.3f}",
        "accepted": str(accepted),
        "seconds": f"{perf_counter() - start:.1f}",
    }


def read_images(folder: Path, quick: bool) -> dict[str, Tensor]:
    files = sorted(folder.glob("*.png"))
    images = {path.stem: torch.from_numpy(read_image(path).pixels)[None, None] for path in files}
    if quick:
        images = {name: image[..., 64:160, 64:160] for name, image in list(images.items())[:2]}
    return {name: image.float() / 255 for name, image in images.items()}


def read_rows(path: Path) -> list[dict[str, str]]:
    if not path.exists():
        return []
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def write_rows(path: Path, rows: list[dict[str, str]], fields: list[str]) -> None:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, fields, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def table(rows: list[dict[str, str]], runs: list[tuple[str, int, str]]) -> str:
    """Means over the images, as Markdown."""
    lines = [
        "| network | sigma | loss | images | before | after | mean | worst | best | kept | s |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for name, sigma, objective in runs:
        of_run = [
            row
            for row in rows
            if (row["network"], row["sigma"], row["objective"]) == (name, str(sigma), objective)
        ]
        if not of_run:
            continue
        before = [float(row["before"]) for row in of_run]
        mean = sum(before) / len(before)
        if objective == "none":
            lines.append(f"| {name} | {sigma} | none | {len(of_run)} | {mean:.2f} | | | | | | |")
            continue
        after = [float(row["after"]) for row in of_run]
        gained = [b - a for a, b in zip(before, after, strict=True)]
        kept = sum(row["accepted"] == "True" for row in of_run)
        seconds = sum(float(row["seconds"]) for row in of_run) / len(of_run)
        lines.append(
            f"| {name} | {sigma} | {objective} | {len(of_run)} | {mean:.2f} | "
            f"{sum(after) / len(after):.2f} | {sum(gained) / len(gained):+.3f} | "
            f"{min(gained):+.3f} | {max(gained):+.3f} | "
            f"{kept} of {len(of_run)} | {seconds:.0f} |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    main()

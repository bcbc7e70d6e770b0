"""Natural images: what filtering places that look alike brings, and whether it ever harms.

python experiments/like_places.py SET... [--output docs/like-places.csv] [--quick]

Each SET is a folder of clean images, of which the middle 256 x 256 pixels are taken. They get one
draw of Gaussian noise, not clipped, which is not told to the package. Next to nothing is tuned, so
that what is found comes from like places alone: PSNR of the default network in eight orientations,
without them and with them, outputs clipped to [0, 1]. Rows that are in the output already are not
computed again.
"""

import argparse
import statistics
from pathlib import Path

import torch
from rows import place_of_rows, read_images, read_rows, write_rows
from torch import Tensor

from gaintuning import zoo
from gaintuning.denoising import denoise
from gaintuning.evaluation import psnr_in_range
from gaintuning.noise import Gaussian
from gaintuning.patches import middle
from gaintuning.tables import markdown
from gaintuning.tuning import Schedule

SIGMAS = (15, 30, 50, 70)
SIDE = 256
BRIEF = Schedule(steps=1, rounds=1)
FIELDS = ["images", "image", "sigma", "without", "taken", "with"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("images", type=Path, nargs="+")
    parser.add_argument("--output", type=Path, default=Path("like-places.csv"))
    parser.add_argument("--quick", action="store_true", help="two small crops of each, one level")
    arguments = parser.parse_args()
    output = place_of_rows(arguments)
    rows = read_rows(output)
    done = {(row["images"], row["image"], row["sigma"]) for row in rows}
    found = [read_images(folder, arguments.quick) for folder in arguments.images]
    # By turns, so that a run that is stopped has some of each.
    for number in range(max(map(len, found))):
        for folder, images in zip(arguments.images, found, strict=True):
            for image, clean in list(images.items())[number : number + 1]:
                sigma = SIGMAS[number % len(SIGMAS)]
                case = {"images": folder.name, "image": image, "sigma": str(sigma)}
                if tuple(case.values()) not in done:
                    rows.append(case | measure(middle(clean, SIDE), sigma, seed=number))
                    write_rows(output, rows, FIELDS)
    print(table(rows))


def measure(clean: Tensor, sigma: int, seed: int) -> dict[str, str]:
    noisy = Gaussian(sigma / 255).sample(clean, torch.Generator().manual_seed(seed))[0, 0]
    without, result = (
        denoise(
            noisy,
            network=zoo.DEFAULT,
            intensity_range=(0.0, 1.0),
            schedule=BRIEF,
            nonlocal_bayes=asked,
        )
        for asked in (False, True)
    )
    scores = (psnr_in_range(each.image, clean[0, 0]) for each in (without, result))
    before, after = (f"{score:.3f}" for score in scores)
    taken = "yes" if result.adaptations[0].nonlocal_bayes else "no"
    return {"without": before, "taken": taken, "with": after}


def table(rows: list[dict[str, str]]) -> str:
    """What like places bring, set by set, as Markdown."""
    titles = ["images", "runs", "taken in", "mean, dB", "best", "worst", "worse by more than 0.005"]
    lines = []
    for name in dict.fromkeys(row["images"] for row in rows):
        some = [row for row in rows if row["images"] == name]
        changes = [float(row["with"]) - float(row["without"]) for row in some]
        taken = sum(row["taken"] == "yes" for row in some)
        worse = sum(change < -0.005 for change in changes)
        brings = [statistics.fmean(changes), max(changes), min(changes)]
        lines.append(
            [name, str(len(some)), str(taken), *(f"{each:+.3f}" for each in brings), str(worse)]
        )
    return markdown(titles, lines)


if __name__ == "__main__":
    main()

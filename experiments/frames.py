"""One frame of a micrograph against forty: gains of its own, of all, or of the one before.

python experiments/frames.py TEM [--frames 40] [--psnr 3] [--images 1 5 6 7]
    [--output docs/frames.csv] [--quick]

TEM is a folder as 'gaintuning reproduce micrographs' takes it, of which some of the micrographs are
taken, by default those that do not differ by a few atoms alone. Each clean micrograph becomes a
movie in which nothing moves, with shot noise of that PSNR, for the network `unet-tem`. The last
frame is scored: denoised by the pre-trained network (in bins), with gains tuned on that frame
alone, with those tuned on all frames, and with those that went on from frame to frame; beside it
stands the mean of the noisy frames. Rows that are in the output already are not computed again.
"""

import argparse
import statistics
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from rows import place_of_rows, read_rows, write_rows

from gaintuning import denoise, zoo
from gaintuning.adapted import Adapted, Learned
from gaintuning.experiments.kept_columns import columns_kept, pixel_size
from gaintuning.files import image_files, read_image
from gaintuning.following import Following
from gaintuning.metrics import psnr
from gaintuning.noise import Poisson

NETWORK = "unet-tem"
FIELDS = [
    "image",
    "frames",
    "noisy_psnr",
    "way",
    "psnr",
    "surface",
    "inside",
    "support",
    "recall",
    "precision",
    "off_by",
]
WAYS = ("pre-trained", "one frame", "all frames", "frame by frame", "mean of the noisy frames")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--frames", type=int, default=40)
    parser.add_argument("--psnr", type=float, default=3.0, help="of a noisy frame, in dB")
    parser.add_argument("--images", type=int, nargs="+", default=[1, 5, 6, 7], help="by number")
    parser.add_argument("--output", type=Path, default=Path("frames.csv"))
    parser.add_argument("--quick", action="store_true", help="three frames of the first image")
    arguments = parser.parse_args()
    count = 3 if arguments.quick else arguments.frames
    output = place_of_rows(arguments)
    rows = read_rows(output)
    asked = (str(count), str(arguments.psnr))
    done = {row["image"] for row in rows if (row["frames"], row["noisy_psnr"]) == asked}
    files = image_files(arguments.folder)
    for number in arguments.images[: 1 if arguments.quick else None]:
        path = files[number - 1]
        if path.name in done:
            continue
        image = read_image(path)
        clean = torch.from_numpy(image.pixels)[None, None].float()
        for way, denoised in last_frame(clean, count, arguments.psnr, seed=number - 1):
            found = torch.from_numpy(denoised)[None, None].float()
            scores = (
                psnr(found, clean, data_range=1.0),
                *columns_kept(found, clean, pixel_size(image), path.with_suffix(".csv")),
            )
            told = ["" if score is None else f"{score:.4f}" for score in scores]
            rows.append(dict(zip(FIELDS, [path.name, *asked, way, *told], strict=True)))
        write_rows(output, rows, FIELDS)
    print(table([row for row in rows if (row["frames"], row["noisy_psnr"]) == asked]))


def last_frame(
    clean: torch.Tensor, count: int, noisy_psnr: float, seed: int
) -> Iterator[tuple[str, np.ndarray]]:
    """The last frame of a movie, by each of the ways."""
    noise = Poisson(10 ** (-noisy_psnr / 10) / float(clean.mean()))
    rng = torch.Generator().manual_seed(seed)
    movie = np.stack([noise.sample(clean, rng)[0, 0].numpy() for _ in range(count)])
    how = {"network": NETWORK, "noise": noise, "intensity_range": (0.0, 1.0)}
    how |= {"orientations": False, "nonlocal_bayes": False}  # as frames of a movie are denoised
    alone = denoise(movie[-1], **how)
    yield "pre-trained", alone.pretrained
    yield "one frame", alone.image
    yield "all frames", denoise(movie, **how, axes="TYX").image[-1]
    network = zoo.load(NETWORK)[0]
    first = denoise(movie[0], **how)
    learned = [Learned.of(found) for found in first.adaptations]
    following: Adapted = Following(network, learned, objective="auto", first=1)
    for frame in movie[1:]:
        denoised = following(frame, "YX")
    yield "frame by frame", denoised
    yield "mean of the noisy frames", movie.mean(0)


def table(rows: list[dict[str, str]]) -> str:
    """Means over the images, as Markdown."""
    lines = [
        "| gains of | images | PSNR | F1, surface | inside | support | found | true | off by, pm |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for way in WAYS:
        some = [row for row in rows if row["way"] == way]
        values = [
            [float(row[name]) for row in some if row[name] not in ("", "nan")]
            for name in FIELDS[4:]
        ]
        found = [statistics.fmean(each) if each else float("nan") for each in values]
        cells = [f"{found[0]:.2f}", *(f"{part:.3f}" for part in found[1:6]), f"{found[6]:.0f}"]
        lines.append("| " + " | ".join([way, str(len(some)), *cells]) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()

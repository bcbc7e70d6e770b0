"""A particle, its surface and its support in a simulated micrograph of few electrons, by methods.

python experiments/particle.py [--seed 18] [--psnr 3] [--output FILE.png] [--quick]

The rows of the picture: the whole micrograph, a part with the surface of the particle, and one with
the support; the columns: clean, noisy, and denoised by each method that is installed.
"""

import argparse
from pathlib import Path

import numpy as np
import torch
from matplotlib.figure import Figure

from gaintuning.methods import METHODS, Task
from gaintuning.metrics import psnr
from gaintuning.noise import Poisson
from gaintuning.simulate.micrograph import Micrograph, micrographs

WAYS = {
    "BM3D": ("bm3d-anscombe", ""),
    "Topaz": ("topaz", ""),
    "pre-trained": ("pretrained", "unet-tem"),
    "pre-trained, in bins": ("in-range", "unet-tem"),
    "GainTuning, natural images": ("gaintuning", "unet"),
    "GainTuning": ("gaintuning", "unet-tem"),
}
NEAR = 5.0
"""The side of a part, in distances between neighbouring columns of platinum, 2.3 Å."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=18, help="of the specimen and the microscope")
    parser.add_argument("--psnr", type=float, default=3.0, help="of the noisy micrograph, in dB")
    parser.add_argument("--output", type=Path, default=Path("particle.png"))
    parser.add_argument("--quick", action="store_true", help="small, and one method")
    arguments = parser.parse_args()
    size, ways = (96, ["pre-trained"]) if arguments.quick else (512, list(WAYS))
    found = next(micrographs(1, size, np.random.SeedSequence(arguments.seed)))
    clean = torch.from_numpy(found.pixels)[None, None]
    noise = Poisson(10 ** (-arguments.psnr / 10) / float(clean.mean()))
    rng = torch.Generator().manual_seed(arguments.seed)
    noisy = noise.sample(clean, rng)
    results = {"clean": clean, "noisy": noisy}
    for way in ways:
        method, network = WAYS[way]
        try:
            results[way] = METHODS[method](Task(noisy, noise, network)).to(clean)
        except ImportError as error:
            print(f"without {way}: {error}")
    places = parts(found)
    figure = Figure((1.7 * len(results), 1.8 * len(places)), layout="constrained")
    grid = figure.subplots(len(places), len(results), squeeze=False)
    low, high = np.percentile(found.pixels, [0.5, 99.5])
    for column, (way, image) in enumerate(results.items()):
        score = "" if way == "clean" else f"\n{psnr(image, clean, data_range=1.0):.1f} dB"
        grid[0, column].set_title(way + score, fontsize="small")
        for axes, place in zip(grid[:, column], places, strict=True):
            axes.imshow(image[0, 0][place], cmap="gray", vmin=low, vmax=high)
            axes.set_axis_off()
    figure.savefig(arguments.output, dpi=130)
    print(f"{len(results)} images in {arguments.output}")


def parts(found: Micrograph) -> list[tuple[slice, slice]]:
    """The whole, around the uppermost column of the particle, and around the lowest of cerium."""
    columns, side = found.columns, found.pixels.shape[0]
    reach = min(side // 2, round(NEAR * 2.3 / found.pixel_size / 2))
    top = np.argmin(np.where(columns.element == "Pt", columns.y, np.inf))
    low = np.argmax(np.where(columns.element == "Ce", columns.y, -np.inf))
    whole = slice(0, side)
    places = [(whole, whole)]
    for index in (top, low):
        centre = (
            int(np.clip(place[index], reach, side - reach)) for place in (columns.y, columns.x)
        )
        rows, across = (slice(middle - reach, middle + reach) for middle in centre)
        places.append((rows, across))
    return places


if __name__ == "__main__":
    main()

"""A particle, its surface and its support in a simulated micrograph of few electrons, by methods.

python experiments/particle.py [--seed 18] [--psnr 3] [--output FILE.png] [--quick]

Three rows of the picture go together: the whole micrograph, a part with the surface of the
particle, and one with the support; the columns: clean, noisy, and denoised by each method that is
installed.
"""

import argparse
import math
from pathlib import Path

import numpy as np
import torch
from matplotlib.figure import Figure

from gaintuning.methods import Task, parse_method
from gaintuning.metrics import psnr
from gaintuning.noise import Poisson
from gaintuning.simulate.micrograph import Micrograph, micrographs

WAYS = {
    "BM3D": ("bm3d-anscombe", ""),
    "BM3D, bins of 8": ("bm3d-anscombe@8", ""),
    "Zero-Shot N2N, bins of 8": ("zero-shot-noise2noise@8", ""),
    "Self2Self, bins of 8": ("self2self@8:1000", ""),
    "blind spot alone, bins of 8": ("blind-spot-alone@8:300", ""),
    "Topaz": ("topaz", ""),
    "pre-trained": ("pretrained", "unet-tem"),
    "pre-trained, in bins": ("in-range", "unet-tem"),
    "noise resampling, bins of 8": ("noise-resampling@8", "unet-tem"),
    "all parameters, bins of 8": ("all-parameters@8", "unet-tem"),
    "GainTuning": ("gaintuning", "unet-tem"),
    "GainTuning, natural images": ("gaintuning", "unet"),
    "pre-trained blind spot": ("pretrained", "blind-spot-tem"),
    "GainTuning, blind spot": ("gaintuning", "blind-spot-tem"),
}
ABREAST = 8
"""Methods beside each other in the picture."""
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
            results[way] = parse_method(method)(Task(noisy, noise, network)).to(clean)
        except ImportError as error:
            print(f"without {way}: {error}")
    places = parts(found)
    across = min(ABREAST, len(results))
    down = len(places) * math.ceil(len(results) / across)
    figure = Figure((1.8 * across, 1.85 * down), layout="constrained")
    grid = figure.subplots(down, across, squeeze=False)
    low, high = np.percentile(found.pixels, [0.5, 99.5])
    for axes in grid.flat:
        axes.set_axis_off()
    for index, (way, image) in enumerate(results.items()):
        band, column = divmod(index, across)
        score = "" if way == "clean" else f"\n{psnr(image, clean, data_range=1.0):.1f} dB"
        top = band * len(places)
        grid[top, column].set_title(way + score, fontsize="small")
        for axes, place in zip(grid[top : top + len(places), column], places, strict=True):
            axes.imshow(image[0, 0][place], cmap="gray", vmin=low, vmax=high)
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

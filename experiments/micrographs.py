"""A picture of simulated micrographs, clean, counted and denoised, with the columns that they show.

python experiments/micrographs.py [--specimens 4] [--dose 1000] [--output FILE.png] [--quick]

A row for each specimen: four micrographs, the last one with its columns (platinum red where it is
outside and gold inside, cerium blue), and the first as counts of so many electrons per Å², and
denoised by `unet-tem`, which was not trained on these specimens.
"""

import argparse
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gaintuning import Poisson, denoise
from gaintuning.simulate.micrograph import Micrograph, counts, micrographs

EACH = 4
OF_ITS_OWN = 1000
"""No series of that seed is trained on."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--specimens", type=int, default=4)
    parser.add_argument("--dose", type=float, default=1000.0)
    parser.add_argument("--output", type=Path, default=Path("micrographs.png"))
    parser.add_argument("--quick", action="store_true", help="one specimen, small")
    arguments = parser.parse_args()
    specimens, size = (1, 64) if arguments.quick else (arguments.specimens, 256)
    figure = Figure((EACH + 2, specimens), layout="constrained")
    every = np.atleast_2d(figure.subplots(specimens, EACH + 2))
    for seed, axes in enumerate(every):
        found = list(micrographs(EACH, size, np.random.SeedSequence([OF_ITS_OWN, seed])))
        for one, of_one in zip(axes, found, strict=False):
            one.imshow(of_one.pixels, cmap="gray")
        mark_columns(axes[EACH - 1], found[-1])
        noisy = counts(found[0], arguments.dose, np.random.default_rng(seed))
        axes[-2].imshow(noisy, cmap="gray")
        denoised = denoise(noisy, network="unet-tem", noise=Poisson(1)).image
        axes[-1].imshow(denoised, cmap="gray")
    for one, title in zip(every[0], (*["clean"] * EACH, "counts", "denoised"), strict=True):
        one.set_title(title, fontsize="small")
    for one in every.flat:
        one.set_axis_off()
    figure.savefig(arguments.output, dpi=160)
    print(f"{specimens * EACH} micrographs in {arguments.output}")


def mark_columns(axes: Axes, found: Micrograph) -> None:
    columns = found.columns
    colors = np.where(columns.outside, "red", "gold")
    colors[columns.element != "Pt"] = "blue"
    heavy = columns.element != "O"
    axes.autoscale(False)  # some columns are half outside
    axes.scatter(columns.x[heavy], columns.y[heavy], s=2, c=colors[heavy], linewidths=0)


if __name__ == "__main__":
    main()

"""How well the noise of one image is found, on BSD68, beside scikit-image's estimator.

python experiments/noise_levels.py BSD68 [--every 4] [--output docs/noise.csv] [--quick]

BSD68 is a folder of images with intensities from 0 to 255. For Gaussian noise the error is that of
sigma (of the root of the mean variance, should shot noise be found), for counts with or without
read noise that of the gain, which is 1 count; it is -100 % where Gaussian noise is found. Nothing
is clipped or rounded, and the steps of counts, which would tell the gain, are hidden by a hundredth
of a count, but where the counts are called whole. Rows that are in the output already are not
computed again.
"""

import argparse
import statistics
from itertools import product
from pathlib import Path

import torch
from rows import place_of_rows, read_images, read_rows, write_rows
from skimage.restoration import estimate_sigma
from torch import Tensor

from gaintuning import zoo
from gaintuning.layout import lay_out_network
from gaintuning.noise import Gaussian, Noise, Poisson, PoissonGaussian
from gaintuning.noise_estimation import NoiseEstimate, estimate_noise
from gaintuning.tables import markdown

CASES = [
    *(("gaussian", level, 0) for level in (5, 10, 20, 30, 50, 80)),
    *(("poisson", peak, read) for peak, read in product((5, 20, 100), (0, 3))),
    *(("whole", peak, 0) for peak in (5, 20, 100)),
]
FIELDS = ["model", "level", "read", "image", "found", "error", "standard_error", "skimage"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("images", type=Path)
    parser.add_argument("--every", type=int, default=1, help="only each so manieth image")
    parser.add_argument("--output", type=Path, default=Path("noise.csv"))
    parser.add_argument("--quick", action="store_true", help="two small crops, two cases")
    arguments = parser.parse_args()
    images = read_images(arguments.images, arguments.quick)
    network = lay_out_network(zoo.load(zoo.DEFAULT)[0])
    output = place_of_rows(arguments)
    rows = read_rows(output)
    done = {(row["model"], row["level"], row["read"], row["image"]) for row in rows}
    for model, level, read in [CASES[2], CASES[11]] if arguments.quick else CASES:
        for index, (name, unit) in list(enumerate(images.items()))[:: arguments.every]:
            what = [model, str(level), str(read), name]
            if tuple(what) in done:
                continue
            clean, noise = scene(unit.double(), model, level, read)
            rng = torch.Generator().manual_seed(1000 * level + index)
            noisy = noise.sample(clean, rng)
            if model == "poisson":
                noisy += 0.01 * torch.rand(noisy.shape, generator=rng)
            found = estimate_noise(noisy[0].numpy(), network)
            error = relative_error(found, noise, clean)
            wavelets = estimate_sigma(noisy[0, 0].numpy()) / level - 1
            told = [type(found.noise).__name__, f"{error:.4f}", f"{found.standard_error:.4f}"]
            told.append(f"{wavelets:.4f}" if model == "gaussian" else "")
            rows.append(dict(zip(FIELDS, [*what, *told], strict=True)))
        write_rows(output, rows, FIELDS)
    print(table(rows))


def scene(unit: Tensor, model: str, level: int, read: int) -> tuple[Tensor, Noise]:
    """The clean image in the units of the noise, and the noise."""
    if model == "gaussian":
        return 255 * unit, Gaussian(float(level))
    return level * unit, PoissonGaussian(1.0, float(read)) if read else Poisson(1.0)


def relative_error(found: NoiseEstimate, noise: Noise, clean: Tensor) -> float:
    if isinstance(noise, Gaussian):
        return float(found.noise.variance(clean).mean() ** 0.5) / noise.sigma - 1
    return getattr(found.noise, "gain", 0.0) - 1.0


def table(rows: list[dict[str, str]]) -> str:
    """Medians and extremes over the images, as Markdown."""
    header = ["noise", "images", "median error", "worst", "within its standard error"]
    header += ["right model", "scikit-image, median", "worst"]
    lines = []
    for model, level, read in CASES:
        case = (model, str(level), str(read))
        of_case = [row for row in rows if (row["model"], row["level"], row["read"]) == case]
        if not of_case:
            continue
        errors = [abs(float(row["error"])) for row in of_case]
        within = sum(
            error < float(row["standard_error"]) for error, row in zip(errors, of_case, strict=True)
        )
        name = "Gaussian" if model == "gaussian" else "PoissonGaussian" if read else "Poisson"
        right = sum(row["found"] == name for row in of_case)
        counts = f"peak {level} {'whole ' if model == 'whole' else ''}counts, read {read}"
        title = f"sigma {level}" if model == "gaussian" else counts
        cells = [title, str(len(of_case)), percent(statistics.median(errors)), percent(max(errors))]
        cells += [f"{within} of {len(of_case)}", f"{right} of {len(of_case)}"]
        wavelets = [abs(float(row["skimage"])) for row in of_case if row["skimage"]]
        cells += [percent(f(wavelets)) for f in (statistics.median, max)] if wavelets else ["", ""]
        lines.append(cells)
    return markdown(header, lines)


def percent(part: float) -> str:
    return f"{100 * part:.1f} %"


if __name__ == "__main__":
    main()

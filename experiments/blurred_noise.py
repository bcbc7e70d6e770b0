"""How often noise that goes together between neighbouring pixels is noticed, in crops of BSD68.

python experiments/blurred_noise.py BSD68 [--every 3] [--quick]

White noise of sigma 20 is blurred by a Gaussian of some width in pixels, and made as strong again.
"""

import argparse
from pathlib import Path
from statistics import median

import numpy as np
from rows import read_images
from scipy.ndimage import gaussian_filter
from torch import tensor

from gaintuning import zoo
from gaintuning.layout import lay_out_network
from gaintuning.noise_estimation import NoiseEstimate, estimate_noise
from gaintuning.patches import middle
from gaintuning.tables import markdown

SIGMA = 20.0
WIDTHS = (0.0, 0.5, 0.6, 0.7, 1.0)
SIDE = 128


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("images", type=Path)
    parser.add_argument("--every", type=int, default=3, help="only each so manieth image")
    parser.add_argument("--quick", action="store_true", help="small crops, two widths")
    arguments = parser.parse_args()
    images = list(read_images(arguments.images, arguments.quick).values())[:: arguments.every]
    network = lay_out_network(zoo.load(zoo.DEFAULT)[0])
    lines = []
    for width in WIDTHS[::4] if arguments.quick else WIDTHS:
        found = []
        for seed, unit in enumerate(images):
            clean = 255 * middle(unit, SIDE)[0, 0].numpy()
            noisy = clean + blurred_noise(clean.shape, width, seed)
            found.append(estimate_noise(noisy[None], network))
        noticed = sum(estimate.stride > 1 for estimate in found)
        levels = median(level_of(estimate) / SIGMA for estimate in found)
        lines.append([f"{width:g}", f"{noticed} of {len(found)}", f"{levels:.2f}"])
    print(markdown(["width", "noticed", "level found / true, median"], lines))


def blurred_noise(shape: tuple[int, ...], width: float, seed: int) -> np.ndarray:
    white = np.random.default_rng(seed).normal(size=shape)
    blurred = gaussian_filter(white, width, mode="wrap")
    return SIGMA / blurred.std() * blurred


def level_of(estimate: NoiseEstimate) -> float:
    """Standard deviation of the noise where the image has half of its range."""
    return float(estimate.noise.variance(tensor(127.5)) ** 0.5)


if __name__ == "__main__":
    main()

"""What becomes of images whose noise is that of no model, or of one that is easily mistaken.

python experiments/other_noise.py [--quick]

Noise of cameras and of what is done to their images, simulated on images of scikit-image. BM3D is
told the root mean square of the noise; it is left out where it is not installed.
"""

import argparse
from collections.abc import Callable
from importlib.util import find_spec

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from skimage import data, transform
from torch import from_numpy

from gaintuning import Denoised, denoise, psnr, zoo
from gaintuning.baselines.classical import denoise_bm3d
from gaintuning.tables import markdown

Image = NDArray[np.floating]
Random = np.random.Generator
SIDE = 192


def smaller(image: NDArray[np.generic]) -> Image:
    """At half the size, and so with little noise of its own; the middle of it."""
    half = transform.downscale_local_mean(image.astype(float), (2, 2))
    top, left = ((side - SIDE) // 2 for side in half.shape)
    return half[top : top + SIDE, left : left + SIDE]


CAMERA, MOON = smaller(data.camera()), smaller(data.moon())
CELL = gaussian_filter(data.cell().astype(float), 1)[300 : 300 + SIDE, 150 : 150 + SIDE]
COINS = gaussian_filter(data.coins().astype(float), 0.7)[50 : 50 + SIDE, 90 : 90 + SIDE]


def spots(number: int, brightest: float, rng: Random) -> Image:
    """So many of them, as small as a lens shows."""
    rows, columns = np.mgrid[:SIDE, :SIDE]
    image = np.zeros((SIDE, SIDE))
    for row, column, peak in rng.uniform((5, 5, 0.1), (SIDE - 5, SIDE - 5, 1), (number, 3)):
        distance = (rows - row) ** 2 + (columns - column) ** 2
        image += brightest * peak * np.exp(-distance / 4)
    return image


def unit(image: Image) -> Image:
    return (image - image.min()) / np.ptp(image)


def inverted_counts(rng: Random) -> tuple[Image, Image]:
    counts = 20 * unit(CAMERA) + 0.5
    return 255 - 8 * counts, 255 - 8.0 * rng.poisson(counts)


def few_spots(rng: Random) -> tuple[Image, Image]:
    counts = 0.3 + spots(40, 50, rng)
    return counts, rng.poisson(counts).astype(float)


def camera_whose_pixels_differ(rng: Random) -> tuple[Image, Image]:
    counts = 1 + spots(40, 25, rng)
    read = np.exp(rng.normal(np.log(1.3), 0.5, counts.shape))
    read[rng.random(counts.shape) < 0.004] *= 12
    gain = 2.1 * (1 + 0.02 * rng.normal(size=counts.shape))
    offset = 100 + rng.normal(0, 1.5, counts.shape)
    noisy = gain * (rng.poisson(counts) + read * rng.normal(size=counts.shape)) + offset
    return 2.1 * counts + 100, noisy.round()


def multiplied_counts(rng: Random) -> tuple[Image, Image]:
    """Of an electron-multiplying camera: each count is multiplied by another number."""
    counts = 0.05 + spots(60, 4, rng)
    multiplied = rng.gamma(np.maximum(rng.poisson(counts), 1e-9), 25)
    return 25 * counts + 400, (multiplied + 400 + rng.normal(0, 4, counts.shape)).round()


def two_in_one(rng: Random) -> tuple[Image, Image]:
    clean = np.hstack([CAMERA[:, : SIDE // 2], COINS[:, : SIDE // 2]])
    level = np.where(np.arange(SIDE) < SIDE // 2, 5, 40)
    return clean, clean + level * rng.normal(size=clean.shape)


def flat_fielded(rng: Random) -> tuple[Image, Image]:
    """Shot noise, divided by how much light there was."""
    rows, columns = np.mgrid[-1 : 1 : SIDE * 1j, -1 : 1 : SIDE * 1j]
    light = np.exp(-2.2 * (rows**2 + columns**2))
    counts = 60 * COINS / 255 + 1
    read = rng.normal(0, 1.5, counts.shape)
    return counts, (rng.poisson(counts * light) + read) / light


def logarithm(rng: Random) -> tuple[Image, Image]:
    counts = 30 * CAMERA / 255 + 1
    return np.log(counts + 1), np.log(rng.poisson(counts) + 1.0)


def gamma_curve(rng: Random) -> tuple[Image, Image]:
    counts = 40 * CAMERA / 255 + 1
    clean, noisy = (255 * (each / 45) ** (1 / 2.2) for each in (counts, rng.poisson(counts)))
    return clean, noisy.clip(0, 255).round()


def background_taken_off(rng: Random) -> tuple[Image, Image]:
    counts = spots(60, 60, rng)
    return counts, (rng.poisson(counts + 10) - 10.0).clip(0)


def speckle(rng: Random) -> tuple[Image, Image]:
    clean = CAMERA + 5
    return clean, clean * rng.gamma(4, 1 / 4, clean.shape)


def turned(rng: Random) -> tuple[Image, Image]:
    noisy = CAMERA + rng.normal(0, 20, CAMERA.shape)
    clean, image = (transform.rotate(each, 7, mode="reflect") for each in (CAMERA, noisy))
    return clean, image


def salt_and_pepper(rng: Random) -> tuple[Image, Image]:
    noisy, chance = CAMERA + rng.normal(0, 10, CAMERA.shape), rng.random(CAMERA.shape)
    noisy[chance < 0.02], noisy[chance > 0.98] = 0, 255
    return CAMERA, noisy.clip(0, 255).round()


def rows_with_offsets(rng: Random) -> tuple[Image, Image]:
    noise = rng.normal(0, 12, CAMERA.shape) + rng.normal(0, 6, (SIDE, 1))
    return CAMERA, CAMERA + noise


CASES: dict[str, Callable[[Random], tuple[Image, Image]]] = {
    "shot noise, inverted": inverted_counts,
    "counts of spots in the dark": few_spots,
    "camera whose pixels differ (sCMOS), spots": camera_whose_pixels_differ,
    "multiplied counts (EMCCD), spots": multiplied_counts,
    "sigma 5 and sigma 40, side by side": two_in_one,
    "shot noise, flat-fielded": flat_fielded,
    "shot noise, logarithm": logarithm,
    "shot noise, gamma of 2.2": gamma_curve,
    "counts, background taken off, cut off at 0": background_taken_off,
    "speckle of four looks": speckle,
    "sigma 20, turned by 7 degrees": turned,
    "sigma 10, salt and pepper of 4 %": salt_and_pepper,
    "sigma 12, rows with offsets of 6": rows_with_offsets,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="two cases")
    arguments = parser.parse_args()
    lines = []
    for name in list(CASES)[:5:4] if arguments.quick else CASES:
        clean, noisy = CASES[name](np.random.default_rng(0))
        plain = denoise(noisy, network=zoo.DEFAULT, tune=False).image
        result = denoise(noisy)
        images = [noisy, plain, result.image]
        if find_spec("bm3d"):
            level = float(np.square(noisy - clean).mean() ** 0.5)
            images.append(denoise_bm3d(from_numpy(noisy)[None, None], level)[0, 0].numpy())
        scores = [psnr(image, clean, data_range=float(np.ptp(clean))) for image in images]
        lines.append([name, found_in(result), *(f"{score:.2f}" for score in scores)])
    heads = ["noise", "found", "noisy", "network as it is", "gaintuning", "BM3D, told the level"]
    print(markdown(heads[: len(lines[0])], lines))


def found_in(result: Denoised[Image]) -> str:
    """The model, and what is told of it."""
    (adaptation,) = result.adaptations
    estimate = adaptation.estimate
    assert estimate is not None
    marks = {
        "uneven": estimate.uneven,
        "heavy tails": estimate.heavy_tailed,
        "goes together": estimate.stride != (1, 1),
        "cut off": estimate.clipped > 0.01,
    }
    return "; ".join([str(estimate.noise), *(mark for mark, told in marks.items() if told)])


if __name__ == "__main__":
    main()

"""Noise that goes together between neighbouring pixels: whether it is noticed, and taken away.

python experiments/noise_together.py SET12 [--every 2] [--quick]

White noise of sigma 20, and what is done to images; PSNR against the clean image of which the same
was done. BM3D is told the root mean square of the noise; it is left out where it is not installed.
"""

import argparse
from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import imagecodecs
import numpy as np
from numpy.typing import NDArray
from rows import read_images
from scipy.ndimage import convolve, gaussian_filter, median_filter, shift, zoom
from scipy.signal import lfilter
from skimage.transform import rotate
from torch import from_numpy

from gaintuning import denoise, psnr, zoo
from gaintuning.baselines.classical import denoise_bm3d
from gaintuning.patches import middle
from gaintuning.tables import markdown

Image = NDArray[np.floating]
Change = Callable[[Image], Image]
SIGMA, SIDE = 20.0, 256


def demosaiced(image: Image) -> Image:
    """Of one color of a camera with four colors, every second pixel of every second row is seen."""
    seen = np.zeros_like(image)
    seen[::2, ::2] = image[::2, ::2]
    return convolve(seen, np.outer((0.5, 1, 0.5), (0.5, 1, 0.5)), mode="mirror")


def low_pass(image: Image) -> Image:
    down, across = np.fft.fftfreq(image.shape[0])[:, None], np.fft.fftfreq(image.shape[1])
    return np.fft.ifft2(np.fft.fft2(image) * (np.hypot(down, across) < 0.35)).real


CHANGES: dict[str, Change] = {
    "none": lambda image: image,
    "moved by parts of a pixel": partial(shift, shift=(0.3, 0.4), order=1, mode="mirror"),
    "turned by 7 degrees": partial(rotate, angle=7, mode="reflect"),
    "made 1.5 times as large": partial(zoom, zoom=1.5, order=3, mode="nearest"),
    "made twice as large": partial(zoom, zoom=2, order=1, mode="nearest"),
    "each pixel four times": lambda image: image.repeat(2, axis=0).repeat(2, axis=1),
    "demosaiced": demosaiced,
    "low pass": low_pass,
    "blurred by 0.6 pixels": partial(gaussian_filter, sigma=0.6),
    "blurred by 1 pixel": partial(gaussian_filter, sigma=1),
}


def scan_lines(noisy: Image, clean: Image, part: float) -> Image:
    """The noise of a pixel lives on, by so much, in the next of its row."""
    return clean + lfilter([(1 - part**2) ** 0.5], [1, -part], noisy - clean)


def compressed(noisy: Image, clean: Image) -> Image:
    del clean
    whole = noisy.round().clip(0, 255).astype(np.uint8)
    return imagecodecs.jpeg8_decode(imagecodecs.jpeg8_encode(whole, level=50)).astype(float)


def median(noisy: Image, clean: Image) -> Image:
    del clean
    return median_filter(noisy, 3)


OF_NOISY: dict[str, Callable[[Image, Image], Image]] = {
    "scan lines, 0.25 of the one before": partial(scan_lines, part=0.25),
    "scan lines, 0.5 of the one before": partial(scan_lines, part=0.5),
    "JPEG of quality 50": compressed,
    "median of 3 x 3": median,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("images", type=Path)
    parser.add_argument("--every", type=int, default=2, help="only each so manieth image")
    parser.add_argument("--quick", action="store_true", help="small crops, two changes")
    arguments = parser.parse_args()
    images = list(read_images(arguments.images, arguments.quick).values())[:: arguments.every]
    names = [*CHANGES, *OF_NOISY]
    lines = []
    for name in names[:4:3] if arguments.quick else names:
        noticed, scores = 0, []
        for seed, unit in enumerate(images):
            clean = 255 * middle(unit, SIDE // 2 if "large" in name or "four" in name else SIDE)
            clean = clean[0, 0].double().numpy()
            noisy = clean + np.random.default_rng(seed).normal(0, SIGMA, clean.shape)
            if name in CHANGES:
                clean, noisy = CHANGES[name](clean), CHANGES[name](noisy)
            else:
                noisy = OF_NOISY[name](noisy, clean)
            result = denoise(noisy, network=zoo.DEFAULT)
            outputs = [noisy, result.image]
            if find_spec("bm3d"):
                level = float(np.square(noisy - clean).mean() ** 0.5)
                outputs.append(denoise_bm3d(from_numpy(noisy)[None, None], level)[0, 0].numpy())
            noticed += result.adaptations[0].stride != (1, 1)
            scores.append([psnr(each, clean, data_range=255) for each in outputs])
        means = (f"{score:.2f}" for score in np.mean(scores, axis=0))
        lines.append([name, f"{noticed} of {len(images)}", *means])
    heads = ["what was done", "noticed", "noisy", "gaintuning", "BM3D, told the level"]
    print(markdown(heads[: len(lines[0])], lines))


if __name__ == "__main__":
    main()

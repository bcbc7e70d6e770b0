"""`gaintuning simulate`: a folder of simulated clean images, to train on."""

from collections.abc import Callable
from pathlib import Path

import torch

from gaintuning._types import Images
from gaintuning.files import write_image
from gaintuning.image import Image
from gaintuning.simulate.documents import documents
from gaintuning.simulate.piecewise import piecewise_constant

SCENES: dict[str, Callable[[int, int, int], Images]] = {
    "piecewise": piecewise_constant,
    "documents": documents,
}


def simulate_images(
    scenes: str, folder: Path, *, count: int, size: int, seed: int, force: bool, quiet: bool
) -> None:
    """Write 8-bit PNG images with the numbers 0, 1, ... as names."""
    if folder.exists() and not folder.is_dir():
        raise NotADirectoryError(f"{folder} is a file; give a folder")
    if folder.is_dir() and any(folder.iterdir()) and not force:
        raise FileExistsError(
            f"{folder} is not empty; give another folder, or --force to write into it"
        )
    images = SCENES[scenes](count, size, seed)
    folder.mkdir(parents=True, exist_ok=True)
    digits = len(str(count - 1))
    for index, image in enumerate(images):
        pixels = (255 * image[0]).round().to(torch.uint8).numpy()
        write_image(folder / f"{index:0{digits}}.png", Image(pixels, "YX"), overwrite=True)
    if not quiet:
        print(f"{count} images in {folder}")

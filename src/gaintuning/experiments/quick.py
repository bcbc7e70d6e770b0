"""A few small images that come with the package's own dependencies, for a first look."""

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from skimage import data

from gaintuning.experiments.experiment import Sources
from gaintuning.files import write_image
from gaintuning.image import Image
from gaintuning.simulate.documents import documents

SIDE = 192


def quick_sources(folder: Path) -> Sources:
    """The sets of `SETS` with one to three images each, written into a folder."""
    (page,) = (255 * documents(1, SIDE, seed=1)).round().to(torch.uint8).numpy()
    images: dict[str, NDArray[np.uint8]] = {
        "set12/camera": data.camera()[100:, 180:],
        "set12/coins": data.coins()[20:, 20:],
        "bsd68/moon": data.moon()[150:, 60:],
        "bsd68/cell": data.cell()[300:, 200:],
        "bsd68/wall": data.brick()[200:, 200:],
        "urban100/brick": data.brick(),
        "urban100/grid": data.checkerboard()[20:, 20:] // 2 + 64,
        "documents/page": page[0],
    }
    for name, pixels in images.items():
        path = folder / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_image(path, Image(pixels[:SIDE, :SIDE].copy(), "YX"), overwrite=True)
    return Sources(folder, quick=True)

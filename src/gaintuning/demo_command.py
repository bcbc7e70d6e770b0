"""`gaintuning demo`: a scanned page with added noise, denoised and compared with the original."""

import shlex
import sys
from pathlib import Path

import torch
from skimage import data

from gaintuning.denoising import denoise
from gaintuning.files import write_image
from gaintuning.image import Image
from gaintuning.metrics import psnr
from gaintuning.noise import Gaussian
from gaintuning.progress import progress_bars
from gaintuning.report import write_report

STAGES = ("clean", "noisy", "pre-trained", "tuned")
"""The images that `demonstrate` writes."""


def demonstrate(
    output: Path, *, sigma: float, network: str, seed: int, device: str, force: bool, quiet: bool
) -> None:
    """Denoise a scanned page with added noise, and tell how far each image is from the original."""
    page = output / "report.html"
    for place in [*(output / f"{name}.png" for name in STAGES), page]:
        if place.exists() and not force:
            raise FileExistsError(f"{place} exists; give another folder, or --force to replace it")
    clean = torch.from_numpy(data.page()).double()
    rng = torch.Generator().manual_seed(seed)
    noisy = Gaussian(sigma).sample(clean, rng)
    output.mkdir(parents=True, exist_ok=True)
    with progress_bars(quiet) as bar:
        result = denoise(
            noisy.numpy(),
            intensity_range=(0, 255),
            network=network,
            seed=seed,
            device=device,
            progress=bar("scanned page"),
        )
    images = [clean, noisy, torch.from_numpy(result.pretrained), torch.from_numpy(result.image)]
    for name, image in zip(STAGES, images, strict=True):
        bounded = image.clamp(0, 255)
        pixels = bounded.round().to(torch.uint8).numpy()
        write_image(output / f"{name}.png", Image(pixels, "YX"), overwrite=True)
        if name != "clean" and not quiet:
            print(f"{name:12} {psnr(bounded, clean, data_range=255):6.2f} dB")
    write_report(
        page,
        noisy.numpy(),
        result,
        title="A scanned page with added noise",
        command=shlex.join(["gaintuning", *sys.argv[1:]]),
        overwrite=True,
    )
    if not quiet:
        print(f"noise: {result.adaptations[0].noise} (estimated; {sigma:g} was added)")
        print(result.adaptations[0].verdict)
        print(f"The images and a report are in {output}; open {page}")

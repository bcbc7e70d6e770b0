"""`gaintuning pretrain`: a folder of clean images in, a network with its card out."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gaintuning.commands import check_network_output, progress_bars
from gaintuning.files import SUFFIXES, read_image
from gaintuning.networks.checkpoint import Card, build, save_network
from gaintuning.planes import split_planes
from gaintuning.pretraining import Recipe, make_fabric, pretrain
from gaintuning.scaling import find_range
from gaintuning.validate import check_pixels

ARCHITECTURES: dict[str, tuple[str, dict[str, Any]]] = {
    "dncnn": ("DnCNN", {"bias": True}),
    "bfcnn": ("DnCNN", {"bias": False}),
    "unet": ("UNet", {"bias": True}),
    "unet-bias-free": ("UNet", {"bias": False}),
    "blind-spot": ("BlindSpotNet", {"bias": True}),
}


def pretrain_network(
    architecture: str,
    images: Path,
    output: Path,
    *,
    residual: bool,
    color: bool,
    recipe: Recipe,
    device: str,
    devices: int,
    training_set: str | None,
    licence: str,
    force: bool,
    quiet: bool,
) -> None:
    """Train a network; the state lies beside the output, and a later call goes on from it."""
    check_network_output(output, force)
    card = start_card(architecture, residual=residual, color=color, recipe=recipe)
    clean = read_clean_images(images, color=color)
    fabric = make_fabric(device, devices)
    with torch.random.fork_rng():
        torch.manual_seed(recipe.seed)
        network = build(card)
    state = output.with_suffix(".state")
    first = fabric.is_global_zero  # of the processes, one for each device
    with progress_bars(quiet or not first) as bar:
        trained = pretrain(
            network, clean, recipe, state, fabric=fabric, progress=bar(f"training {architecture}")
        )
    scores = {f"sigma {level}": round(score, 3) for level, score in trained.validation_psnr.items()}
    card = Card(
        card.architecture,
        card.arguments,
        training_set=training_set or f"{images.name}, {len(clean)} images",
        sigma=recipe.sigma,
        licence=licence,
        source="gaintuning pretrain",
        facts={
            "patch": recipe.patch,
            "batch": recipe.batch,
            "steps": recipe.steps,
            "rate": recipe.rate,
            "seed": recipe.seed,
            "hours": round(trained.seconds / 3600, 2),
            "device": str(fabric.device),
            "validation PSNR in dB, images held out": scores,
        },
    )
    if not first:
        return
    save_network(trained.network, card, output)
    if not quiet:
        print(f"{output}: {json.dumps(card.facts)}")


def start_card(architecture: str, *, residual: bool, color: bool, recipe: Recipe) -> Card:
    """Architecture and arguments of the network to train."""
    name, arguments = ARCHITECTURES[architecture]
    arguments = {"channels": 3 if color else 1, **arguments}
    if name == "UNet":
        arguments["residual"] = residual
    elif residual:
        raise ValueError(f"--residual is for a UNet; {architecture} has only one form")
    return Card(name, arguments, sigma=recipe.sigma)


def read_clean_images(folder: Path, *, color: bool) -> list[Tensor]:
    """All images of a folder as (c, h, w) in [0, 1]; colors become gray for a gray network."""
    if not folder.is_dir():
        raise NotADirectoryError(f"{folder} is no folder; give the folder of the clean images")
    files = sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES)
    if not files:
        raise ValueError(f"{folder} holds no image ({', '.join(SUFFIXES)})")
    images: list[Tensor] = []
    for file in files:
        image = read_image(file)
        try:
            check_pixels(image.pixels, image.axes)
        except (ValueError, TypeError) as error:
            raise ValueError(f"{file}: {error}") from None
        for planes in split_planes(image.pixels, image.axes):
            unit = find_range(planes).to_unit(planes).astype(np.float32)
            if color and unit.shape[1] != 3:
                raise ValueError(f"{file} is gray; a color network needs color images")
            samples = unit if color else unit.mean(1, keepdims=True)
            images.extend(torch.from_numpy(plane) for plane in samples)
    return images

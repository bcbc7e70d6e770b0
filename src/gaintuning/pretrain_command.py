"""`gaintuning pretrain`: a folder of clean images in, a network with its card out."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from gaintuning import zoo
from gaintuning.files import SUFFIXES, image_files, read_image
from gaintuning.network_commands import COUNTS, VALIDATION, check_network_output
from gaintuning.networks.checkpoint import Card, build, save_network
from gaintuning.planes import gray, split_planes
from gaintuning.pretraining import Pretrained, make_fabric, pretrain
from gaintuning.progress import progress_bars
from gaintuning.recipes import (
    FAST,
    PUBLISHED,
    LogSquare,
    MeanSquare,
    Precision,
    Recipe,
    fastest_precision,
)
from gaintuning.scaling import range_of_clean
from gaintuning.source_version import source_version
from gaintuning.validate import check_pixels, find_device

ARCHITECTURES: dict[str, tuple[str, dict[str, Any]]] = {
    "dncnn": ("DnCNN", {"bias": True}),
    "bfcnn": ("DnCNN", {"bias": False}),
    "unet": ("UNet", {"bias": True}),
    "unet-bias-free": ("UNet", {"bias": False}),
    "blind-spot": ("BlindSpotNet", {"bias": True}),
}

PRESETS = {"fast": FAST, "published": PUBLISHED}

LOSSES = {"mse": MeanSquare(), "psnr": LogSquare()}


def pretrain_network(
    architecture: str,
    images: Path,
    output: Path,
    *,
    residual: bool,
    color: bool,
    recipe: Recipe,
    start_from: str | None,
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
    fabric = make_fabric(device, recipe.precision, devices)
    first = fabric.is_global_zero  # of the processes, one for each device
    # Before the training: hours later these files may be others, or gone.
    origin = {
        "started from": describe_start(start_from) if start_from else "random weights",
        "device": describe_device(fabric.device),
        "gaintuning": source_version(),
    }
    with progress_bars(quiet or not first) as bar:
        trained = pretrain(
            start_network(card, recipe.seed, start_from),
            clean,
            recipe,
            output.with_suffix(".state"),
            fabric=fabric,
            progress=bar(f"training {architecture}"),
        )
    card = replace(
        card,
        training_set=training_set or f"{images.name}, {len(clean)} images",
        licence=licence,
        source="gaintuning pretrain",
        facts=tell(recipe, trained) | origin,
    )
    if not first:
        return
    save_network(trained.network, card, output)
    if not quiet:
        print(f"{output}: {json.dumps(card.facts)}")


def choose_recipe(
    preset: str,
    *,
    sigma: tuple[float, float],
    peak: float | None,
    precision: Precision | None,
    device: str,
    **changes: Any,
) -> Recipe:
    """A preset with what the user wants otherwise; None leaves a setting as it is."""
    recipe = PRESETS[preset]
    if peak is not None:
        changes["rate"] = replace(recipe.rate, peak=peak)
    if precision is None and preset == "fast":
        precision = fastest_precision(find_device(device))
    changes["precision"] = precision
    changed = {name: value for name, value in changes.items() if value is not None}
    return replace(recipe, sigma=sigma, **changed)


def start_network(card: Card, seed: int, start_from: str | None) -> nn.Module:
    """A network with the first weights of the seed, or with those of another network.

    One of the two may lack the other's additive constants; those that are not found are zero.
    """
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = build(card)
    if start_from is None:
        return network
    for name, parameter in network.named_parameters():
        if name.endswith("bias"):
            nn.init.zeros_(parameter)
    try:
        other, told = zoo.load(start_from)
        missing, left = network.load_state_dict(other.state_dict(), strict=False)
        fits = all(name.endswith("bias") for name in [*missing, *left])
    except RuntimeError:  # the same names, but other shapes
        fits = False
    if not fits:
        raise ValueError(f"the weights of {start_from} do not fit the {card.architecture} to train")
    ours, theirs = (each.arguments.get("residual", False) for each in (card, told))
    if ours != theirs:
        raise ValueError(
            f"{start_from} predicts the {'noise' if theirs else 'image'}, and the network to train "
            f"the {'noise' if ours else 'image'}; {'add' if theirs else 'leave out'} --residual"
        )
    return network


def tell(recipe: Recipe, trained: Pretrained) -> dict[str, Any]:
    """What the card says of the training."""
    scores = {noise: round(score, 3) for noise, score in trained.validation_psnr.items()}
    counts = {COUNTS: recipe.counts} if recipe.counts else {}
    return counts | {
        "patch": recipe.patch,
        "batch": recipe.batch,
        "steps": recipe.steps,
        "rate": repr(recipe.rate),
        "optimizers": repr(recipe.optimizers),
        "loss": repr(recipe.loss),
        "scales": recipe.scales,
        "averaging": recipe.averaging,
        "statistics": "of the start" if recipe.frozen_statistics else "of each batch",
        "target": "clean images" if recipe.supervised else "the noisy images (blind-spot loss)",
        "precision": recipe.precision,
        "seed": recipe.seed,
        "hours": round(trained.seconds / 3600, 2),
        VALIDATION: scores,
    }


def describe_start(network: str) -> dict[str, Any]:
    """The network that a training started from, with what its own card says of its training."""
    name = Path(network).stem if Path(network).is_file() else network
    card = zoo.load(network)[1]
    return {"name": name, "training set": card.training_set, **card.facts}


def describe_device(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    name = torch.cpu.get_capabilities().get("cpu_name", "") if device.type == "cpu" else ""
    return f"{device.type} {name}, {torch.get_num_threads()} threads".replace(" ,", ",")


def start_card(architecture: str, *, residual: bool, color: bool, recipe: Recipe) -> Card:
    """Architecture and arguments of the network to train."""
    name, arguments = ARCHITECTURES[architecture]
    arguments = {"channels": 3 if color else 1, **arguments}
    if name == "UNet":
        arguments["residual"] = residual
    elif residual:
        raise ValueError(f"--residual is for a UNet; {architecture} has only one form")
    if not recipe.supervised and name != "BlindSpotNet":
        raise ValueError(
            f"--unsupervised is for a blind-spot network; {architecture} would learn to copy"
        )
    return Card(name, arguments, sigma=None if recipe.counts else recipe.sigma)


def read_clean_images(folder: Path, *, color: bool) -> list[Tensor]:
    """All images of a folder as (c, h, w) in [0, 1]; colors become gray for a gray network."""
    if not folder.is_dir():
        raise NotADirectoryError(f"{folder} is no folder; give the folder of the clean images")
    files = image_files(folder)
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
            unit = range_of_clean(planes).to_unit(planes).astype(np.float32)
            if color and unit.shape[1] != 3:
                raise ValueError(f"{file} is gray; a color network needs color images")
            samples = unit if color else gray(unit).astype(np.float32)
            images.extend(torch.from_numpy(plane) for plane in samples)
    return images

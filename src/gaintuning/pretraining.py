"""Training a network on clean images, to be adapted later to one noisy image (Eq. 1)."""

import hashlib
import logging
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from time import perf_counter

import numpy as np
import torch
from torch import Generator, Tensor, nn
from torch.nn.functional import interpolate
from torch.nn.modules.batchnorm import _BatchNorm
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from gaintuning._types import Images, Progress
from gaintuning.binning import binned
from gaintuning.layout import lay_out_images, lay_out_network
from gaintuning.metrics import psnr
from gaintuning.outputs import whole_file
from gaintuning.patches import middle, random_crops, random_orientations
from gaintuning.randomness import generator
from gaintuning.recipes import Precision, Recipe
from gaintuning.training_log import Entry, write_log
from gaintuning.validate import find_device

try:
    from lightning_fabric import Fabric
except ImportError as error:
    raise ImportError(
        "pre-training needs lightning-fabric; install it with pip install 'gaintuning[train]'"
    ) from error

logger = logging.getLogger(__name__)

VALIDATED = 256
"""Side in pixels of the middle part of an image that is validated with."""


@dataclass(frozen=True)
class Pretrained:
    """What `pretrain` found: the network in eval mode, and facts for its card."""

    network: nn.Module
    steps: int
    seconds: float
    validation_psnr: dict[str, float]


def pretrain(
    network: nn.Module,
    images: Sequence[Tensor],
    recipe: Recipe,
    checkpoint: Path,
    *,
    fabric: Fabric | None = None,
    save_every: int = 1000,
    progress: Progress | None = None,
) -> Pretrained:
    """Train a network to remove noise that is added to clean images.

    Every `save_every` steps the network is validated and the state saved to `checkpoint`, with a
    log beside it, as a table (`.csv`) and as a picture (`.svg`); a call that finds the file goes
    on from there. All randomness is a function of seed, step and device, so on a CPU an
    interrupted run gives the same weights as one that ran through. One image in fifty is set
    aside for the validation, with the 256 x 256 pixels in its middle.

    Parameters
    ----------
    network : trained in place.
    images : clean images, (c, h, w) each, in [0, 1].
    recipe : the settings.
    checkpoint : file of the state.
    fabric : devices; by default one CPU or GPU, with the recipe's precision.
    save_every : steps between two saves.
    progress : called after each step with the number done and the number in all.

    Raises
    ------
    ValueError : there are no images, or `checkpoint` is of another training.

    Examples
    --------
    >>> import tempfile, torch
    >>> from gaintuning.networks import UNet
    >>> images = [torch.rand(1, 40, 40) for _ in range(4)]
    >>> state = Path(tempfile.mkdtemp()) / "net.state"
    >>> pretrain(UNet(), images, Recipe(patch=16, batch=2, steps=3), state).steps
    3
    """
    if not images:
        raise ValueError("there are no images to train on; give at least one")
    validation = [middle(image, VALIDATED) for image in images[::50]]
    training = [image for index, image in enumerate(images) if index % 50]
    training = rescaled(training or images, recipe.scales)
    smallest = min(min(image.shape[-2:]) for image in training)
    if smallest < recipe.patch:
        raise ValueError(
            f"an image is only {smallest} pixels wide or high, and the patches are {recipe.patch}; "
            "leave out such images, or train on smaller patches"
        )
    fabric = fabric or make_fabric("auto", recipe.precision)
    origin = fingerprint([*images, *network.state_dict().values()])
    run = _Run(network, recipe, fabric, origin)
    if checkpoint.exists():
        run.resume(checkpoint)
    start = perf_counter() - run.seconds
    for step in range(run.step, recipe.steps):
        rng = generator(recipe.seed, step, fabric.global_rank)
        batch = max(1, recipe.batch // fabric.world_size)
        run.train_on(*training_pair(training, recipe, batch, rng))
        if progress:
            progress(run.step, recipe.steps)
        if run.step % save_every == 0 or run.step == recipe.steps:
            run.seconds = perf_counter() - start
            run.validate(validation)
            run.save(checkpoint)
    network.load_state_dict(run.averaged.module.state_dict())
    network.eval().requires_grad_(False)
    scores = validation_psnr(network, validation, recipe, fabric.device)
    return Pretrained(network, recipe.steps, run.seconds, scores)


class _Run:
    """A network on its way: what a training changes, saves and finds again."""

    def __init__(self, network: nn.Module, recipe: Recipe, fabric: Fabric, origin: str) -> None:
        self.recipe = recipe
        self.fabric = fabric
        self.origin = origin
        self.network = lay_out_network(network.train())
        for layer in network.modules():
            if isinstance(layer, _BatchNorm) and recipe.frozen_statistics:
                layer.eval()
        self.module = fabric.setup_module(network)
        # Only now, since the filters have gone to their device.
        optimizers = fabric.setup_optimizers(*recipe.optimizers(network))
        self.optimizers = optimizers if isinstance(optimizers, tuple) else (optimizers,)
        horizon = get_ema_multi_avg_fn(1 - 1 / max(1, recipe.averaging))
        self.averaged = AveragedModel(network, multi_avg_fn=horizon, use_buffers=True)
        self.averaged.eval()
        self.loss = torch.zeros((), device=fabric.device)
        self.log: list[Entry] = []
        self.step = 0
        self.seconds = 0.0

    def train_on(self, noisy: Images, clean: Images) -> None:
        rate = self.recipe.rate(self.step, self.recipe.steps)
        noisy, clean = self.fabric.to_device((noisy, clean))
        target = clean if self.recipe.supervised else noisy
        loss = self.recipe.loss(self.module(noisy), target)
        for optimizer in self.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = rate
            optimizer.zero_grad()
        self.fabric.backward(loss)
        for optimizer in self.optimizers:
            optimizer.step()
        self.averaged.update_parameters(self.network)
        self.loss.lerp_(loss.detach(), max(0.01, 1 / (self.step + 1)))
        self.step += 1

    def validate(self, images: Sequence[Tensor]) -> None:
        with self.fabric.autocast():
            scores = validation_psnr(self.averaged, images, self.recipe, self.fabric.device)
        self.log.append(Entry(self.step, self.seconds, self.loss.item(), scores))
        logger.info("%s", self.log[-1])

    def save(self, checkpoint: Path) -> None:
        if self.fabric.global_rank:
            return
        state = {
            "recipe": self._settings(),
            "origin": self.origin,
            "network": self.network.state_dict(),
            "averaged": self.averaged.state_dict(),
            "optimizers": [optimizer.state_dict() for optimizer in self.optimizers],
            "loss": self.loss,
            "log": [asdict(entry) for entry in self.log],
            "step": self.step,
            "seconds": self.seconds,
        }
        with whole_file(checkpoint) as file:
            torch.save(state, file)
        write_log(self.log, checkpoint)

    def resume(self, checkpoint: Path) -> None:
        """Go back to where an earlier call stopped."""
        try:
            saved = torch.load(checkpoint, map_location=self.fabric.device, weights_only=True)
            ours = (saved["recipe"], saved["origin"]) == (self._settings(), self.origin)
            step = int(saved["step"])
        except Exception as error:  # the reader raises whatever it met
            raise ValueError(
                f"{checkpoint} is damaged or no state of a training; delete it to start anew"
            ) from error
        if not ours or step > self.recipe.steps:
            raise ValueError(
                f"{checkpoint} holds {step} steps of a training with other settings, images or "
                "first weights; delete it to start anew, or give what it was started with"
            )
        self.network.load_state_dict(saved["network"])
        self.averaged.load_state_dict(saved["averaged"])
        for optimizer, state in zip(self.optimizers, saved["optimizers"], strict=True):
            optimizer.load_state_dict(state)
        self.loss = saved["loss"]
        self.log = [Entry(**entry) for entry in saved["log"]]
        self.step, self.seconds = step, float(saved["seconds"])

    def _settings(self) -> str:
        """The recipe, but for the number of steps, which may change."""
        return repr(replace(self.recipe, steps=1))


def make_fabric(device: str, precision: Precision = "32-true", devices: int = 1) -> Fabric:
    """Where to train: a device's name, or auto for a GPU where there is one.

    For several devices the program is started anew, once for each of the others.
    """
    if device == "auto":
        fabric = Fabric(accelerator="auto", devices=devices, precision=precision)
    else:
        where = find_device(device)
        numbered = where.type != "cpu" and where.index is not None
        chosen = [where.index] if numbered else devices
        fabric = Fabric(accelerator=where.type, devices=chosen, precision=precision)
    fabric.launch()
    return fabric


def rescaled(images: Sequence[Tensor], scales: Sequence[float]) -> list[Tensor]:
    """Each image at each of its sizes; a half, a third and so on are means over bins.

    Examples
    --------
    >>> [tuple(image.shape) for image in rescaled([torch.rand(1, 20, 30)], (1, 0.5))]
    [(1, 20, 30), (1, 10, 15)]
    """
    return [image if scale == 1 else _smaller(image, scale) for scale in scales for image in images]


def _smaller(image: Tensor, scale: float) -> Tensor:
    if (1 / scale).is_integer():
        sized = binned(image[None], int(1 / scale))
    else:
        sized = interpolate(image[None], scale_factor=scale, mode="bicubic", antialias=True)
    return sized[0].clamp(0, 1)


def training_pair(
    images: Sequence[Tensor], recipe: Recipe, batch: int, rng: Generator
) -> tuple[Images, Images]:
    """Noisy patches, each with its own noise level, and their clean originals."""
    clean = random_orientations(random_crops(images, recipe.patch, batch, rng), rng)
    clean = lay_out_images(clean)
    return recipe.add_noise(clean, rng), clean


@torch.inference_mode()
def validation_psnr(
    network: nn.Module, images: Sequence[Tensor], recipe: Recipe, device: torch.device
) -> dict[str, float]:
    """Mean PSNR in dB with each noise of the recipe's validation."""
    means = {}
    for name, noise in recipe.validation.items():
        scores = []
        for index, clean in enumerate(images):
            noisy = noise.sample(clean, generator(1, index)).to(device)
            denoised = network(noisy[None])[0].float().clamp(0, 1).cpu()
            scores.append(psnr(denoised, clean, data_range=1.0))
        means[name] = float(np.mean(scores))
    return means


def fingerprint(tensors: Iterable[Tensor]) -> str:
    """A hash that tells whether two runs began alike."""
    digest = hashlib.sha256()
    for tensor in tensors:
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()

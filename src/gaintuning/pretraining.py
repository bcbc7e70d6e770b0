"""Training a network on clean images, to be adapted later to one noisy image (Eq. 1)."""

import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from time import perf_counter

import numpy as np
import torch
from torch import Generator, Tensor, nn

from gaintuning._types import Images, Progress
from gaintuning.layout import lay_out_images, lay_out_network
from gaintuning.metrics import psnr
from gaintuning.outputs import whole_file
from gaintuning.patches import random_crops, random_orientations
from gaintuning.validate import find_device

try:
    from lightning_fabric import Fabric
except ImportError as error:
    raise ImportError(
        "pre-training needs lightning-fabric; install it with pip install 'gaintuning[train]'"
    ) from error

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Recipe:
    """How a network is trained: the settings that, with the images, fix its weights.

    Parameters
    ----------
    sigma : range of the noise's standard deviation, for intensities in [0, 1]. Each patch draws
        its own level, uniformly.
    patch : side of a training patch in pixels.
    batch : patches in a step, over all devices.
    steps : number of steps. A run may be resumed with another number; before the rate has begun
        to fall, the result is that of a run with this number from the start.
    rate : Adam's rate, reached after 500 steps and falling to zero over the last 40 % of `steps`.
    seed : of the first weights, the patches and the noise.
    """

    sigma: tuple[float, float] = (0.0, 55 / 255)
    patch: int = 64
    batch: int = 16
    steps: int = 20_000
    rate: float = 1e-3
    seed: int = 0

    def __post_init__(self) -> None:
        low, high = self.sigma
        if not 0 <= low < high:
            raise ValueError(f"sigma must be a range 0 <= low < high, got {low} to {high}")
        for name in ("patch", "batch", "steps"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        if not 0 < self.rate < float("inf"):
            raise ValueError(f"rate must be a number above 0, got {self.rate}")

    def rate_at(self, step: int) -> float:
        """Rate of Adam at a step: a short ascent, a plateau, a linear descent to zero."""
        ascent = (step + 1) / 500
        descent = (self.steps - step) / (0.4 * self.steps)
        return self.rate * min(1.0, ascent, descent)


@dataclass(frozen=True)
class Pretrained:
    """What `pretrain` found: the network in eval mode, and facts for its card."""

    network: nn.Module
    steps: int
    seconds: float
    validation_psnr: dict[int, float]


def pretrain(
    network: nn.Module,
    images: Sequence[Tensor],
    recipe: Recipe,
    checkpoint: Path,
    *,
    fabric: Fabric | None = None,
    save_every: int = 500,
    progress: Progress | None = None,
) -> Pretrained:
    """Train a network to remove Gaussian noise from clean images.

    The state is saved to `checkpoint` every `save_every` steps; a call that finds the file goes
    on from there. All randomness is a function of seed, step and device, so on a CPU an
    interrupted run gives the same weights as one that ran through. One image in fifty is set
    aside for validation.

    Parameters
    ----------
    network : trained in place.
    images : clean images, (c, h, w) each, in [0, 1].
    recipe : the settings.
    checkpoint : file of the state.
    fabric : devices and precision; by default one CPU or GPU.
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
    >>> state = Path(tempfile.mkdtemp()) / "state.pt"
    >>> pretrain(UNet(), images, Recipe(patch=16, batch=2, steps=3), state).steps
    3
    """
    if not images:
        raise ValueError("there are no images to train on; give at least one")
    smallest = min(min(image.shape[-2:]) for image in images)
    if smallest < recipe.patch:
        raise ValueError(
            f"an image is only {smallest} pixels wide or high, and the patches are {recipe.patch}; "
            "leave out such images, or train on smaller patches"
        )
    fabric = fabric or make_fabric("auto")
    validation, training = images[::50], [im for i, im in enumerate(images) if i % 50]
    training = training or list(images)
    lay_out_network(network.train())
    module, optimizer = fabric.setup(network, torch.optim.Adam(network.parameters()))
    first, seconds = 0, 0.0
    if checkpoint.exists():
        first, seconds = _resume(fabric, checkpoint, module, optimizer, recipe)
    start = perf_counter() - seconds
    mean_loss = torch.zeros((), device=fabric.device)
    for step in range(first, recipe.steps):
        for group in optimizer.param_groups:
            group["lr"] = recipe.rate_at(step)
        rng = _generator(recipe.seed, step, fabric.global_rank)
        batch = max(1, recipe.batch // fabric.world_size)
        noisy, clean = training_pair(training, recipe, batch, rng)
        noisy, clean = fabric.to_device((noisy, clean))
        loss = (module(noisy) - clean).square().mean()
        optimizer.zero_grad()
        fabric.backward(loss)
        optimizer.step()
        mean_loss.lerp_(loss.detach(), max(0.01, 1 / (step - first + 1)))
        done = step + 1
        if progress:
            progress(done, recipe.steps)
        if done % save_every == 0 or done == recipe.steps:
            seconds = perf_counter() - start
            logger.info("step %d loss %.3e %.0f s", done, mean_loss.item(), seconds)
            _save(fabric, checkpoint, module, optimizer, recipe, done, seconds)
    network.eval().requires_grad_(False)
    scores = {level: _validate(network, validation, level, fabric) for level in (15, 30, 50)}
    return Pretrained(network, recipe.steps, perf_counter() - start, scores)


def make_fabric(device: str, devices: int = 1) -> Fabric:
    """Where to train: a device's name, or auto for a GPU where there is one.

    For several devices the program is started anew, once for each of the others.
    """
    if device == "auto":
        fabric = Fabric(accelerator="auto", devices=devices)
    else:
        where = find_device(device)
        numbered = where.type != "cpu" and where.index is not None
        fabric = Fabric(accelerator=where.type, devices=[where.index] if numbered else devices)
    fabric.launch()
    return fabric


def training_pair(
    images: Sequence[Tensor], recipe: Recipe, batch: int, rng: Generator
) -> tuple[Images, Images]:
    """Noisy patches, each with its own noise level, and their clean originals."""
    clean = random_orientations(random_crops(images, recipe.patch, batch, rng), rng)
    clean = lay_out_images(clean)
    low, high = recipe.sigma
    sigma = low + (high - low) * torch.rand(batch, 1, 1, 1, generator=rng)
    return clean + sigma * torch.randn(clean.shape, generator=rng), clean


def _generator(*words: int) -> Generator:
    seed = np.random.SeedSequence(words).generate_state(1, np.uint64)[0]
    return Generator().manual_seed(int(seed >> np.uint64(1)))


def _save(
    fabric: Fabric,
    checkpoint: Path,
    network: nn.Module,
    optimizer: torch.optim.Optimizer,
    recipe: Recipe,
    step: int,
    seconds: float,
) -> None:
    if fabric.global_rank:
        return
    state = {
        "network": network.state_dict(),
        "optimizer": optimizer.state_dict(),
        "recipe": asdict(recipe),
        "step": step,
        "seconds": seconds,
    }
    with whole_file(checkpoint) as file:
        torch.save(state, file)


def _resume(
    fabric: Fabric,
    checkpoint: Path,
    network: nn.Module,
    optimizer: torch.optim.Optimizer,
    recipe: Recipe,
) -> tuple[int, float]:
    """Go back to where an earlier call stopped: steps done, and seconds taken."""
    try:
        saved = torch.load(checkpoint, map_location=fabric.device, weights_only=True)
        network.load_state_dict(saved["network"])
        optimizer.load_state_dict(saved["optimizer"])
        settings = saved["recipe"] | {"steps": recipe.steps}
        step, seconds = int(saved["step"]), float(saved["seconds"])
    except Exception as error:  # the reader raises whatever it met
        raise ValueError(
            f"{checkpoint} is damaged or the state of another network; delete it to start anew"
        ) from error
    if settings != asdict(recipe) or step > recipe.steps:
        raise ValueError(
            f"{checkpoint} holds {step} steps of a training with other settings; delete it to "
            "start anew, or give the settings it was started with"
        )
    return step, seconds


@torch.inference_mode()
def _validate(network: nn.Module, images: Sequence[Tensor], level: int, fabric: Fabric) -> float:
    """Mean PSNR in dB at sigma = level / 255."""
    scores = []
    for index, clean in enumerate(images):
        noise = torch.randn(clean.shape, generator=_generator(level, index))
        noisy = fabric.to_device(clean + level / 255 * noise)
        denoised = network(noisy[None])[0].clamp(0, 1).cpu()
        scores.append(psnr(denoised, clean, data_range=1.0))
    return float(np.mean(scores))

"""The one loop that adapts a network to an image, and the decision to keep what it found."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import torch
from torch import Generator, Tensor, nn

from gaintuning._types import Denoiser, Images, Objective, Progress
from gaintuning.gains import channel_gains, fold, free_parameters, gains_by_layer
from gaintuning.layout import lay_out_images, lay_out_network
from gaintuning.patches import random_crops

Parameters: TypeAlias = Callable[[nn.Module], nn.Module]


@dataclass(frozen=True)
class Schedule:
    """How long and how fast to tune.

    Parameters
    ----------
    steps : number of steps of Adam.
    crop : side of the random crops in pixels.
    crops : number of crops in a step.
    rate : peak of the one-cycle rate.
    """

    steps: int = 150
    crop: int = 96
    crops: int = 1
    rate: float = 3e-3

    def __post_init__(self) -> None:
        for name in ("steps", "crop", "crops"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        if not self.rate > 0:
            raise ValueError(f"rate must be above 0, got {self.rate}")


@dataclass(frozen=True)
class Risk:
    """An objective on the whole image, before and after tuning, with the same random draws."""

    before: float
    after: float
    standard_error: float

    @property
    def fell(self) -> bool:
        """Whether it fell by more than the standard error of the difference."""
        return self.before - self.after > self.standard_error


@dataclass(frozen=True)
class Tuned:
    """What `tune` found.

    Parameters
    ----------
    network : plain, of the class that was handed in: tuned if `accepted`, else the pre-trained.
    accepted : whether the risk on the whole image fell by more than its standard error.
    risk : the objective on the whole image, before and after.
    gains : the gains that were found, by the name of their layer, accepted or not.
    losses : the objective on the crops, step by step.
    """

    network: nn.Module
    accepted: bool
    risk: Risk
    gains: dict[str, Tensor]
    losses: list[float]


def tune(
    network: nn.Module,
    noisy: Images,
    objective: Objective,
    *,
    parameters: Parameters = channel_gains,
    schedule: Schedule | None = None,
    rng: Generator,
    progress: Progress | None = None,
) -> Tuned:
    """Adapt a pre-trained network to noisy images, Eq. 3.

    Parameters
    ----------
    network : the pre-trained network; not changed.
    noisy : (n, c, h, w), with intensities as the network was trained on.
    objective : what to minimise.
    parameters : what may move: `channel_gains`, `all_parameters` or a partial `last_layers`.
    schedule : how long and how fast.
    rng : source of randomness, on the CPU: the same state gives the same result.
    progress : called after each step with the number done and the number in all.

    Examples
    --------
    >>> from gaintuning.networks import UNet
    >>> from gaintuning.objectives import Sure
    >>> noisy = torch.rand(1, 1, 32, 32)
    >>> rng = torch.Generator().manual_seed(0)
    >>> tuned = tune(UNet(), noisy, Sure(0.1), schedule=Schedule(steps=2), rng=rng)
    >>> denoised = tuned.network(noisy)
    """
    schedule = schedule or Schedule()
    before = lay_out_network(fold(network))
    tuned = lay_out_network(parameters(network))
    optimizer = torch.optim.Adam(free_parameters(tuned), lr=schedule.rate)
    cycle = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, schedule.rate, total_steps=schedule.steps
    )
    losses = []
    for step in range(schedule.steps):
        crops = lay_out_images(random_crops(noisy, schedule.crop, schedule.crops, rng))
        loss = objective(tuned, crops, rng).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        cycle.step()
        losses.append(loss.detach())
        if progress:
            progress(step + 1, schedule.steps)
    after = fold(tuned)
    risk = compare(before, after, noisy, objective, rng)
    return Tuned(
        after if risk.fell else before,
        risk.fell,
        risk,
        gains_by_layer(tuned),
        torch.stack(losses).tolist(),
    )


@torch.inference_mode()
def compare(
    before: Denoiser, after: Denoiser, noisy: Images, objective: Objective, rng: Generator
) -> Risk:
    """The objective of two denoisers on whole images, with common random draws.

    The standard error of the difference is taken between blocks of 16 x 16 pixels, since the
    errors of neighbouring pixels go together.
    """
    totals, differences = torch.zeros(2, dtype=torch.float64), []
    for image in noisy.split(1):
        image = lay_out_images(image)
        state = rng.get_state()
        first = objective(before, image, rng).double()
        rng.set_state(state)
        second = objective(after, image, rng).double()
        totals += torch.stack([first.mean(), second.mean()]).cpu()
        side = min(16, *image.shape[-2:])
        differences.append(torch.nn.functional.avg_pool2d(first - second, side).flatten())
    blocks = torch.cat(differences)
    error = blocks.std() / len(blocks) ** 0.5 if len(blocks) > 1 else torch.tensor(torch.inf)
    before_mean, after_mean = (totals / len(noisy)).tolist()
    return Risk(before_mean, after_mean, float(error))

"""The one loop that adapts a network to an image, and the decision to keep what it found."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import torch
from torch import Generator, Tensor, nn
from torch.nn.functional import avg_pool2d

from gaintuning._types import Denoiser, Images, Objective, Progress
from gaintuning.descent import ConfirmedAdam
from gaintuning.fused import fuse
from gaintuning.gains import channel_gains, fold, free_parameters, gains_by_layer
from gaintuning.hardware import freed_memory_kept, has_bfloat16_units
from gaintuning.layout import lay_out_images, lay_out_network
from gaintuning.patches import every_part, random_crops

Parameters: TypeAlias = Callable[[nn.Module], nn.Module]

JUDGED = 512**2
"""So many pixels decide whether tuning helped: more would cost more than the tuning itself."""

JUDGED_CROP = 256
"""Side of the crops that are judged of a larger image."""


@dataclass(frozen=True)
class Schedule:
    """How long to tune, and how fast at first.

    An image like those that the network was trained on needs one round. Where much was out of
    place, a round lowers the risk by more than `worthwhile`, and another follows.

    Parameters
    ----------
    steps : number of steps in a round.
    pixels : number of pixels in a step. A larger image is seen part by part, each once before any
        comes again.
    rate : of the first steps; from then on `ConfirmedAdam` finds its own.
    rounds : number of rounds at most.
    worthwhile : the part of the risk that a round must have taken away for another to follow.
    """

    steps: int = 16
    pixels: int = 256**2
    rate: float = 0.01
    rounds: int = 4
    worthwhile: float = 0.02

    def __post_init__(self) -> None:
        for name in ("steps", "pixels", "rounds"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        for name in ("rate", "worthwhile"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be above 0, got {getattr(self, name)}")

    def rate_for(self, noisy: Images) -> float:
        """A slower one for few pixels, of which less can be learned.

        Examples
        --------
        >>> Schedule(rate=0.01).rate_for(torch.zeros(1, 1, 64, 64))
        0.00125
        """
        part: float = min(1.0, noisy[:, 0].numel() / 256**2) ** 0.75
        return self.rate * part

    def goes_on_after(self, fall: "Risk", noisy: Images) -> bool:
        """Whether a round brought so much that another may bring something.

        Of few pixels it must be more, since the risk also falls where their noise is fitted.
        """
        part = self.worthwhile * max(1.0, 256**2 / noisy[:, 0].numel())
        return fall.before - fall.after > max(part * abs(fall.before), 2 * fall.standard_error)


@dataclass(frozen=True)
class Risk:
    """An objective on the whole image, before and after tuning, with the same random draws.

    Parameters
    ----------
    before, after : its two values.
    standard_error : of their difference.
    """

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
    risk : the judge on the image, before tuning and with the best that was found.
    gains : the gains that were found, by the name of their layer, accepted or not.
    losses : the objective on the pixels of each step.
    """

    network: nn.Module
    accepted: bool
    risk: Risk
    gains: dict[str, Tensor]
    losses: list[float]


@freed_memory_kept()
def tune(
    network: nn.Module,
    noisy: Images,
    objective: Objective,
    *,
    judge: Objective | None = None,
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
    judge : what decides whether that helped; by default the objective itself. One whose value has
        a meaning need not be the one whose gradient has the least noise.
    parameters : what may move: `channel_gains`, `all_parameters` or a partial `last_layers`.
    schedule : how long and how fast.
    rng : source of randomness, on the CPU: the same state gives the same result.
    progress : called after each step with the number done and the number in all, if no round
        is left out.

    Examples
    --------
    >>> from gaintuning.networks import UNet
    >>> from gaintuning.objectives import Sure
    >>> noisy = torch.rand(1, 1, 32, 32)
    >>> rng = torch.Generator().manual_seed(0)
    >>> tuned = tune(UNet(), noisy, Sure(0.1), schedule=Schedule(steps=2), rng=rng)
    >>> denoised = tuned.network(noisy)
    """
    schedule, judge = schedule or Schedule(), judge or objective
    free = lay_out_network(parameters(network))
    pretrained = lay_out_network(fold(network))
    moving, judged = fuse_for(free, noisy)
    descent = ConfirmedAdam(free_parameters(free), schedule.rate_for(noisy))
    parts = every_part(noisy, schedule.pixels, rng)
    # The whole image is judged by the same random draws throughout.
    seed = int(torch.randint(2**62, (), generator=rng))
    at_first = pixel_losses(judged, noisy, judge, seed)
    kept, kept_losses = pretrained, at_first
    losses: list[Tensor] = []
    for done in range(schedule.rounds):
        told = stage_of(progress, done, schedule.rounds)
        for step in range(schedule.steps):
            loss = objective(moving, lay_out_images(next(parts)), rng).mean()
            losses.append(gradient_step(loss, descent))
            if told:
                told(step + 1, schedule.steps)
        descent.settle()
        found_losses = pixel_losses(judged, noisy, judge, seed)
        fall = compare(kept_losses, found_losses)
        if fall.fell or done == 0:
            gains, last_losses = gains_by_layer(free), found_losses
        if not fall.fell:
            break
        kept, kept_losses = fold(free), found_losses
        if not schedule.goes_on_after(fall, noisy):
            break
    risk = compare(at_first, last_losses)
    return Tuned(kept, kept is not pretrained, risk, gains, torch.stack(losses).tolist())


def fuse_for(free: nn.Module, noisy: Images) -> tuple[nn.Module, nn.Module]:
    """The network to take steps with, as fast as this machine can, and the one to judge with."""
    example = noisy[:1, :, :64, :64]
    fast = has_bfloat16_units(noisy.device) and noisy.dtype == torch.float32
    judged = fuse(free, example, noisy.dtype)
    return fuse(free, example, torch.bfloat16) if fast else judged, judged


def gradient_step(loss: Tensor, descent: ConfirmedAdam) -> Tensor:
    """Move the parameters downhill; the loss, without its graph."""
    for parameter in descent.parameters:
        parameter.grad = None
    loss.backward()
    descent.step()
    return loss.detach()


@torch.inference_mode()
def pixel_losses(
    denoiser: Denoiser, noisy: Images, objective: Objective, seed: int
) -> list[Tensor]:
    """The objective pixel by pixel: of all images where they are small, else of random crops."""
    rng = Generator().manual_seed(seed)
    if noisy[:, 0].numel() <= JUDGED:
        pieces = list(noisy.split(1))
    else:
        count = JUDGED // JUDGED_CROP**2
        pieces = list(random_crops(noisy, JUDGED_CROP, count, rng).split(1))
    return [objective(denoiser, lay_out_images(piece), rng).cpu().double() for piece in pieces]


def compare(before: list[Tensor], after: list[Tensor]) -> Risk:
    """The risk from the losses of each pixel, made with the same random draws.

    The standard error of the difference is taken between blocks of 16 x 16 pixels, since the
    errors of neighbouring pixels go together.
    """
    side = min(16, *before[0].shape[-2:])
    blocks = torch.cat(
        [avg_pool2d(b - a, side).flatten() for b, a in zip(before, after, strict=True)]
    )
    error = blocks.std() / len(blocks) ** 0.5 if len(blocks) > 1 else torch.tensor(torch.inf)
    first, second = (
        float(torch.cat([losses.flatten() for losses in pieces]).mean())
        for pieces in (before, after)
    )
    return Risk(first, second, float(error))


def stage_of(progress: Progress | None, stage: int, stages: int) -> Progress | None:
    """Progress over all stages, each taken for as long as the others, from that within one."""
    if progress is None:
        return None
    return lambda done, steps: progress(stage * steps + done, stages * steps)

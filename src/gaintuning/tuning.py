"""The one loop that adapts a network to an image, and the decision to keep what it found."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import torch
from torch import Generator, Tensor, nn

from gaintuning._types import Images, Objective, Progress
from gaintuning.descent import ConfirmedAdam
from gaintuning.fused import fuse
from gaintuning.gains import channel_gains, fold, free_parameters, gains_by_layer
from gaintuning.hardware import freed_memory_kept, has_bfloat16_units
from gaintuning.judging import (
    JUDGED,
    Losses,
    Risk,
    compare,
    judged_pieces,
    masked_mean,
    pixel_losses,
    split_pixels,
)
from gaintuning.layout import lay_out_images, lay_out_network
from gaintuning.patches import every_part

MOST_DRAWS = 4
"""Of a small image so many draws of the judge's probes or masks are taken together."""

Parameters: TypeAlias = Callable[[nn.Module], nn.Module]


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

    def keeps(self, fall: Risk, noisy: Images) -> bool:
        """Whether the risk fell by more than chance would have it.

        One standard error will do, since how far to go was chosen on the same pixels and most of
        what does harm was left behind there; of few pixels it must be more.
        """
        errors: float = max(1.0, 128 / noisy[:, 0].numel() ** 0.5)
        return fall.before - fall.after > errors * fall.standard_error

    def goes_on_after(self, fall: Risk, noisy: Images) -> bool:
        """Whether a round brought so much that another may bring something.

        Of few pixels it must be more, since the risk also falls where their noise is fitted.
        """
        part = self.worthwhile * max(1.0, 256**2 / noisy[:, 0].numel())
        return fall.before - fall.after > max(part * abs(fall.before), 2 * fall.standard_error)


@dataclass(frozen=True)
class Tuned:
    """What `tune` found.

    Parameters
    ----------
    network : plain, of the class that was handed in: tuned if `accepted`, else the pre-trained.
    accepted : whether the risk fell by more than chance would have it.
    risk : the judge, before tuning and with the best that was found.
    gains : the gains that were found, by the name of their layer, accepted or not.
    losses : the objective on the pixels of each step.
    unseen_risk : the judge where nothing was learned, which tuning cannot flatter.
    """

    network: nn.Module
    accepted: bool
    risk: Risk
    gains: dict[str, Tensor]
    losses: list[float]
    unseen_risk: Risk


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
    moving = fuse_for(free, noisy)
    descent = ConfirmedAdam(free_parameters(free), schedule.rate_for(noisy))
    learn, judge_mask, unseen_mask = split_pixels(noisy, rng)
    # The same random draws judge throughout, and the parts of the image are taken in the same order
    # as those of the mask.
    seed = int(torch.randint(2**62, (), generator=rng))
    parts, masks = (
        every_part(images, schedule.pixels, Generator().manual_seed(seed))
        for images in (noisy, learn)
    )
    judged, unseen = (judged_pieces(mask, seed) for mask in (judge_mask, unseen_mask))
    draws = max(1, min(MOST_DRAWS, JUDGED // noisy[:, 0].numel()))

    def losses_now() -> Losses:
        return pixel_losses(moving, noisy, judge, seed, draws)

    at_first = kept_losses = losses_now()
    kept, kept_positions = pretrained, descent.positions()
    losses: list[Tensor] = []
    for done in range(schedule.rounds):
        told = stage_of(progress, done, schedule.rounds)
        for step in range(schedule.steps):
            pixels = objective(moving, lay_out_images(next(parts)), rng)
            losses.append(gradient_step(masked_mean(pixels, next(masks)), descent))
            if told:
                told(step + 1, schedule.steps)
        descent.settle()
        found_losses = losses_now()
        last = done + 1 == schedule.rounds
        goes_on = (
            schedule.goes_on_after(compare(kept_losses, found_losses, judged), noisy) and not last
        )
        if not goes_on:
            found_losses = go_as_far_as_helps(
                descent, kept_positions, kept_losses, found_losses, losses_now, judged
            )
        fall = compare(kept_losses, found_losses, judged)
        helped = schedule.keeps(fall, noisy)
        if helped or done == 0:
            gains, last_losses = gains_by_layer(free), found_losses
        if helped:
            kept, kept_losses, kept_positions = fold(free), found_losses, descent.positions()
        if not goes_on:
            break
    risk, unseen_risk = (compare(at_first, last_losses, masks) for masks in (judged, unseen))
    told_losses = torch.stack(losses).tolist()
    return Tuned(kept, kept is not pretrained, risk, gains, told_losses, unseen_risk)


def go_as_far_as_helps(
    descent: ConfirmedAdam,
    start: Tensor,
    at_start: Losses,
    at_end: Losses,
    losses_now: Callable[[], Losses],
    judged: list[Tensor],
) -> Losses:
    """Go back from where the steps led towards where they began, if the risk is lower there.

    Along that line the risk is nearly a parabola, known from three of its points.
    """
    end = descent.positions()
    descent.move_to(start.lerp(end, 0.5))
    half_way = compare(at_start, losses_now(), judged)
    whole_way = compare(at_start, at_end, judged)
    best = lowest_of_parabola(half_way.after - half_way.before, whole_way.after - whole_way.before)
    if best > 0.9:
        descent.move_to(end)
        return at_end
    descent.move_to(start.lerp(end, best))
    return losses_now()


def lowest_of_parabola(half_way: float, whole_way: float) -> float:
    """Where between 0 and 1 a parabola through 0, and these at 1/2 and 1, is lowest.

    Examples
    --------
    >>> lowest_of_parabola(half_way=-1.0, whole_way=0.0)
    0.5
    """
    curvature = 2 * whole_way - 4 * half_way
    slope = whole_way - curvature
    if curvature <= 0:
        return 1.0 if whole_way < 0 else 0.0
    return min(max(-slope / (2 * curvature), 0.0), 1.0)


def fuse_for(free: nn.Module, noisy: Images) -> nn.Module:
    """The network with its free parameters, as fast as this machine can."""
    fast = has_bfloat16_units(noisy.device) and noisy.dtype == torch.float32
    return fuse(free, noisy[:1, :, :64, :64], torch.bfloat16 if fast else noisy.dtype)


def gradient_step(loss: Tensor, descent: ConfirmedAdam) -> Tensor:
    """Move the parameters downhill; the loss, without its graph."""
    for parameter in descent.parameters:
        parameter.grad = None
    loss.backward()
    descent.step()
    return loss.detach()


def stage_of(progress: Progress | None, stage: int, stages: int) -> Progress | None:
    """Progress over all stages, each taken for as long as the others, from that within one."""
    if progress is None:
        return None
    return lambda done, steps: progress(stage * steps + done, stages * steps)

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
    Losses,
    Risk,
    compare,
    draws_of_judge,
    judged_pieces,
    losses_unseen,
    mean_loss,
    pixel_losses,
)
from gaintuning.layout import lay_out_images, lay_out_network
from gaintuning.line_search import losses_along, lowest_along, surest_along
from gaintuning.noise import Noise
from gaintuning.patches import chess_board
from gaintuning.progress import stage_of
from gaintuning.validate import check_can_be_halved

ROUNDED = 0.05
"""Noise that is weaker leaves an error, of an image in [0, 1], to which bfloat16 would add."""

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

    steps: int = 24
    pixels: int = 256**2
    rate: float = 0.01
    rounds: int = 4
    worthwhile: float = 0.02

    def __post_init__(self) -> None:
        for name, fewest in (("steps", 1), ("pixels", 2), ("rounds", 1)):
            if getattr(self, name) < fewest:
                raise ValueError(f"{name} must be at least {fewest}, got {getattr(self, name)}")
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

    def caution_for(self, noisy: Images) -> float:
        """So many standard errors are taken off a fall of the risk; see `surest_along`.

        The bound is on the error of the image, and of few pixels the standard error is large, so
        of them it is more.
        """
        caution: float = max(1.0, 256 / noisy[:, 0].numel() ** 0.5)
        return caution

    def goes_on_after(self, fall: Risk, noisy: Images) -> bool:
        """Whether a round surely brought so much that another may bring something.

        Of few pixels it must be more, since the risk also falls where their noise is fitted.
        """
        part = self.worthwhile * max(1.0, 256**2 / noisy[:, 0].numel())
        return fall.before - fall.after > max(part * abs(fall.before), 3 * fall.standard_error)


@dataclass(frozen=True)
class Tuned:
    """What `tune` found.

    Parameters
    ----------
    network : plain, of the class that was handed in: tuned if `accepted`, else the pre-trained.
    accepted : whether the risk fell by more than chance would have it.
    risk : the judge, before tuning and with `gains`.
    gains : those of `network` if accepted, by the name of their layer; else `boldest_gains`.
    boldest_gains : those of the lowest risk, however sure that is.
    losses : the objective on the pixels of each step.
    optimism : by how much the judge is too low for `network` on these images, since it learned
        from them.
    """

    network: nn.Module
    accepted: bool
    risk: Risk
    gains: dict[str, Tensor]
    boldest_gains: dict[str, Tensor]
    losses: list[float]
    optimism: float


@freed_memory_kept()
@torch.inference_mode(False)
@torch.enable_grad()
def tune(
    network: nn.Module,
    noisy: Images,
    objective: Objective,
    *,
    judge: Objective | None = None,
    judge_error: Objective | None = None,
    parameters: Parameters = channel_gains,
    schedule: Schedule | None = None,
    rng: Generator,
    progress: Progress | None = None,
) -> Tuned:
    """Adapt a pre-trained network to noisy images, Eq. 3.

    Two copies of the network learn, each from one half of the images. The result is their mean,
    which has learned from all; how good it is on pixels that it has not seen follows from how good
    the two are on the half that they have not seen.

    Parameters
    ----------
    network : the pre-trained network; not changed.
    noisy : (n, c, h, w), with intensities as the network was trained on.
    objective : what to minimise.
    judge : what decides whether that helped; by default the objective itself. One whose value has
        a meaning need not be the one whose gradient has the least noise.
    judge_error : what the judge is off by, if all is wrong by a standard error that it has to be
        told, such as the level of the noise; by default nothing.
    parameters : what may move: `channel_gains`, `all_parameters` or a partial `last_layers`.
    schedule : how long and how fast.
    rng : source of randomness, on the CPU: the same state gives the same result.
    progress : called after each step with the number done and the number in all, if no round
        is left out, and at the end.

    Raises
    ------
    ValueError : they have too few pixels to learn from one half, or some are not finite.

    Examples
    --------
    >>> from gaintuning.networks import UNet
    >>> from gaintuning.objectives import Sure
    >>> noisy = torch.rand(1, 1, 32, 32)
    >>> rng = torch.Generator().manual_seed(0)
    >>> tuned = tune(UNet(), noisy, Sure(0.1), schedule=Schedule(steps=2), rng=rng)
    >>> denoised = tuned.network(noisy)
    """
    check_can_be_halved(noisy)
    schedule, judge = schedule or Schedule(), judge or objective
    # The same random draws judge throughout.
    seed = int(torch.randint(2**62, (), generator=rng))
    windows = chess_board(noisy, schedule.pixels // 2)
    parts = [half.draw(schedule.pixels // 2, Generator().manual_seed(seed)) for half in windows]
    *learners, mean = (
        Copy(parameters(network), noisy, schedule.rate_for(noisy))
        for _ in ("black", "white", "mean")
    )
    of_black = judged_pieces(windows[0].mask(), seed)
    draws = draws_of_judge(noisy)

    def losses_at(positions: list[Tensor]) -> tuple[Losses, Losses]:
        """Of the mean, as if it had not learned from these pixels, and as it has."""
        for learner, position in zip(learners, positions, strict=True):
            learner.descent.move_to(position)
        mean.descent.move_to(torch.stack(positions).mean(0))
        black, white, both = (
            pixel_losses(each.moving, noisy, judge, seed, draws) for each in (*learners, mean)
        )
        return losses_unseen(black, white, both, of_black), both

    def error_of_mean() -> float:
        """What the judge is off by for the mean of the two, as it is now."""
        if judge_error is None:
            return 0.0
        return mean_loss(pixel_losses(mean.moving, noisy, judge_error, seed))

    first = starts = [learner.descent.positions() for learner in learners]
    at_first = at_starts = seen_at_starts = pixel_losses(mean.moving, noisy, judge, seed, draws)
    error_at_first = error_at_starts = error_of_mean()
    losses: list[Tensor] = []
    for done in range(schedule.rounds):
        told = stage_of(progress, done, schedule.rounds)
        for step in range(schedule.steps):
            found = [
                learner.step(objective, next(part), rng)
                for learner, part in zip(learners, parts, strict=True)
            ]
            losses.append(torch.stack(found).mean())
            if told:
                told(step + 1, schedule.steps)
        ends = [learner.descent.settled() for learner in learners]
        at_ends, seen_at_ends = losses_at(ends)
        error_at_ends = error_of_mean()
        off_by = error_at_starts - error_at_ends
        fall = compare(at_starts, at_ends, off_by)
        if done + 1 == schedule.rounds or not schedule.goes_on_after(fall, noisy):
            break
        starts, at_starts, seen_at_starts = ends, at_ends, seen_at_ends
        error_at_starts = error_at_ends

    if progress and done + 1 < schedule.rounds:
        progress(1, 1)
    middles = [start.lerp(end, 0.5) for start, end in zip(starts, ends, strict=True)]
    at_middles, seen_at_middles = losses_at(middles)
    way, seen_way = (
        (at_starts, at_middles, at_ends),
        (seen_at_starts, seen_at_middles, seen_at_ends),
    )
    start, end = torch.stack(starts).mean(0), torch.stack(ends).mean(0)

    def go(part: float) -> dict[str, Tensor]:
        mean.descent.move_to(start.lerp(end, part))
        return gains_by_layer(mean.free)

    lowest = lowest_along(*way)
    surest = surest_along(*way, schedule.caution_for(noisy), off_by)
    boldest_gains = go(lowest)
    accepted = surest > 0 or starts is not first
    gains = go(surest) if accepted else boldest_gains
    at_best = losses_along(surest if accepted else lowest, *way)
    risk = compare(at_first, at_best, error_at_first - error_of_mean())
    optimism = mean_loss(losses_along(surest, *way)) - mean_loss(losses_along(surest, *seen_way))
    kept = fold(mean.free) if accepted else lay_out_network(fold(network))
    return Tuned(
        kept,
        accepted,
        risk,
        gains,
        boldest_gains,
        torch.stack(losses).tolist(),
        optimism,
    )


class Copy:
    """A copy of a network whose free parameters can be moved.

    Parameters
    ----------
    free : the network, see `Parameters`.
    noisy : images like those that it will see.
    rate : of its first steps.
    """

    def __init__(self, free: nn.Module, noisy: Images, rate: float) -> None:
        self.free = lay_out_network(free)
        self.moving = fuse_for(self.free, noisy)
        self.descent = ConfirmedAdam(free_parameters(self.free), rate)

    def step(self, objective: Objective, part: Images, rng: Generator) -> Tensor:
        """Go a step downhill; the objective before it."""
        loss = objective(self.moving, lay_out_images(part), rng).mean()
        return gradient_step(loss, self.descent)


def fuse_for(free: nn.Module, noisy: Images, *, exact: bool = False) -> nn.Module:
    """The network with its free parameters, as fast as this machine can.

    Unless it must be `exact`, in bfloat16 where that is faster.
    """
    fast = has_bfloat16_units(noisy.device) and noisy.dtype == torch.float32 and not exact
    return fuse(free, noisy[:1, :, :64, :64], torch.bfloat16 if fast else noisy.dtype)


def fuse_to_apply(network: nn.Module, images: Images, noise: Noise) -> nn.Module:
    """A network that is not tuned any more, likewise; exact where the noise is weak."""
    level = float(noise.variance(images).mean() ** 0.5)
    return fuse_for(channel_gains(network), images, exact=level < ROUNDED)


def gradient_step(loss: Tensor, descent: ConfirmedAdam) -> Tensor:
    """Move the parameters downhill; the loss, without its graph."""
    for parameter in descent.parameters:
        parameter.grad = None
    loss.backward()
    descent.step()
    return loss.detach()

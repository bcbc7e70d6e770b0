"""An attempt at a channel: what the network sees of it, tuned to that, and what it makes of it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from math import hypot
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from torch import Generator, Tensor, nn

from gaintuning._types import Images, Objective, Progress
from gaintuning.adaptation import Adaptation
from gaintuning.adapting import (
    SURELY,
    error_of_judge,
    fall_by_orientations,
    learned,
    lowered,
    with_errors,
    withdrawn_if_too_much,
)
from gaintuning.binning import binned, over_bins
from gaintuning.choosing import ObjectiveName, choose_objective, reason_for
from gaintuning.judging import MOST_DRAWS, Losses, Risk, compare, pixel_losses
from gaintuning.like_places import filter_if_better
from gaintuning.orientations import MeanOfOrientations
from gaintuning.progress import stage_of
from gaintuning.tiles import run
from gaintuning.trust import risk_of
from gaintuning.tuning import Schedule, fuse_to_apply, tune

Output: TypeAlias = NDArray[np.float64]


@dataclass(frozen=True)
class Attempt:
    """What came of one way to see a channel.

    Parameters
    ----------
    adaptation : what was learned.
    unit : the planes, as the network sees them.
    network : for their pixels; tuned if that helped.
    refined : `network`, or what asks it in all orientations and filters like places, if that is
        better.
    pretrained, once : (n, c, h, w), what the pre-trained network makes of them, and what `network`
        does.
    optimism : by how much an estimated error of `network` is too low on the planes that it was
        tuned on, in squared units of the image.
    falls : of that error, by all orientations and by like places, as far as they were taken.
    """

    adaptation: Adaptation
    unit: Images
    network: nn.Module
    refined: nn.Module
    pretrained: Output
    once: Output
    optimism: float = 0.0
    falls: tuple[Risk, ...] = ()

    def losses(self, some: Tensor) -> Losses:
        """Whose mean is the estimated error of some of the planes, in the units of the image."""
        adaptation = self.adaptation
        few = self.unit[some].to(next(self.network.parameters()).device)
        risk = risk_of(adaptation.noise_seen)
        found = pixel_losses(self.network, few, risk, seed=0, draws=MOST_DRAWS)
        square = adaptation.network_sees.width**2
        too_low = self.optimism - sum(fall.before - fall.after for fall in self.falls)
        return [square * losses + too_low for losses in found]

    def output(self, progress: Progress | None = None) -> Output:
        """What `refined` makes of the planes: the result."""
        if self.refined is self.network:
            if progress:
                progress(1, 1)
            return self.once
        return run(self.refined, self.unit, progress, reach_of=self.network)


def best_attempt(attempts: Sequence[Attempt], some: Tensor) -> Attempt:
    """The first, unless another is surely better on some of the planes."""
    best, *others = attempts
    for other in others:
        off_by = hypot(*(fall.standard_error for fall in (*best.falls, *other.falls)))
        if compare(best.losses(some), other.losses(some), off_by).certainty > SURELY:
            best = other
    return best


def untuned_attempt(
    network: nn.Module, adaptation: Adaptation, unit: Images, progress: Progress | None = None
) -> Attempt:
    """What the pre-trained network makes of the planes as it is."""
    output = run(network, unit, progress)
    return Attempt(adaptation, unit, network, network, output, output)


def tuned_attempt(
    ready: nn.Module,
    adaptation: Adaptation,
    unit: Images,
    some: Tensor,
    objective: ObjectiveName,
    *,
    orientations: bool,
    nonlocal_bayes: bool,
    schedule: Schedule,
    rng: Generator,
    progress: Progress | None = None,
) -> Attempt:
    """Tune a network to the planes, and keep what helps.

    Parameters
    ----------
    ready : the pre-trained network for this attempt, of the means over bins.
    adaptation : what is known of the channel, and how the network sees it.
    unit : the planes, as the network sees them.
    some : the numbers of the planes to tune on.
    objective, orientations, nonlocal_bayes, schedule, progress : as in `denoise`.
    rng : source of randomness, on the CPU.
    """
    few = unit[some].to(next(ready.parameters()).device)
    means = binned(few, adaptation.bins)
    of_pixels = partial(over_bins, factor=adaptation.bins)
    before = once = run(of_pixels(ready), unit, stage_of(progress, 0, 3))
    label, loss, judge = choose_objective(
        objective,
        ready,
        adaptation.noise_in_bins,
        blind=adaptation.blind,
        of_the_model=adaptation.noise_is_of_the_model,
    )
    tuned = tune(
        ready,
        means,
        loss,
        judge=judge,
        judge_error=error_of_judge(adaptation),
        schedule=schedule,
        rng=rng,
        progress=stage_of(progress, 1, 3),
    )
    reason = reason_for(
        objective, adaptation.noise, blind=adaptation.blind, stride=adaptation.stride
    )
    adaptation = learned(adaptation, label, reason, tuned)
    if tuned.accepted:
        changed = run(of_pixels(tuned.network), unit, stage_of(progress, 2, 3))
        adaptation = withdrawn_if_too_much(adaptation, unit, before, changed)
        if adaptation.accepted:
            once = changed
    if adaptation.noise_is_as_modelled:
        adaptation = with_errors(adaptation, of_pixels(ready), tuned, few)
        if adaptation.error_is_impossible:
            adaptation, once = replace(adaptation, accepted=False), before
    kept, optimism = (tuned.network, tuned.optimism) if adaptation.accepted else (ready, 0.0)
    adaptation, refined, falls = _refined(
        adaptation,
        kept,
        means,
        judge,
        optimism,
        orientations=orientations,
        nonlocal_bayes=nonlocal_bayes,
    )
    square = adaptation.network_sees.width**2
    network = of_pixels(kept)
    return Attempt(
        adaptation,
        unit,
        network,
        of_pixels(refined) if falls else network,
        before,
        once,
        optimism * square,
        tuple(fall.scaled(square) for fall in falls),
    )


def _refined(
    adaptation: Adaptation,
    kept: nn.Module,
    means: Tensor,
    judge: Objective,
    optimism: float,
    *,
    orientations: bool,
    nonlocal_bayes: bool,
) -> tuple[Adaptation, nn.Module, list[Risk]]:
    """A network in all orientations, and then with like places filtered together, if that helps.

    With how far the estimated error falls by each step that is taken.
    """
    if not orientations and not nonlocal_bayes:
        return adaptation, kept, []
    best, falls = fuse_to_apply(kept, means, adaptation.noise_in_bins), list[Risk]()
    if orientations:
        mean = MeanOfOrientations(best)
        if fall := fall_by_orientations(mean, means, judge, optimism):
            best, falls = mean, [fall]
            adaptation = replace(adaptation, orientations=8)
    if nonlocal_bayes and adaptation.noise_is_as_modelled:
        noise, unsure = adaptation.noise_in_bins, adaptation.variance_error
        best, steps = filter_if_better(best, noise, means, unsure)
        falls += steps
        adaptation = replace(adaptation, nonlocal_bayes=bool(steps))
    return lowered(adaptation, falls), best, falls

"""The steps by which one channel is adapted to: each takes what was learned, and adds to it."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Generator, Tensor, nn

from gaintuning import zoo
from gaintuning._types import Denoiser, Images, Objective
from gaintuning.adaptation import Adaptation, Array
from gaintuning.binning import binned
from gaintuning.error_map import expected_error
from gaintuning.filling_in import FilledIn, fill_in
from gaintuning.judging import Losses, Risk, compare, judged_pieces, pixel_losses
from gaintuning.layout import lay_out_network
from gaintuning.noise import Gaussian, Noise, Poisson, PoissonGaussian
from gaintuning.noise_estimation import NoiseEstimate, estimate_noise
from gaintuning.objectives import LevelError
from gaintuning.orientations import MeanOfOrientations
from gaintuning.patches import cut
from gaintuning.scaling import IntensityRange, find_range
from gaintuning.stabilizing import of_inner_network
from gaintuning.trust import Residual, estimate_error, residual_of
from gaintuning.tuning import Tuned

CROP, CROPS = 128, 4
"""Side, about, and number of the crops of which the mean of all orientations is judged."""

MORE_DRAWS = 4
"""So many times as many draws tell whether all orientations are better where they may not be."""

DIFFERENT = 2.0
"""So many times the variance."""

SURELY = 2.0
"""By so many of its standard errors an attempt, or like places, must lower the estimated error."""


def look_at(
    planes: Array,
    noise: Noise | Literal["auto"],
    intensity_range: tuple[float, float] | None,
    of_any_noise: nn.Module,
    which: str,
    *,
    blind: bool,
    rng: Generator,
) -> tuple[Adaptation, FilledIn]:
    """Range and noise of one channel, stated or found; and the channel, filled in.

    Both by a network that serves by default; see `default_network`.
    """
    if noise != "auto" and not isinstance(noise, (Gaussian, Poisson, PoissonGaussian)):
        raise TypeError(
            "noise must be Gaussian(sigma), Poisson(gain), PoissonGaussian(gain, sigma) or 'auto', "
            f"got {noise!r}; say which, as in gaintuning.Gaussian(25)"
        )
    try:
        stated = intensity_range
        scale = find_range(planes) if stated is None else IntensityRange(*stated)
        if noise == "auto":
            estimate = estimate_noise(planes, of_any_noise)
        else:
            estimate = _look_at_stated(noise, planes, of_any_noise)
    except ValueError as error:
        raise ValueError(f"{which}{error}") from error
    model = estimate.noise
    filled = fill_in(planes, model, of_any_noise, rng, of_the_model=estimate.is_of_the_model)
    found = Adaptation(
        scale,
        scale,
        model,
        estimate,
        level=float(filled.level.mean()),
        cut_off=float(filled.drawn.mean()),
        single=int(filled.single.sum()),
        blind=blind,
    )
    return found, filled


def _look_at_stated(
    noise: Gaussian | Poisson | PoissonGaussian, planes: Array, network: nn.Module
) -> NoiseEstimate:
    """Raise if no pixel has any by that; see whether all of the image has it, if it tells."""
    # The variance is a line, so it is largest at an end.
    ends = torch.tensor([float(planes.min()), float(planes.max())])
    if not float(noise.variance(ends).max()) > 0:
        raise ValueError(f"no pixel has noise by {noise}; state that of this image, or auto")
    try:
        return estimate_noise(planes, network, stated=noise)
    except ValueError:  # where hardly anything varies
        return NoiseEstimate(noise, 0.0, stated=True)


def find_noise(planes: Array, device: torch.device) -> NoiseEstimate:
    """The noise of (n, samples, height, width) planes, by the network that serves by default."""
    return estimate_noise(planes, default_network(device))


def noise_differs(planes: Array, of_any_noise: nn.Module) -> bool:
    """Whether it is stronger in some samples of (n, samples, height, width) than in others."""
    try:
        together, *alone = (
            estimate_noise(some, of_any_noise).noise
            for some in (planes, *np.split(planes, planes.shape[1], axis=1))
        )
    except ValueError:  # where some of them hardly vary
        return False
    means = [torch.tensor(float(planes[:, index].mean())) for index in range(planes.shape[1])]
    beside = [
        float(noise.variance(mean) / together.variance(mean).clamp(min=1e-30))
        for noise, mean in zip(alone, means, strict=True)
    ]
    return max(beside) > DIFFERENT * min(beside)


def default_network(device: torch.device) -> nn.Module:
    """That tells of an image's noise whatever network denoises it."""
    return lay_out_network(zoo.load(zoo.DEFAULT)[0].to(device))


def error_of_judge(adaptation: Adaptation) -> Objective | None:
    """What the estimated risk is off by, if a level that was found is by a standard error."""
    if not (adaptation.noise_was_found and adaptation.has_a_risk):
        return None
    return LevelError(adaptation.noise_in_bins, part=adaptation.variance_error)


def learned(adaptation: Adaptation, objective: str, reason: str, tuned: Tuned) -> Adaptation:
    """With what tuning found by a loss, in the squared units of the image."""
    square = adaptation.network_sees.width**2
    gains, boldest = (
        of_inner_network(found, stabilized=adaptation.stabilized)
        for found in (tuned.gains, tuned.boldest_gains)
    )
    return replace(
        adaptation,
        objective=objective,
        reason=reason,
        accepted=tuned.accepted,
        risk=tuned.risk.scaled(square),
        gains=gains,
        boldest_gains=boldest,
        losses=tuple(square * loss for loss in tuned.losses),
    )


def with_errors(
    adaptation: Adaptation,
    pretrained: nn.Module,
    tuned: Tuned,
    few: Images,
) -> Adaptation:
    """With the estimated errors of both results, in the squared units of the image."""
    square = adaptation.network_sees.width**2
    noise = adaptation.noise_seen
    before = estimate_error(pretrained, few, noise, adaptation.variance_error)
    after = before.lowered_by(tuned.risk) if adaptation.accepted else before
    return replace(adaptation, pretrained_error=before.scaled(square), error=after.scaled(square))


def lowered(adaptation: Adaptation, falls: Sequence[Risk]) -> Adaptation:
    """With an estimated error that fell, in the units that the network sees."""
    square = adaptation.network_sees.width**2
    error = adaptation.error
    for fall in falls:
        error = error and error.lowered_by(fall.scaled(square))
    return replace(adaptation, error=error)


@torch.inference_mode()
def fall_by_orientations(
    mean: MeanOfOrientations, few: Images, judge: Objective, optimism: float
) -> Risk | None:
    """What the mean of all orientations brings; None if it may not be taken.

    It is better than the eight by what they lie apart. It may still be worse than the network
    without any turn, if that was trained or tuned for scenes of one orientation: some crops are
    asked that. On them the judge is too low by `optimism` for what learned from them.
    """
    crops = crops_to_judge(few)
    apart = mean.variance(crops).cpu().double()
    once, eight = (torch.cat(losses_of_crops(each, crops, judge)) for each in (mean.network, mean))
    once = once + optimism
    of_each = eight + apart
    harm = compare([of_each], [once])
    rounding = 1e-6 * float(of_each.abs().mean())
    if harm.before - harm.after <= max(2 * harm.standard_error, rounding):
        return compare([apart], [0 * apart])
    # These two differ by less than a few draws of the judge can tell.
    surer = (losses_of_crops(each, crops, judge, MORE_DRAWS) for each in (mean.network, mean))
    once, eight = map(torch.cat, surer)
    fall = compare([once + optimism], [eight])
    return fall if fall.after < fall.before else None


def crops_to_judge(few: Tensor) -> Tensor:
    """A few parts of the planes, where a whole image would take too long."""
    return next(cut(few, CROP**2).draw(CROPS * CROP**2, Generator().manual_seed(0)))


def losses_of_crops(denoiser: Denoiser, crops: Tensor, judge: Objective, times: int = 1) -> Losses:
    """The objective pixel by pixel; of few crops the mean over several draws, or so many times."""
    draws = times * max(1, CROPS // len(crops))
    return pixel_losses(denoiser, crops, judge, seed=0, draws=draws)


def with_residual(
    adaptation: Adaptation,
    unit: Images,
    denoised: NDArray[np.float64],
) -> Adaptation:
    """With what was taken away from the image, or from parts of a large one."""
    return replace(adaptation, residual=_residual(adaptation, unit, denoised))


def _residual(
    adaptation: Adaptation,
    unit: Images,
    denoised: NDArray[np.float64],
) -> Residual:
    before, after = (
        binned(torch.cat(judged_pieces(images, seed=0)), adaptation.bins)
        for images in (unit, torch.from_numpy(denoised))
    )
    return residual_of(before, after, adaptation.noise_in_bins)


def withdrawn_if_too_much(
    adaptation: Adaptation,
    unit: Images,
    pretrained: NDArray[np.float64],
    tuned: NDArray[np.float64],
) -> Adaptation:
    """Not accepted after all, if tuning took details away that the pre-trained network leaves.

    The risk would tell, but the noise that it is estimated for may not be the noise of the image.
    """
    left, taken = (_residual(adaptation, unit, denoised) for denoised in (pretrained, tuned))
    if taken.holds_details and not left.holds_details:
        return replace(adaptation, accepted=False, withdrawn=True)
    return adaptation


def error_map(
    adaptation: Adaptation,
    network: nn.Module,
    unit: Images,
    denoised: NDArray[np.float64],
) -> NDArray[np.float32]:
    """The error that is expected of each pixel, in the units of the image; NaN if nobody knows."""
    if adaptation.blind or not adaptation.noise_is_as_modelled:
        return np.full(denoised.shape, np.nan, np.float32)
    width = adaptation.network_sees.width
    error = adaptation.error.scaled(width**-2) if adaptation.error else None
    noise = adaptation.noise_seen
    return width * expected_error(network, unit, denoised, noise, error)

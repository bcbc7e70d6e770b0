"""What is learned about one channel of an image, from its intensities to the error that is left."""

from dataclasses import dataclass, field, replace
from typing import Literal, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Generator, Tensor, nn

from gaintuning import zoo
from gaintuning._types import Images, Objective
from gaintuning.choosing import error_to_compare_by, estimated_error
from gaintuning.contrast import find_contrast, with_contrast
from gaintuning.error_map import expected_error
from gaintuning.gains import channel_gains
from gaintuning.judging import Risk, compare, judged_pieces, mean_loss, pixel_losses
from gaintuning.layout import lay_out_network
from gaintuning.noise import Gaussian, Noise, Poisson, PoissonGaussian
from gaintuning.noise_estimation import NoiseEstimate, estimate_noise
from gaintuning.objectives import LevelError
from gaintuning.orientations import MeanOfOrientations
from gaintuning.patches import random_crops
from gaintuning.scaling import IntensityRange, find_range
from gaintuning.stabilizing import Stabilized
from gaintuning.trust import ErrorEstimate, Residual, estimate_error, residual_of
from gaintuning.tuning import Tuned, fuse_for

Array: TypeAlias = NDArray[np.generic]

MUCH_CLIPPED = 0.05
"""With this part of the pixels cut off, what a risk estimate says is no longer the error."""

CROP, CROPS = 128, 4
"""Side and number of the crops of which the mean of all orientations is judged."""


@dataclass(frozen=True)
class Adaptation:
    """What was learned about one channel of an image (most images have one).

    Parameters
    ----------
    intensity_range : the intensities that were mapped to 0 and 1.
    noise : the noise model, in the units of the image.
    estimate : how the noise was found in the image; None if it was given.
    blind : whether the network does not see a pixel in its own place.
    contrast : the network saw the intensities with this part of their contrast, since the noise is
        then one that it knows; 1 if it knew it already.
    stabilized : whether the network saw shot noise made equally strong everywhere.
    objective : name of the loss that was minimised; empty if nothing was tuned.
    accepted : whether the tuned gains were kept.
    withdrawn : whether they would have been, had they not taken away more than the noise.
    risk : what decided, before and after tuning, in squared units of the image.
    orientations : in how many of them the image was denoised, to take the mean: 1 or 8.
    residual : what was taken away to make the result, against the noise.
    pretrained_error, error : the mean squared error of the pre-trained network's result and of the
        image that is returned, estimated without the clean image, in the same units; None where
        the noise is not independent from pixel to pixel, much of it is cut off, or the network does
        not see every pixel.
    gains : the gains that were found, by the name of their layer.
    boldest_gains : those with which the estimated risk is lowest; further from 1 than what was
        kept, which the standard error of the risk holds back.
    losses : the objective step by step, in the same units.
    """

    intensity_range: IntensityRange
    noise: Noise
    estimate: NoiseEstimate | None = None
    blind: bool = False
    contrast: float = 1.0
    stabilized: bool = False
    objective: str = ""
    accepted: bool = False
    withdrawn: bool = False
    risk: Risk | None = None
    orientations: int = 1
    residual: Residual | None = None
    pretrained_error: ErrorEstimate | None = None
    error: ErrorEstimate | None = None
    gains: dict[str, Tensor] = field(default_factory=dict)
    boldest_gains: dict[str, Tensor] = field(default_factory=dict)
    losses: tuple[float, ...] = ()

    @property
    def stride(self) -> int:
        """Pixels must lie so many rows or columns apart for their noise to be independent."""
        return self.estimate.stride if self.estimate else 1

    @property
    def has_an_error_estimate(self) -> bool:
        """Whether the network sees all, and the noise is near enough to its model."""
        clipped = self.estimate.clipped if self.estimate else 0.0
        return not self.blind and self.stride == 1 and clipped < MUCH_CLIPPED

    @property
    def verdict(self) -> str:
        """What became of the tuning, in a sentence."""
        if self.risk is None:
            return "the pre-trained network was used as it is"
        if self.withdrawn:
            return "the pre-trained network was kept: the tuned one took away more than the noise"
        if not self.accepted:
            return (
                "the pre-trained network was kept: tuning did not lower the estimated risk by more "
                "than chance"
            )
        if self.pretrained_error is None or self.error is None:
            fell = (
                f"{self.objective} loss {self.risk.before:.4g} before, {self.risk.after:.4g} after"
            )
            return f"the tuned network was kept: {fell}"
        before, after = (one.mean_square for one in (self.pretrained_error, self.error))
        if min(before, after) <= 0:
            return "the tuned network was kept: the error that is left is too small to be estimated"
        return (
            f"the tuned network was kept: estimated error {before**0.5:.4g} before, "
            f"{after**0.5:.4g} after (root mean square; {10 * np.log10(before / after):+.2f} dB)"
        )

    @property
    def remarks(self) -> tuple[str, ...]:
        """What a user should know before believing the result, in sentences."""
        found = list(self.estimate.remarks) if self.estimate else []
        if self.contrast < 1:
            found.append(
                "the network took the noise away better at less contrast, so it saw the image with "
                f"{self.contrast:.2g} of its contrast"
            )
        if self.stabilized:
            found.append(
                "the network took the noise away better where Anscombe's transform had made it "
                "equally strong everywhere, so it saw the image like that"
            )
        if self.orientations > 1:
            found.append(
                f"the result is the mean over {self.orientations} orientations of the image"
            )
        return tuple(found)

    @property
    def doubts(self) -> tuple[str, ...]:
        """Why the result should not be trusted, in sentences; nothing if it may be."""
        if self.residual is None:
            return ()
        found = []
        taken = f"what was taken away is {self.residual.spread:.2f} times as strong as the noise"
        if self.residual.is_too_much:
            found.append(
                f"{taken}: either details of the image went with it, or there is more noise than "
                "that"
            )
        if self.residual.is_too_little:
            found.append(
                f"{taken}: most of the noise may still be there, as where it is not independent "
                "from pixel to pixel, or its level may be another"
            )
        if self.residual.is_correlated:
            found.append(
                f"neighbouring pixels of what was taken away correlate by "
                f"{self.residual.correlation:.2f}, which independent noise does not: it may hold "
                "details of the image"
            )
        return tuple(found)


def look_at(
    planes: Array,
    noise: Noise | Literal["auto"],
    intensity_range: tuple[float, float] | None,
    device: torch.device,
    which: str,
    *,
    blind: bool,
) -> Adaptation:
    """Range and noise of one channel, stated or found."""
    if noise != "auto" and not isinstance(noise, (Gaussian, Poisson, PoissonGaussian)):
        raise TypeError(
            "noise must be Gaussian(sigma), Poisson(gain), PoissonGaussian(gain, sigma) or 'auto', "
            f"got {noise!r}; say which, as in gaintuning.Gaussian(25)"
        )
    try:
        scale = IntensityRange(*intensity_range) if intensity_range else find_range(planes)
        if noise == "auto":
            estimate = find_noise(planes, device)
            return Adaptation(scale, estimate.noise, estimate, blind)
    except ValueError as error:
        raise ValueError(f"{which}{error}") from error
    return Adaptation(scale, noise, blind=blind)


def find_noise(planes: Array, device: torch.device) -> NoiseEstimate:
    """The noise of (n, samples, height, width) planes, by the network that serves by default."""
    return estimate_noise(
        planes.reshape(-1, *planes.shape[-2:]), lay_out_network(zoo.load(zoo.DEFAULT)[0].to(device))
    )


def bring_into_range(
    network: nn.Module, few: Images, adaptation: Adaptation
) -> tuple[nn.Module, Adaptation, IntensityRange]:
    """Less contrast, or shot noise stabilized, if the noise is then one that the network knows."""
    scale = adaptation.intensity_range
    if adaptation.blind or adaptation.stride > 1:
        return network, adaptation, scale
    noise, center = adaptation.noise.rescaled(scale.low, scale.high), float(few.mean())
    fast = fuse_for(channel_gains(network), few)
    if not isinstance(noise, (Poisson, PoissonGaussian)):
        contrast = find_contrast(fast, few, error_to_compare_by(noise, fast), center)
    else:
        stabilized = Stabilized(network, noise)
        fast_stabilized = fuse_for(channel_gains(stabilized), few)
        risk, _ = estimated_error(noise, fast_stabilized)
        contrast = find_contrast(fast, few, risk, center)
        without, with_it = (
            mean_loss(pixel_losses(each, few, risk, seed=0))
            for each in (with_contrast(fast, contrast, center), fast_stabilized)
        )
        if with_it < without:
            return stabilized, replace(adaptation, stabilized=True), scale
    if contrast == 1:
        return network, adaptation, scale
    return network, replace(adaptation, contrast=contrast), scale.stretched(1 / contrast, center)


def error_of_judge(adaptation: Adaptation, network_sees: IntensityRange) -> Objective | None:
    """What the estimated risk is off by, if a level that was found is by a standard error."""
    estimate = adaptation.estimate
    if estimate is None or adaptation.blind or adaptation.stride > 1:
        return None
    noise = adaptation.noise.rescaled(network_sees.low, network_sees.high)
    return LevelError(noise, part=2 * estimate.standard_error)


def learned(
    adaptation: Adaptation, objective: str, tuned: Tuned, network_sees: IntensityRange
) -> Adaptation:
    """With what tuning found, in the squared units of the image."""
    square = network_sees.width**2
    around = "network." if adaptation.stabilized else ""
    gains, boldest = (
        {layer.removeprefix(around): gain for layer, gain in found.items()}
        for found in (tuned.gains, tuned.boldest_gains)
    )
    return replace(
        adaptation,
        objective=objective,
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
    network_sees: IntensityRange,
) -> Adaptation:
    """With the estimated errors of both results, in the squared units of the image."""
    square = network_sees.width**2
    noise = adaptation.noise.rescaled(network_sees.low, network_sees.high)
    unsure = adaptation.estimate.standard_error if adaptation.estimate else 0.0
    before = estimate_error(pretrained, few, noise, unsure)
    after = before.lowered_by(tuned.risk) if adaptation.accepted else before
    return replace(adaptation, pretrained_error=before.scaled(square), error=after.scaled(square))


@torch.inference_mode()
def with_orientations(
    adaptation: Adaptation,
    mean: MeanOfOrientations,
    few: Images,
    judge: Objective,
    optimism: float,
    network_sees: IntensityRange,
) -> Adaptation:
    """Whether the mean of all orientations may be taken, and what it brings.

    It is better than the eight by what they lie apart. It may still be worse than the network
    without any turn, if that was trained or tuned for scenes of one orientation: some crops are
    asked that. On them the judge is too low by `optimism` for what learned from them.
    """
    side = min(CROP, *few.shape[-2:])
    crops = random_crops(few, side, CROPS, Generator().manual_seed(0))
    apart = mean.variance(crops).cpu().double()
    once, eight = (
        torch.cat(pixel_losses(each, crops, judge, seed=0)) for each in (mean.network, mean)
    )
    once = once + optimism
    of_each = eight + apart
    harm = compare([of_each], [once])
    rounding = 1e-6 * float(of_each.abs().mean())
    if harm.before - harm.after <= max(2 * harm.standard_error, rounding):
        fall = compare([apart], [0 * apart])
    else:
        fall = compare([once], [eight])
        if fall.after >= fall.before:
            return adaptation
    error = adaptation.error
    if error:
        error = error.lowered_by(fall.scaled(network_sees.width**2))
    return replace(adaptation, orientations=8, error=error)


def with_residual(
    adaptation: Adaptation,
    unit: Images,
    denoised: NDArray[np.float64],
    network_sees: IntensityRange,
) -> Adaptation:
    """With what was taken away from the image, or from parts of a large one."""
    return replace(adaptation, residual=_residual(adaptation, unit, denoised, network_sees))


def _residual(
    adaptation: Adaptation,
    unit: Images,
    denoised: NDArray[np.float64],
    network_sees: IntensityRange,
) -> Residual:
    noise = adaptation.noise.rescaled(network_sees.low, network_sees.high)
    before, after = (
        torch.cat(judged_pieces(images, seed=0)) for images in (unit, torch.from_numpy(denoised))
    )
    return residual_of(before, after, noise)


def withdrawn_if_too_much(
    adaptation: Adaptation,
    unit: Images,
    pretrained: NDArray[np.float64],
    tuned: NDArray[np.float64],
    network_sees: IntensityRange,
) -> Adaptation:
    """Not accepted after all, if tuning took details away that the pre-trained network leaves.

    The risk would tell, but the noise that it is estimated for may not be the noise of the image.
    """
    before, after = (
        _residual(adaptation, unit, denoised, network_sees) for denoised in (pretrained, tuned)
    )
    if after.holds_details and not before.holds_details:
        return replace(adaptation, accepted=False, withdrawn=True)
    return adaptation


def error_map(
    adaptation: Adaptation,
    network: nn.Module,
    unit: Images,
    denoised: NDArray[np.float64],
    network_sees: IntensityRange,
) -> NDArray[np.float32]:
    """The error that is expected of each pixel, in the units of the image; NaN if nobody knows."""
    if not adaptation.has_an_error_estimate:
        return np.full(denoised.shape, np.nan, np.float32)
    width = network_sees.width
    error = adaptation.error.scaled(width**-2) if adaptation.error else None
    noise = adaptation.noise.rescaled(network_sees.low, network_sees.high)
    return width * expected_error(network, unit, denoised, noise, error)

"""What was learned about one channel of an image, and how it is told."""

from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gaintuning.judging import Risk
from gaintuning.noise import Noise
from gaintuning.noise_estimation import NoiseEstimate
from gaintuning.scaling import IntensityRange
from gaintuning.trust import ErrorEstimate, Residual
from gaintuning.unshuffling import ALL, Stride

Array: TypeAlias = NDArray[np.generic]

FINE = 1.0
"""Whole numbers are too coarse for a result whose error is less: rounding would add a twelfth."""

IMPOSSIBLE = 3.0
"""An error that is estimated to be so many of its standard errors below zero is none."""

MUCH_CUT_OFF = 0.05
"""With this part of the pixels cut off, what a risk estimate says is no longer the error."""


@dataclass(frozen=True)
class Adaptation:
    """What was learned about one channel of an image (most images have one).

    Parameters
    ----------
    intensity_range : the intensities that were mapped to 0 and 1.
    network_sees : the same, after less contrast if the network saw that.
    noise : the noise model, in the units of the image.
    estimate : what the image tells of its noise, which may have been stated; None if it was not
        asked.
    level, cut_off : parts of the pixels in areas where nothing varies, and of those that were cut
        off at the lowest or the highest intensity; these were filled in, see `fill_in`.
    single : number of pixels far from all of their neighbours, likewise.
    bins : rows and columns of the bins whose means the network saw; 1 if it saw every pixel.
    blind : whether the network does not see a pixel in its own place.
    stabilized : whether the network saw shot noise made equally strong everywhere.
    objective, reason : name of the loss that was minimised, and why it was that one; empty if
        nothing was tuned.
    accepted : whether the tuned gains were kept.
    withdrawn : whether they would have been, had they not taken away more than the noise.
    risk : what decided, before and after tuning, in squared units of the image; of the bins' means.
    orientations : in how many of them the image was denoised, to take the mean: 1 or 8.
    nonlocal_bayes : whether places that look alike were filtered together after that.
    residual : what was taken away to make the result, against the noise; of the bins' means.
    pretrained_error, error : the mean squared error of the pre-trained network's result and of the
        image that is returned, estimated without the clean image, in the same units; None where
        the noise is not everywhere that of the model, or much of it is cut off.
    gains : the gains that were found, by the name of their layer.
    boldest_gains : those with which the estimated risk is lowest; further from 1 than what was
        kept, which the standard error of the risk holds back.
    losses : the objective step by step, in the same units.
    """

    intensity_range: IntensityRange
    network_sees: IntensityRange
    noise: Noise
    estimate: NoiseEstimate | None = None
    level: float = 0.0
    cut_off: float = 0.0
    single: int = 0
    bins: int = 1
    blind: bool = False
    stabilized: bool = False
    objective: str = ""
    reason: str = ""
    accepted: bool = False
    withdrawn: bool = False
    risk: Risk | None = None
    orientations: int = 1
    nonlocal_bayes: bool = False
    residual: Residual | None = None
    pretrained_error: ErrorEstimate | None = None
    error: ErrorEstimate | None = None
    gains: dict[str, Tensor] = field(default_factory=dict)
    boldest_gains: dict[str, Tensor] = field(default_factory=dict)
    losses: tuple[float, ...] = ()

    @property
    def stride(self) -> Stride:
        """The network sees only pixels together that lie so many rows and columns apart.

        Their noise is independent.
        """
        return self.estimate.stride if self.estimate else ALL

    @property
    def noise_is_of_the_model(self) -> bool:
        """Whether all pixels have the noise that the model says, as far as that was looked at."""
        return self.estimate is None or self.estimate.is_of_the_model

    @property
    def contrast(self) -> float:
        """The part of the contrast that the network saw, since it knows the noise then; or 1."""
        return self.intensity_range.width / self.network_sees.width

    @property
    def noise_seen(self) -> Noise:
        """The noise of a pixel, in the units that the network sees."""
        return self.noise.rescaled(self.network_sees.low, self.network_sees.high)

    @property
    def noise_in_bins(self) -> Noise:
        """That of their means, as the network sees it."""
        return self.noise_seen.averaged(self.bins**2)

    @property
    def noise_was_found(self) -> bool:
        """And not stated."""
        return self.estimate is not None and not self.estimate.stated

    @property
    def variance_error(self) -> float:
        """Standard error of the noise's variance, as a part of it; 0 where that was stated."""
        return self.estimate.variance_error if self.estimate else 0.0

    @property
    def has_a_risk(self) -> bool:
        """Whether the network sees all, and the noise is everywhere that of the model."""
        return not self.blind and self.noise_is_of_the_model

    @property
    def noise_is_as_modelled(self) -> bool:
        """Whether it is, and hardly any of it is cut off: the error can be estimated."""
        return self.noise_is_of_the_model and self.cut_off < MUCH_CUT_OFF

    @property
    def error_is_impossible(self) -> bool:
        """Whether it is surely estimated to be below zero, so that the noise is not as it was said.

        What is minimised is then no error.
        """
        estimates = [one for one in (self.pretrained_error, self.error) if one]
        return any(one.mean_square < -IMPOSSIBLE * one.standard_error for one in estimates)

    @property
    def is_finer_than_whole_numbers(self) -> bool:
        """Whether to round the result would add to its error more than a little."""
        if self.error is not None:
            return self.error.mean_square < FINE
        middle = torch.tensor((self.intensity_range.low + self.intensity_range.high) / 2)
        # By experience, a result's error is a third of the noise or less.
        return float(self.noise.variance(middle)) < 9 * FINE

    @property
    def verdict(self) -> str:
        """What became of the tuning, in a sentence."""
        if self.risk is None:
            as_it_is = "the pre-trained network was used as it is"
            if self.noise_is_of_the_model:
                return as_it_is
            return f"{as_it_is}: from noise of no model nothing can be learned by its level"
        if self.withdrawn:
            return "the pre-trained network was kept: the tuned one took away more than the noise"
        if not self.accepted and self.error_is_impossible:
            return (
                "the pre-trained network was kept: by the noise the error that is left would be "
                "below zero"
            )
        if not self.accepted:
            return (
                "the pre-trained network was kept: tuning did not lower the estimated risk by more "
                "than chance"
            )
        if self.has_a_risk and not self.noise_is_as_modelled:
            return (
                "the tuned network was kept: the estimated risk fell by more than chance; how "
                "large the error is cannot be told where so much is cut off"
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
        if self.stride != ALL:
            found.append(
                "so the network saw only pixels together that lie so far apart, a part of the "
                "image at a time, and once more the parts put together, to smooth what they do "
                "not share"
            )
        if self.cut_off > 0.01:
            found.append(
                "what was cut off was drawn as it could have been, before anything was learned"
            )
        if self.level:
            found.append(
                f"{self.level:.1%} of the pixels lie in areas where nothing varies, as in a frame "
                "or a mask: these stay as they are, and nothing was learned from them"
            )
        if self.single:
            found.append(
                f"{self.single} single pixels lie far beyond their neighbours, as where a camera "
                "is defective: these stay as they are, and nothing was learned from them"
            )
        if self.bins > 1:
            found.append(
                "the pixels are finer than what they show, so the network saw the means of bins of "
                f"{self.bins} x {self.bins}"
            )
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
        if self.nonlocal_bayes:
            found.append(
                "places of the image that look alike were filtered together (non-local Bayes), so "
                "look twice at what has no like"
            )
        return tuple(found)

    @property
    def doubts(self) -> tuple[str, ...]:
        """Why the result should not be trusted, in sentences; nothing if it may be."""
        if self.residual is None:
            return ()
        found = []
        if self.error_is_impossible:
            found.append(
                "the error that is left is estimated to be below zero, as no error is: the noise "
                "is weaker than that, or of another kind"
            )
        taken = f"what was taken away is {self.residual.spread:.2f} times as strong as the noise"
        if self.residual.is_too_much and self.noise_is_of_the_model:
            found.append(
                f"{taken}: either details of the image went with it, or there is more noise than "
                "that"
            )
        if self.residual.is_too_little:
            found.append(
                f"{taken}: most of the noise may still be there, as where it is not independent "
                "from pixel to pixel, or its level may be another"
            )
        if self.residual.has_lines:
            found.append(
                "rows or columns of what was taken away have offsets of their own, as no "
                "independent noise has: more of them may be left, and be taken for details"
            )
        elif self.residual.is_regular:
            found.append(
                "what was taken away holds a regular pattern: fringes or a lattice may have gone "
                "with the noise"
            )
        if self.residual.is_correlated:
            found.append(
                f"neighbouring pixels of what was taken away correlate by "
                f"{self.residual.correlation:.2f}, which independent noise does not: it may hold "
                "details of the image"
            )
        return tuple(found)

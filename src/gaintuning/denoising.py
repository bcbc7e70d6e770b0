"""Noisy image in, denoised image out: the whole path on one page."""

from dataclasses import astuple, dataclass, field, replace
from pathlib import Path
from time import perf_counter
from typing import Generic, Literal, TypeAlias, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from gaintuning import tuning, zoo
from gaintuning._types import Images, Progress
from gaintuning.choosing import choose_objective
from gaintuning.contrast import find_contrast
from gaintuning.gains import frozen_copy
from gaintuning.judging import Risk
from gaintuning.layout import lay_out_network
from gaintuning.noise import Gaussian, Noise, Poisson, PoissonGaussian
from gaintuning.noise_estimation import NoiseEstimate, estimate_noise
from gaintuning.planes import join_planes, split_planes
from gaintuning.scaling import IntensityRange, find_range, spread
from gaintuning.tiles import run_in_tiles
from gaintuning.trust import ErrorEstimate, estimate_error, risk_of
from gaintuning.tuning import Schedule, Tuned
from gaintuning.validate import (
    check_blind,
    check_large_enough_to_tune,
    check_pixels,
    default_axes,
    find_device,
    image_channels,
)

Array: TypeAlias = NDArray[np.generic]
PixelsT = TypeVar("PixelsT", Array, Tensor)
ObjectiveName: TypeAlias = Literal[
    "auto", "sure", "pure", "blind-spot", "neighbor2neighbor", "noise-resampling"
]

PLANES_TO_TUNE = 32
"""Of a longer stack this many planes, evenly spread, are tuned on; all are denoised."""


@dataclass(frozen=True)
class Adaptation:
    """What was learned about one channel of an image (most images have one).

    Parameters
    ----------
    intensity_range : the intensities that were mapped to 0 and 1.
    noise : the noise model, in the units of the image.
    estimate : how the noise was found in the image; None if it was given.
    contrast : the network saw the intensities with this part of their contrast, since the noise is
        then one that it knows; 1 if it knew it already.
    objective : name of the loss that was minimised; empty if nothing was tuned.
    accepted : whether the tuned gains were kept.
    risk : the judge on held-out pixels before and after tuning, in squared units of the image.
    pretrained_error, error : the mean squared error of the pre-trained network's result and of the
        image that is returned, estimated without the clean image, in the same units; None where
        the noise is not independent from pixel to pixel, or the network does not see every pixel.
    gains : the gains that were found, by the name of their layer.
    losses : the objective step by step, in the same units.
    """

    intensity_range: IntensityRange
    noise: Noise
    estimate: NoiseEstimate | None = None
    contrast: float = 1.0
    objective: str = ""
    accepted: bool = False
    risk: Risk | None = None
    pretrained_error: ErrorEstimate | None = None
    error: ErrorEstimate | None = None
    gains: dict[str, Tensor] = field(default_factory=dict)
    losses: tuple[float, ...] = ()

    @property
    def verdict(self) -> str:
        """What became of the tuning, in a sentence."""
        if self.risk is None:
            return "the pre-trained network was used as it is"
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
                "the noise is stronger than the network was trained for, so it saw the image with "
                f"{self.contrast:.2g} of its contrast"
            )
        return tuple(found)


@dataclass(frozen=True)
class Denoised(Generic[PixelsT]):
    """A denoised image and how it came about.

    Parameters
    ----------
    image : the result, in the shape, dtype and units of the noisy image.
    pretrained : what the pre-trained network gives without tuning, likewise.
    axes : a letter per axis.
    network : name of the network.
    adaptations : one for each channel along axis C, else a single one.
    seconds : time taken.
    """

    image: PixelsT
    pretrained: PixelsT
    axes: str
    network: str
    adaptations: tuple[Adaptation, ...]
    seconds: float


def denoise(
    image: PixelsT,
    *,
    axes: str | None = None,
    network: str | Path | nn.Module = zoo.DEFAULT,
    noise: Noise | Literal["auto"] = "auto",
    intensity_range: tuple[float, float] | None = None,
    objective: ObjectiveName = "auto",
    tune: bool = True,
    schedule: Schedule | None = None,
    seed: int = 0,
    device: str | torch.device = "auto",
    progress: Progress | None = None,
) -> Denoised[PixelsT]:
    """Denoise an image by GainTuning.

    The planes of a stack and the samples of a color image share one set of gains; each channel
    along axis C has its own range, noise and gains. Alpha stays as it is.

    Parameters
    ----------
    image : array or tensor of 2 to 4 axes and any real dtype; not changed.
    axes : a letter per axis: T time, Z depth, C channel, Y, X, S samples (red, green, blue). By
        default YX; YXS where the last axis of three is 3 or 4 long and the first is longer; else
        ZYX; TZYX.
    network : a name on board, a file, or any denoising module for intensities in [0, 1].
    noise : `Gaussian`, `Poisson` or `PoissonGaussian`, in the units of the image; "auto" finds
        model and level in the image.
    intensity_range : the intensities to map to 0 and 1; see `find_range` for the default.
    objective : "sure" for Gaussian noise, "pure" for shot noise, "blind-spot", "neighbor2neighbor"
        and "noise-resampling" for any; "auto" chooses, see `choose_objective`.
    tune : False for the pre-trained network alone.
    schedule : how long and how fast to tune.
    seed : the same seed gives the same result on the same machine.
    device : where to compute; "auto" is a GPU where there is one, else the CPU.
    progress : called now and then with the work done and the work in all.

    Raises
    ------
    ValueError, TypeError : the image, or what is asked of it, does not do; the message says why.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> noisy = rng.normal(loc=np.linspace(50, 200, 64), scale=20, size=(64, 64))
    >>> result = denoise(noisy, noise=Gaussian(20), schedule=Schedule(steps=3))
    >>> result.image.shape, result.adaptations[0].objective
    ((64, 64), 'sure')
    """
    start = perf_counter()
    pixels = _as_array(image)
    axes = axes or default_axes(pixels.shape)
    check_pixels(pixels, axes)
    channels = split_planes(pixels, axes)
    if tune:
        check_large_enough_to_tune(*channels.shape[-2:])
    where = find_device(device)
    pretrained, name = _load(network, where)
    together = image_channels(pretrained, channels.shape[2])
    number = next(pretrained.parameters()).dtype
    schedule = schedule or Schedule()
    rng = torch.Generator().manual_seed(seed)
    found = [
        _look_at(
            planes, noise, intensity_range, where, f"channel {index}: " if len(channels) > 1 else ""
        )
        for index, planes in enumerate(channels)
    ]
    blind = check_blind(pretrained, together)
    if tune:
        for one in found:  # what cannot be is told before the work starts
            choose_objective(objective, pretrained, one.noise, blind=blind)

    adaptations, tuned_outputs, pretrained_outputs = [], [], []
    for index, (planes, adaptation) in enumerate(zip(channels, found, strict=True)):
        stages = [
            tuning.stage_of(progress, 3 * index + part, 3 * len(channels)) for part in range(3)
        ]
        network_sees = adaptation.intensity_range
        unit = in_unit(planes, network_sees, together, number)
        if tune:
            few = unit[torch.from_numpy(spread(len(unit), PLANES_TO_TUNE))].to(where)
            adaptation, network_sees = bring_into_range(pretrained, few, adaptation, blind=blind)
            unit = in_unit(planes, network_sees, together, number)
        output = run(pretrained, unit, stages[0])
        pretrained_outputs.append(network_sees.from_unit(output).reshape(planes.shape))
        if tune:
            few = unit[torch.from_numpy(spread(len(unit), PLANES_TO_TUNE))].to(where)
            stride = adaptation.estimate.stride if adaptation.estimate else 1
            label, loss, judge = choose_objective(
                objective,
                pretrained,
                adaptation.noise.rescaled(network_sees.low, network_sees.high),
                blind=blind,
                stride=stride,
            )
            tuned = tuning.tune(
                pretrained,
                few,
                loss,
                judge=judge,
                schedule=schedule,
                rng=rng,
                progress=stages[1],
            )
            adaptation = learned(adaptation, label, tuned, network_sees)
            if not blind and stride == 1:
                adaptation = with_errors(adaptation, pretrained, tuned, few, network_sees)
            if tuned.accepted:
                output = run(tuned.network, unit, stages[2])
        tuned_outputs.append(network_sees.from_unit(output).reshape(planes.shape))
        adaptations.append(adaptation)
    return Denoised(
        _like(image, join_planes(np.stack(tuned_outputs), pixels, axes)),
        _like(image, join_planes(np.stack(pretrained_outputs), pixels, axes)),
        axes,
        name,
        tuple(adaptations),
        perf_counter() - start,
    )


@torch.inference_mode()
def run(
    network: nn.Module, images: Images, progress: Progress | None = None
) -> NDArray[np.float64]:
    """Apply a network to images one by one, large ones in tiles, which bounds the memory."""
    parameter = next(network.parameters())
    result = np.empty(images.shape, np.float64)
    for index, image in enumerate(images.split(1)):
        of_image = tuning.stage_of(progress, index, len(images))
        result[index] = run_in_tiles(network, image.to(parameter), of_image)[0].cpu().numpy()
    return result


def _as_array(image: Array | Tensor) -> Array:
    if isinstance(image, Tensor):
        image = image.detach().cpu()
        return np.asarray(image.float() if image.dtype == torch.bfloat16 else image)
    return np.asarray(image)


def _like(image: PixelsT, result: Array) -> PixelsT:
    if isinstance(image, Tensor):
        return torch.from_numpy(result).to(image)
    return result


def _load(network: str | Path | nn.Module, device: torch.device) -> tuple[nn.Module, str]:
    if isinstance(network, nn.Module):
        module, name = network, type(network).__name__
    else:
        module, name = zoo.load(network)[0], str(network)
    return lay_out_network(frozen_copy(module).to(device)), name


def _look_at(
    planes: Array,
    noise: Noise | Literal["auto"],
    intensity_range: tuple[float, float] | None,
    device: torch.device,
    which: str,
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
            return Adaptation(scale, estimate.noise, estimate)
    except ValueError as error:
        raise ValueError(f"{which}{error}") from error
    return Adaptation(scale, noise)


def find_noise(planes: Array, device: torch.device) -> NoiseEstimate:
    """The noise of (n, samples, height, width) planes, by the network that serves by default."""
    return estimate_noise(planes.reshape(-1, *planes.shape[-2:]), _load(zoo.DEFAULT, device)[0])


def in_unit(planes: Array, scale: IntensityRange, channels: int, number: torch.dtype) -> Images:
    """Planes as the network sees them, so many samples together."""
    unit = torch.from_numpy(scale.to_unit(planes)).to(number)
    return unit.reshape(-1, channels, *unit.shape[-2:])


def bring_into_range(
    network: nn.Module, few: Images, adaptation: Adaptation, *, blind: bool
) -> tuple[Adaptation, IntensityRange]:
    """Less contrast, if the noise is then one that the network knows better."""
    scale, estimate = adaptation.intensity_range, adaptation.estimate
    if blind or (estimate and estimate.stride > 1):
        return adaptation, scale
    center = float(few.mean())
    noise = adaptation.noise.rescaled(scale.low, scale.high)
    contrast = find_contrast(network, few, risk_of(noise), center)
    return replace(adaptation, contrast=contrast), scale.stretched(1 / contrast, center)


def learned(
    adaptation: Adaptation, objective: str, tuned: Tuned, network_sees: IntensityRange
) -> Adaptation:
    """With what tuning found, in the squared units of the image."""
    square = network_sees.width**2
    return replace(
        adaptation,
        objective=objective,
        accepted=tuned.accepted,
        risk=Risk(*(square * value for value in astuple(tuned.risk))),
        gains=tuned.gains,
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

    def error_of(network: nn.Module) -> ErrorEstimate:
        found = estimate_error(network, few, noise, unsure)
        return ErrorEstimate(*(square * value for value in astuple(found)))

    before = error_of(pretrained)
    return replace(
        adaptation,
        pretrained_error=before,
        error=error_of(tuned.network) if tuned.accepted else before,
    )

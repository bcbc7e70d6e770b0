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
from gaintuning._types import Images, Objective, Progress
from gaintuning.gains import frozen_copy
from gaintuning.layout import lay_out_network
from gaintuning.noise import Gaussian, Noise, estimate_gaussian
from gaintuning.objectives import (
    BlindSpot,
    BlindSpotByArchitecture,
    NoiseResampling,
    Recorrupted,
    Sure,
)
from gaintuning.planes import join_planes, split_planes
from gaintuning.scaling import IntensityRange, find_range, spread
from gaintuning.tiles import run_in_tiles
from gaintuning.tuning import Risk, Schedule, Tuned
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
ObjectiveName: TypeAlias = Literal["auto", "sure", "blind-spot", "noise-resampling"]

PLANES_TO_TUNE = 32
"""Of a longer stack this many planes, evenly spread, are tuned on; all are denoised."""


@dataclass(frozen=True)
class Adaptation:
    """What was learned about one channel of an image (most images have one).

    Parameters
    ----------
    intensity_range : the intensities that were mapped to 0 and 1.
    noise : the noise model, in the units of the image.
    noise_was_estimated : whether it was estimated from the image.
    objective : name of the loss that was minimised; empty if nothing was tuned.
    accepted : whether the tuned gains were kept.
    risk : the objective on the whole image before and after tuning, in squared units of the
        image; for "sure" it estimates the mean squared error against the clean image.
    gains : the gains that were found, by the name of their layer.
    losses : the objective on the random crops, step by step, in the same units.
    """

    intensity_range: IntensityRange
    noise: Noise
    noise_was_estimated: bool
    objective: str = ""
    accepted: bool = False
    risk: Risk | None = None
    gains: dict[str, Tensor] = field(default_factory=dict)
    losses: tuple[float, ...] = ()

    @property
    def verdict(self) -> str:
        """What became of the tuning, in a sentence."""
        if self.risk is None:
            return "the pre-trained network was used as it is"
        before, after = self.risk.before, self.risk.after
        if not self.accepted:
            return (
                "the pre-trained network was kept: tuning did not lower the estimated risk by more "
                "than its standard error"
            )
        if self.objective != "sure" or min(before, after) <= 0:
            fell = f"{self.objective} loss {before:.4g} before, {after:.4g} after"
        else:
            fell = (
                f"estimated error {before**0.5:.4g} before, {after**0.5:.4g} after "
                f"(root mean square; {10 * np.log10(before / after):+.2f} dB)"
            )
        return f"the tuned network was kept: {fell}"


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
    noise : `Gaussian` or `Poisson`, in the units of the image; "auto" estimates Gaussian noise.
    intensity_range : the intensities to map to 0 and 1; see `find_range` for the default.
    objective : "sure" for Gaussian noise, "blind-spot" and "noise-resampling" for any; "auto" is
        "sure" where the noise is Gaussian and the network sees every pixel, else "blind-spot".
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
        _look_at(planes, noise, intensity_range, f"channel {index}: " if len(channels) > 1 else "")
        for index, planes in enumerate(channels)
    ]
    if tune:
        objectives = [
            choose_objective(
                objective,
                pretrained,
                one.noise.rescaled(one.intensity_range.low, one.intensity_range.high),
                together,
            )
            for one in found
        ]

    adaptations, tuned_outputs, pretrained_outputs = [], [], []
    for index, (planes, adaptation) in enumerate(zip(channels, found, strict=True)):
        scale = adaptation.intensity_range
        stages = [
            tuning.stage_of(progress, 3 * index + part, 3 * len(channels)) for part in range(3)
        ]
        unit = torch.from_numpy(scale.to_unit(planes)).to(number)
        unit = unit.reshape(-1, together, *unit.shape[-2:])
        output = run(pretrained, unit, stages[0])
        pretrained_outputs.append(scale.from_unit(output).reshape(planes.shape))
        if tune:
            label, loss, judge = objectives[index]
            few = unit[torch.from_numpy(spread(len(unit), PLANES_TO_TUNE))].to(where)
            tuned = tuning.tune(
                pretrained,
                few,
                loss,
                judge=judge,
                schedule=schedule,
                rng=rng,
                progress=stages[1],
            )
            adaptation = _learned(adaptation, label, tuned)
            if tuned.accepted:
                output = run(tuned.network, unit, stages[2])
        tuned_outputs.append(scale.from_unit(output).reshape(planes.shape))
        adaptations.append(adaptation)
    return Denoised(
        _like(image, join_planes(np.stack(tuned_outputs), pixels, axes)),
        _like(image, join_planes(np.stack(pretrained_outputs), pixels, axes)),
        axes,
        name,
        tuple(adaptations),
        perf_counter() - start,
    )


def choose_objective(
    name: str, network: nn.Module, noise: Noise, channels: int
) -> tuple[str, Objective, Objective]:
    """The name of the loss, the one to minimise and the one to judge by.

    `noise` is in the units that the network sees.
    """
    blind = check_blind(network, channels)
    if name == "auto":
        name = "sure" if isinstance(noise, Gaussian) and not blind else "blind-spot"
    if name == "blind-spot":
        hidden = BlindSpotByArchitecture() if blind else BlindSpot()
        return name, hidden, hidden
    if name == "noise-resampling":
        resampled = NoiseResampling(network, noise)
        return name, resampled, resampled
    if name != "sure":
        raise ValueError(
            f"unknown objective {name!r}; known are auto, sure, blind-spot and noise-resampling"
        )
    if not isinstance(noise, Gaussian):
        raise ValueError(
            f"SURE needs Gaussian noise, and the noise is {noise}; use the objective blind-spot "
            "or noise-resampling"
        )
    return name, Recorrupted(noise.sigma), Sure(noise.sigma)


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
    which: str,
) -> Adaptation:
    """Range and noise of one channel, stated or found."""
    if noise != "auto" and not isinstance(noise, Noise):
        raise TypeError(
            f"noise must be Gaussian(sigma), Poisson(gain) or 'auto', got {noise!r}; say which, as "
            "in gaintuning.Gaussian(25)"
        )
    try:
        scale = IntensityRange(*intensity_range) if intensity_range else find_range(planes)
        if noise == "auto":
            return Adaptation(scale, estimate_noise(planes), noise_was_estimated=True)
    except ValueError as error:
        raise ValueError(f"{which}{error}") from error
    return Adaptation(scale, noise, noise_was_estimated=False)


def estimate_noise(planes: Array) -> Gaussian:
    """The noise of (n, ..., height, width) planes, from at most sixteen of them."""
    few = planes[spread(len(planes), 16)]
    return estimate_gaussian(few.reshape(-1, *few.shape[-2:]).astype(np.float64))


def _learned(adaptation: Adaptation, objective: str, tuned: Tuned) -> Adaptation:
    """With what tuning found, in the squared units of the image."""
    square = adaptation.intensity_range.width**2
    return replace(
        adaptation,
        objective=objective,
        accepted=tuned.accepted,
        risk=Risk(*(square * value for value in astuple(tuned.risk))),
        gains=tuned.gains,
        losses=tuple(square * loss for loss in tuned.losses),
    )

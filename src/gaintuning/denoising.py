"""Noisy image in, denoised image out: the whole path on one page."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Generic, Literal, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from gaintuning import zoo
from gaintuning._types import Images, Progress
from gaintuning.adaptation import Adaptation, Array
from gaintuning.adapting import (
    default_network,
    error_map,
    look_at,
    noise_differs,
    with_residual,
)
from gaintuning.attempts import best_attempt, tuned_attempt, untuned_attempt
from gaintuning.choosing import ObjectiveName, choose_objective
from gaintuning.filling_in import FILLING
from gaintuning.gains import frozen_copy
from gaintuning.in_range import bring_into_range
from gaintuning.joining import join
from gaintuning.layout import lay_out_network
from gaintuning.noise import Noise, parse_noise
from gaintuning.padding import for_any_size
from gaintuning.planes import colors_apart, join_planes, split_planes
from gaintuning.progress import stage_of
from gaintuning.randomness import generator
from gaintuning.scaling import IntensityRange, spread
from gaintuning.suited import ways_if_better
from gaintuning.tuning import Schedule
from gaintuning.unshuffling import one_of_each, shuffle, unshuffle
from gaintuning.validate import (
    check_blind,
    check_large_enough_to_tune,
    check_pixels,
    default_axes,
    find_device,
    image_channels,
)

PixelsT = TypeVar("PixelsT", Array, Tensor)

PLANES_TO_TUNE = 32
"""Of a longer stack this many planes, evenly spread, are tuned on; all are denoised."""


@dataclass(frozen=True)
class Denoised(Generic[PixelsT]):
    """A denoised image and how it came about.

    Parameters
    ----------
    image : the result, in the shape, dtype and units of the noisy image; float32 for one of whole
        numbers that are too coarse for it, such as few counts.
    pretrained : likewise before any gain moved: what the pre-trained network makes of the image as
        it is shown it, with less contrast, stabilized or in bins where that is better. By itself it
        may be worse; `tune=False` gives that. Where the noise of neighbours goes together, it sees
        only pixels together that lie apart, with `tune=False` too.
    expected_error : root mean squared error that is expected of each pixel of `image`, in its
        shape and units, as float32; NaN in channels where it cannot be told, see `Adaptation`.
    axes : a letter per axis.
    network : name of the network.
    adaptations : one for each channel along axis C, else a single one.
    seconds : time taken.
    """

    image: PixelsT
    pretrained: PixelsT
    expected_error: Array
    axes: str
    network: str
    adaptations: tuple[Adaptation, ...]
    seconds: float


@torch.inference_mode(False)
@torch.enable_grad()
def denoise(
    image: PixelsT,
    *,
    axes: str | None = None,
    network: str | Path | nn.Module = zoo.AUTO,
    noise: Noise | str = "auto",
    intensity_range: tuple[float, float] | None = None,
    objective: ObjectiveName = "auto",
    tune: bool = True,
    orientations: bool = True,
    nonlocal_bayes: bool = True,
    schedule: Schedule | None = None,
    seed: int = 0,
    device: str | torch.device = "auto",
    progress: Progress | None = None,
) -> Denoised[PixelsT]:
    """Denoise an image by GainTuning.

    The planes of a stack and the samples of a color image share one set of gains, unless the noise
    that is found is much stronger in some samples; each channel along axis C has its own range,
    noise and gains. Alpha stays as it is.

    Parameters
    ----------
    image : array or tensor of 2 to 6 axes and any real dtype; not changed.
    axes : a letter per axis: T time, Z depth, C channel, Y, X, S samples (red, green, blue). By
        default YX; YXS where the last axis of three is 3 or 4 long and the first is longer; else
        ZYX; TZYX. More must be named.
    network : a name on board, a file, or any denoising module for intensities in [0, 1]; "auto"
        takes, of the networks for natural images and for micrographs, the one that suits the
        (first channel of the) image, and without tuning the first.
    noise : `Gaussian`, `Poisson` or `PoissonGaussian`, in the units of the image, or as on the
        command line, "gaussian:25"; "auto" finds model and level in the image.
    intensity_range : the intensities to map to 0 and 1; see `find_range` for the default.
    objective : "sure" for Gaussian noise, "unsure" for that of a sigma that nobody knows, "pure"
        for shot noise, "blind-spot", "neighbor2neighbor" and "noise-resampling" for any; "auto"
        chooses, see `choose_objective`.
    tune : False for the pre-trained network alone, applied once.
    orientations : whether the tuned network may be applied in all eight orientations of the image,
        if their mean is estimated to be better.
    nonlocal_bayes : whether places of the image that look alike may be filtered together after
        that, if it is estimated to be better.
    schedule : how long and how fast to tune.
    seed : the same seed gives the same result on the same machine.
    device : where to compute; "auto" is a GPU where there is one, else the CPU.
    progress : called now and then with the work done and the work in all.

    Raises
    ------
    ValueError, TypeError : the image, or what is asked of it, does not do; the message says why.

    Examples
    --------
    >>> from gaintuning.noise import Gaussian
    >>> rng = np.random.default_rng(0)
    >>> noisy = rng.normal(loc=np.linspace(50, 200, 64), scale=20, size=(64, 64))
    >>> result = denoise(noisy, noise=Gaussian(20), schedule=Schedule(steps=3))
    >>> result.image.shape, result.adaptations[0].objective
    ((64, 64), 'sure')
    """
    start = perf_counter()
    stated: Noise | Literal["auto"] = (
        parse_noise(noise) or "auto" if isinstance(noise, str) else noise
    )
    pixels = _as_array(image)
    axes = axes or default_axes(pixels.shape)
    check_pixels(pixels, axes)
    channels, seen_axes = split_planes(pixels, axes), axes
    if tune:
        check_large_enough_to_tune(*channels.shape[-2:])
    where = find_device(device)
    (name, pretrained), *others = _load(network, where)
    together = image_channels(pretrained, channels.shape[2])
    of_colors = dict(zip(axes, pixels.shape, strict=True)).get("S") == 3 and "C" not in axes
    may_differ = tune and of_colors and together == 1 and stated == "auto"
    of_any_noise = default_network(where)
    if may_differ and noise_differs(channels[0], of_any_noise):
        seen_axes = colors_apart(axes)
        channels = split_planes(pixels, seen_axes)
    pretrained = for_any_size(pretrained, together)
    number = next(pretrained.parameters()).dtype
    schedule = schedule or Schedule()
    blind = check_blind(pretrained, together)
    found = []
    for index, planes in enumerate(channels):
        which = f"channel {index}: " if len(channels) > 1 else ""
        rng = generator(seed, index, FILLING)
        found.append(
            look_at(planes, stated, intensity_range, of_any_noise, which, blind=blind, rng=rng)
        )
    for one, _ in found:  # what cannot be is told before the work starts
        choose_objective(objective, pretrained, one.noise, blind=blind)

    rng = generator(seed)
    adaptations, error_maps = [], []
    outputs: list[Array] = []
    pretrained_outputs: list[Array] = []
    for index, (adaptation, whole) in enumerate(found):
        of_channel = stage_of(progress, index, len(channels))
        stride, shape = adaptation.stride, whole.planes.shape
        parts = unshuffle(whole.planes, stride)
        seen_as = partial(in_unit, parts, channels=together, number=number)
        unit, ways = seen_as(adaptation.network_sees), [(pretrained, adaptation)]
        if tune:
            apart = one_of_each(len(whole.planes), stride, len(unit) // len(parts))
            some = torch.from_numpy(apart[spread(len(apart), PLANES_TO_TUNE)])
            few = unit[some].to(where)
            ways = bring_into_range(pretrained, few, adaptation)
            for other, another in others if index == 0 else ():
                if better := ways_if_better(another, few, adaptation, ways[0]):
                    name, pretrained, ways = other, another, better
        if tune and (adaptation.noise_is_of_the_model or objective != "auto"):
            attempts = [
                tuned_attempt(
                    ready,
                    way,
                    unit if way.contrast == 1 else seen_as(way.network_sees),
                    some,
                    objective,
                    orientations=orientations,
                    nonlocal_bayes=nonlocal_bayes,
                    schedule=schedule,
                    rng=rng,
                    progress=stage_of(of_channel, turn, len(ways) + 1),
                )
                for turn, (ready, way) in enumerate(ways)
            ]
            attempt = best_attempt(attempts, some)
            output = attempt.output(stage_of(of_channel, len(ways), len(ways) + 1))
        else:
            ready, way = ways[0]
            unit = unit if way.contrast == 1 else seen_as(way.network_sees)
            attempt = untuned_attempt(ready, way, unit, of_channel)
            output = attempt.output()
        adaptation = with_residual(attempt.adaptation, attempt.unit, output)
        adaptations.append(adaptation)
        expected = error_map(adaptation, attempt.network, attempt.unit, attempt.once)
        error_maps.append(np.where(whole.as_given, 0, shuffle(expected, stride, shape)))
        for made, each in ((outputs, output), (pretrained_outputs, attempt.pretrained)):
            in_units = adaptation.network_sees.from_unit(join(each, stride, shape, of_any_noise))
            made.append(whole.as_it_was(in_units))
    finer = any(adaptation.is_finer_than_whole_numbers for adaptation in adaptations)
    like = pixels.astype(np.float32) if finer and pixels.dtype.kind in "iu" else pixels
    return Denoised(
        _like(image, join_planes(np.stack(outputs), like, seen_axes)),
        _like(image, join_planes(np.stack(pretrained_outputs), like, seen_axes)),
        join_planes(np.stack(error_maps), np.zeros(pixels.shape, np.float32), seen_axes),
        axes,
        name,
        tuple(adaptations),
        perf_counter() - start,
    )


def _as_array(image: Array | Tensor) -> Array:
    if isinstance(image, Tensor):
        image = image.detach().cpu()
        return np.asarray(image.float() if image.dtype == torch.bfloat16 else image)
    return np.asanyarray(image)


def _like(image: PixelsT, result: Array) -> PixelsT:
    if isinstance(image, Tensor):
        tensor = torch.from_numpy(result).to(image.device)
        return tensor.to(image.dtype) if image.is_floating_point() else tensor
    return result


def _load(network: str | Path | nn.Module, device: torch.device) -> list[tuple[str, nn.Module]]:
    """Networks to choose from, by their names."""
    if isinstance(network, nn.Module):
        found = [(type(network).__name__, network)]
    else:
        found = [(str(name), zoo.load(name)[0]) for name in zoo.candidates(network)]
    return [(name, lay_out_network(frozen_copy(module).to(device))) for name, module in found]


def in_unit(planes: Array, scale: IntensityRange, channels: int, number: torch.dtype) -> Images:
    """Planes as the network sees them, so many samples together."""
    unit = torch.from_numpy(scale.to_unit(planes)).to(number)
    return unit.reshape(-1, channels, *unit.shape[-2:])

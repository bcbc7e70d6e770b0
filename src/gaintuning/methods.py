"""Ways to denoise one image, by name: this package's and others', to be compared."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeAlias

import torch
from torch import Generator, Tensor, nn

from gaintuning import zoo
from gaintuning._types import Images
from gaintuning.baselines.blind_spot_alone import denoise_blind_spot_alone
from gaintuning.baselines.classical import (
    denoise_bm3d,
    denoise_non_local_means,
    denoise_wavelets,
)
from gaintuning.baselines.fine_tuning import fine_tune
from gaintuning.baselines.self2self import denoise_self2self
from gaintuning.baselines.topaz import denoise_topaz
from gaintuning.baselines.zero_shot_noise2noise import denoise_zero_shot_noise2noise
from gaintuning.binning import binned, unbinned
from gaintuning.choosing import ObjectiveName, choose_objective, error_to_compare_by
from gaintuning.contrast import find_contrast, with_contrast
from gaintuning.denoising import Denoised, denoise
from gaintuning.gains import all_parameters, channel_gains, last_layers
from gaintuning.layout import lay_out_network
from gaintuning.noise import Gaussian, Noise
from gaintuning.objectives import NoiseResampling
from gaintuning.orientations import MeanOfOrientations
from gaintuning.randomness import generator
from gaintuning.stabilizing import stabilized
from gaintuning.tiles import run
from gaintuning.trust import risk_of
from gaintuning.tuning import Parameters, Schedule, fuse_for, tune
from gaintuning.validate import check_blind

FINE_TUNING = 100
"""Steps of methods that move a pre-trained network without a decision."""


@dataclass(frozen=True)
class Task:
    """One image to denoise.

    Parameters
    ----------
    noisy : (1, 1, h, w), with intensities in about [0, 1].
    noise : in the same units.
    network : name or file of the pre-trained network, for methods that have one; "auto" is for
        those that choose, and for others the first that they would choose from.
    steps : of methods that take a number of them; None for their own.
    seed : of all that is random.
    """

    noisy: Images
    noise: Noise
    network: str = zoo.AUTO
    steps: int | None = None
    seed: int = 0

    @property
    def rng(self) -> Generator:
        return generator(self.seed)

    @property
    def sigma(self) -> float:
        """Of Gaussian noise as strong as this."""
        return float(self.noise.variance(self.noisy).mean() ** 0.5)

    def load(self) -> nn.Module:
        first, *_ = zoo.candidates(self.network)
        return lay_out_network(zoo.load(first)[0])


Method: TypeAlias = Callable[[Task], Images]


def pretrained(task: Task) -> Images:
    """The pre-trained network as it is."""
    return torch.from_numpy(run(task.load(), task.noisy))


def gaintuning(task: Task) -> Images:
    """This package as it comes: what the network sees, gains, eight orientations, like places."""
    return as_it_comes(task).image[None, None]


def gaintuning_local(task: Task) -> Images:
    """Likewise, but places that look alike are not filtered together."""
    return as_it_comes(task, nonlocal_bayes=False).image[None, None]


def gaintuning_once(task: Task) -> Images:
    """Likewise, and the tuned network is applied once, as others are."""
    once = as_it_comes(task, orientations=False, nonlocal_bayes=False)
    return once.image[None, None]


def in_range(task: Task) -> Images:
    """The pre-trained network of what this package shows it: bins, less contrast, equal noise."""
    brief = Schedule(steps=1, rounds=1)
    shown = as_it_comes(task, orientations=False, nonlocal_bayes=False, schedule=brief)
    return shown.pretrained[None, None]


def gaintuning_auto(task: Task) -> Images:
    """Likewise, of an image of which nothing is known: its noise and its range are found."""
    return denoise(task.noisy[0, 0], network=task.network, seed=task.seed).image[None, None]


def as_it_comes(
    task: Task,
    *,
    orientations: bool = True,
    nonlocal_bayes: bool = True,
    schedule: Schedule | None = None,
) -> Denoised[Tensor]:
    return denoise(
        task.noisy[0, 0],
        network=task.network,
        noise=task.noise,
        intensity_range=(0.0, 1.0),
        orientations=orientations,
        nonlocal_bayes=nonlocal_bayes,
        schedule=schedule,
        seed=task.seed,
    )


def in_all_orientations(task: Task) -> Images:
    """The pre-trained network, applied to the image turned and mirrored in all eight ways."""
    network = task.load()
    return torch.from_numpy(run(MeanOfOrientations(network), task.noisy, reach_of=network))


def contrast_alone(task: Task) -> Images:
    """The pre-trained network with the contrast that the estimated risk prefers."""
    network, center = task.load(), float(task.noisy.mean())
    fast = fuse_for(channel_gains(network), task.noisy)
    contrast = find_contrast(fast, task.noisy, error_to_compare_by(task.noise, fast), center)
    with torch.inference_mode():
        return with_contrast(network, contrast, center)(task.noisy)


def tuned_by(
    task: Task, objective: ObjectiveName, parameters: Parameters = channel_gains
) -> Images:
    """The paper's method: a loss is minimised, and what was found is kept if it helps.

    SURE takes noise that is not Gaussian for Gaussian noise as strong.
    """
    noise = Gaussian(task.sigma) if objective == "sure" else task.noise
    tuned = tune_by(objective, task.load(), task.noisy, noise, parameters=parameters, rng=task.rng)
    return torch.from_numpy(run(tuned, task.noisy))


def tune_by(
    objective: ObjectiveName,
    network: nn.Module,
    noisy: Images,
    noise: Noise,
    *,
    parameters: Parameters = channel_gains,
    rng: Generator,
) -> nn.Module:
    """The network tuned to noisy images by a loss, or as it was where that did not help."""
    blind = check_blind(network, noisy.shape[1])
    _, loss, judge = choose_objective(objective, network, noise, blind=blind)
    return tune(network, noisy, loss, judge=judge, parameters=parameters, rng=rng).network


def plainly_tuned(task: Task, parameters: Parameters) -> Images:
    """Adam on an estimate of the risk for a fixed number of steps, and no decision."""
    network = task.load()
    found = fine_tune(
        network,
        task.noisy,
        risk_of(task.noise),
        parameters=parameters,
        steps=task.steps or FINE_TUNING,
        rng=task.rng,
    )
    return torch.from_numpy(run(found, task.noisy))


def the_last_layer(task: Task) -> Images:
    return plainly_tuned(task, partial(last_layers, example=task.noisy[..., :16, :16]))


def all_by_resampling(task: Task) -> Images:
    """What LIDIA adapts by (Vaksman et al. 2020), for any network."""
    network = task.load()
    found = fine_tune(
        network,
        task.noisy,
        NoiseResampling(network, task.noise),
        parameters=all_parameters,
        steps=task.steps or FINE_TUNING,
        rng=task.rng,
    )
    return torch.from_numpy(run(found, task.noisy))


def anscombe(task: Task) -> Images:
    """The pre-trained network between Anscombe's transform and its inverse."""
    return torch.from_numpy(run(stabilized(task.load(), task.noise), task.noisy))


def bm3d_of_counts(task: Task) -> Images:
    """BM3D between Anscombe's transform and its inverse."""
    between = stabilized(nn.Identity(), task.noise)
    return between.mean_of(denoise_bm3d(between.stabilize(task.noisy), sigma=1.0))


LOSSES: tuple[ObjectiveName, ...] = (
    *("sure", "unsure", "pure"),
    *("blind-spot", "neighbor2neighbor", "noise-resampling"),
)
OF_A_NETWORK: dict[str, Method] = {
    "pretrained": pretrained,
    "orientations": in_all_orientations,
    "in-range": in_range,
    "gaintuning-once": gaintuning_once,
    "gaintuning-local": gaintuning_local,
    "gaintuning": gaintuning,
    "gaintuning-auto": gaintuning_auto,
    **{loss: partial(tuned_by, objective=loss) for loss in LOSSES},
    "contrast": contrast_alone,
    "plain-gains": partial(plainly_tuned, parameters=channel_gains),
    "last-layer": the_last_layer,
    "all-parameters": partial(plainly_tuned, parameters=all_parameters),
    "all-parameters-stopped": partial(tuned_by, objective="auto", parameters=all_parameters),
    "all-by-resampling": all_by_resampling,
    "anscombe": anscombe,
}
OF_THE_IMAGE_ALONE: dict[str, Method] = {
    "noisy": lambda task: task.noisy,
    "blind-spot-alone": lambda task: denoise_blind_spot_alone(
        task.noisy, steps=task.steps or 2000, rng=task.rng
    ),
    "self2self": lambda task: denoise_self2self(
        task.noisy, steps=task.steps or 150_000, rng=task.rng
    ),
    "zero-shot-noise2noise": lambda task: denoise_zero_shot_noise2noise(
        task.noisy, steps=task.steps or 2000, rng=task.rng
    ),
    "bm3d": lambda task: denoise_bm3d(task.noisy, task.sigma),
    "bm3d-anscombe": bm3d_of_counts,
    "topaz": lambda task: denoise_topaz(task.noisy),
    "non-local-means": lambda task: denoise_non_local_means(task.noisy, task.sigma),
    "wavelets": lambda task: denoise_wavelets(task.noisy, task.sigma),
}
METHODS = OF_A_NETWORK | OF_THE_IMAGE_ALONE
IN_STEPS = (
    *("plain-gains", "last-layer", "all-parameters", "all-by-resampling"),
    *("blind-spot-alone", "self2self", "zero-shot-noise2noise"),
)
"""Those whose number of steps may be asked for."""


@dataclass(frozen=True)
class Way:
    """A method as asked for on the command line.

    Parameters
    ----------
    name : one of `METHODS`.
    bins : the method sees means over bins of so many rows and columns, as a `Binned` network does,
        and its result is brought back to the pixels.
    steps : None for the method's own number.
    """

    name: str
    bins: int = 1
    steps: int | None = None

    def __call__(self, task: Task) -> Images:
        """Denoise.

        Raises
        ------
        ValueError : the image is smaller than a bin, or the method does not take it.
        """
        method, asked = METHODS[self.name], replace(task, steps=self.steps)
        height, width = task.noisy.shape[-2:]
        if min(height, width) < self.bins:
            raise ValueError(
                f"an image of {height} x {width} pixels has no bins of {self.bins} x {self.bins}"
            )
        noise = task.noise.averaged(self.bins**2)
        seen = method(replace(asked, noisy=binned(task.noisy, self.bins), noise=noise))
        return unbinned(seen, self.bins, task.noisy)


def parse_method(text: str) -> Way:
    """A method by its name; behind an @ the side of bins, behind a colon the number of steps.

    Raises
    ------
    ValueError : there is no such method, or no such number.

    Examples
    --------
    >>> parse_method("bm3d@8"), parse_method("self2self:1000")
    (Way(name='bm3d', bins=8, steps=None), Way(name='self2self', bins=1, steps=1000))
    """
    method, colon, steps = text.partition(":")
    name, at, bins = method.partition("@")
    if name not in METHODS:
        raise ValueError(f"unknown method {name!r}; known are {', '.join(METHODS)}")
    if colon and not (steps.isdecimal() and int(steps) > 0):
        raise ValueError(
            f"method {text!r}: behind the colon stands a number of steps above 0, as in "
            "self2self:1000"
        )
    if colon and name not in IN_STEPS:
        raise ValueError(
            f"method {text!r}: {name} has no number of steps; those that have are "
            f"{', '.join(IN_STEPS)}"
        )
    if at and not (bins.isdecimal() and int(bins) > 0):
        raise ValueError(
            f"method {text!r}: behind the @ stands the side of bins in pixels, as in bm3d@8"
        )
    return Way(name, int(bins) if at else 1, int(steps) if colon else None)

"""How a network is trained: all settings that, with the images, fix its weights."""

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Generator, Tensor, nn
from torch.optim import Adam, Optimizer

from gaintuning._types import Images
from gaintuning.hardware import has_bfloat16_units
from gaintuning.muon import FilterMuon, filters_and_rest
from gaintuning.noise import Gaussian, Noise, Poisson

LEVELS = (15, 30, 50)
"""Noise of the validation, for intensities from 0 to 255."""

Precision = Literal["32-true", "bf16-mixed"]


@dataclass(frozen=True)
class _Rate:
    peak: float = 1e-3

    def __post_init__(self) -> None:
        if not 0 < self.peak < float("inf"):
            raise ValueError(f"rate must be a number above 0, got {self.peak}")


@dataclass(frozen=True)
class RiseAndFall(_Rate):
    """A rate that rises over 500 steps, stays, and falls linearly to zero.

    Parameters
    ----------
    peak : the highest rate.
    fall : the part of the training, at its end, over which the rate falls.
    """

    fall: float = 0.7

    ASCENT: ClassVar[int] = 500

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self.fall <= 1:
            raise ValueError(f"fall must be above 0 and at most 1, got {self.fall}")

    def __call__(self, step: int, steps: int) -> float:
        return self.peak * min(1.0, (step + 1) / self.ASCENT, (steps - step) / (self.fall * steps))


@dataclass(frozen=True)
class Halvings(_Rate):
    """A rate that is halved half-way through the training and then after every further tenth."""

    def __call__(self, step: int, steps: int) -> float:
        return self.peak * 0.5 ** max(0, 10 * step // steps - 4)


@dataclass(frozen=True)
class AdamAlone:
    """Adam for all parameters."""

    def __call__(self, network: nn.Module) -> list[Optimizer]:
        return [Adam(network.parameters())]


@dataclass(frozen=True)
class MuonAndAdam:
    """Muon for the filters of the inner convolutions, Adam for all else, at the same rate."""

    def __call__(self, network: nn.Module) -> list[Optimizer]:
        filters, rest = filters_and_rest(network)
        return [FilterMuon(filters), Adam(rest)] if filters else [Adam(rest)]


@dataclass(frozen=True)
class MeanSquare:
    """The mean squared error of all pixels (Eq. 1); patches with the strongest noise weigh most."""

    def __call__(self, denoised: Images, target: Images) -> Tensor:
        return (denoised - target).square().mean()


@dataclass(frozen=True)
class LogSquare:
    """The mean of log MSE over patches, so that each level of noise counts alike.

    But for a factor it is the mean PSNR (Chen et al., Simple Baselines for Image Restoration, ECCV
    2022). What is below 50 dB for intensities in [0, 1] is as good as none, so that patches with
    hardly any noise do not take over.
    """

    NEGLIGIBLE: ClassVar[float] = 1e-5

    def __call__(self, denoised: Images, target: Images) -> Tensor:
        errors = (denoised - target).square().flatten(1).mean(1)
        return (errors + self.NEGLIGIBLE).log().mean()


@dataclass(frozen=True)
class Recipe:
    """How a network is trained. The defaults are those that learned fastest on a CPU.

    Parameters
    ----------
    sigma : range of the noise's standard deviation, for intensities in [0, 1]. Each patch draws
        its own level, uniformly.
    counts : if given, the noise is shot noise in its place: a range of the counts at intensity 1,
        of which each patch draws its own, uniformly in their logarithm.
    patch : side of a training patch in pixels.
    batch : patches in a step, over all devices.
    steps : number of steps. A run may be resumed with another number; before the rate has begun
        to fall, the result is that of a run with this number from the start.
    rate : the optimisers' rate at a step of so many: `RiseAndFall` or `Halvings`.
    optimizers : `MuonAndAdam` or `AdamAlone`.
    loss : `MeanSquare` or `LogSquare`.
    scales : the sizes at which each image is used, 1 being its own.
    averaging : the trained network is the mean of the weights over about so many last steps,
        exponentially weighted; 0 takes those of the last step.
    frozen_statistics : whether batch normalisation takes the means and variances that the network
        began with, as it does in use, and not those of each batch. Of a few patches, each with its
        own noise, these vary so much that they limit what a network learns; but only a network
        that has been trained with them has some to begin with.
    supervised : whether the target is the clean image; if not, it is the noisy one itself, which
        a blind-spot network (and no other) can learn from (Eq. 4).
    precision : "32-true", or "bf16-mixed" for convolutions in bfloat16.
    seed : of the first weights, the patches and the noise.
    """

    sigma: tuple[float, float] = (0.0, 55 / 255)
    counts: tuple[float, float] | None = None
    patch: int = 40
    batch: int = 8
    steps: int = 30_000
    rate: RiseAndFall | Halvings = RiseAndFall()
    optimizers: AdamAlone | MuonAndAdam = MuonAndAdam()
    loss: MeanSquare | LogSquare = MeanSquare()
    scales: tuple[float, ...] = (1.0,)
    averaging: int = 500
    frozen_statistics: bool = False
    supervised: bool = True
    precision: Precision = "32-true"
    seed: int = 0

    def __post_init__(self) -> None:
        low, high = self.sigma
        if not 0 <= low < high:
            raise ValueError(f"sigma must be a range 0 <= low < high, got {low} to {high}")
        if self.counts and not 0 < self.counts[0] < self.counts[1] < float("inf"):
            raise ValueError(
                "counts must be a range 0 < low < high, got {} to {}".format(*self.counts)
            )
        if not (self.supervised or isinstance(self.loss, MeanSquare)):
            raise ValueError(
                "what learns from noisy images must minimise the mean squared error; another loss "
                "has its minimum elsewhere"
            )
        for name in ("patch", "batch", "steps"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        if self.averaging < 0:
            raise ValueError(f"averaging must be at least 0, got {self.averaging}")
        if not self.scales or not all(0 < scale <= 1 for scale in self.scales):
            raise ValueError(f"scales must be numbers above 0 and at most 1, got {self.scales}")

    def add_noise(self, clean: Images, rng: Generator) -> Images:
        """Noisy patches, each with a level of its own."""
        part = torch.rand(len(clean), 1, 1, 1, generator=rng)
        if self.counts is None:
            low, high = self.sigma
            return clean + (low + (high - low) * part) * torch.randn(clean.shape, generator=rng)
        low, high = self.counts
        counts = low * (high / low) ** part
        return torch.poisson(counts * clean.clamp(min=0), generator=rng) / counts

    @property
    def validation(self) -> dict[str, Noise]:
        """By name, three kinds of noise to validate with, for intensities in [0, 1]."""
        if self.counts is None:
            return {f"sigma {level}": Gaussian(level / 255) for level in LEVELS}
        low, high = self.counts
        return {
            f"{level:.3g} counts": Poisson(1 / level) for level in (low, (low * high) ** 0.5, high)
        }


FAST = Recipe()
"""The defaults: on a CPU, small patches and many steps with Muon learn fastest."""

PUBLISHED = Recipe(
    patch=50,
    batch=128,
    steps=100 * 403_200 // 128,
    rate=Halvings(),
    optimizers=AdamAlone(),
    scales=(1.0, 0.9, 0.8, 0.7),
    averaging=0,
)
"""The recipe of the published networks: 100 passes over the 403,200 patches of BSD400."""


def fastest_precision(device: torch.device) -> Precision:
    """Convolutions in bfloat16 where the device has units for them."""
    return "bf16-mixed" if has_bfloat16_units(device) else "32-true"

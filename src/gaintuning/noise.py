"""Noise models: how noisy images scatter around the clean one."""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from torch import Generator, Tensor


@runtime_checkable
class Noise(Protocol):
    """A distribution of the noisy image around the clean one, independent from pixel to pixel."""

    def sample(self, clean: Tensor, rng: Generator) -> Tensor: ...

    def variance(self, mean: Tensor) -> Tensor: ...

    def rescaled(self, low: float, high: float) -> "Noise": ...

    def averaged(self, count: int) -> "Noise": ...


@dataclass(frozen=True)
class Gaussian:
    """Additive noise: y = x + sigma z.

    Parameters
    ----------
    sigma : standard deviation, in the units of the image.

    Examples
    --------
    >>> Gaussian(25.5).rescaled(0, 255)
    Gaussian(sigma=0.1)
    """

    sigma: float

    def __post_init__(self) -> None:
        if not 0 < self.sigma < float("inf"):
            raise ValueError(f"the noise's sigma must be a number above 0, got {self.sigma}")

    @property
    def gain(self) -> float:
        """There is no shot noise."""
        return 0.0

    def sample(self, clean: Tensor, rng: Generator) -> Tensor:
        return clean + self.sigma * torch.randn(clean.shape, generator=rng).to(clean)

    def variance(self, mean: Tensor) -> Tensor:
        return torch.full_like(mean, self.sigma**2)

    def rescaled(self, low: float, high: float) -> "Gaussian":
        """The same noise after the map that takes `low` to 0 and `high` to 1."""
        return Gaussian(self.sigma / (high - low))

    def averaged(self, count: int) -> "Gaussian":
        """That of the mean of so many pixels."""
        return Gaussian(self.sigma / count**0.5)

    def __str__(self) -> str:
        return f"Gaussian, sigma {self.sigma:.4g}"


@dataclass(frozen=True)
class Poisson:
    """Shot noise: y = offset + gain z, z a Poisson count of mean (x - offset) / gain.

    Parameters
    ----------
    gain : intensity of one count, in the units of the image; below 0 where more counts are darker,
        as in an inverted image.
    offset : intensity of no count.

    Examples
    --------
    >>> Poisson(2.0).rescaled(100, 200)
    Poisson(gain=0.02, offset=-1.0)
    """

    gain: float
    offset: float = 0.0

    def __post_init__(self) -> None:
        if not 0 < abs(self.gain) < float("inf"):
            raise ValueError(f"the noise's gain must be a number other than 0, got {self.gain}")
        if not -float("inf") < self.offset < float("inf"):
            raise ValueError(f"the noise's offset must be a number, got {self.offset}")

    @property
    def sigma(self) -> float:
        """There is no read noise."""
        return 0.0

    def sample(self, clean: Tensor, rng: Generator) -> Tensor:
        counts = ((clean - self.offset) / self.gain).clamp(min=0).cpu()
        return self.offset + self.gain * torch.poisson(counts, generator=rng).to(clean)

    def variance(self, mean: Tensor) -> Tensor:
        return (self.gain * (mean - self.offset)).clamp(min=0)

    def rescaled(self, low: float, high: float) -> "Poisson":
        """The same noise after the map that takes `low` to 0 and `high` to 1."""
        return Poisson(self.gain / (high - low), (self.offset - low) / (high - low))

    def averaged(self, count: int) -> "Poisson":
        """That of the mean of so many pixels: a count of all of them."""
        return Poisson(self.gain / count, self.offset)

    def __str__(self) -> str:
        return f"Poisson, gain {self.gain:.4g}" + _told(self.offset)


@dataclass(frozen=True)
class PoissonGaussian:
    """Shot noise and read noise: y = offset + gain z + sigma e, z a count as for `Poisson`.

    Parameters
    ----------
    gain : intensity of one count, in the units of the image, as for `Poisson`.
    sigma : standard deviation of the read noise, in the units of the image.
    offset : intensity of no count.

    Examples
    --------
    >>> PoissonGaussian(gain=2.0, sigma=3.0).variance(torch.tensor([100.0]))
    tensor([209.])
    """

    gain: float
    sigma: float
    offset: float = 0.0

    def __post_init__(self) -> None:
        Poisson(self.gain, self.offset), Gaussian(self.sigma)

    def sample(self, clean: Tensor, rng: Generator) -> Tensor:
        counted = Poisson(self.gain, self.offset).sample(clean, rng)
        return Gaussian(self.sigma).sample(counted, rng)

    def variance(self, mean: Tensor) -> Tensor:
        return Poisson(self.gain, self.offset).variance(mean) + self.sigma**2

    def rescaled(self, low: float, high: float) -> "PoissonGaussian":
        """The same noise after the map that takes `low` to 0 and `high` to 1."""
        width = high - low
        return PoissonGaussian(self.gain / width, self.sigma / width, (self.offset - low) / width)

    def averaged(self, count: int) -> "PoissonGaussian":
        """That of the mean of so many pixels."""
        return PoissonGaussian(self.gain / count, self.sigma / count**0.5, self.offset)

    def __str__(self) -> str:
        levels = f"gain {self.gain:.4g}, sigma {self.sigma:.4g}"
        return f"Poisson-Gaussian, {levels}" + _told(self.offset)


def _told(offset: float) -> str:
    return f", offset {offset:.6g}" if offset else ""


def parse_noise(text: str) -> Noise | None:
    """A noise model from its name and its numbers, as on the command line; None for "auto".

    Examples
    --------
    >>> parse_noise("gaussian:25")
    Gaussian(sigma=25.0)
    >>> parse_noise("poisson-gaussian:2,3"), parse_noise("poisson:2,100")
    (PoissonGaussian(gain=2.0, sigma=3.0, offset=0.0), Poisson(gain=2.0, offset=100.0))
    """
    if text == "auto":
        return None
    models: dict[str, type[Gaussian] | type[Poisson] | type[PoissonGaussian]] = {
        "gaussian": Gaussian,
        "poisson": Poisson,
        "poisson-gaussian": PoissonGaussian,
    }
    name, _, numbers = text.partition(":")
    try:
        return models[name](*map(float, numbers.split(",")))
    except (KeyError, ValueError, TypeError) as error:
        raise ValueError(
            f"noise {text!r} is not understood; it is auto, gaussian:SIGMA, poisson:GAIN or "
            "poisson-gaussian:GAIN,SIGMA, with levels above 0, as in gaussian:25, and an offset "
            "behind the last two, as in poisson:2,100, or poisson:-2,255 for an inverted image"
        ) from error

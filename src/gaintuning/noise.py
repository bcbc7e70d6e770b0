"""Noise models, and the level of Gaussian noise estimated from one image."""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
import pywt
import torch
from numpy.typing import NDArray
from scipy.ndimage import maximum_filter
from scipy.stats import norm
from torch import Generator, Tensor


@runtime_checkable
class Noise(Protocol):
    """A distribution of the noisy image around the clean one, independent from pixel to pixel."""

    def sample(self, clean: Tensor, rng: Generator) -> Tensor: ...

    def variance(self, mean: Tensor) -> Tensor: ...

    def rescaled(self, low: float, high: float) -> "Noise": ...


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

    def sample(self, clean: Tensor, rng: Generator) -> Tensor:
        return clean + self.sigma * torch.randn(clean.shape, generator=rng).to(clean)

    def variance(self, mean: Tensor) -> Tensor:
        return torch.full_like(mean, self.sigma**2)

    def rescaled(self, low: float, high: float) -> "Gaussian":
        """The same noise after the map that takes `low` to 0 and `high` to 1."""
        return Gaussian(self.sigma / (high - low))

    def __str__(self) -> str:
        return f"Gaussian, sigma {self.sigma:.4g}"


@dataclass(frozen=True)
class Poisson:
    """Shot noise: y = offset + gain z, z a Poisson count of mean (x - offset) / gain.

    Parameters
    ----------
    gain : intensity of one count, in the units of the image.
    offset : intensity of no count.

    Examples
    --------
    >>> Poisson(2.0).rescaled(100, 200)
    Poisson(gain=0.02, offset=-1.0)
    """

    gain: float
    offset: float = 0.0

    def __post_init__(self) -> None:
        if not 0 < self.gain < float("inf"):
            raise ValueError(f"the noise's gain must be a number above 0, got {self.gain}")
        if not -float("inf") < self.offset < float("inf"):
            raise ValueError(f"the noise's offset must be a number, got {self.offset}")

    def sample(self, clean: Tensor, rng: Generator) -> Tensor:
        counts = ((clean - self.offset) / self.gain).clamp(min=0).cpu()
        return self.offset + self.gain * torch.poisson(counts, generator=rng).to(clean)

    def variance(self, mean: Tensor) -> Tensor:
        return self.gain * (mean - self.offset).clamp(min=0)

    def rescaled(self, low: float, high: float) -> "Poisson":
        """The same noise after the map that takes `low` to 0 and `high` to 1."""
        return Poisson(self.gain / (high - low), (self.offset - low) / (high - low))

    def __str__(self) -> str:
        return f"Poisson, gain {self.gain:.4g}"


def parse_noise(text: str) -> Noise | None:
    """A noise model from its name and level, as on the command line; None for "auto".

    Examples
    --------
    >>> parse_noise("gaussian:25")
    Gaussian(sigma=25.0)
    """
    if text == "auto":
        return None
    models: dict[str, type[Gaussian] | type[Poisson]] = {"gaussian": Gaussian, "poisson": Poisson}
    name, _, level = text.partition(":")
    try:
        return models[name](float(level))
    except (KeyError, ValueError) as error:
        raise ValueError(
            f"noise {text!r} is not understood; it is auto, gaussian:SIGMA or poisson:GAIN, with a "
            "level above 0, as in gaussian:25"
        ) from error


def estimate_gaussian(planes: NDArray[np.floating]) -> Gaussian:
    """Estimate the level of white Gaussian noise: the median over planes of the wavelet estimate.

    The median absolute deviation of the finest diagonal wavelet coefficients (Donoho & Johnstone
    1994), which take most texture for signal. Strong fine texture raises the estimate. Where
    intensities are cut off at the lowest or highest value, coefficients are left out.

    Parameters
    ----------
    planes : (n, height, width), in the units of the image.

    Raises
    ------
    ValueError : the estimate is zero, as for an image without noise.

    Examples
    --------
    >>> noise = np.random.default_rng(0).normal(0, 5, (1, 64, 64))
    >>> bool(abs(estimate_gaussian(noise).sigma - 5) < 0.5)
    True
    """
    if min(planes.shape[-2:]) < 8:
        raise ValueError(
            f"{planes.shape[-2]} x {planes.shape[-1]} pixels are too few to estimate the noise "
            "from; state its level, as in gaussian:SIGMA"
        )
    levels = np.array([_sigma_of_plane(plane) for plane in planes])
    levels = levels[levels > 1e-10 * np.abs(planes).max()]  # less is the rounding of floats
    if not len(levels):
        raise ValueError(
            "no noise was found in the image, so there is nothing to remove; if it is noisy all "
            "the same, state the level, as in gaussian:SIGMA"
        )
    return Gaussian(float(np.median(levels)))


def _sigma_of_plane(plane: NDArray[np.floating]) -> float:
    details = pywt.dwtn(plane, "db2")["dd"]
    ends = [end for end in (plane.min(), plane.max()) if (plane == end).mean() > 1e-3]
    near_cut_off = maximum_filter(np.isin(plane, ends), 7)
    rows, columns = (
        np.clip(2 * np.arange(found) - 1, 0, side - 1)
        for found, side in zip(details.shape, plane.shape, strict=True)
    )
    whole = details[~near_cut_off[np.ix_(rows, columns)]]
    used = whole if whole.size >= 64 else details
    used = used[used != 0]  # exactly zero where nothing varies, as in a blank part
    return float(np.median(np.abs(used)) / norm.ppf(0.75)) if used.size else 0.0

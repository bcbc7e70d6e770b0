"""Atoms as the measure: columns found in an image, and how many of those that are there."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from scipy.optimize import linear_sum_assignment
from skimage.feature import peak_local_max

Points = NDArray[np.float64]

COLUMN = 0.45
"""About the radius of a column of atoms in Å, as a microscope with 1 Å resolution shows it."""

APART = 1.2
"""No two columns are nearer than that to each other, in Å."""

FAINT = 0.25
"""A column stands out by at least this part of what the clearest ones do."""

CLEAREST = 0.995
"""This part of the pixels stands out less than the middle of the clearest columns."""


def find_columns(
    image: NDArray[np.floating], pixel_size: float, *, bright: bool = True, faint: float = FAINT
) -> Points:
    """The places of atomic columns, as (y, x) in pixels, to parts of a pixel.

    Columns are where a difference of two Gaussian blurs, of the size of a column and of twice
    that, has its peaks; a parabola through a peak and its neighbours tells the place.

    Parameters
    ----------
    image : (h, w)
    pixel_size : in Å.
    bright : whether columns are brighter than what is between them, or darker.
    faint : the part of the clearest columns' height that the faintest have.

    Examples
    --------
    >>> rows, columns = np.mgrid[:80, :80]
    >>> image = np.exp(-((rows - 30.3) ** 2 + (columns - 40.6) ** 2) / 50)
    >>> find_columns(image, pixel_size=0.1).round(1)
    array([[30.3, 40.6]])
    """
    peaks = _peaks(image, pixel_size, bright=bright)
    clearest = np.quantile(peaks, CLEAREST)
    if clearest <= 0:
        return np.zeros((0, 2))
    places = peak_local_max(
        peaks,
        min_distance=max(1, round(APART / 2 / pixel_size)),
        threshold_abs=faint * clearest,
        exclude_border=1,
    )
    found: Points = places + np.stack([_offset(peaks, places, axis) for axis in (0, 1)], 1)
    return found


def are_bright(image: NDArray[np.floating], pixel_size: float) -> bool:
    """Whether columns are brighter than what is between them: they stand out more than gaps do.

    Parameters
    ----------
    image : (h, w), clean or nearly so.
    pixel_size : in Å.

    Examples
    --------
    >>> rows, columns = np.mgrid[:80, :80] / 10
    >>> image = np.maximum(0, np.cos(rows)) * np.maximum(0, np.cos(columns))
    >>> are_bright(image, pixel_size=0.04), are_bright(-image, pixel_size=0.04)
    (True, False)
    """
    bright, dark = (
        np.quantile(_peaks(image, pixel_size, bright=sign), CLEAREST) for sign in (True, False)
    )
    return bool(bright >= dark)


def _peaks(image: NDArray[np.floating], pixel_size: float, *, bright: bool) -> Points:
    """(h, w), highest in the middle of columns."""
    radius = COLUMN / pixel_size
    fine = (1 if bright else -1) * image.astype(np.float64)
    peaks: Points = gaussian_filter(fine, radius) - gaussian_filter(fine, 2 * radius)
    return peaks


def _offset(peaks: Points, places: NDArray[np.integer], axis: int) -> NDArray[np.float64]:
    """Of the top of a parabola along an axis from the highest pixel."""
    step = np.eye(2, dtype=int)[axis]
    before, at, after = (peaks[tuple((places + shift * step).T)] for shift in (-1, 0, 1))
    offset: NDArray[np.float64] = (before - after) / (
        2 * np.minimum(before - 2 * at + after, -1e-30)
    )
    return offset


@dataclass(frozen=True)
class Found:
    """How well columns were found.

    Parameters
    ----------
    true, found, matched : how many there are, how many were found, and how many of these are true.
    error : root mean square distance of those from the true places, in pm; NaN if none is.
    """

    true: int
    found: int
    matched: int
    error: float

    @property
    def precision(self) -> float:
        return self.matched / self.found if self.found else 0.0

    @property
    def recall(self) -> float:
        return self.matched / self.true if self.true else 0.0

    @property
    def f1(self) -> float:
        """The harmonic mean of precision and recall."""
        return 2 * self.matched / (self.true + self.found) if self.matched else 0.0


def match(found: Points, true: Points, pixel_size: float, reach: float = APART / 2) -> Found:
    """Which of the columns found are true ones: pairs of one of each, no more than `reach` Å apart.

    Of all ways to pair them the one with most pairs and, among these, the least squared distances.

    Parameters
    ----------
    found, true : (n, 2), in pixels.
    pixel_size : in Å.

    Examples
    --------
    >>> true = np.array([[10.0, 10.0], [30.0, 10.0]])
    >>> match(np.array([[10.0, 13.0], [80.0, 80.0], [11.0, 10.0]]), true, pixel_size=0.1)
    Found(true=2, found=3, matched=1, error=10.0)
    """
    if not len(found) or not len(true):
        return Found(len(true), len(found), 0, float("nan"))
    distances = np.linalg.norm(found[:, None] - true, axis=2) * pixel_size
    within = distances <= reach
    # One pair more is worth more than all that distances can cost.
    cost = np.where(within, distances**2, (len(true) + 1) * reach**2 + 1)
    pairs = linear_sum_assignment(cost)
    kept = distances[pairs][within[pairs]]
    error = 100 * float(np.sqrt(np.mean(kept**2))) if len(kept) else float("nan")
    return Found(len(true), len(found), len(kept), error)

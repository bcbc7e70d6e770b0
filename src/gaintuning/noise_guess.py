"""A first guess at the level of an image's noise, from its finest details alone."""

import numpy as np
import pywt
from numpy.typing import NDArray
from scipy.ndimage import maximum_filter
from scipy.stats import norm

ROUNDING = 1e-10
"""Of floats, as a part of the largest intensity."""

FEWEST_BLOCKS = 4
"""Of 8 x 8 pixels, of which the noise is found."""


def guess_sigma(planes: NDArray[np.floating]) -> float:
    """The standard deviation of white noise: the median over planes of the wavelet estimate.

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
    >>> bool(abs(guess_sigma(noise) - 5) < 0.5)
    True
    """
    rows, columns = (side // 8 for side in planes.shape[-2:])
    if len(planes) * rows * columns < FEWEST_BLOCKS:
        raise ValueError(
            f"{planes.shape[-2]} x {planes.shape[-1]} pixels are too few to estimate the noise "
            "from; state its level, as in gaussian:SIGMA"
        )
    levels = np.array([_sigma_of_plane(plane) for plane in planes])
    levels = levels[levels > ROUNDING * np.abs(planes).max()]
    if not len(levels):
        raise ValueError(
            "no noise was found in the image, so there is nothing to remove; if it is noisy all "
            "the same, state the level, as in gaussian:SIGMA"
        )
    return float(np.median(levels))


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
    # Nothing but the rounding of floats where nothing varies, as in a blank part.
    used = used[np.abs(used) > ROUNDING * np.abs(plane).max()]
    return float(np.median(np.abs(used)) / norm.ppf(0.75)) if used.size else 0.0

"""What a network sees, made like what it knows: coarser pixels, less contrast, stabilized noise."""

from collections.abc import Sequence
from dataclasses import replace

from torch import nn

from gaintuning._types import Denoiser, Images, Objective
from gaintuning.adaptation import Adaptation
from gaintuning.binning import binned, over_bins
from gaintuning.choosing import error_to_compare_by, estimated_error
from gaintuning.contrast import find_contrast, with_contrast
from gaintuning.gains import channel_gains
from gaintuning.judging import (
    MOST_DRAWS,
    Losses,
    Risk,
    compare,
    draws_of_judge,
    mean_loss,
    pixel_losses,
)
from gaintuning.noise import Gaussian, Poisson, PoissonGaussian
from gaintuning.patches import detailed_crops
from gaintuning.stabilizing import STRONGEST, Stabilized
from gaintuning.tuning import fuse_for

BINS = (2, 4, 8)
"""Sides of the bins that are tried, in pixels, after those of one pixel."""

FEWEST_BINS = 64
"""An image has at least so many rows and columns of bins, so that there is something to learn."""

SIDE, CROPS = 512, 4
"""Side and largest number of the crops of which bins are judged."""

SURELY = 2.5
"""By so many of its standard errors that of the fine pixels must be lower with bins."""

LIKELY = 1.0
"""From so many on it is worth while to look again, with more probes."""

CLOSE = 1.5
"""Up to so many times the error with bins, that without them may be lower once both are tuned."""


def bring_into_range(
    network: nn.Module, few: Images, adaptation: Adaptation
) -> list[tuple[nn.Module, Adaptation]]:
    """The network for images in bins, as `Adaptation` tells, and with noise that it knows.

    Bins are taken if the estimated error of the fine pixels is surely lower by that. For each size
    of bins there may be less contrast, or shot noise stabilized. Where the error of the fine pixels
    without bins is close, that is a second way, and which is better turns out when both are tuned.

    Parameters
    ----------
    network : the pre-trained one.
    few : some of the planes, as the network would see them.
    """
    as_it_is = bring_noise_into_range(network, few, adaptation)
    side = min(SIDE, *few.shape[-2:])
    factors = [factor for factor in BINS if side >= factor * FEWEST_BINS]
    if not adaptation.noise_is_of_the_model or not factors:
        return [as_it_is]
    # In an empty part of the image bins cost nothing, and tell nothing.
    crops = detailed_crops(few, side, CROPS).split(1)
    draws = draws_of_judge(crops[0])

    # The noise of means is weaker: what needs no less contrast will not need it then.
    too_strong = as_it_is[1].contrast < 1
    coarser = [
        bring_noise_into_range(
            network, binned(few, factor), replace(adaptation, bins=factor), too_strong=too_strong
        )
        for factor in factors
    ]
    fine, *coarse = (of_fine_pixels(*each, few) for each in (as_it_is, *coarser))
    # The intensities on which shot noise depends, well enough from either.
    risk = error_to_compare_by(adaptation.noise_seen, first=coarse[0])
    at_first, *tried = (losses_of_crops(each, crops, risk, draws) for each in (fine, *coarse))
    best = min(range(len(tried)), key=lambda index: mean_loss(tried[index]))
    fall = compare(at_first, tried[best])
    if draws < MOST_DRAWS and LIKELY < fall.certainty <= SURELY:
        fall = fall_on_crops(fine, coarse[best], crops, risk, MOST_DRAWS)
    # Whether bins are needed at all must be sure; which ones are best need not be.
    if fall.certainty <= SURELY:
        return [as_it_is]
    # Tuning may bring more for fine pixels than bins do.
    may_be_better = adaptation.noise_is_as_modelled and fall.before < CLOSE * fall.after
    return [coarser[best], as_it_is] if may_be_better else [coarser[best]]


def of_fine_pixels(ready: nn.Module, found: Adaptation, few: Images) -> Denoiser:
    """What `bring_into_range` found, for planes as they were handed to it."""
    fast = fuse_for(channel_gains(ready), binned(few[:1], found.bins))
    return with_contrast(over_bins(fast, found.bins), found.contrast, float(few.mean()))


def fall_on_crops(
    before: Denoiser, after: Denoiser, crops: Sequence[Images], risk: Objective, draws: int
) -> Risk:
    """Of the estimated error, from one denoiser to another."""
    return compare(
        losses_of_crops(before, crops, risk, draws), losses_of_crops(after, crops, risk, draws)
    )


def losses_of_crops(
    denoiser: Denoiser, crops: Sequence[Images], risk: Objective, draws: int
) -> Losses:
    """Whose mean is the estimated error of the crops; the same draws for every denoiser."""
    each = (pixel_losses(denoiser, crop, risk, seed=0, draws=draws) for crop in crops)
    return [losses for of_crop in each for losses in of_crop]


def bring_noise_into_range(
    network: nn.Module, few: Images, adaptation: Adaptation, *, too_strong: bool = True
) -> tuple[nn.Module, Adaptation]:
    """Less contrast, or shot noise stabilized, if the noise is then one that the network knows.

    Unless it may be `too_strong` for that, there is no need to look for less contrast. What is not
    all over the image the noise of its model is brought into range only if it rises with the
    intensity, as speckle does, and is one that no network knows.
    """
    if adaptation.blind:
        return network, adaptation
    noise, center = adaptation.noise_in_bins, float(few.mean())
    unknown = float(noise.variance(few).mean() ** 0.5) > STRONGEST
    if not adaptation.noise_is_of_the_model and (isinstance(noise, Gaussian) or not unknown):
        return network, adaptation
    fast = fuse_for(channel_gains(network), few)
    if not isinstance(noise, (Poisson, PoissonGaussian)):
        risk = error_to_compare_by(noise, fast)
        contrast = find_contrast(fast, few, risk, center) if too_strong else 1.0
    else:
        stabilized = Stabilized(network, noise)
        fast_stabilized = fuse_for(channel_gains(stabilized), few)
        risk, _ = estimated_error(noise, fast_stabilized)
        contrast = find_contrast(fast, few, risk, center) if too_strong else 1.0
        without, with_it = (
            mean_loss(pixel_losses(each, few, risk, seed=0))
            for each in (with_contrast(fast, contrast, center), fast_stabilized)
        )
        if with_it < without:
            return stabilized, replace(adaptation, stabilized=True)
    if contrast == 1:
        return network, adaptation
    stretched = adaptation.intensity_range.stretched(1 / contrast, center)
    return network, replace(adaptation, network_sees=stretched)

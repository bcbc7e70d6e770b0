"""Whether another network suits an image better."""

from typing import TypeAlias

from torch import nn

from gaintuning._types import Images
from gaintuning.adaptation import Adaptation
from gaintuning.choosing import error_to_compare_by
from gaintuning.in_range import (
    CROPS,
    LIKELY,
    SIDE,
    SURELY,
    bring_into_range,
    fall_on_crops,
    of_fine_pixels,
)
from gaintuning.judging import MOST_DRAWS
from gaintuning.patches import detailed_crops
from gaintuning.stabilizing import stabilized

Way: TypeAlias = tuple[nn.Module, Adaptation]


def ways_if_better(another: nn.Module, few: Images, adaptation: Adaptation, way: Way) -> list[Way]:
    """The ways of another network, if its estimated error is surely lower; else none.

    It is first asked to see the image in the same way, which is fast and mostly settles it.

    Parameters
    ----------
    another : a pre-trained network.
    few : some of the planes, as a network sees them.
    adaptation : what is known of the channel.
    way : the first of those that `bring_into_range` found for the network so far.
    """
    if not adaptation.noise_is_as_modelled:
        return []
    crops = detailed_crops(few, SIDE, CROPS).split(1)
    so_far = of_fine_pixels(*way, few)
    risk = error_to_compare_by(adaptation.noise_seen, first=so_far)

    def certainty(found: Way, draws: int) -> float:
        other = of_fine_pixels(*found, few)
        return fall_on_crops(so_far, other, crops, risk, draws).certainty

    if certainty(in_the_way_of(another, way[1]), draws=1) <= LIKELY:
        return []
    ways = bring_into_range(another, few, adaptation)
    return ways if certainty(ways[0], MOST_DRAWS) > SURELY else []


def in_the_way_of(network: nn.Module, found: Adaptation) -> Way:
    """A network that sees an image as another does."""
    if found.stabilized:
        network = stabilized(network, found.noise_in_bins)
    return network, found

"""How far places that look alike are filtered together: not at all, half the way, once or twice."""

import torch
from torch import Tensor, nn

from gaintuning._types import Denoiser, Images
from gaintuning.adapting import SURE, crops_to_judge, losses_of_crops
from gaintuning.choosing import error_to_compare_by
from gaintuning.judging import Risk, compare, mean_loss
from gaintuning.noise import Noise
from gaintuning.nonlocal_bayes import NonLocalBayes
from gaintuning.objectives import LevelErrorOfPair


@torch.inference_mode()
def filter_if_better(
    network: nn.Module, noise: Noise, few: Images, variance_error: float
) -> tuple[nn.Module, list[Risk]]:
    """The network, and after it the filter of like places as far as it surely helps.

    That is asked of some crops: a large image has more places that are alike than they have. Where
    little repeats itself, the mean of the network's result and the filtered one may still be
    better than both; where much does, the filtered one is a better pilot for a second time.

    Parameters
    ----------
    network : of the pilot.
    noise : in its units.
    few : some of the planes, as it sees them.
    variance_error : standard error of the noise's variance, as a part of it; 0 if that was stated.

    Returns
    -------
    That denoiser, and how far the estimated error falls with each step; no step where none helps.
    """
    crops = crops_to_judge(few)
    pilot = Remembering(network)
    risk = error_to_compare_by(noise, pilot)
    level = LevelErrorOfPair(risk, variance_error)

    def fall(before: Denoiser, after: Denoiser) -> Risk:
        at_first, then = (losses_of_crops(each, crops, risk) for each in (before, after))
        off_by = [mean_loss(losses_of_crops(each, crops, level)) for each in (before, after)]
        return compare(at_first, then, abs(off_by[0] - off_by[1]))

    once = Remembering(NonLocalBayes(pilot, noise))
    half = Remembering(lambda images: torch.lerp(pilot(images), once(images), 0.5))
    of_once, of_half = (fall(pilot, each) for each in (once, half))
    surely = [each for each in (of_once, of_half) if each.certainty > SURE]
    if not surely:
        return network, []
    if min(surely, key=lambda each: each.after) is of_half:
        return NonLocalBayes(network, noise, part=0.5), [of_half]
    filtered = NonLocalBayes(network, noise)
    of_twice = fall(once, Remembering(NonLocalBayes(once, noise)))
    if of_twice.certainty > SURE:
        return NonLocalBayes(filtered, noise), [of_once, of_twice]
    return filtered, [of_once]


class Remembering(nn.Module):
    """A denoiser that is asked the same more than once, and computes it once.

    Examples
    --------
    >>> asked = []
    >>> remembering = Remembering(lambda images: asked.append("once") or 2 * images)
    >>> [remembering(torch.ones(1, 1, 1, 1)).item() for _ in range(3)], asked
    ([2.0, 2.0, 2.0], ['once'])
    """

    def __init__(self, denoiser: Denoiser) -> None:
        super().__init__()
        self.denoiser = denoiser
        self.known: list[tuple[Tensor, Tensor]] = []

    def forward(self, images: Images) -> Images:
        for seen, denoised in self.known:
            if torch.equal(seen, images):
                return denoised
        found = self.denoiser(images)
        self.known.append((images, found))
        return found

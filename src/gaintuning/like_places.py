"""How far places that look alike are filtered together: as far as it surely lowers the error."""

import torch
from torch import Tensor, nn

from gaintuning._types import Denoiser, Images
from gaintuning.adapting import SURELY, crops_to_judge, losses_of_crops
from gaintuning.choosing import error_to_compare_by
from gaintuning.judging import Losses, Risk, compare, mean_loss
from gaintuning.noise import Noise
from gaintuning.nonlocal_bayes import NonLocalBayes
from gaintuning.objectives import LevelErrorOfPair
from gaintuning.trust import residual_of

PASSES = 2
"""So often they are filtered at most; a third time would bring little."""

COARSE = 2
"""Side of the bins that are filtered where what is alike is larger than a patch."""


@torch.inference_mode()
def filter_if_better(
    network: nn.Module, noise: Noise, few: Images, variance_error: float
) -> tuple[nn.Module, list[Risk]]:
    """The network, and after it the filter of like places as far as it surely helps.

    Pixels may be filtered, or the means of bins, and then again with the result as a better pilot.
    Where little repeats itself, the mean of the network's result and the filtered one may still be
    better than both. All that is asked of some crops: a large image has more places that are alike
    than they have. What takes details away that the network leaves is no better: the risk would
    tell, but the noise that it is estimated for may not be the noise of the image.

    Parameters
    ----------
    network : of the pilot.
    noise : in its units.
    few : some of the planes, as it sees them.
    variance_error : standard error of the noise's variance, as a part of it; 0 if that was stated.

    Returns
    -------
    That denoiser, and how far the estimated error falls with each pass; no pass where none helps.
    """
    crops = crops_to_judge(few)
    best, of_crops, falls = network, Remembering(network), list[Risk]()
    risk = error_to_compare_by(noise, of_crops)
    level = LevelErrorOfPair(risk, variance_error)

    def judged(denoiser: Denoiser) -> tuple[Losses, float]:
        """What its error is estimated to be, and what that is off by if the level is."""
        off_by = mean_loss(losses_of_crops(denoiser, crops, level))
        return losses_of_crops(denoiser, crops, risk), off_by

    def takes_details(denoiser: Denoiser) -> bool:
        denoised = torch.cat([denoiser(crop).to(crop) for crop in crops.split(1)])
        return residual_of(crops, denoised, noise).holds_details

    before = judged(of_crops)
    may_take_details = takes_details(of_crops)
    for _ in range(PASSES):
        fine, coarse = (
            Remembering(NonLocalBayes(of_crops, noise, bins=bins)) for bins in (1, COARSE)
        )
        half = Remembering(MeanOfTwo(of_crops, fine))
        ways = [
            (judged(fine), fine, NonLocalBayes(best, noise)),
            (judged(coarse), coarse, NonLocalBayes(best, noise, bins=COARSE)),
            (judged(half), half, NonLocalBayes(best, noise, part=0.5)),
        ]
        surely = [
            (fall, after, on_crops, denoiser)
            for after, on_crops, denoiser in ways
            if (fall := _fall(before, after)).certainty > SURELY
            and (may_take_details or not takes_details(on_crops))
        ]
        if not surely:
            break
        lowest, before, of_crops, best = min(surely, key=lambda way: way[0].after)
        falls.append(lowest)
        if of_crops is half:
            break
    return best, falls


def _fall(before: tuple[Losses, float], after: tuple[Losses, float]) -> Risk:
    (losses, off_by), (then, then_off_by) = before, after
    return compare(losses, then, abs(off_by - then_off_by))


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


class MeanOfTwo(nn.Module):
    """The mean of what two denoisers make of images."""

    def __init__(self, first: nn.Module, second: nn.Module) -> None:
        super().__init__()
        self.first = first
        self.second = second

    def forward(self, images: Images) -> Images:
        first, second = (each(images).to(images) for each in (self.first, self.second))
        return torch.lerp(first, second, 0.5)

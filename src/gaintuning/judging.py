"""Whether tuning helped: the objective before and after, pixel by pixel."""

from dataclasses import astuple, dataclass
from math import copysign, hypot, inf
from typing import TypeAlias

import torch
from torch import Generator, Tensor
from torch.nn.functional import avg_pool2d, interpolate

from gaintuning._types import Denoiser, Images, Objective
from gaintuning.layout import lay_out_images
from gaintuning.patches import cut
from gaintuning.randomness import generator

Losses: TypeAlias = list[Tensor]
"""The loss of each pixel, piece by piece of the images."""

JUDGED = 512**2
"""So many pixels decide: more would cost more than the tuning itself."""

JUDGED_CROP = 256
"""Side of the parts that are judged of a larger image, about."""

MOST_DRAWS = 4
"""Of a small image so many draws of the judge's probes or masks are taken together."""


@dataclass(frozen=True)
class Risk:
    """An objective on the pixels that judge, before and after tuning, with the same random draws.

    Parameters
    ----------
    before, after : its two values.
    standard_error : of their difference.
    """

    before: float
    after: float
    standard_error: float

    @property
    def certainty(self) -> float:
        """By how many of its standard errors the risk fell; below 0 if it rose."""
        fall = self.before - self.after
        if self.standard_error > 0:
            return fall / self.standard_error
        return copysign(inf, fall) if fall else 0.0

    def scaled(self, factor: float) -> "Risk":
        """In other squared units."""
        return Risk(*(factor * value for value in astuple(self)))


@torch.inference_mode()
def pixel_losses(
    denoiser: Denoiser, noisy: Images, objective: Objective, seed: int, draws: int = 1
) -> Losses:
    """The objective pixel by pixel, on `judged_pieces`; the mean over draws of probes or masks."""
    rng = generator(seed)
    found = []
    for piece in judged_pieces(noisy, seed):
        images = lay_out_images(piece)
        drawn = [objective(denoiser, images, rng).cpu().double() for _ in range(draws)]
        found.append(torch.stack(drawn).mean(0))
    return found


def draws_of_judge(noisy: Images) -> int:
    """How many draws of probes or masks judge an image: of a small one more.

    Examples
    --------
    >>> draws_of_judge(torch.zeros(1, 1, 64, 64)), draws_of_judge(torch.zeros(1, 1, 600, 600))
    (4, 1)
    """
    return max(1, min(MOST_DRAWS, JUDGED // noisy[:, 0].numel()))


def losses_unseen(black: Losses, white: Losses, mean: Losses, of_black: list[Tensor]) -> Losses:
    """The loss of the mean of two networks, as if it had not learned from these pixels.

    Whoever learns from an image learns some of its noise, and the objective on the same pixels
    would count that as a gain. So each of two networks learned from one half of the pixels, and is
    judged on the other. Of their mean, all pixels have been seen by one. But where the risk is
    quadratic, the mean of the two has a risk that is lower than the mean of theirs by the same on
    all pixels, seen or not:

        unseen(mean) = unseen(two) - (all(two) - all(mean)).

    Parameters
    ----------
    black, white, mean : from `pixel_losses`.
    of_black : `judged_pieces`, with the same seed, of a mask that is 1 where the first network
        learned.
    """
    return [
        torch.where(_fit(mask, first).cpu() > 0.5, second, first) - (first + second) / 2 + both
        for first, second, both, mask in zip(black, white, mean, of_black, strict=True)
    ]


def compare(before: Losses, after: Losses, off_by: float = 0.0) -> Risk:
    """The risk from the losses of each pixel, made with the same random draws.

    The standard error of the difference is taken between blocks of 16 x 16 pixels, since the
    errors of neighbouring pixels go together, and those of their colors; `off_by` is another that
    all blocks share.
    """
    falls = torch.cat(
        [
            avg_pool2d(
                (losses - changed).mean(1, keepdim=True), min(16, *losses.shape[-2:])
            ).flatten()
            for losses, changed in zip(before, after, strict=True)
        ]
    )
    error = float(falls.std()) / len(falls) ** 0.5 if len(falls) > 1 else inf
    return Risk(mean_loss(before), mean_loss(after), hypot(error, off_by))


def mean_loss(losses: Losses) -> float:
    """The objective, from the losses of its pixels."""
    return float(sum(each.sum() for each in losses) / sum(each.numel() for each in losses))


def judged_pieces(images: Images, seed: int) -> list[Tensor]:
    """Small images one by one; of more, random parts that do not overlap.

    One seed gives the same places of images and of their masks.

    Examples
    --------
    >>> pieces = judged_pieces(torch.zeros(1, 1, 1000, 800), seed=0)
    >>> [tuple(piece.shape[-2:]) for piece in pieces]
    [(250, 200), (250, 200), (250, 200), (250, 200), (250, 200)]
    """
    if images[:, 0].numel() <= JUDGED:
        return list(images.split(1))
    some = cut(images, JUDGED_CROP**2).draw(JUDGED, Generator().manual_seed(seed))
    return list(next(some).split(1))


def _fit(mask: Tensor, losses: Tensor) -> Tensor:
    if mask.shape[-2:] == losses.shape[-2:]:
        return mask
    return interpolate(mask, losses.shape[-2:])

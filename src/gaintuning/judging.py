"""Whether tuning helped: the objective, where there are few pixels on some that it did not see."""

from dataclasses import dataclass
from typing import TypeAlias

import torch
from jaxtyping import Float
from torch import Generator, Tensor
from torch.nn.functional import avg_pool2d, interpolate

from gaintuning._types import Denoiser, Images, Objective
from gaintuning.layout import lay_out_images
from gaintuning.patches import random_crops

Mask: TypeAlias = Float[Tensor, "n 1 h w"]

Losses: TypeAlias = list[Tensor]
"""The loss of each pixel, piece by piece of the images."""

JUDGED = 512**2
"""So many pixels decide: more would cost more than the tuning itself."""

MANY = 256**2
"""Of so many pixels fewer are held out."""

JUDGED_CROP = 256
"""Side of the crops that are judged of a larger image."""


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


def split_pixels(images: Images, rng: Generator) -> tuple[Mask, Mask, Mask]:
    """Which pixels to learn from, which to judge by and which are never learned from, 1 or 0.

    Whoever learns from few pixels learns some of their noise, and the objective on the same pixels
    would count that as a gain. So a quarter is held out and judges: of each four neighbouring
    blocks, one at random. Of many pixels some thousand gains can learn little noise, and to hold a
    quarter out would cost more than it saves: there it is one block in sixteen, and all judge.

    Examples
    --------
    >>> rng = torch.Generator().manual_seed(0)
    >>> learn, judge, unseen = split_pixels(torch.zeros(1, 1, 128, 128), rng)
    >>> learn.mean().item(), judge.mean().item(), unseen.mean().item()
    (0.75, 0.25, 0.25)
    """
    n, _, height, width = images.shape
    many = images[:, 0].numel() >= MANY
    side = 16 if min(height, width) >= 128 else 8
    across = 4 if many else 2
    rows, columns = (-(-length // (across * side)) for length in (height, width))
    chosen = torch.randint(across**2, (n, 1, rows, columns), generator=rng)
    cells = torch.zeros(n, 1, across * rows, across * columns, dtype=torch.half)
    for index in range(across**2):
        cells[..., index // across :: across, index % across :: across] = chosen == index
    whole = cells.repeat_interleave(side, -2).repeat_interleave(side, -1)
    unseen = whole[..., :height, :width].to(images.device)
    everywhere = torch.ones((), dtype=torch.half, device=images.device).expand_as(unseen)
    return 1 - unseen, everywhere if many else unseen, unseen


def masked_mean(losses: Tensor, mask: Tensor) -> Tensor:
    """The mean of the losses where the mask is 1; of some objectives they have half the size."""
    fitting = _fit(mask.to(losses.dtype), losses)
    return (losses * fitting).sum() / (fitting.sum() * losses.shape[1]).clamp(min=1)


@torch.inference_mode()
def pixel_losses(
    denoiser: Denoiser, noisy: Images, objective: Objective, seed: int, draws: int = 1
) -> Losses:
    """The objective pixel by pixel, on `judged_pieces`; the mean over draws of probes or masks."""
    rng = Generator().manual_seed(seed)
    found = []
    for piece in judged_pieces(noisy, seed):
        images = lay_out_images(piece)
        drawn = [objective(denoiser, images, rng).cpu().double() for _ in range(draws)]
        found.append(torch.stack(drawn).mean(0))
    return found


def compare(before: Losses, after: Losses, masks: list[Tensor] | None = None) -> Risk:
    """The risk from the losses of each pixel, made with the same random draws.

    The standard error of the difference is taken between blocks of 16 x 16 pixels, since the
    errors of neighbouring pixels go together.

    Parameters
    ----------
    before, after : from `pixel_losses`.
    masks : `judged_pieces`, with the same seed, of a mask that is 1 where a pixel counts; by
        default all count.
    """
    if masks is None:
        masks = [torch.ones_like(losses[:, :1]) for losses in before]
    masks = [
        _fit(mask.cpu().double(), losses).expand_as(losses)
        for mask, losses in zip(masks, before, strict=True)
    ]
    sums, weights = [], []
    for losses, changed, mask in zip(before, after, masks, strict=True):
        side = min(16, *losses.shape[-2:])
        sums.append(avg_pool2d((losses - changed) * mask, side).flatten())
        weights.append(avg_pool2d(mask, side).flatten())
    total, weight = torch.cat(sums), torch.cat(weights)
    fall = total.sum() / weight.sum()
    count = int((weight > 0).sum())
    spread = (total - fall * weight).square().sum().sqrt() / weight.sum()
    error = spread * (count / (count - 1)) ** 0.5 if count > 1 else torch.tensor(torch.inf)
    first, second = (
        float(
            sum((each * mask).sum() for each, mask in zip(losses, masks, strict=True))
            / sum(mask.sum() for mask in masks)
        )
        for losses in (before, after)
    )
    return Risk(first, second, float(error))


def judged_pieces(images: Images, seed: int) -> list[Tensor]:
    """Small images one by one, random crops of large ones.

    One seed gives the same places of images and of their masks.

    Examples
    --------
    >>> [piece.shape[-1] for piece in judged_pieces(torch.zeros(1, 1, 1000, 800), seed=0)]
    [256, 256, 256, 256]
    """
    if images[:, 0].numel() <= JUDGED:
        return list(images.split(1))
    rng = Generator().manual_seed(seed)
    return list(random_crops(images, JUDGED_CROP, JUDGED // JUDGED_CROP**2, rng).split(1))


def _fit(mask: Tensor, losses: Tensor) -> Tensor:
    if mask.shape[-2:] == losses.shape[-2:]:
        return mask
    return interpolate(mask, losses.shape[-2:])

"""Whether tuning helped: the objective on pixels that tuning did not learn from."""

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

Losses: TypeAlias = list[tuple[Tensor, Tensor]]
"""Loss of each pixel and 1 where it counts, else 0; piece by piece of the images."""

JUDGED = 512**2
"""So many pixels decide: more would cost more than the tuning itself."""

JUDGED_CROP = 256
"""Side of the crops that are judged of a larger image."""


@dataclass(frozen=True)
class Risk:
    """An objective on held-out pixels, before and after tuning, with the same random draws.

    Parameters
    ----------
    before, after : its two values.
    standard_error : of their difference.
    """

    before: float
    after: float
    standard_error: float


def hold_out(images: Images, rng: Generator) -> Mask:
    """1 on a quarter of each image, else 0: of each four neighbouring blocks, one at random.

    Whoever learns from all pixels learns some of their noise, and the objective on the same pixels
    would count that as a gain.

    Examples
    --------
    >>> held_out = hold_out(torch.zeros(1, 1, 128, 128), torch.Generator().manual_seed(0))
    >>> held_out.mean().item()
    0.25
    """
    n, _, height, width = images.shape
    side = 16 if min(height, width) >= 128 else 8
    rows, columns = (-(-length // (2 * side)) for length in (height, width))
    chosen = torch.randint(4, (n, 1, rows, columns), generator=rng)
    cells = torch.zeros(n, 1, 2 * rows, 2 * columns)
    for index in range(4):
        cells[..., index // 2 :: 2, index % 2 :: 2] = (chosen == index).float()
    whole = cells.repeat_interleave(side, -2).repeat_interleave(side, -1)
    return whole[..., :height, :width].to(images)


def masked_mean(losses: Tensor, mask: Tensor) -> Tensor:
    """The mean of the losses where the mask is 1; of some objectives they have half the size."""
    fitting = _fit(mask, losses)
    return (losses * fitting).sum() / (fitting.sum() * losses.shape[1]).clamp(min=1)


@torch.inference_mode()
def pixel_losses(
    denoiser: Denoiser,
    noisy: Images,
    mask: Mask,
    objective: Objective,
    seed: int,
    draws: int = 1,
) -> Losses:
    """The objective pixel by pixel: of all images where they are small, else of random crops.

    It is the mean over some draws of the objective's probes or masks.
    """
    rng = Generator().manual_seed(seed)
    both = torch.cat([noisy, mask], 1)
    if noisy[:, 0].numel() <= JUDGED:
        pieces = list(both.split(1))
    else:
        pieces = list(random_crops(both, JUDGED_CROP, JUDGED // JUDGED_CROP**2, rng).split(1))
    found = []
    for piece in pieces:
        images = lay_out_images(piece[:, :-1])
        drawn = [objective(denoiser, images, rng).cpu().double() for _ in range(draws)]
        losses = torch.stack(drawn).mean(0)
        found.append((losses, _fit(piece[:, -1:].cpu().double(), losses).expand_as(losses)))
    return found


def compare(before: Losses, after: Losses) -> Risk:
    """The risk from the losses of each pixel, made with the same random draws.

    The standard error of the difference is taken between blocks of 16 x 16 pixels, since the
    errors of neighbouring pixels go together.
    """
    sums, weights = [], []
    for (losses, mask), (changed, _) in zip(before, after, strict=True):
        side = min(16, *losses.shape[-2:])
        sums.append(avg_pool2d((losses - changed) * mask, side).flatten())
        weights.append(avg_pool2d(mask, side).flatten())
    total, weight = torch.cat(sums), torch.cat(weights)
    fall = total.sum() / weight.sum()
    count = int((weight > 0).sum())
    spread = (total - fall * weight).square().sum().sqrt() / weight.sum()
    error = spread * (count / (count - 1)) ** 0.5 if count > 1 else torch.tensor(torch.inf)
    first, second = (
        float(sum((each * mask).sum() for each, mask in losses) / sum(m.sum() for _, m in losses))
        for losses in (before, after)
    )
    return Risk(first, second, float(error))


def _fit(mask: Tensor, losses: Tensor) -> Tensor:
    if mask.shape[-2:] == losses.shape[-2:]:
        return mask
    return interpolate(mask, losses.shape[-2:])

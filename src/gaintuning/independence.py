"""How far apart pixels of an image must lie for their noise to be independent.

A network for independent noise takes what goes together between neighbours for a part of the scene,
and leaves it. Where only pixels are left that lie apart it does not see that it does, and takes all
of it. So noise that goes together is stronger among pixels that lie apart, everywhere, and that
shows where it is weakest; independent noise is as strong. Texture is left among neighbours as well,
but hardly any scene has it in all places.
"""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from gaintuning._types import Denoiser, Images
from gaintuning.departures import departures
from gaintuning.noise import Gaussian, Poisson, PoissonGaussian
from gaintuning.seen_blocks import SeenBlocks, look_at_blocks
from gaintuning.unshuffling import ALL, Stride
from gaintuning.variance_line import Blocks, Fitted, fit_lines, simplest_model

IN_BOTH: tuple[Stride, ...] = ((2, 2), (4, 4))
ALONG_LINES: tuple[Stride, ...] = ((1, 2), (2, 1))

UNDOUBTED = 0.85
"""If more of the blocks agree on a line, noise does not go together between neighbours."""

RISES, RISES_SURELY = 1.3, 4.5
"""So many times as strong as among neighbours is noise among pixels that lie apart where it goes
together. Independent noise is up to 1.26 times as strong in most natural images, and fine texture
up to 4.3 times."""

AGREED_APART, DETAILS = 0.45, 0.18
"""If it rises no more than texture may, so many of the blocks must agree there, and the smooth ones
have no more divergence: where all of a scene is texture it is more, or they disagree."""

RISES_LITTLE = 1.1
"""If it rises no more from pixels apart in one direction to those apart in both, it goes together
in that direction only, as along the lines of a scan (up to 1.07 times; of other noise that goes
together it is 1.15 times and more)."""

RISES_ALONG, AS_STRONG, AGREED_ALONG, SMOOTHER = 1.08, 1.03, 0.8, 0.5
"""If, in the half of the places that have less noise, it rises by so much among pixels that lie
apart in one direction and by no more than that among those apart in the other, and so many of the
blocks agree, it goes together in that direction, even if little (a quarter of its variance between
neighbours). Texture rises in both, or has few blocks that agree."""

ENOUGH = 256
"""So many rows and columns tell whether noise goes together along lines."""

SMALLEST = 32
"""Side of a piece that is looked at, in pixels that lie apart."""


@dataclass(frozen=True, eq=False)
class Pieces:
    """Parts of an image, and a denoiser to tell their noise.

    Parameters
    ----------
    images : (n, 1, height, width), in the units of the image.
    left_out : likewise, 1 where a pixel tells nothing of the noise.
    denoiser : which is shown (image - center) * shrink + 1 / 2.
    stated : the noise, if it is known.
    """

    images: Images
    left_out: Images
    denoiser: Denoiser
    shrink: float
    center: float
    stated: Gaussian | Poisson | PoissonGaussian | None = None

    def few(self) -> "Pieces":
        """Of about `ENOUGH` rows and columns in all."""
        height, width = self.images.shape[-2:]
        tall, wide = min(height, ENOUGH), min(width, ENOUGH)
        top, left = (height - tall) // 2, (width - wide) // 2
        count = ENOUGH**2 // (tall * wide)
        some = (slice(count), ..., slice(top, top + tall), slice(left, left + wide))
        return replace(self, images=self.images[some], left_out=self.left_out[some])

    def fit(self, blocks: Blocks) -> Fitted:
        return fit_lines(blocks.in_units(self.shrink, self.center))

    def departures(self, fitted: Fitted, seen: SeenBlocks) -> tuple[bool, bool]:
        noise, half = self.stated or simplest_model(fitted)[0], 0.5 / self.shrink
        as_seen = noise.rescaled(self.center - half, self.center + half)
        return departures(seen, as_seen, of_any_level=self.stated is not None)


@dataclass(frozen=True, eq=False)
class Look:
    """What pixels that lie so far apart tell of the noise.

    Parameters
    ----------
    stride : how far.
    blocks : of them.
    fitted : the lines that their variances lie on.
    agreement : the part of the smoother half of the blocks that agree on one.
    uneven, heavy_tailed : as in `departures`.
    """

    stride: Stride
    blocks: SeenBlocks
    fitted: Fitted
    agreement: float
    uneven: bool
    heavy_tailed: bool

    @property
    def is_like_noise(self) -> bool:
        """And not like texture all over the scene."""
        agreed = self.agreement > AGREED_APART and not self.uneven
        return agreed and self.blocks.details < DETAILS


def look_far_enough(pieces: Pieces) -> Look | None:
    """Look at pixels that lie so far apart that their noise is independent.

    Returns
    -------
    None if hardly anything varies.

    Examples
    --------
    >>> from gaintuning import zoo
    >>> denoiser, _ = zoo.load(zoo.DEFAULT)
    >>> noise = torch.randn(1, 1, 64, 64, generator=torch.Generator().manual_seed(0))
    >>> twice = noise.repeat_interleave(2, -1).repeat_interleave(2, -2)
    >>> for images in (noise, twice):
    ...     pieces = Pieces(images, torch.zeros_like(images), denoiser, 0.1, 0.0)
    ...     print(look_far_enough(pieces).stride)
    (1, 1)
    (2, 2)
    """
    found = last = _look(pieces, ALL)
    count = len(pieces.images)
    if found and (along := _along_lines(pieces, found)):
        return along
    for stride in IN_BOTH:
        if found is None or last is None or last.agreement > UNDOUBTED:
            break
        if min(pieces.images.shape[-2:]) < SMALLEST * max(stride):
            break
        last = _look(pieces, stride)
        if last is None:
            break
        rise = found.blocks.rise_apart(last.blocks, count)
        if rise < RISES or not (last.is_like_noise or rise > RISES_SURELY):
            break
        found = last
    if found is None or found.stride != IN_BOTH[0]:
        return found
    for stride in ALONG_LINES:
        along = _look(pieces, stride)
        if along and along.blocks.rise_apart(found.blocks, count) < RISES_LITTLE:
            # What is left of it that goes together would be taken for uneven.
            return replace(along, uneven=found.uneven, heavy_tailed=found.heavy_tailed)
    return found


def _along_lines(pieces: Pieces, found: Look) -> Look | None:
    """What pixels that lie apart in one direction tell, if noise goes together in that alone."""
    few = pieces.few()
    if min(few.images.shape[-2:]) < 2 * SMALLEST:
        return None
    near = found if few.images.shape == pieces.images.shape else _look(few, ALL)
    looks = [look for stride in ALONG_LINES if (look := _look(few, stride))]
    if not near or len(looks) < len(ALONG_LINES):
        return None
    rises = [near.blocks.rise_apart(look.blocks, len(few.images), SMOOTHER) for look in looks]
    of_few = looks[rises.index(max(rises))]
    if max(rises) < RISES_ALONG or min(rises) > AS_STRONG or of_few.agreement < AGREED_ALONG:
        return None
    along = of_few if near is found else _look(pieces, of_few.stride)
    # Either may take what goes together for uneven.
    return along and replace(
        along,
        uneven=found.uneven and along.uneven,
        heavy_tailed=found.heavy_tailed and along.heavy_tailed,
    )


def _look(pieces: Pieces, stride: Stride) -> Look | None:
    images, left_out = (_apart(each, stride) for each in (pieces.images, pieces.left_out))
    unit = (images - pieces.center) * pieces.shrink + 0.5
    blocks = look_at_blocks(pieces.denoiser, unit, left_out, 16 if stride == ALL else 8)
    if not blocks.make_a_line:
        return None
    smoother = pieces.fit(blocks.smoother_half())
    fitted = pieces.fit(blocks.noise_alone()) if stride == ALL else smoother
    departs = pieces.departures(fitted, blocks)
    return Look(stride, blocks, fitted, smoother.any.agreement, *departs)


def _apart(images: Images, stride: Stride) -> Tensor:
    """Images of pixels that lie apart: all of them, or a few of the ways to choose them."""
    if stride == ALL:
        return images
    down, across = stride
    height, width = images.shape[2] // down * down, images.shape[3] // across * across
    return torch.cat(
        [
            images[..., row:height:down, column:width:across]
            for row in range(0, down, max(1, down // 2))
            for column in range(0, across, max(1, across // 2))
        ]
    )

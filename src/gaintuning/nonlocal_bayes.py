"""Places of an image that look alike, filtered together: the second step of non-local Bayes."""

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, conv2d, fold, pad, unfold

from gaintuning._types import Images
from gaintuning.binning import binned, unbinned
from gaintuning.noise import Noise

LIKE = 11
"""Side in pixels of the surroundings by which places are alike."""

PATCH = 7
"""Side of the patches that are filtered."""

ALIKE = 32
"""So many of them make a group."""

WINDOW = 128
"""Side of the part of the image in which the others of a group are looked for."""

MOST, FLAT = 0.8, 0.01
"""Weight of the noisy patches' mean at most, and u / v at which it is half of that."""

BLOCK, STEP = 32, 4
"""Each block has one window, and a group for the pixels of every fourth row and column."""

LEAST = 1e-3
"""Part of its mean over the image below which no variance is taken, as where nothing is counted."""


class NonLocalBayes(nn.Module):
    """A denoiser, and after it the second step of non-local Bayes, with its result as the pilot.

    For each of many patches those others that look most like it in the pilot make a group. With m
    the mean of the group, C its covariance in the pilot, and v the variance of the noise, each
    noisy patch y of the group becomes

        m + C (C + v)^-1 (y - m),

    the best linear estimate of a patch of that mean and covariance. A pixel becomes the mean of all
    patches that it lies in. What repeats itself anywhere is averaged over all its places, further
    apart than a network sees; what does not is in C, and stays.

    The mean of the pilot's patches errs where the pilot does, which is where there is something to
    see; the mean of the noisy ones has the noise of a few dozen. m is the mean of the two with a
    weight for the noisy one that grows with the variance u of the pilot among the group's patches,
    0.8 u / (u + v / 100), so that it is nothing where the image is flat.

    Parameters
    ----------
    network : the denoiser of the pilot, for (n, c, h, w).
    noise : independent from pixel to pixel, in the units of the images.
    part : how far to go from the pilot towards the filtered image.
    bins : side in pixels of bins; above 1 their means are filtered, and details finer than they
        are stay those of the pilot.

    References
    ----------
    Lebrun, Buades & Morel, A Nonlocal Bayesian Image Denoising Algorithm, SIAM Journal on Imaging
    Sciences 6(3), 2013, https://doi.org/10.1137/120874989

    Examples
    --------
    >>> from gaintuning.noise import Gaussian
    >>> stripes = torch.arange(64).remainder(4).div(4).expand(1, 1, 64, 64)
    >>> noisy = Gaussian(0.1).sample(stripes, torch.Generator().manual_seed(0))
    >>> mean_of_three = nn.AvgPool2d((3, 1), 1, (1, 0), count_include_pad=False)
    >>> filtered = NonLocalBayes(mean_of_three, Gaussian(0.1))(noisy)
    >>> bool((mean_of_three(noisy) - stripes).std() < 0.06)
    True
    >>> bool((filtered - stripes).std() < 0.04)
    True
    """

    def __init__(
        self, network: nn.Module, noise: Noise, *, part: float = 1.0, bins: int = 1
    ) -> None:
        super().__init__()
        self.network = network
        self.noise = noise
        self.part = part
        self.bins = bins

    def forward(self, images: Images) -> Images:
        pilots: Tensor = self.network(images).to(images)
        noisy, coarse = (binned(each, self.bins) for each in (images, pilots))
        variance = self.noise.averaged(self.bins**2).variance(coarse)
        each = zip(noisy.split(1), coarse.split(1), variance.split(1), strict=True)
        changes = torch.cat([filter_like_places(*one) for one in each]) - coarse
        return pilots + self.part * unbinned(changes, self.bins, images)


def filter_like_places(noisy: Images, pilot: Images, variance: Images) -> Images:
    """What `NonLocalBayes` does to one image.

    Parameters
    ----------
    noisy, pilot : (1, c, h, w)
    variance : of the noise, in their shape and squared units.
    """
    level = variance.mean()
    if not level > 0 or min(noisy.shape[-2:]) <= LIKE // 2:
        return pilot
    seen = _framed(pilot - pilot.mean(), LIKE)  # differences of large numbers are rough
    pilots, patches = (_patches(_framed(each, PATCH), PATCH) for each in (pilot, noisy))
    of_pixels = variance.mean(1, keepdim=True).clamp(min=float(LEAST * level))
    variances = avg_pool2d(_framed(of_pixels, PATCH), PATCH, stride=1).flatten()
    sums, times = torch.zeros_like(patches), torch.zeros_like(variances)
    height, width = noisy.shape[-2:]
    numbers = torch.arange(height * width, device=noisy.device).reshape(height, width)
    squares = avg_pool2d(seen.square().sum(1), LIKE, stride=1, divisor_override=1)[0]
    for rows, columns, y, x in _windows(height, width):
        window = seen[..., _with_frame(rows), _with_frame(columns)]
        alike = _nearest(window, squares[rows, columns], y, x)
        group = numbers[rows, columns].flatten()[alike]
        # In float64: where the noise is weak, C + v would else not be positive definite.
        members = (each[group].double() for each in (patches, pilots, variances))
        sums.index_add_(0, group.flatten(), _filtered(*members).to(sums).flatten(0, 1))
        times += group.flatten().bincount(minlength=len(times))
    total, number = (
        _laid_over(each, noisy) for each in (sums, times[:, None].expand_as(sums).contiguous())
    )
    return torch.where(number > 0, total / number, pilot)


def _filtered(noisy: Tensor, pilot: Tensor, variances: Tensor) -> Tensor:
    """Groups of patches, (groups, members, values), with a variance for each member."""
    of_pilot = pilot.mean(1, keepdim=True)
    apart = pilot - of_pilot
    covariance = apart.mT @ apart / pilot.shape[1]
    of_noise = variances.mean(1, keepdim=True)
    among = covariance.diagonal(dim1=1, dim2=2).mean(1, keepdim=True)
    weight = MOST * among / (among + FLAT * of_noise)
    mean = of_pilot + weight[..., None] * (noisy.mean(1, keepdim=True) - of_pilot)
    noise = torch.diag_embed(of_noise.expand(-1, pilot.shape[2]))
    factor = torch.linalg.cholesky(covariance + noise)
    return mean + (covariance @ torch.cholesky_solve((noisy - mean).mT, factor)).mT


def _nearest(window: Images, squares: Tensor, y: Tensor, x: Tensor) -> Tensor:
    """Of each place, the numbers of those of a window in its frame that look most like it.

    Where |p - q|^2 = |p|^2 + |q|^2 - 2 p q is smallest, for surroundings p of the place and q of
    another; a convolution has all products without a copy of every q.

    Parameters
    ----------
    window : in its frame.
    squares : |q|^2, (h, w).
    y, x : the rows and columns of the places.
    """
    surroundings = window[0].unfold(1, LIKE, 1).unfold(2, LIKE, 1)
    products = conv2d(window, surroundings[:, y, x].movedim(1, 0))
    distances = (squares - 2 * products[0]).flatten(1)
    return distances.topk(min(ALIKE, distances.shape[1]), largest=False, sorted=False).indices


def _windows(height: int, width: int) -> Iterator[tuple[slice, slice, Tensor, Tensor]]:
    """The window of each block, and in it the rows and columns of some pixels of the block."""
    for top in range(0, height, BLOCK):
        rows = _window(top, height)
        for left in range(0, width, BLOCK):
            columns = _window(left, width)
            down, across = (
                torch.arange(first, min(first + BLOCK, end), STEP) - part.start
                for first, end, part in ((top, height, rows), (left, width, columns))
            )
            y, x = torch.meshgrid(down, across, indexing="ij")
            yield rows, columns, y.flatten(), x.flatten()


def _window(start: int, length: int) -> slice:
    """Along one axis, around a block, within the image."""
    first = max(0, min(start + BLOCK // 2 - WINDOW // 2, length - WINDOW))
    return slice(first, min(first + WINDOW, length))


def _with_frame(part: slice) -> slice:
    """The same of an image in its frame, with what the surroundings of its edge reach."""
    return slice(part.start, part.stop + LIKE - 1)


def _patches(framed: Tensor, side: int) -> Tensor:
    """(h w, c side side): the one around each pixel of an image in its frame."""
    return unfold(framed, side)[0].mT.contiguous()


def _framed(image: Tensor, side: int) -> Tensor:
    margin = side // 2
    return pad(image, (margin, margin, margin, margin), "reflect")


def _laid_over(patches: Tensor, like: Images) -> Images:
    """The sum of the patches, each at its place; what lies beyond the image is left out."""
    margin = PATCH // 2
    height, width = (side + 2 * margin for side in like.shape[-2:])
    whole: Tensor = fold(patches.mT[None], (height, width), PATCH)
    return whole[..., margin : height - margin, margin : width - margin]

"""Methods, images and noise levels to a table, one row for each combination."""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from time import perf_counter
from zlib import crc32

import torch
from torch import Generator, Tensor, nn

from gaintuning._types import Images
from gaintuning.files import read_image
from gaintuning.methods import OF_A_NETWORK, Task, parse_method
from gaintuning.metrics import psnr, ssim, unsupervised_psnr
from gaintuning.noise import parse_noise
from gaintuning.noise_estimation import estimate_noise
from gaintuning.planes import gray, split_planes
from gaintuning.scaling import IntensityRange, find_range, range_of_clean
from gaintuning.tables import Kind, Row, markdown
from gaintuning.tiles import run
from gaintuning.trust import residual_of

NEEDS_NOISE = "clean images need the noise that is to be added; state it, as in gaussian:25"


@dataclass(frozen=True)
class Case:
    """What one row of the table is about.

    Parameters
    ----------
    image : file of the image.
    method : as for `parse_method`.
    network : name or file of the pre-trained network; empty for methods without one.
    noise : as for `parse_noise`, in the units of the image; "auto" where that of a noisy one is to
        be found in it.
    seed : of the noise that is added and of the method.
    noisy : whether the image has its noise already, so that there is no truth to compare with.
    """

    image: str
    method: str
    network: str
    noise: str
    seed: int
    noisy: bool


@dataclass(frozen=True)
class Score:
    """How a method did; what could not be told is None.

    Parameters
    ----------
    noisy_psnr, psnr : in dB, of the noisy and of the denoised image, both cut off at the range.
    ssim : structural similarity of the denoised image.
    residual_spread, residual_correlation : of what was taken away, against the noise; see
        `Residual`. These need no truth.
    unsupervised_psnr : in dB, by the other frames of the same scene; see `unsupervised_mse`.
    seconds : that the method took.
    """

    noisy_psnr: float | None = None
    psnr: float | None = None
    ssim: float | None = None
    residual_spread: float | None = None
    residual_correlation: float | None = None
    unsupervised_psnr: float | None = None
    seconds: float | None = None


KIND = Kind(Case, Score)


def measure(case: Case, folder: Path = Path()) -> Score:
    """Denoise one image, whose file is named as seen from `folder`.

    Of a movie of noisy images of one scene the first is denoised, and scored by the others.

    Raises
    ------
    ValueError, OSError : the image is not there or does not do; of a method, whatever it raises.
    """
    frames, scale = _read(folder / case.image, noisy=case.noisy)
    image = frames[:1]
    stated = parse_noise(case.noise)
    if stated:
        noise = stated.rescaled(scale.low, scale.high)
    elif case.noisy:
        noise = estimate_noise(frames.numpy()).noise
    else:
        raise ValueError(NEEDS_NOISE)
    noisy = image if case.noisy else noise.sample(image, Generator().manual_seed(case.seed))
    way = parse_method(case.method)
    task = Task(noisy, noise, case.network, seed=case.seed)
    start = perf_counter()
    denoised = way(task).to(noisy)
    seconds = perf_counter() - start
    residual = residual_of(noisy, denoised, noise)
    others, by_others = frames[1:, 0], None
    if len(others) > 1:
        by_others = unsupervised_psnr(denoised[0, 0], others, data_range=1.0)
    told = (residual.spread, residual.correlation, by_others, seconds)
    if case.noisy:
        return Score(None, None, None, *told)
    before, after = (one.clamp(0, 1) for one in (noisy, denoised))
    return Score(
        psnr(before, image, data_range=1.0),
        psnr(after, image, data_range=1.0),
        ssim(after[0, 0], image[0, 0], data_range=1.0),
        *told,
    )


def clean_image(path: Path) -> Images:
    """An image in [0, 1], in gray, (1, 1, h, w)."""
    return _read(path, noisy=False)[0]


def score(network: nn.Module, noisy: Images, clean: Images) -> float:
    """PSNR in dB of what a network makes of a noisy image, cut off at 0 and 1.

    Parameters
    ----------
    noisy, clean : (1, 1, h, w), in about [0, 1].
    """
    return psnr_in_range(torch.from_numpy(run(network, noisy)), clean)


def psnr_in_range(denoised: Tensor, clean: Tensor) -> float:
    """PSNR in dB, cut off at 0 and 1."""
    return psnr(denoised.clamp(0, 1), clean, data_range=1.0)


def _read(path: Path, *, noisy: bool) -> tuple[Images, IntensityRange]:
    """A gray image, or the noisy frames of a movie; clean colors become gray."""
    image = read_image(path)
    if image.axes not in ("YX", "TYX" if noisy else "YXS"):
        which = "gray images and movies of them" if noisy else "single images"
        state = "noisy" if noisy else "clean"
        raise ValueError(f"of {state} ones {which} are compared; {path} has the axes {image.axes}")
    (planes,) = split_planes(image.pixels, image.axes)
    found = find_range(planes) if noisy else range_of_clean(planes)
    return torch.from_numpy(gray(found.to_unit(planes))).float(), found


def all_cases(
    images: Iterable[Path],
    methods: Iterable[str],
    networks: Iterable[str],
    noises: Iterable[str],
    seed: int,
    *,
    noisy: bool,
) -> list[Case]:
    """Every method on every image at every level; the noise of an image is the same for all.

    It depends on the seed and on the name of the file, and not on what else is compared.

    Examples
    --------
    >>> cases = all_cases(
    ...     [Path("a.png"), Path("b.png")], ["bm3d"], ["unet", "dncnn"], ["gaussian:25"], 7,
    ...     noisy=False,
    ... )
    >>> [(case.image, case.network) for case in cases]
    [('a.png', ''), ('b.png', '')]
    """
    networks = list(networks)
    with_networks = [
        (method, network)
        for method in methods
        for network in (networks if parse_method(method).name in OF_A_NETWORK else [""])
    ]
    return [
        Case(str(image), method, network, noise, seed + crc32(image.name.encode()), noisy)
        for noise, image, (method, network) in product(noises, images, with_networks)
    ]


def summary(rows: Iterable[Row]) -> str:
    """Means over the images, as Markdown."""
    groups: dict[tuple[str, str, str], list[Row]] = {}
    for row in rows:
        groups.setdefault((row["noise"], row["method"], row["network"]), []).append(row)
    lines = []
    for names, group in groups.items():
        means = [
            _mean(group, *column)
            for column in (
                *(("psnr", 2), ("ssim", 4), ("residual_spread", 2)),
                *(("unsupervised_psnr", 2), ("seconds", 1)),
            )
        ]
        failed = sum(bool(row["error"]) for row in group)
        lines.append([*names, str(len(group)), *means, str(failed)])
    header = ["noise", "method", "network", "images", "PSNR", "SSIM", "residual"]
    header += ["uPSNR", "s", "failed"]
    return markdown(header, lines)


def _mean(rows: Iterable[Row], name: str, digits: int) -> str:
    values = [float(row[name]) for row in rows if row[name]]
    return f"{sum(values) / len(values):.{digits}f}" if values else ""

"""Methods, images and noise levels to a table, one row for each combination."""

import csv
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import astuple, dataclass, fields
from importlib.metadata import version
from io import StringIO
from itertools import product
from multiprocessing import get_context
from pathlib import Path
from time import perf_counter

import torch
from torch import Generator, Tensor

from gaintuning.files import read_image
from gaintuning.methods import METHODS, OF_A_NETWORK, Task, parse_method
from gaintuning.metrics import psnr, ssim
from gaintuning.noise import Noise, parse_noise
from gaintuning.outputs import whole_file
from gaintuning.scaling import find_range
from gaintuning.trust import residual_of


@dataclass(frozen=True)
class Case:
    """What one row of the table is about.

    Parameters
    ----------
    image : file of the image.
    method : as for `parse_method`.
    network : name or file of the pre-trained network; empty for methods without one.
    noise : as for `parse_noise`, in the units of the image.
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
    seconds : that the method took.
    error : why it failed; empty if it did not.
    """

    noisy_psnr: float | None = None
    psnr: float | None = None
    ssim: float | None = None
    residual_spread: float | None = None
    residual_correlation: float | None = None
    seconds: float | None = None
    error: str = ""


Row = dict[str, str]
VERSIONS = {name: version(name) for name in ("gaintuning", "torch")}
COLUMNS = [field.name for record in (Case, Score) for field in fields(record)] + list(VERSIONS)


def evaluate(
    cases: Sequence[Case], table: Path, *, processes: int = 1
) -> Iterator[tuple[int, Row]]:
    """Compute the rows that a table lacks, and save it after each of them.

    A case that failed is in the table with its error, and is tried again by the next call.

    Parameters
    ----------
    cases : what is to be compared.
    table : a CSV file; what it holds is kept.
    processes : how many compute at a time, each with its part of the threads.

    Yields
    ------
    How many rows are still to come, and the row that was computed last.

    Raises
    ------
    ValueError : the file is another table.
    """
    rows = read_table(table)
    done = {_key(row) for row in rows if not row["error"]}
    missing = [case for case in cases if tuple(map(str, astuple(case))) not in done]
    rows = [row for row in rows if not row["error"]]
    left = len(missing)
    for case, score in _scores(missing, processes):
        cells = (*astuple(case), *astuple(score), *VERSIONS.values())
        row = dict(zip(COLUMNS, map(_text, cells), strict=True))
        rows.append(row)
        write_table(table, rows)
        left -= 1
        yield left, row


def _scores(cases: Sequence[Case], processes: int) -> Iterator[tuple[Case, Score]]:
    if processes == 1:
        for case in cases:
            yield case, measure(case)
        return
    threads = max(1, torch.get_num_threads() // processes)
    with ProcessPoolExecutor(
        processes, get_context("spawn"), torch.set_num_threads, (threads,)
    ) as pool:
        running = {pool.submit(measure, case): case for case in cases}
        for future in as_completed(running):
            yield running[future], future.result()


def measure(case: Case) -> Score:
    """Denoise one image; whatever goes wrong is told in the score."""
    try:
        image, noise = _read(case)
        noisy = image if case.noisy else noise.sample(image, Generator().manual_seed(case.seed))
        name, steps = parse_method(case.method)
        task = Task(noisy, noise, case.network, steps, case.seed)
        start = perf_counter()
        denoised = METHODS[name](task).to(noisy)
        seconds = perf_counter() - start
        residual = residual_of(noisy, denoised, noise)
        told = (residual.spread, residual.correlation, seconds)
        if case.noisy:
            return Score(None, None, None, *told)
        before, after = (one.clamp(0, 1) for one in (noisy, denoised))
        return Score(
            psnr(before, image, data_range=1.0),
            psnr(after, image, data_range=1.0),
            ssim(after[0, 0], image[0, 0], data_range=1.0),
            *told,
        )
    except Exception as error:  # one failure does not lose the rest
        return Score(error=f"{type(error).__name__}: {error}")


def _read(case: Case) -> tuple[Tensor, Noise]:
    """The image in [0, 1], (1, 1, h, w), and its noise in the same units."""
    pixels = read_image(Path(case.image)).pixels
    if pixels.ndim != 2:
        raise ValueError(
            f"only gray images are compared, and {case.image} has the shape {pixels.shape}"
        )
    noise = parse_noise(case.noise)
    if noise is None:
        raise ValueError("a comparison needs the noise; state it, as in gaussian:25")
    found = find_range(pixels[None, None])
    unit = torch.from_numpy(found.to_unit(pixels)).float()[None, None]
    return unit, noise.rescaled(found.low, found.high)


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

    Examples
    --------
    >>> cases = all_cases(
    ...     [Path("a.png"), Path("b.png")], ["bm3d"], ["unet", "dncnn"], ["gaussian:25"], 7,
    ...     noisy=False,
    ... )
    >>> [(case.image, case.network, case.seed) for case in cases]
    [('a.png', '', 7), ('b.png', '', 8)]
    """
    networks = list(networks)
    with_networks = [
        (method, network)
        for method in methods
        for network in (networks if parse_method(method)[0] in OF_A_NETWORK else [""])
    ]
    return [
        Case(str(image), method, network, noise, seed + index, noisy)
        for noise, (index, image), (method, network) in product(
            noises, enumerate(images), with_networks
        )
    ]


def summary(rows: Iterable[Row]) -> str:
    """Means over the images, as Markdown."""
    lines = [
        "| noise | method | network | images | PSNR | SSIM | residual | s | failed |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    groups: dict[tuple[str, str, str], list[Row]] = {}
    for row in rows:
        groups.setdefault((row["noise"], row["method"], row["network"]), []).append(row)
    for names, group in groups.items():
        means = [
            _mean(group, *column)
            for column in (("psnr", 2), ("ssim", 4), ("residual_spread", 2), ("seconds", 1))
        ]
        failed = sum(bool(row["error"]) for row in group)
        lines.append("| " + " | ".join([*names, str(len(group)), *means, str(failed)]) + " |")
    return "\n".join(lines)


def read_table(path: Path) -> list[Row]:
    if not path.exists():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        if reader.fieldnames != COLUMNS:
            raise ValueError(f"{path} is not a table of this comparison; give another --output")
        return list(reader)


def write_table(path: Path, rows: Iterable[Row]) -> None:
    text = StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    with whole_file(path) as file:
        file.write(text.getvalue().encode())


def _key(row: Row) -> tuple[str, ...]:
    return tuple(row[field.name] for field in fields(Case))


def _text(value: object) -> str:
    if value is None:
        return ""
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _mean(rows: Iterable[Row], name: str, digits: int) -> str:
    values = [float(row[name]) for row in rows if row[name]]
    return f"{sum(values) / len(values):.{digits}f}" if values else ""

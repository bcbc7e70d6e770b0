"""What each command does: files in, files and a few lines of text out."""

import json
import shlex
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from pathlib import Path
from time import perf_counter
from typing import Any, TypeAlias

import numpy as np

from gaintuning import zoo
from gaintuning._types import Progress
from gaintuning.adaptation import Array
from gaintuning.adapted import AdaptedFast, Learned
from gaintuning.choosing import ObjectiveName
from gaintuning.denoising import Denoised, denoise
from gaintuning.failures import sentence_for
from gaintuning.files import (
    check_output,
    holds_floats,
    load,
    open_image,
    write_image,
    written_name,
)
from gaintuning.following import Following
from gaintuning.image import Image, OpenImage
from gaintuning.movies import check_frames, denoise_frames, is_long, len_of, parts_of
from gaintuning.noise import Noise, parse_noise
from gaintuning.outputs import check_place
from gaintuning.planes import as_dtype
from gaintuning.progress import progress_bars
from gaintuning.report import write_report
from gaintuning.summary import lines_of, note_on_others, record_of
from gaintuning.unfinished import Unfinished
from gaintuning.validate import check_pixels, find_device


@dataclass(frozen=True)
class Request:
    """What to do with each image: the options of `gaintuning denoise`."""

    network: str
    noise: str
    intensity_range: tuple[float, float] | None
    objective: ObjectiveName
    axes: str | None
    tune: bool
    like_places: bool
    each_frame: bool
    seed: int
    device: str


@dataclass(frozen=True)
class Job:
    """One image to denoise, and where to."""

    source: Path
    target: Path
    report: Path | None


def denoise_files(
    images: Sequence[Path],
    output: Path,
    request: Request,
    *,
    report: Path | None,
    force: bool,
    skip: bool,
    as_json: bool,
    quiet: bool,
) -> None:
    """Denoise each file; of several, one that fails is told of and does not stop the others.

    Where `skip`, those whose denoised file is there are left out.
    """
    if request.each_frame and not request.tune:
        raise ValueError("--each-frame tunes to each frame, and --no-tune does not; leave one out")
    if force and skip:
        raise ValueError("--force replaces what exists, and --skip-existing leaves it; give one")
    jobs = plan(images, output, report)
    noise = parse_noise(request.noise)
    for name in zoo.candidates(request.network):
        zoo.load(name)
    make_folders(jobs, output, report)
    records: list[dict[str, Any]] = []
    failures = 0
    with progress_bars(quiet or as_json) as bar:
        for job in jobs:
            if skip and job.target.exists():
                continue
            try:
                summary, record = _denoise_file(job, request, noise, force, bar)
            except Exception as error:
                reason = sentence_for(error)
                if reason is None or len(jobs) == 1:
                    raise
                print(f"gaintuning: {job.source}: {reason}", file=sys.stderr)
                failures += 1
                continue
            records.append(record)
            if not quiet and not as_json:
                print(summary)
    if as_json:
        print(json.dumps(records, indent=2))
    if failures:
        raise ValueError(f"{failures} of {len(jobs)} images failed")


def plan(images: Sequence[Path], output: Path, report: Path | None) -> list[Job]:
    """Which file becomes which: into a folder, or one image to one file."""
    for option, path in (("--output", output), ("--report", report)):
        if str(path).startswith("-"):
            raise ValueError(f"{option} needs a name behind it, and {path} is an option")
    sources: list[Path] = []
    for image in images:
        sources.extend([image] if image.exists() else _matches(image) or [image])
    into_folder = output.is_dir() or not output.suffix
    if len(sources) > 1 and not into_folder:
        raise ValueError(
            f"{len(sources)} images need a folder to go to, and {output} names a file; give a "
            "folder with --output"
        )
    pages_in_folder = report is not None and (report.is_dir() or not report.suffix)
    if (
        report is not None
        and not pages_in_folder
        and (len(sources) > 1 or report.suffix.lower() not in (".html", ".htm"))
    ):
        raise ValueError(f"--report {report}: give a name that ends in .html, or a folder")
    jobs = []
    for source in sources:
        target = output / written_name(source) if into_folder else output
        page = report / f"{source.name}.html" if report and pages_in_folder else report
        jobs.append(Job(source, target, page))
    noisy, written = {source.resolve() for source in sources}, set()
    for path in (path.resolve() for job in jobs for path in (job.target, job.report) if path):
        if path in noisy:
            raise ValueError(f"{path} is a noisy image itself; give another --output")
        if path in written:
            raise ValueError(
                f"{path} would be written twice; denoise these images into separate folders"
            )
        written.add(path)
    return jobs


def make_folders(jobs: Sequence[Job], output: Path, report: Path | None) -> None:
    """Make the folders that `plan` put files into; those above them must be there."""
    for folder in {path.parent for job in jobs for path in (job.target, job.report) if path}:
        if folder in (output, report) and not folder.exists():
            folder.mkdir()


def _matches(pattern: Path) -> list[Path]:
    """The files that a pattern such as '*.tif' means where the shell has not expanded it.

    As in a shell, `*` does not begin with a dot: macOS writes `._a.tif` beside `a.tif`.
    """
    anchor = Path(pattern.anchor)
    found = anchor.glob(str(pattern.relative_to(anchor)))
    dotted = pattern.name.startswith(".")
    return sorted(
        path for path in found if path.is_file() and (dotted or not path.name.startswith("."))
    )


Bar: TypeAlias = Callable[[str], Progress]
Told: TypeAlias = tuple[str, dict[str, Any]]
"""What is told of a job: a few lines, and a record."""


def _denoise_file(job: Job, request: Request, noise: Noise | None, force: bool, bar: Bar) -> Told:
    opened = open_image(job.source)
    if request.axes:
        opened = replace(opened, axes=request.axes.upper())
    check_output(job.target, opened, overwrite=force)
    if request.each_frame and opened.axes[0] not in "TZ":
        raise ValueError(f"--each-frame is for movies, and {job.source} has axes {opened.axes}")
    if is_long(opened) or request.each_frame:
        with Unfinished(job.target, opened, _decisive(job, request, opened)) as work:
            return _denoise_movie(job, request, noise, work, force, bar)
    image = load(opened, job.source)
    name = job.source.name
    result = _denoised(job, request, noise, image, force, bar(name), title=name)
    pixels, notes = _to_be_written(job.target, image.pixels.dtype, result.image)
    write_image(job.target, replace(image, pixels=pixels), overwrite=force)
    told = lines_of(result, any_network=request.network == zoo.AUTO)
    lines = [_head(job, result.network, result.seconds), *note_on_others(image), *told, *notes]
    return "\n".join(lines), _record(job, result) | {"dtype": str(pixels.dtype)}


def _to_be_written(
    target: Path, of_source: np.dtype[Any], result: Array
) -> tuple[Array, list[str]]:
    """The result as the format can hold it, and a word on what became of its dtype."""
    if result.dtype == of_source:
        return result, []
    if holds_floats(target):
        return result, [f"  note: the result is finer than whole numbers, so it is {result.dtype}"]
    warning = "the result is finer than the whole numbers of a PNG; a .tif or .npy would hold it"
    return as_dtype(result, of_source), [f"  warning: {warning}"]


def _decisive(job: Job, request: Request, movie: OpenImage) -> dict[str, Any]:
    """All that a denoised movie depends on; the version stands for the networks on board."""
    read = [path for path in (job.source, Path(request.network)) if path.is_file()]
    files = [(path.stat().st_size, path.stat().st_mtime_ns) for path in read]
    return asdict(request) | {"axes": movie.axes, "files": files, "version": version("gaintuning")}


def _denoise_movie(
    job: Job, request: Request, noise: Noise | None, work: Unfinished, force: bool, bar: Bar
) -> Told:
    """Tune on parts of all of it, then frame by frame; what a stopped one has done is kept."""
    start, movie = perf_counter(), work.movie
    begun = work.found()
    if begun is None:
        check_frames(movie)
        parts = parts_of(movie)
        name = job.source.name
        progress, title = bar(f"{name}: tuning"), f"{name}: parts of its {len_of(movie)} frames"
        result = _denoised(job, request, noise, parts, force, progress, title=title, as_frames=True)
        _, notes = _to_be_written(job.target, movie.pixels.dtype.newbyteorder("="), result.image)
        record = _record(job, result) | {"shape": list(movie.pixels.shape)}
        told = [[*lines_of(result, any_network=request.network == zoo.AUTO), *notes], record]
        work.begin(list(map(Learned.of, result.adaptations)), told, result.image.dtype)
        begun = work.found()
        assert begun is not None
    learned, (findings, record) = begun
    first = work.done
    network = zoo.load(record["network"])[0].to(find_device(request.device))
    dtype = np.dtype(record["dtype"])
    adapted = (
        Following(network, learned, objective=request.objective, seed=request.seed, first=first)
        if request.each_frame
        else AdaptedFast(network, learned)
    )
    denoise_frames(work, adapted, dtype, bar(f"{job.source.name}: frames"))
    seconds = perf_counter() - start
    if first:
        findings.append(f"  note: gone on with from frame {first} on, where it had been stopped")
    if job.report is not None and not record["report"]:
        findings.append("  note: no report was made, since that is done when a movie is begun")
    lines = [_head(job, record["network"], seconds), *note_on_others(movie), *findings]
    return "\n".join(lines), record | {"seconds": round(seconds, 3)}


def _denoised(
    job: Job,
    request: Request,
    noise: Noise | None,
    image: Image,
    force: bool,
    progress: Progress,
    *,
    title: str,
    as_frames: bool = False,
) -> Denoised[Array]:
    """An image, or parts of a movie as its frames are to be, denoised, with the report."""
    check_pixels(image.pixels, image.axes)
    if job.report is not None:
        check_place(job.report, overwrite=force)
    result = denoise(
        image.pixels,
        axes=image.axes,
        network=request.network,
        noise=noise or "auto",
        intensity_range=request.intensity_range,
        objective=request.objective,
        tune=request.tune,
        orientations=not as_frames,
        nonlocal_bayes=request.like_places and not as_frames,
        seed=request.seed,
        device=request.device,
        progress=progress,
    )
    if job.report is not None:
        write_report(
            job.report,
            image.pixels,
            result,
            title=title,
            command=shlex.join(["gaintuning", *sys.argv[1:]]),
            overwrite=force,
        )
    return result


def _head(job: Job, network: str, seconds: float) -> str:
    return f"{job.source} -> {job.target} in {seconds:.1f} s by {network}"


def _record(job: Job, result: Denoised[Array]) -> dict[str, Any]:
    return {
        "input": str(job.source),
        "output": str(job.target),
        "report": str(job.report) if job.report else None,
        **record_of(result),
    }

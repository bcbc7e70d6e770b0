"""The command that compares methods: images in, a table out."""

import json
from collections.abc import Sequence
from pathlib import Path

from gaintuning import zoo
from gaintuning.evaluation import KIND, NEEDS_NOISE, all_cases, measure, summary
from gaintuning.files import image_files
from gaintuning.methods import parse_method
from gaintuning.noise import parse_noise
from gaintuning.outputs import check_place
from gaintuning.progress import progress_bars
from gaintuning.tables import fill, rows_of


def compare(
    images: Sequence[Path],
    output: Path,
    *,
    methods: Sequence[str],
    networks: Sequence[str],
    noises: Sequence[str],
    seed: int,
    noisy: bool,
    processes: int,
    as_json: bool,
    quiet: bool,
) -> None:
    """Compute what the table lacks and print its summary.

    Raises
    ------
    ValueError, OSError : something that is asked for cannot be, which is told before any work; or
        some of the images failed, which is told after the others are done.
    """
    files = find_images(images)
    for method in methods:
        parse_method(method)
    for network in networks:
        for name in zoo.candidates(network):
            zoo.load(name)
    for noise in noises:
        if parse_noise(noise) is None and not noisy:
            raise ValueError(NEEDS_NOISE)
    if processes < 1:
        raise ValueError(f"--processes must be at least 1, got {processes}")
    check_place(output, overwrite=True)
    cases = all_cases(files, methods, networks, noises, seed, noisy=noisy)
    failures = []
    with progress_bars(quiet or as_json) as bar:
        show = bar(output.name)
        for left, row in fill(output, KIND, cases, measure, processes=processes):
            show(len(cases) - left, len(cases))
            if row["error"]:
                failures.append(f"{row['method']} on {row['image']}: {row['error']}")
    rows = rows_of(output, KIND, cases)
    if as_json:
        print(json.dumps(rows, indent=2))
    elif not quiet:
        print(summary(rows))
    if failures:
        more = f"; and {len(failures) - 3} more" if len(failures) > 3 else ""
        raise ValueError(
            f"{len(failures)} of {len(cases)} failed, the others are in {output}: "
            f"{'; '.join(failures[:3])}{more}"
        )


def find_images(paths: Sequence[Path]) -> list[Path]:
    """Files as they are, and the images of folders."""
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            inside = image_files(path)
            if not inside:
                raise ValueError(f"there is no image in {path}")
            found.extend(inside)
        elif path.exists():
            found.append(path)
        else:
            raise FileNotFoundError(f"there is no file {path}")
    return found

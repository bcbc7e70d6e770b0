"""What a long movie costs beside the passes of the plain network, and how much memory it takes.

python benchmarks/movie.py [--frames 100] [--size 1024] [--quick]

A movie of shot noise is denoised by `gaintuning denoise` in a process of its own: it is opened,
parts of it are tuned on, every frame is denoised and written. The plain network denoises the same
frames here, one half of them before that and one half after it; only its passes are timed. Memory
is the largest resident size of that process.
"""

import argparse
import resource
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

import numpy as np
import torch
from numpy.typing import NDArray

from gaintuning import zoo
from gaintuning.files import write_image
from gaintuning.hardware import freed_memory_kept
from gaintuning.image import Image
from gaintuning.layout import lay_out_network
from gaintuning.movies import LONG
from gaintuning.tiles import run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--frames", type=int, default=100)
    parser.add_argument("--size", type=int, default=1024)
    parser.add_argument("--quick", action="store_true", help="a few small frames")
    arguments = parser.parse_args()
    count, size = (4, 64) if arguments.quick else (arguments.frames, arguments.size)
    movie = frames(count, size)
    before = plain(movie[: count // 2])
    seconds, memory = whole(movie)
    passes = before + plain(movie[count // 2 :])
    print(f"{count} frames of {size} x {size}, {torch.get_num_threads()} threads")
    print("| side | seconds | memory |\n| --- | --- | --- |")
    print(f"| passes of the plain network | {passes:.1f} | |")
    print(f"| denoised | {seconds:.1f} | {memory:.2f} GiB |\n")
    print(f"ratio {seconds / passes:.2f}")
    if movie.size <= LONG:
        print(f"(it is denoised frame by frame from {LONG} pixels on; this one was not)")


def frames(count: int, size: int) -> NDArray[np.uint16]:
    """A pattern that moves, in counts."""
    rng = np.random.default_rng(0)
    rows, columns = np.mgrid[:size, :size]
    pattern = 20 + 12 * np.sin(rows / 5) * np.cos(columns / 7)
    moved = (np.roll(pattern, index, axis=1) for index in range(count))
    return np.stack([rng.poisson(frame).astype(np.uint16) for frame in moved])


def plain(movie: NDArray[np.uint16]) -> float:
    network = lay_out_network(zoo.load(zoo.DEFAULT)[0])
    taken = 0.0
    with freed_memory_kept():  # as the other side has it
        for frame in movie:
            image = torch.from_numpy(frame.astype(np.float32) / 50)[None, None]
            start = perf_counter()
            run(network, image)
            taken += perf_counter() - start
    return taken


def whole(movie: NDArray[np.uint16]) -> tuple[float, float]:
    """Seconds and GiB."""
    with TemporaryDirectory() as folder:
        noisy, denoised = (str(Path(folder) / name) for name in ("noisy.tif", "denoised.tif"))
        write_image(Path(noisy), Image(movie, "TYX"))
        command = [sys.executable, "-m", "gaintuning", "denoise", noisy, "-o", denoised, "--quiet"]
        start = perf_counter()
        subprocess.run(command, check=True)
        seconds = perf_counter() - start
    return seconds, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20


if __name__ == "__main__":
    main()

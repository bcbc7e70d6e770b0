"""What one step of tuning costs: fused groups beside plain autograd and a bare convolution.

python benchmarks/step.py [--size 256] [--repeats 5] [--output FOLDER] [--quick]

A step is SURE forward and backward on one image. `plain` is autograd through filters times gains,
as the method is written down: stored channels first, batch normalisation by itself. `fused` is
the package's step in float32, `fused bfloat16` what it does where the machine has units for it.
All take turns in one process, each twice, of which the second is timed; the table has medians. The
fused sides keep freed memory, as `tune` does. The rate counts the multiplications and additions of
the convolutions, forward and of the gradient in their input, and stands beside that of a bare 64-64
3 x 3 convolution, channels last, in float32 and in the step's own dtype. Memory is the growth of
the largest resident size, each side in a process of its own.
"""

import argparse
import statistics
import subprocess
import sys
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from time import perf_counter

import torch
from matplotlib.figure import Figure
from torch import Generator, Tensor, nn

from gaintuning.fused import fuse
from gaintuning.gains import channel_gains, free_parameters
from gaintuning.hardware import freed_memory_kept, has_bfloat16_units
from gaintuning.layout import lay_out_images, lay_out_network
from gaintuning.networks import DnCNN, UNet
from gaintuning.objectives import Sure

NETWORKS: dict[str, Callable[[], nn.Module]] = {"DnCNN": DnCNN, "UNet": UNet}
SIDES = {"plain": None, "fused": torch.float32, "fused bfloat16": torch.bfloat16}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=256, help="side of the image in pixels")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--output", type=Path, help="folder for the figure")
    parser.add_argument("--quick", action="store_true", help="a small image, twice")
    parser.add_argument("--memory-of", nargs=2, metavar=("NETWORK", "SIDE"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    size, repeats = (64, 2) if arguments.quick else (arguments.size, arguments.repeats)
    if arguments.memory_of:
        print(memory(*arguments.memory_of, size))
        return
    sides = [side for side in SIDES if side != "fused bfloat16" or has_units()]
    rows = [row for name in NETWORKS for row in measure(name, sides, size, repeats)]
    print(f"{size} x {size} pixels, {torch.get_num_threads()} threads, median of {repeats}\n")
    print(table(rows))
    if arguments.output:
        draw(rows, arguments.output / "step.svg")


def has_units() -> bool:
    return has_bfloat16_units(torch.device("cpu"))


def step_of(name: str, side: str, size: int) -> Callable[[], object]:
    """One step, ready to be called; the same noisy image and probe for each side."""
    torch.manual_seed(0)
    network = NETWORKS[name]().eval()
    noisy = torch.rand(1, 1, size, size)
    free = channel_gains(network)
    moving: nn.Module = free
    dtype = SIDES[side]
    if dtype is not None:
        noisy = lay_out_images(noisy)
        moving = fuse(lay_out_network(free), noisy[..., :64, :64], dtype)
    parameters = free_parameters(free)

    def step() -> tuple[Tensor, ...]:
        loss = Sure(0.1)(moving, noisy, Generator().manual_seed(0)).mean()
        return torch.autograd.grad(loss, parameters)

    return step


def bare_convolution(size: int, dtype: torch.dtype) -> Callable[[], object]:
    layer = lay_out_network(nn.Conv2d(64, 64, 3, padding=1, bias=False).to(dtype))
    features = lay_out_images(torch.rand(2, 64, size, size, dtype=dtype))

    def forward() -> Tensor:
        with torch.inference_mode():
            return layer(features)

    return forward


def seconds_of(step: Callable[[], object], keep: bool) -> float:
    """Of the second of two calls."""
    with freed_memory_kept() if keep else nullcontext():
        step()
        start = perf_counter()
        step()
        return perf_counter() - start


def measure(name: str, sides: list[str], size: int, repeats: int) -> list[dict[str, object]]:
    steps = {side: step_of(name, side, size) for side in sides}
    dtypes = {SIDES[side] or torch.float32 for side in sides}
    bare = {dtype: bare_convolution(size, dtype) for dtype in dtypes}
    seconds: dict[object, list[float]] = {key: [] for key in [*steps, *bare]}
    for _ in range(repeats):
        for side, step in steps.items():
            seconds[side].append(seconds_of(step, keep=side != "plain"))
        for dtype, convolution in bare.items():
            seconds[dtype].append(seconds_of(convolution, keep=True))
    median = {key: statistics.median(times) for key, times in seconds.items()}
    bare_work = 2 * 9 * 64 * 64 * 2 * size**2
    work = 2 * 2 * operations(NETWORKS[name](), size)  # forward and backward, of two images
    return [
        {
            "network": name,
            "side": side,
            "seconds": median[side],
            "faster": median["plain"] / median[side],
            "rate": work / median[side] / 1e9,
            "of float32": work / median[side] / (bare_work / median[torch.float32]),
            "of its own": work / median[side] / (bare_work / median[SIDES[side] or torch.float32]),
            "memory": measured_memory(name, side, size),
        }
        for side in sides
    ]


def operations(network: nn.Module, size: int) -> float:
    """Multiplications and additions of the convolutions for one image."""
    count = 0.0

    def add(layer: nn.Module, inputs: tuple[Tensor], output: Tensor) -> None:
        nonlocal count
        # A transposed convolution uses each filter once for each pixel that comes in.
        places = inputs[0] if isinstance(layer, nn.ConvTranspose2d) else output
        count += 2 * layer.weight.numel() * places[0, 0].numel()

    for layer in network.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
            layer.register_forward_hook(add)
    with torch.inference_mode():
        network.eval()(torch.zeros(1, 1, size, size))
    return count


def measured_memory(name: str, side: str, size: int) -> float:
    command = [sys.executable, __file__, "--size", str(size), "--memory-of", name, side]
    return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def memory(name: str, side: str, size: int) -> float:
    """Growth of the largest resident size by a step, in MiB; on Linux."""
    step_of(name, side, 32)()  # what the libraries take once
    step = step_of(name, side, size)
    Path("/proc/self/clear_refs").write_text("5")  # the largest is now the present one
    before = largest_resident()
    with freed_memory_kept() if side != "plain" else nullcontext():
        step()
    return largest_resident() - before


def largest_resident() -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    (line,) = (each for each in lines if each.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


def table(rows: list[dict[str, object]]) -> str:
    lines = [
        "| network | step | s | times as fast | GFLOP/s | of a bare convolution's, float32 | "
        "of its own dtype | MiB |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for row in rows:
        lines.append(
            f"| {row['network']} | {row['side']} | {row['seconds']:.3f} | {row['faster']:.2f} | "
            f"{row['rate']:.0f} | {100 * row['of float32']:.0f} % | "
            f"{100 * row['of its own']:.0f} % | {row['memory']:.0f} |"
        )
    return "\n".join(lines)


def draw(rows: list[dict[str, object]], path: Path) -> None:
    figure = Figure(figsize=(6, 2.5), layout="constrained")
    axes = figure.subplots()
    labels = [f"{row['network']}, {row['side']}" for row in rows]
    axes.barh(labels[::-1], [row["seconds"] for row in rows][::-1], color="#0b6cb8")
    axes.set(xlabel="seconds a step", xscale="log")
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path)


if __name__ == "__main__":
    main()

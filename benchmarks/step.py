"""What one step of tuning costs: fused groups beside plain autograd and a bare convolution.

python benchmarks/step.py [--size 256] [--repeats 5] [--output FOLDER] [--quick]

A step is SURE forward and backward on one image. `plain` is autograd through filters times gains,
as the method is written down: stored channels first, batch normalisation by itself. `fused` is
the package's step in float32, `fused bfloat16` what it does where the machine has units for it.
All take turns in one process; the table has medians. The rate counts the multiplications and
additions of the convolutions, forward and of the gradient in their input, and stands beside that of
a bare 64-64 3 x 3 convolution. Memory is the growth of the largest resident size, each side in a
process of its own.
"""

import argparse
import statistics
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from time import perf_counter

import torch
from matplotlib.figure import Figure
from torch import Generator, Tensor, nn

from gaintuning.fused import fuse
from gaintuning.gains import channel_gains, free_parameters
from gaintuning.hardware import has_bfloat16_units
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


def bare_convolution(size: int) -> Callable[[], object]:
    layer = lay_out_network(nn.Conv2d(64, 64, 3, padding=1, bias=False))
    features = lay_out_images(torch.rand(2, 64, size, size))

    def forward() -> Tensor:
        with torch.inference_mode():
            return layer(features)

    return forward


def measure(name: str, sides: list[str], size: int, repeats: int) -> list[dict[str, object]]:
    steps = {side: step_of(name, side, size) for side in sides}
    bare = bare_convolution(size)
    seconds: dict[str, list[float]] = {side: [] for side in [*sides, "bare"]}
    for turn in range(repeats + 1):
        for side, step in [*steps.items(), ("bare", bare)]:
            start = perf_counter()
            step()
            if turn:  # the first is to warm up
                seconds[side].append(perf_counter() - start)
    median = {side: statistics.median(times) for side, times in seconds.items()}
    bare_rate = 2 * 9 * 64 * 64 * 2 * size**2 / median["bare"]
    work = 2 * 2 * operations(NETWORKS[name](), size)  # forward and backward, of two images
    return [
        {
            "network": name,
            "side": side,
            "seconds": median[side],
            "faster": median["plain"] / median[side],
            "rate": work / median[side] / 1e9,
            "share": work / median[side] / bare_rate,
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
    step()
    return largest_resident() - before


def largest_resident() -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    (line,) = (each for each in lines if each.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


def table(rows: list[dict[str, object]]) -> str:
    lines = [
        "| network | step | s | times as fast | GFLOP/s | of the bare convolution | MiB |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for row in rows:
        lines.append(
            f"| {row['network']} | {row['side']} | {row['seconds']:.3f} | {row['faster']:.2f} | "
            f"{row['rate']:.0f} | {100 * row['share']:.0f} % | {row['memory']:.0f} |"
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

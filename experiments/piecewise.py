"""From piecewise-constant scenes to natural images (section 5.3 a of the paper), on Set12.

python experiments/piecewise.py SET12 [--output docs/piecewise.csv] [--quick]

A network that has only seen simulated discs, edges and lines is tuned to each natural image by
SURE. SET12 is a folder of images; the networks are those on board. Rows that are in the output
already are not computed again: a run that was stopped goes on. Beside the output stands a picture
of some of the scenes.
"""

import argparse
from pathlib import Path

import torch
from set12 import fill, place_of_rows, read_images, read_rows, table
from torch.nn.functional import pad

from gaintuning import zoo
from gaintuning.files import Image, write_image
from gaintuning.simulate.piecewise import piecewise_constant
from gaintuning.tuning import Schedule

RUNS = [
    ("dncnn", 30, "none"),
    ("bfcnn", 30, "none"),
    ("dncnn-piecewise", 30, "none"),
    ("dncnn-piecewise", 30, "sure"),
    ("bfcnn-piecewise", 30, "none"),
    ("bfcnn-piecewise", 30, "sure"),
]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("images", type=Path)
    parser.add_argument("--output", type=Path, default=Path("piecewise.csv"))
    parser.add_argument("--quick", action="store_true", help="two small crops and a few steps")
    arguments = parser.parse_args()
    images = read_images(arguments.images, arguments.quick)
    schedule = Schedule(steps=3, rounds=1) if arguments.quick else Schedule()
    output = place_of_rows(arguments)
    rows = read_rows(output)
    draw_scenes(output.with_suffix(".png"))
    for name, sigma, objective in RUNS:
        network = zoo.load(name)[0]
        fill(rows, output, name, network, sigma, objective, images, schedule)
    print(table(rows, RUNS))


def draw_scenes(path: Path, down: int = 2, across: int = 6) -> None:
    scenes = piecewise_constant(down * across, size=180, seed=0)
    framed = pad(255 * scenes, (4, 4, 4, 4), value=255).round().to(torch.uint8)
    tiled = framed.view(down, across, 188, 188).permute(0, 2, 1, 3).reshape(down * 188, -1)
    write_image(path, Image(tiled.numpy(), "YX"), overwrite=True)


if __name__ == "__main__":
    main()

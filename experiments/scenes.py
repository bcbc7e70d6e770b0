"""Draw some of the piecewise-constant scenes that networks were trained on.

python experiments/scenes.py [--output docs/piecewise.png]
"""

import argparse
from pathlib import Path

import torch
from torch.nn.functional import pad

from gaintuning.files import Image, write_image
from gaintuning.simulate.piecewise import piecewise_constant

DOWN, ACROSS, SIDE, MARGIN = 2, 6, 180, 4


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, default=Path("piecewise.png"))
    scenes = piecewise_constant(DOWN * ACROSS, size=SIDE, seed=0)
    framed = pad(255 * scenes, (MARGIN,) * 4, value=255).round().to(torch.uint8)
    side = SIDE + 2 * MARGIN
    tiled = framed.view(DOWN, ACROSS, side, side).permute(0, 2, 1, 3)
    image = Image(tiled.reshape(DOWN * side, ACROSS * side).numpy(), "YX")
    write_image(parser.parse_args().output, image, overwrite=True)
    print(f"{len(scenes)} scenes")


if __name__ == "__main__":
    main()

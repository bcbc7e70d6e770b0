"""What the scripts share: images in, and rows of a table that go on where they stopped."""

import argparse
import csv
from io import StringIO
from pathlib import Path

import torch
from torch import Tensor

from gaintuning.files import read_image
from gaintuning.outputs import whole_file


def place_of_rows(arguments: argparse.Namespace) -> Path:
    """Those of a quick run have a file of their own, or a full run would take them for its own."""
    output: Path = arguments.output
    return output.with_name(f"quick-{output.name}") if arguments.quick else output


def read_images(folder: Path, quick: bool) -> dict[str, Tensor]:
    files = sorted(folder.glob("*.png"))
    images = {path.stem: torch.from_numpy(read_image(path).pixels)[None, None] for path in files}
    if quick:
        images = {name: image[..., 64:160, 64:160] for name, image in list(images.items())[:2]}
    return {name: image.float() / 255 for name, image in images.items()}


def read_rows(path: Path) -> list[dict[str, str]]:
    if not path.exists():
        return []
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def write_rows(path: Path, rows: list[dict[str, str]], fields: list[str]) -> None:
    text = StringIO()
    writer = csv.DictWriter(text, fields, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    with whole_file(path) as file:
        file.write(text.getvalue().encode())

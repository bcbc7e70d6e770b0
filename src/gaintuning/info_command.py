"""`gaintuning info`: what an image file or a network file holds."""

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from gaintuning.adaptation import Array
from gaintuning.adapting import find_noise
from gaintuning.files import load, open_image
from gaintuning.image import Image
from gaintuning.movies import is_long, parts_of
from gaintuning.networks.checkpoint import load_network
from gaintuning.planes import split_planes
from gaintuning.scaling import find_range
from gaintuning.validate import check_pixels, find_device


def describe(file: Path, *, as_json: bool) -> None:
    """Print what an image file or a network file holds."""
    if file.suffix.lower() in (".safetensors", ".pt"):
        network, card = load_network(file)
        facts = asdict(card) | {"parameters": sum(p.numel() for p in network.parameters())}
    else:
        facts = _facts_of_image_file(file)
    if as_json:
        print(json.dumps(facts, indent=2))
    else:
        width = max(map(len, facts))
        for name, value in facts.items():
            print(f"{name:{width}}  {value}")


def _facts_of_image_file(file: Path) -> dict[str, Any]:
    """Of a long movie, its shape and what is in parts of it."""
    opened = open_image(file)
    if not is_long(opened):
        return _image_facts(load(opened, file))
    parts = parts_of(opened)
    whole = {"shape": " x ".join(map(str, opened.pixels.shape)), "looked at": "parts of all of it"}
    return _image_facts(replace(parts, others=opened.others)) | whole


def _image_facts(image: Image) -> dict[str, Any]:
    pixels = image.pixels
    lengths = [
        f"{axis} {length:g} {unit}"
        for axis, (length, unit) in image.pixel_size.items()
        if axis in image.axes
    ]
    number = image.others + 1
    of_several = {"image": f"of {number} in the file the largest, the first of those as large"}
    facts: dict[str, Any] = {
        **(of_several if image.others else {}),
        "axes": image.axes,
        "shape": " x ".join(map(str, pixels.shape)),
        "dtype": str(pixels.dtype),
        "pixel size": ", ".join(lengths) or "not stated",
        **{name: f"{value:g} {unit}" for name, (value, unit) in image.acquisition.items()},
        "intensities": _intensities(pixels),
    }
    try:
        check_pixels(pixels, image.axes)
        channels = split_planes(pixels, image.axes)
        for index, planes in enumerate(channels):
            found = find_range(planes)
            which = f" of channel {index}" if len(channels) > 1 else ""
            facts["range" + which] = f"{found.low:g} to {found.high:g} map to 0 and 1"
            noise = find_noise(planes, find_device("auto"))
            percent = 100 * noise.standard_error
            unsure = f"{percent:.1g} %" if percent < 1 else f"{percent:.0f} %"
            facts["noise" + which] = f"{noise.noise} (estimated, standard error {unsure})"
            if noise.remarks:
                facts["note" + which] = "; ".join(noise.remarks)
    except (ValueError, TypeError) as error:
        facts["cannot be denoised"] = str(error)
    return facts


def _intensities(pixels: Array) -> str:
    finite = pixels[np.isfinite(pixels)]
    if not finite.size:
        return "none that is a number"
    told = f"{finite.min():g} to {finite.max():g}, mean {finite.mean():g}"
    left_out = pixels.size - finite.size
    return f"{told}; {left_out} pixels are NaN or infinite" if left_out else told

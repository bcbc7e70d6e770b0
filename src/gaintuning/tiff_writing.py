"""TIFF as ImageJ, OME and tifffile read it, with axes, pixel size and how the image was taken."""

import math
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import tifffile

from gaintuning._types import Pixels
from gaintuning.acquisition import to_text
from gaintuning.image import Image, OpenImage
from gaintuning.pixels import CENTIMETRES, PixelSize

_IMAGEJ_NAMES = {"µm": "um", "in": "inch", "Å": "Angstrom"}
_IMAGEJ_DTYPES = ("uint8", "uint16", "int16", "float32")
_OME_DTYPES = (
    "int8", "int16", "int32", "uint8", "uint16", "uint32", "float32", "float64"
)  # fmt: skip
_IMAGEJ_BYTES = 2**32 - 2**25  # of pixels, which leaves some for the tags
_LARGEST = 2**32 - 1


def write_tiff(file: BinaryIO, image: Image, *, ome: bool = False) -> None:
    """Write an ImageJ hyperstack if that holds all there is, and else a plain TIFF; or OME-TIFF.

    `check_ome` says before what OME-TIFF cannot hold.

    Examples
    --------
    >>> from tempfile import mkdtemp
    >>> from gaintuning.tiff import open_tiff
    >>> path = Path(mkdtemp()) / "cells.tif"
    >>> with path.open("wb") as file:
    ...     write_tiff(file, Image(np.zeros((5, 8, 8), np.uint16), "TYX"))
    >>> open_tiff(path).axes
    'TYX'
    """
    tifffile.imwrite(file, image.pixels, **_arguments(image, ome=ome))


def make_room_in_tiff(path: Path, like: OpenImage, *, ome: bool = False) -> int:
    """Write all of a TIFF but the pixels, for which there is room from the byte returned on."""
    place = tifffile.imwrite(
        path,
        shape=like.pixels.shape,
        dtype=like.pixels.dtype.newbyteorder("="),
        returnoffset=True,
        **_arguments(like, ome=ome),
    )
    assert place is not None  # as nothing is compressed
    return place[0]


def check_ome(image: OpenImage) -> None:
    """Refuse an image that OME-TIFF has no place for.

    Raises
    ------
    ValueError : the dtype, gray with alpha, or a unit of the pixel size is not in OME's schema.

    Examples
    --------
    >>> check_ome(Image(np.zeros((5, 8, 8), np.float32), "ZYX", {"Z": (0.3, "µm")}))
    """
    cure, dtype = "write a .tif", image.pixels.dtype
    if dtype.name not in _OME_DTYPES:
        raise ValueError(f"OME-TIFF holds {', '.join(_OME_DTYPES)}, not {dtype}; {cure}")
    if image.axes.endswith("S") and image.pixels.shape[-1] == 2:
        raise ValueError(f"OME-TIFF holds no gray with alpha (axes {image.axes}, S of 2); {cure}")
    for _, unit in image.pixel_size.values():
        if unit not in CENTIMETRES:
            raise ValueError(f"OME-TIFF has no unit {unit!r}, but {', '.join(CENTIMETRES)}; {cure}")


def _physical_sizes(pixel_size: PixelSize) -> dict[str, Any]:
    metadata: dict[str, Any] = {}
    for axis, (length, unit) in pixel_size.items():
        metadata |= {f"PhysicalSize{axis}": length, f"PhysicalSize{axis}Unit": unit}
    return metadata


def _fits_imagej(image: OpenImage) -> bool:
    pixels, pixel_size = image.pixels, image.pixel_size
    planes = image.axes.removesuffix("S")
    if "S" in image.axes and (pixels.dtype != np.uint8 or pixels.shape[-1] != 3):
        return False
    units = {unit for _, unit in pixel_size.values()}
    return (
        pixels.dtype.name in _IMAGEJ_DTYPES
        and math.prod(pixels.shape) * pixels.dtype.itemsize < _IMAGEJ_BYTES
        and planes == "".join(letter for letter in "TZCYX" if letter in planes)
        and 1 not in pixels.shape[: len(planes)]  # tifffile takes planes one pixel wide for lines
        and (not pixel_size or {"Y", "X"} <= set(pixel_size))
        and len(units) <= 1
        and all(_IMAGEJ_NAMES.get(unit, unit).isascii() for unit in units)
        and all(_is_ratio(pixel_size[axis][0]) for axis in "YX" if axis in pixel_size)
    )


def _arguments(like: OpenImage, *, ome: bool) -> dict[str, Any]:
    """What tifffile wants to be told, but for the pixels."""
    text, color = to_text(like.acquisition), _color(like.pixels, like.axes)
    if ome:
        metadata = {"axes": like.axes, **_physical_sizes(like.pixel_size)}
        described = {"Description": text} if text else {}
        return {"ome": True, "metadata": metadata | described, **color}
    info: dict[str, Any] = {"Info": text} if text else {}
    if not _fits_imagej(like):
        return {**_plain(like.axes, like.pixel_size, info), **color}
    interval, unit = like.acquisition.get("interval", (0.0, ""))
    if unit == "s":
        info["finterval"] = interval
    planes = math.prod(like.pixels.shape[:-2])
    info = _as_shown(like.own_header.get("imagej", {}), info, planes=planes)
    return {**_imagej(like.axes, like.pixel_size, info), **color}


def _as_shown(shown: Mapping[str, Any], info: Mapping[str, Any], *, planes: int) -> dict[str, Any]:
    """What is written for ImageJ, with what it had of the image before."""
    found = {name: value for name, value in shown.items() if name != "Labels"}
    if len(shown.get("Labels", ())) == planes:
        found["Labels"] = shown["Labels"]
    lines = str(shown.get("Info", "")).splitlines()
    lines += [line for line in str(info.get("Info", "")).splitlines() if line not in lines]
    return {**found, **info} | ({"Info": "\n".join(lines)} if lines else {})


def _imagej(axes: str, pixel_size: PixelSize, info: Mapping[str, Any]) -> dict[str, Any]:
    metadata: dict[str, Any] = {"axes": axes, **info}
    resolution = None
    if pixel_size:
        (x, unit), (y, _) = pixel_size["X"], pixel_size["Y"]
        metadata["unit"] = _IMAGEJ_NAMES.get(unit, unit)
        resolution = _ratio(x), _ratio(y)
    if "Z" in pixel_size:
        metadata["spacing"] = pixel_size["Z"][0]
    return {"imagej": True, "metadata": metadata, "resolution": resolution}


def _plain(axes: str, pixel_size: PixelSize, info: Mapping[str, Any]) -> dict[str, Any]:
    # exact in the metadata, which open_tiff prefers; in the tags for other programs
    x, y = (
        length * CENTIMETRES.get(unit, math.inf)
        for length, unit in (pixel_size.get(axis, (math.inf, "")) for axis in "XY")
    )
    in_tags = 1 / _LARGEST < min(x, y) <= max(x, y) < _LARGEST
    return {
        "metadata": {"axes": axes, **_physical_sizes(pixel_size), **info},
        "resolution": (1 / x, 1 / y) if in_tags else None,
        "resolutionunit": "CENTIMETER" if in_tags else None,
    }


def _is_ratio(length: float) -> bool:
    pixels, units = _ratio(length)
    return pixels > 0 and units / pixels == length


def _ratio(length: float) -> tuple[int, int]:
    """The integers of 32 bits whose ratio is nearest to the pixels in a unit, 1 / length."""
    exact = Fraction(length)
    ratio = min(exact, 1 / exact).limit_denominator(_LARGEST)
    if exact < 1:
        return ratio.denominator, ratio.numerator
    return ratio.numerator, ratio.denominator


def _color(pixels: Pixels, axes: str) -> dict[str, Any]:
    # said in full, as tifffile takes three planes for a color image by itself
    if not axes.endswith("S"):
        return {"photometric": "minisblack"}
    color = "minisblack" if pixels.shape[-1] == 2 else "rgb"
    alpha = ["unassalpha"] if pixels.shape[-1] in (2, 4) else None
    return {"photometric": color, "planarconfig": "contig", "extrasamples": alpha}

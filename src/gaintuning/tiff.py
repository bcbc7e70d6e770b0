"""TIFF as microscopes and ImageJ write it: axes and pixel size in their three dialects."""

import logging
import math
import re
import shutil
import tempfile
import xml.etree.ElementTree as ElementTree
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import tifffile
from numpy.typing import NDArray

from gaintuning._types import Pixels
from gaintuning.acquisition import Acquisition, from_text, known, to_text
from gaintuning.complaints import complaints_of
from gaintuning.image import Decoded
from gaintuning.pixels import CENTIMETRES, Converted, PixelSize, known_sizes

_IMAGEJ_NAMES = {"µm": "um", "in": "inch", "Å": "Angstrom"}
_RESOLUTION_UNITS = {2: "in", 3: "cm"}

_IMAGEJ_DTYPES = ("uint8", "uint16", "int16", "float32")
_OME_DTYPES = (
    "int8", "int16", "int32", "uint8", "uint16", "uint32", "float32", "float64"
)  # fmt: skip
_IMAGEJ_BYTES = 2**32 - 2**25  # of pixels, which leaves some for the tags
_FIRST_PRIVATE_TAG = 32768
_LARGEST = 2**32 - 1


class UnusableError(ValueError):
    """A file is whole, but what is in it is not taken for an image; the text says what to do."""


def open_tiff(path: Path) -> Decoded:
    """The largest series of a TIFF: its pixels, their axes, the pixel size and how it was taken.

    The pixels are mapped from the file, or, where that cannot be, from a temporary one.

    Axes end with YX or YXS unless the file has none of these; samples that are no color, with or
    without alpha, are channels. Of the units "um", "micron" and "inch" are given as OME's symbols
    "µm" and "in", and others as they are.

    Raises
    ------
    Exception : tifffile's, of any class, for a file that it cannot make out.
    ValueError : planes are missing.
    UnusableError : the samples are inks.
    """
    with complaints_of("tifffile") as complaints, tifffile.TiffFile(path) as tiff:
        series = max(tiff.series, key=lambda series: series.size)
        if any(page is None for page in series.pages):
            raise ValueError("some of its planes are missing, or in files that are not there")
        _check_room(series)
        if series.keyframe.photometric == tifffile.PHOTOMETRIC.SEPARATED:
            raise UnusableError("its samples are inks (CMYK) and not light; convert it to RGB")
        pixels, axes = _in_order(
            series.asarray(out="memmap"), series.axes, _samples_of_colors(series.keyframe)
        )
        found = _as_meant(pixels, tiff.imagej_metadata or {})
        pixel_size = _pixel_size(tiff, series)
        acquisition = _acquisition(tiff, series)
        others = len(tiff.series) - 1
    for complaint in complaints:
        if _means_loss(complaint):
            raise ValueError(complaint.getMessage())
    return Decoded(found, axes, pixel_size, acquisition, others=others)


def _check_room(series: tifffile.TiffPageSeries) -> None:
    """Raise if pixels that have to be unpacked do not fit into the temporary folder."""
    folder = tempfile.gettempdir()
    free = shutil.disk_usage(folder).free
    if series.dataoffset is None and series.nbytes > free:
        raise MemoryError(
            f"{series.nbytes / 1e9:.1f} GB of unpacked pixels do not fit into {folder}, which has "
            f"{free / 1e9:.1f} GB free; name another folder by the variable TMPDIR",
        )


def write_tiff(
    file: BinaryIO,
    pixels: NDArray[Any],
    axes: str,
    pixel_size: PixelSize,
    acquisition: Acquisition,
    *,
    ome: bool = False,
) -> None:
    """Write an ImageJ hyperstack if that holds all there is, and else a plain TIFF; or OME-TIFF.

    `check_ome` says before what OME-TIFF cannot hold.

    Examples
    --------
    >>> from tempfile import mkdtemp
    >>> path = Path(mkdtemp()) / "cells.tif"
    >>> with path.open("wb") as file:
    ...     write_tiff(file, np.zeros((5, 8, 8), np.uint16), "TYX", {}, {})
    >>> open_tiff(path).axes
    'TYX'
    """
    tifffile.imwrite(file, pixels, **_arguments(pixels, axes, pixel_size, acquisition, ome))


def make_room_in_tiff(
    path: Path,
    like: Pixels,
    axes: str,
    pixel_size: PixelSize,
    acquisition: Acquisition,
    *,
    ome: bool = False,
) -> int:
    """Write all of a TIFF but the pixels, for which there is room from the byte returned on."""
    place = tifffile.imwrite(
        path,
        shape=like.shape,
        dtype=like.dtype.newbyteorder("="),
        returnoffset=True,
        **_arguments(like, axes, pixel_size, acquisition, ome),
    )
    assert place is not None  # as nothing is compressed
    return place[0]


def check_ome(pixels: Pixels, axes: str, pixel_size: PixelSize) -> None:
    """Refuse an image that OME-TIFF has no place for.

    Raises
    ------
    ValueError : the dtype, gray with alpha, or a unit of the pixel size is not in OME's schema.

    Examples
    --------
    >>> check_ome(np.zeros((5, 8, 8), np.float32), "ZYX", {"Z": (0.3, "µm")})
    """
    cure = "write a .tif"
    if pixels.dtype.name not in _OME_DTYPES:
        raise ValueError(f"OME-TIFF holds {', '.join(_OME_DTYPES)}, not {pixels.dtype}; {cure}")
    if axes.endswith("S") and pixels.shape[-1] == 2:
        raise ValueError(f"OME-TIFF holds no gray with alpha (axes {axes}, S of 2); {cure}")
    for _, unit in pixel_size.values():
        if unit not in CENTIMETRES:
            raise ValueError(f"OME-TIFF has no unit {unit!r}, but {', '.join(CENTIMETRES)}; {cure}")


def _means_loss(complaint: logging.LogRecord) -> bool:
    # a stack cut short is logged, then read as its first page; a maker's own bad tag does no harm
    tag = re.search(r"TiffTag (\d+)", complaint.getMessage())
    private = tag is not None and int(tag[1]) >= _FIRST_PRIVATE_TAG
    return complaint.levelno >= logging.ERROR and not private


def _samples_of_colors(page: tifffile.TiffPage) -> tuple[int, ...]:
    """How many samples a color or gray may have: with alpha only if the last is said to be that."""
    alphas = (tifffile.EXTRASAMPLE.ASSOCALPHA, tifffile.EXTRASAMPLE.UNASSALPHA)
    return (2, 3, 4) if page.extrasamples and page.extrasamples[-1] in alphas else (3,)


def _as_meant(pixels: NDArray[Any], imagej: Mapping[str, Any]) -> Pixels:
    """ImageJ writes signed numbers of 16 bits as unsigned ones, and how to calibrate these."""
    line = tuple(imagej.get(name) for name in ("cf", "c0", "c1"))
    if pixels.dtype.name != "uint16" or line != (0, -(2**15), 1):
        return pixels
    return Converted(pixels, lambda part: (part ^ np.uint16(2**15)).view(np.int16))


def _in_order(
    pixels: NDArray[Any], axes: str, samples: tuple[int, ...]
) -> tuple[NDArray[Any], str]:
    """Name the unknown axes, as long as there are names, and put Y, X and S last.

    Other numbers of samples than those are channels.
    """
    if "S" in axes and pixels.shape[axes.index("S")] not in samples:
        axes = axes.replace("S", "Q" if "C" in axes else "C")
    free = [letter for letter in "CTZ" if letter not in axes]
    named = ""
    for letter in reversed(axes):
        known = letter in "TZCYXS" or not free
        named = (letter if known else free.pop()) + named
    order = sorted(range(len(named)), key=lambda axis: "YXS".find(named[axis]))
    return pixels.transpose(order), "".join(named[axis] for axis in order)


def _acquisition(tiff: tifffile.TiffFile, series: tifffile.TiffPageSeries) -> Acquisition:
    if series.kind == "ome":
        return from_text(_ome_image(tiff, series).findtext("{*}Description", ""))
    imagej = tiff.imagej_metadata or {}
    unit = str(imagej.get("tunit", "s")).replace("sec", "s")
    interval = known({"interval": (imagej.get("finterval"), unit)})
    for metadata in (*(tiff.shaped_metadata or ()), imagej):
        if found := from_text(str(metadata.get("Info", ""))):
            return found | interval
    return interval


def _ome_image(tiff: tifffile.TiffFile, series: tifffile.TiffPageSeries) -> ElementTree.Element:
    """What OME tells of a series; nothing if it is not sure which image of OME's that is."""
    images = [
        image
        for image in ElementTree.fromstring(tiff.ome_metadata or "").findall("{*}Image")
        if image.find("{*}Pixels/{*}TiffData") is not None  # as tifffile leaves out the others
    ]
    index, sides = tiff.series.index(series), dict(zip(series.axes, series.shape, strict=True))
    if index < len(images) and (pixels := images[index].find("{*}Pixels")) is not None:
        told = pixels.get("SizeX"), pixels.get("SizeY")
        if told == (str(sides.get("X")), str(sides.get("Y"))):
            return images[index]
    return ElementTree.Element("Image")


def _pixel_size(tiff: tifffile.TiffFile, series: tifffile.TiffPageSeries) -> PixelSize:
    if series.kind == "ome":
        pixels = _ome_image(tiff, series).find("{*}Pixels")
        return {} if pixels is None else _from_physical_sizes(pixels.attrib)
    for metadata in tiff.shaped_metadata or ():
        if pixel_size := _from_physical_sizes(metadata):
            return pixel_size
    metadata = tiff.imagej_metadata or {}
    tags = series.keyframe.tags
    unit = metadata.get("unit", _RESOLUTION_UNITS.get(tags.valueof("ResolutionUnit"), ""))
    sizes = {"Z": (metadata.get("spacing"), metadata.get("zunit", unit))}
    for axis in "YX":
        pixels, units = tags.valueof(f"{axis}Resolution", (0, 0))
        sizes[axis] = (
            units / pixels if pixels else None,
            metadata.get(f"{axis.lower()}unit", unit),
        )
    return known_sizes(sizes)


def _from_physical_sizes(metadata: Mapping[str, Any]) -> PixelSize:
    return known_sizes(
        {
            axis: (
                metadata.get(f"PhysicalSize{axis}"),
                metadata.get(f"PhysicalSize{axis}Unit", "µm"),
            )
            for axis in "ZYX"
        }
    )


def _physical_sizes(pixel_size: PixelSize) -> dict[str, Any]:
    metadata: dict[str, Any] = {}
    for axis, (length, unit) in pixel_size.items():
        metadata |= {f"PhysicalSize{axis}": length, f"PhysicalSize{axis}Unit": unit}
    return metadata


def _fits_imagej(pixels: Pixels, axes: str, pixel_size: PixelSize) -> bool:
    planes = axes.removesuffix("S")
    if "S" in axes and (pixels.dtype != np.uint8 or pixels.shape[-1] != 3):
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


def _arguments(
    like: Pixels, axes: str, pixel_size: PixelSize, acquisition: Acquisition, ome: bool
) -> dict[str, Any]:
    """What tifffile wants to be told, but for the pixels."""
    text = to_text(acquisition)
    if ome:
        metadata = {"axes": axes, **_physical_sizes(pixel_size)}
        described = {"Description": text} if text else {}
        return {"ome": True, "metadata": metadata | described, **_color(like, axes)}
    info: dict[str, Any] = {"Info": text} if text else {}
    if not _fits_imagej(like, axes, pixel_size):
        return {**_plain(axes, pixel_size, info), **_color(like, axes)}
    interval, unit = acquisition.get("interval", (0.0, ""))
    if unit == "s":
        info["finterval"] = interval
    return {**_imagej(axes, pixel_size, info), **_color(like, axes)}


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

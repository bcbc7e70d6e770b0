"""TIFF as microscopes and ImageJ write it: axes and pixel size in their three dialects."""

import logging
import re
import shutil
import tempfile
import xml.etree.ElementTree as ElementTree
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray

from gaintuning._types import Pixels
from gaintuning.acquisition import Acquisition, from_text, known
from gaintuning.complaints import complaints_of
from gaintuning.image import Decoded
from gaintuning.pixels import Converted, PixelSize, known_sizes

_RESOLUTION_UNITS = {2: "in", 3: "cm"}

_OF_IMAGEJ = ("Info", "Labels", "LUTs", "Ranges", "max", "min", "mode")
"""How ImageJ shows an image, and what people wrote on it."""

_FIRST_PRIVATE_TAG = 32768


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
        imagej = (tiff.imagej_metadata or {}) if series.kind == "imagej" else {}
        shown = {name: imagej[name] for name in _OF_IMAGEJ if name in imagej}
    for complaint in complaints:
        if _means_loss(complaint):
            raise ValueError(complaint.getMessage())
    return Decoded(found, axes, pixel_size, acquisition, {"imagej": shown}, others)


def _check_room(series: tifffile.TiffPageSeries) -> None:
    """Raise if pixels that have to be unpacked do not fit into the temporary folder."""
    folder = tempfile.gettempdir()
    free = shutil.disk_usage(folder).free
    if series.dataoffset is None and series.nbytes > free:
        raise MemoryError(
            f"{series.nbytes / 1e9:.1f} GB of unpacked pixels do not fit into {folder}, which has "
            f"{free / 1e9:.1f} GB free; name another folder by the variable TMPDIR",
        )


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

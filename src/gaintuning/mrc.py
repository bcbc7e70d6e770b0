"""MRC as electron microscopes, IMOD and RELION write it: pixels, their size, and the dose."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gaintuning._types import Pixels
from gaintuning.acquisition import Acquisition, from_text, known, to_text
from gaintuning.tiff import CENTIMETRES, PixelSize

try:
    import mrcfile
except ImportError as error:
    raise ImportError(
        "MRC files need mrcfile, which is not installed: pip install 'gaintuning[em]'"
    ) from error

_DTYPES = ("int8", "int16", "uint16", "float16", "float32")
_AXES = ("YX", "TYX", "ZYX", "TZYX")


def open_mrc(path: Path) -> tuple[NDArray[Any], str, PixelSize, Acquisition]:
    """The pixels mapped from the file, their axes, the pixel size in Å, and how it was taken.

    A stack of planes has axis T if its header says that these are images (space group 0), and Z if
    they are a volume.

    Raises
    ------
    Exception : mrcfile's, for a file that is none or is damaged.
    """
    with mrcfile.mmap(path, mode="r") as mrc:
        pixels = mrc.data
        leading = "T" if mrc.is_image_stack() else "Z"
        axes = {2: "YX", 3: leading + "YX", 4: "TZYX"}[pixels.ndim]
        pixel_size = known(
            {axis: (mrc.voxel_size[axis.lower()], "Å") for axis in axes if axis in "ZYX"}
        )
        acquisition = _of_microscope(mrc) | from_text("\n".join(mrc.get_labels()))
    return pixels, axes, pixel_size, acquisition


def _of_microscope(mrc: Any) -> dict[str, tuple[float, str]]:
    """From the extended header of a microscope of FEI or Thermo Fisher."""
    if mrc.header.exttyp not in (b"FEI1", b"FEI2"):
        return {}
    fields = mrc.indexed_extended_header[0]
    return known(
        {
            "dose": (1e-20 * fields["Dose"], "e/Å²"),  # per square metre in the file
            "exposure": (fields["Integration time"], "s"),
            "voltage": (1e-3 * fields["HT"], "kV"),
            "magnification": (fields["Magnification"], "×"),
        }
    )


def write_mrc(
    path: Path, pixels: NDArray[Any], axes: str, pixel_size: PixelSize, acquisition: Acquisition
) -> None:
    """Write a plane, a stack or a volume; `check_mrc` says before what MRC cannot hold."""
    with mrcfile.new(path, overwrite=True) as mrc:
        mrc.set_data(np.ascontiguousarray(pixels))
        _describe(mrc, axes, pixel_size, acquisition)


def make_room_in_mrc(
    path: Path, like: Pixels, axes: str, pixel_size: PixelSize, acquisition: Acquisition
) -> int:
    """Write all of an MRC but the pixels, for which there is room from the byte returned on."""
    mode = mrcfile.utils.mode_from_dtype(like.dtype)
    with mrcfile.new_mmap(path, like.shape, mode, overwrite=True) as mrc:
        _describe(mrc, axes, pixel_size, acquisition)
        return int(mrc.data.offset)


def _describe(mrc: Any, axes: str, pixel_size: PixelSize, acquisition: Acquisition) -> None:
    if axes == "TYX":
        mrc.set_image_stack()
    elif axes == "ZYX":
        mrc.set_volume()
    x, y, z = (
        length * CENTIMETRES[unit] / CENTIMETRES["Å"]
        for length, unit in (pixel_size.get(axis, (0.0, "Å")) for axis in "XYZ")
    )
    mrc.voxel_size = x, y, z
    for line in to_text(acquisition).splitlines():
        mrc.add_label(line)


def check_mrc(pixels: Pixels, axes: str, pixel_size: PixelSize) -> None:
    """Refuse an image that MRC has no place for.

    Raises
    ------
    ValueError : the dtype, the axes or a unit of the pixel size is not in the format.

    Examples
    --------
    >>> check_mrc(np.zeros((5, 8, 8), np.uint32), "TYX", {})
    Traceback (most recent call last):
    ValueError: MRC holds int8, int16, uint16, float16, float32, not uint32; write a .tif
    """
    cure = "write a .tif"
    if pixels.dtype.name not in _DTYPES:
        raise ValueError(f"MRC holds {', '.join(_DTYPES)}, not {pixels.dtype}; {cure}")
    if axes not in _AXES:
        raise ValueError(f"MRC holds axes {', '.join(_AXES)}, not {axes}; {cure}")
    for _, unit in pixel_size.values():
        if unit not in CENTIMETRES:
            raise ValueError(f"MRC has no unit {unit!r} for the size of a pixel; {cure}")

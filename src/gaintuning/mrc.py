"""MRC as electron microscopes, IMOD and RELION write it: pixels, their size, and the dose."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gaintuning._types import Pixels
from gaintuning.acquisition import from_text, known, to_text
from gaintuning.image import Decoded, Image, OpenImage
from gaintuning.pixels import CENTIMETRES, Converted

try:
    import mrcfile
except ImportError as error:
    raise ImportError(
        "MRC files need mrcfile, which is not installed: pip install 'gaintuning[em]'"
    ) from error

_DTYPES = ("int8", "int16", "uint16", "float16", "float32")
_AXES = ("YX", "TYX", "ZYX", "TZYX")
_IMOD = 1146047817
"""The stamp of IMOD, after which its flags come."""

_GEOMETRY = ("nxstart", "nystart", "nzstart", "cellb", "mapc", "mapr", "maps", "origin")
_OF_PROGRAMS = ("exttyp", "extra2")
"""What says how the extended header, and the origin of IMOD, are meant."""


def open_mrc(path: Path) -> Decoded:
    """The pixels mapped from the file, their axes, the pixel size in Å, and how it was taken.

    A stack of planes has axis T if its header says that these are images (space group 0), and Z if
    they are a volume. The fields of the header that only MRC has a place for are kept by the names
    that mrcfile has for them, for `write_mrc`.

    Raises
    ------
    Exception : mrcfile's, for a file that is none or is damaged.
    """
    with _mapped(path) as mrc:
        pixels: Pixels = mrc.data
        leading = "T" if mrc.is_image_stack() else "Z"
        axes = {2: "YX", 3: leading + "YX", 4: "TZYX"}[mrc.data.ndim]
        pixel_size = known(
            {axis: (mrc.voxel_size[axis.lower()], "Å") for axis in axes if axis in "ZYX"}
        )
        acquisition = _of_microscope(mrc) | from_text("\n".join(mrc.get_labels()))
        if pixels.dtype == np.int8 and _holds_unsigned_bytes(mrc.header):
            # not as bytes, since of unsigned numbers MRC 2014 has only those of 16 bits to write
            pixels = Converted(mrc.data.view(np.uint8), lambda part: part.astype(np.uint16))
        return Decoded(pixels, axes, pixel_size, acquisition, _own_header(mrc))


def _mapped(path: Path) -> Any:
    try:
        return mrcfile.mmap(path, mode="r")
    except ValueError:
        # Old files need not have the word MAP or the stamp of a machine, and are read without. Then
        # nothing else tells them from a letter, so they must be as long as their header says.
        size = path.stat().st_size
        extended = np.fromfile(path, mrcfile.dtypes.HEADER_DTYPE, 1)["nsymbt"]
        if not any(0 <= length <= size for length in (*extended, *extended.byteswap())):
            raise  # before mrcfile asks for so much memory
        mrc = mrcfile.mmap(path, mode="r", permissive=True)
        pixels = mrc.data
        if pixels is None or not 0 < pixels.nbytes == size - pixels.offset:
            mrc.close()
            raise
        return mrc


def _of_microscope(mrc: Any) -> dict[str, tuple[float, str]]:
    """From the extended header of a microscope of FEI or Thermo Fisher, if it is there."""
    if mrc.header.exttyp not in (b"FEI1", b"FEI2"):
        return {}
    of_planes = mrc.indexed_extended_header
    if of_planes is None or not len(of_planes):
        return {}
    fields = of_planes[0]
    return known(
        {
            "dose": (1e-20 * fields["Dose"], "e/Å²"),  # per square metre in the file
            "exposure": (fields["Integration time"], "s"),
            "voltage": (1e-3 * fields["HT"], "kV"),
            "magnification": (fields["Magnification"], "×"),
        }
    )


def _holds_unsigned_bytes(header: Any) -> bool:
    """Whether IMOD wrote the file, and does not say that its bytes are signed."""
    order = header.mode.dtype.byteorder
    stamp, flags = np.frombuffer(header.extra2.tobytes(), f"{order}i4", 2, offset=40)
    return bool(stamp == _IMOD and not flags & 1)


def _own_header(mrc: Any) -> dict[str, NDArray[Any]]:
    """What is written again in another MRC, where it would be lost otherwise."""
    kept = set(_GEOMETRY)
    if not mrc.header.map.item().startswith(b"MAP"):
        kept.remove("origin")  # where other things stood before there was this word
    own = {name: mrc.header[name].copy() for name in kept}
    if mrc.header.mode.dtype.isnative:  # else nothing tells which of their bytes to turn round
        own |= {name: mrc.header[name].copy() for name in _OF_PROGRAMS}
        own["extended_header"] = mrc.extended_header
    return own


def write_mrc(path: Path, image: Image) -> None:
    """Write a plane, a stack or a volume; `check_mrc` says before what MRC cannot hold."""
    with mrcfile.new(path, overwrite=True) as mrc:
        if "extended_header" in image.own_header:
            mrc.set_extended_header(image.own_header["extended_header"])
        mrc.set_data(np.ascontiguousarray(image.pixels))
        _describe(mrc, image)


def make_room_in_mrc(path: Path, like: OpenImage) -> int:
    """Write all of an MRC but the pixels, for which there is room from the byte returned on."""
    shape, mode = like.pixels.shape, mrcfile.utils.mode_from_dtype(like.pixels.dtype)
    extended = like.own_header.get("extended_header")
    with mrcfile.new_mmap(path, shape, mode, overwrite=True, extended_header=extended) as mrc:
        _describe(mrc, like)
        return int(mrc.data.offset)


def _describe(mrc: Any, image: OpenImage) -> None:
    if image.axes == "TYX":
        mrc.set_image_stack()
    elif image.axes == "ZYX":
        mrc.set_volume()
    sizes = image.pixel_size
    across = sizes.get("X", (0.0, "Å"))  # of one plane the depth is not known, but never 0
    x, y, z = (
        length * CENTIMETRES[unit] / CENTIMETRES["Å"]
        for length, unit in (sizes.get(axis, across) for axis in "XYZ")
    )
    mrc.voxel_size = x, y, z
    for line in to_text(image.acquisition).splitlines():
        mrc.add_label(line)
    for name in image.own_header.keys() & {*_GEOMETRY, *_OF_PROGRAMS}:
        mrc.header[name] = image.own_header[name]


def check_mrc(image: OpenImage) -> None:
    """Refuse an image that MRC has no place for.

    Raises
    ------
    ValueError : the dtype, the axes or a unit of the pixel size is not in the format.

    Examples
    --------
    >>> check_mrc(Image(np.zeros((5, 8, 8), np.uint32), "TYX"))
    Traceback (most recent call last):
    ValueError: MRC holds int8, int16, uint16, float16, float32, not uint32; write a .tif
    """
    cure, dtype = "write a .tif", image.pixels.dtype
    if dtype.name not in _DTYPES:
        raise ValueError(f"MRC holds {', '.join(_DTYPES)}, not {dtype}; {cure}")
    if image.axes not in _AXES:
        raise ValueError(f"MRC holds axes {', '.join(_AXES)}, not {image.axes}; {cure}")
    for _, unit in image.pixel_size.values():
        if unit not in CENTIMETRES:
            raise ValueError(f"MRC has no unit {unit!r} for the size of a pixel; {cure}")

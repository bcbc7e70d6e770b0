"""Images in files: what is read can be denoised and written with its axes, dtype and pixel size."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO

import imagecodecs
import numpy as np
from imageio.v3 import imread
from numpy.typing import NDArray

from gaintuning.complaints import complaints_of
from gaintuning.image import Decoded, Image, OpenImage
from gaintuning.outputs import check_place, whole_file
from gaintuning.tiff import UnusableError, open_tiff
from gaintuning.tiff_writing import check_ome, make_room_in_tiff, write_tiff
from gaintuning.validate import default_axes

_JPEG = (".jpg", ".jpeg")
_MRC = (".mrc", ".mrcs", ".map", ".rec", ".st")
_MICROSCOPES = (".dm3", ".dm4", ".ser", ".emi", ".emd", ".tvips", ".h5", ".hdf5")
_WRITTEN = (".png", ".tif", ".tiff", ".npy", *_MRC)

SUFFIXES = (*_WRITTEN, *_JPEG, *_MICROSCOPES)

_PNG_DTYPES = ("uint8", "uint16")
_UNREADABLE = ("could not be read", "check its permissions and the disk")
_OME = (".ome.tif", ".ome.tiff")


def read_image(path: Path) -> Image:
    """Read an image file of any suffix in `SUFFIXES`.

    Palettes and bits of a PNG become 8-bit samples, and its alpha is the last sample. A JPEG is
    turned as its EXIF orientation says. Of several series in a TIFF the largest is read; two or
    four samples are channels unless the last is said to be alpha; axes that it does not name are,
    from the last to the first, those free of Z, T and C; color maps are taken for a display's and
    not applied, and where 0 is white it stays 0. ImageJ and OME do not tell axes of length 1 from
    axes that are not there, so these are dropped. The axes of an NPY and of HDF5 are those of
    `default_axes`. Of several images in the file of a microscope the largest is read.

    Raises
    ------
    OSError : there is no such file, it is a folder, or it may not be read.
    ImportError : the format needs the extra `em`.
    ValueError : the file is empty, damaged or of an unknown format, or holds no image (see Image).

    Examples
    --------
    >>> from tempfile import mkdtemp
    >>> folder = Path(mkdtemp())
    >>> np.save(folder / "stack.npy", np.zeros((5, 32, 32), np.float32))
    >>> read_image(folder / "stack.npy").axes
    'ZYX'
    """
    return load(open_image(path), path)


def load(found: OpenImage, path: Path) -> Image:
    """All pixels of an image that `open_image` found in a file.

    Raises
    ------
    OSError, ValueError : they cannot be read.
    """
    with _one_sentence(path, *_UNREADABLE), _decoding(path):
        pixels = np.array(found.pixels, found.pixels.dtype.newbyteorder("="), order="C")
    return Image(**vars(found) | {"pixels": pixels})


def open_image(path: Path) -> OpenImage:
    """As `read_image`, but the pixels stay in the file until they are looked at.

    Raises
    ------
    OSError, ImportError, ValueError : as for `read_image`.
    """
    with _one_sentence(path, *_UNREADABLE):
        _check_input(path)
        found = _decode(path)
    try:
        return OpenImage(*found)
    except ValueError as error:
        raise ValueError(f"{path} cannot be used: {error}") from None


def image_files(folder: Path) -> list[Path]:
    """The files in a folder that can be read, by their names."""
    return sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES)


def written_name(source: Path) -> str:
    """The name of the denoised file of a source: as it is, or with a suffix that can be written.

    Examples
    --------
    >>> written_name(Path("a.mrc")), written_name(Path("b.dm4")), written_name(Path("c.jpg"))
    ('a.mrc', 'b.tif', 'c.png')
    """
    suffix = source.suffix.lower()
    if suffix in _JPEG:
        return f"{source.stem}.png"
    return f"{source.stem}.tif" if suffix in _MICROSCOPES else source.name


def holds_floats(path: Path) -> bool:
    """Whether the format of the name's suffix does; PNG holds whole numbers alone."""
    return path.suffix.lower() != ".png"


def write_image(path: Path, image: Image, *, overwrite: bool = False) -> None:
    """Write an image in the format of the name's suffix, whole or not at all.

    .tif and .tiff are ImageJ hyperstacks where ImageJ can hold the image, and else plain TIFF;
    .ome.tif and .ome.tiff are OME-TIFF. All keep dtype, axes, pixel size and acquisition, but for
    OME's axes of length 1; ImageJ's keep its colors, display range, labels and notes. So does MRC
    (.mrc, .mrcs, .map, .rec, .st), with lengths in Å; what was read from MRC keeps its origin and
    its extended header there. .png and .npy keep the pixels alone.

    Raises
    ------
    ValueError, OSError : as for check_output; or the file could not be written, and then what was
        there before is unharmed.

    Examples
    --------
    >>> from tempfile import mkdtemp
    >>> path = Path(mkdtemp()) / "plane.png"
    >>> write_image(path, Image(np.full((32, 32), 700, np.uint16), "YX"))
    >>> int(read_image(path).pixels.max())
    700
    """
    check_output(path, image, overwrite=overwrite)
    with whole_file(path) as file:
        _encode(file, path, image)


def make_room(path: Path, like: OpenImage) -> int:
    """Write all of a file but the pixels, for which there is room from the byte returned on.

    They are to be written in the order and the dtype of `like`, in this machine's byte order.

    Examples
    --------
    >>> from tempfile import mkdtemp
    >>> path = Path(mkdtemp()) / "movie.tif"
    >>> movie = Image(np.zeros((9, 32, 32), np.uint16), "TYX")
    >>> room = make_room(path, movie)
    >>> path.stat().st_size >= room + movie.pixels.nbytes
    True
    """
    suffix = path.suffix.lower()
    if suffix == ".npy":
        dtype = like.pixels.dtype.newbyteorder("=")
        room = np.lib.format.open_memmap(path, "w+", dtype, like.pixels.shape)
        return int(room.offset)
    if suffix in _MRC:
        from gaintuning.mrc import make_room_in_mrc

        return make_room_in_mrc(path, like)
    return make_room_in_tiff(path, like, ome=path.name.lower().endswith(_OME))


def check_output(path: Path, image: OpenImage, *, overwrite: bool) -> None:
    """Find out, before any work, whether `write_image` will be able to write such an image.

    Raises
    ------
    ValueError : the suffix is unknown, or its format cannot hold the image.
    OSError : the folder is missing or cannot be written to, or `path` is a folder, or it exists
        and `overwrite` is false.

    Examples
    --------
    >>> check_output(Path("a.png"), Image(np.zeros((9, 8, 8)), "TYX"), overwrite=False)
    Traceback (most recent call last):
    ValueError: a.png cannot be written: PNG holds one plane, not axes TYX; write a .tif or .npy
    """
    try:
        _check_format(path, image)
    except ValueError as error:
        raise ValueError(f"{path} cannot be written: {error}") from None
    check_place(path, overwrite=overwrite)


@contextmanager
def _one_sentence(path: Path, trouble: str, cure: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno is None:  # a sentence of this module
            raise
        raise type(error)(f"{path} {trouble} ({error.strerror}); {cure}") from error


def _check_input(path: Path) -> None:
    if not path.exists():
        raise FileNotFoundError(f"{path} does not exist; check the name and the folder")
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a folder; give one of the images in it")
    if path.suffix.lower() not in SUFFIXES:
        raise ValueError(
            f"{path} cannot be read: the suffix is {path.suffix or 'missing'}, but "
            f"{', '.join(SUFFIXES)} are known; convert it to .tif"
        )
    if path.stat().st_size == 0:
        raise ValueError(f"{path} is empty (0 bytes); copy or export it again")


def _decode(path: Path) -> Decoded:
    suffix = path.suffix.lower()
    with _decoding(path):
        if suffix in (".tif", ".tiff"):
            return open_tiff(path)
        if suffix in _MRC:
            from gaintuning.mrc import open_mrc

            return open_mrc(path)
        if suffix in _MICROSCOPES:
            from gaintuning.micrographs import open_micrograph

            return open_micrograph(path)
        pixels: NDArray[Any]
        if suffix == ".npy":
            pixels = np.lib.format.open_memmap(path, mode="r")
        elif suffix in _JPEG:
            pixels = _read_jpeg(path.read_bytes())
        else:
            pixels = imagecodecs.png_decode(path.read_bytes())
    if suffix == ".npy":
        return Decoded(pixels, _axes_of_array(path, pixels))
    return Decoded(pixels, "YXS" if pixels.ndim == 3 else "YX")


@contextmanager
def _decoding(path: Path) -> Iterator[None]:
    """Keep decoders quiet, and make whatever they raise one sentence."""
    try:
        with warnings.catch_warnings(), complaints_of("imagecodecs"), complaints_of("rsciio"):
            warnings.simplefilter("ignore")
            yield
    except UnusableError as error:
        raise ValueError(f"{path} cannot be used: {error}") from None
    except ImportError as error:  # of the extra for this format
        raise ImportError(f"{path} could not be read: {error}") from error
    except MemoryError:
        raise
    except Exception as error:  # they raise anything, from struct.error to IndexError
        if isinstance(error, OSError) and error.errno is not None:
            raise
        reason = " ".join(str(error).split())
        raise ValueError(
            f"{path} could not be read as {path.suffix} ({reason}): it is damaged, cut short, or "
            "no image of plain numbers; copy or export it again"
        ) from error


def _read_jpeg(encoded: bytes) -> NDArray[Any]:
    if not encoded.startswith(b"\xff\xd8"):
        raise ValueError("not a JPEG image")
    # by pillow and not imagecodecs, where libjpeg makes up what a file cut short lacks
    pixels = imread(encoded, plugin="pillow", index=0, rotate=True)
    if pixels.shape[2:] == (4,):  # CMYK, as a JPEG has no alpha
        return imread(encoded, plugin="pillow", index=0, rotate=True, mode="RGB")
    return pixels


def _axes_of_array(path: Path, pixels: NDArray[Any]) -> str:
    if not 2 <= pixels.ndim <= 4:
        raise ValueError(
            f"{path} has {pixels.ndim} axes, but an NPY of 2 (YX), 3 (ZYX) or 4 (TZYX) is read; "
            "save each stack of planes by itself"
        )
    return default_axes(pixels.shape)


def _check_format(path: Path, image: OpenImage) -> None:
    suffix, dtype = path.suffix.lower(), image.pixels.dtype
    if suffix in _JPEG:
        raise ValueError("JPEG would add losses of its own; write a .png or .tif")
    if suffix not in _WRITTEN:
        known = ", ".join(_WRITTEN)
        raise ValueError(f"the suffix is {suffix or 'missing'}, but {known} are written; give one")
    if suffix == ".png" and image.axes not in ("YX", "YXS"):
        raise ValueError(f"PNG holds one plane, not axes {image.axes}; write a .tif or .npy")
    if suffix == ".png" and dtype.name not in _PNG_DTYPES:
        raise ValueError(f"PNG holds 8- and 16-bit integers, not {dtype}; write a .tif or .npy")
    if path.name.lower().endswith(_OME):
        check_ome(image)
    if suffix in _MRC:
        from gaintuning.mrc import check_mrc

        check_mrc(image)


def _encode(file: BinaryIO, path: Path, image: Image) -> None:
    name, native = path.name.lower(), replace(image, pixels=_native(image.pixels))
    if name.endswith(".png"):
        file.write(imagecodecs.png_encode(native.pixels))
    elif name.endswith(".npy"):
        np.lib.format.write_array(file, native.pixels, allow_pickle=False)
    elif path.suffix.lower() in _MRC:
        from gaintuning.mrc import write_mrc

        write_mrc(Path(file.name), native)
    else:
        write_tiff(file, native, ome=name.endswith(_OME))


def _native(pixels: NDArray[Any]) -> NDArray[Any]:
    return np.ascontiguousarray(pixels, pixels.dtype.newbyteorder("="))

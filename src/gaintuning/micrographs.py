"""The files of electron microscopes' own programs: Digital Micrograph, TIA, Velox, TVIPS; HDF5."""

import re
from collections.abc import Mapping, Sequence
from math import prod
from pathlib import Path
from typing import Any

from gaintuning.acquisition import Acquisition, known
from gaintuning.complaints import complaints_of
from gaintuning.image import Decoded
from gaintuning.pixels import CENTIMETRES, known_sizes
from gaintuning.validate import default_axes

try:
    import h5py
    from rsciio import digitalmicrograph, emd, tia, tvips
except ImportError as error:
    raise ImportError(
        "files of electron microscopes need rosettasciio and h5py, which are not installed: "
        "pip install 'gaintuning[em]'"
    ) from error

READERS = {
    ".dm3": digitalmicrograph,
    ".dm4": digitalmicrograph,
    ".ser": tia,
    ".emi": tia,
    ".emd": emd,
    ".tvips": tvips,
}

_MEANINGS = {
    "beam_energy": ("voltage", "kV"),
    "exposure": ("exposure", "s"),
    "magnification": ("magnification", "×"),
}


def open_micrograph(path: Path) -> Decoded:
    """The largest image, or stack of images, in a file; of several as large the first.

    The pixels are read when they are looked at, where rosettasciio can do that.

    An axis in front of Y and X is Z if it has a length, and T if not.

    Raises
    ------
    Exception : of rosettasciio or h5py, of any class, for a file that they cannot make out.
    ValueError : there is no image in it.
    """
    if path.suffix.lower() not in READERS:
        return _open_hdf5(path)
    reader = READERS[path.suffix.lower()]
    lazy = reader is not tia  # which would read the whole file for each frame of it
    with complaints_of("rsciio"):  # which begins to print once it is imported
        everything = reader.file_reader(str(path), lazy=lazy)
    if path.suffix.lower() == ".emi" and not everything:
        raise ValueError(f"its pixels belong beside it, in {path.stem}_1.ser, which is not there")
    images = [found for found in everything if _is_image(found)]
    if not images:
        raise ValueError("there is no image in it, but spectra")
    image = max(images, key=lambda found: found["data"].size)
    pixels, described = image["data"], image["axes"]
    if _is_reversed([axis["name"] for axis in described]):
        pixels, described = pixels.transpose(), described[::-1]
    lengths = [_length(axis) for axis in described]
    axes = _letters(lengths)
    pixel_size = {
        axis: size for axis, size in zip(axes, lengths, strict=True) if size and axis in "ZYX"
    }
    return Decoded(pixels, axes, pixel_size, _acquisition(image), others=len(images) - 1)


def _is_reversed(names: Sequence[str | None]) -> bool:
    """Whether x comes first.

    rosettasciio undoes the order in which it writes EMD of Berkeley itself; other programs write y
    before x, and their files come out turned over.
    """
    numbered = [f"dim{number}" for number in range(len(names), 0, -1)]
    return list(names[:2]) == ["x", "y"] or list(names) == numbered


def _is_image(found: Mapping[str, Any]) -> bool:
    # rosettasciio marks the one axis of spectra, and no axis where it knows nothing of them
    signal = [axis for axis in found["axes"] if not axis["navigate"]]
    return len(signal) != 1 and 2 <= found["data"].ndim <= 4


def _length(axis: Mapping[str, Any]) -> tuple[float, str] | None:
    """Of a step along an axis; None if it is no length, as for time or a diffraction pattern."""
    size = known_sizes({"": (axis["scale"], axis["units"])}).get("")
    return size if size and size[1] in CENTIMETRES else None


def _letters(lengths: Sequence[tuple[float, str] | None]) -> str:
    free = ["T", "C", "Z"]
    letters = ""
    for length in lengths[:-2]:
        letter = "Z" if length and "Z" in free else free[0]
        free.remove(letter)
        letters += letter
    return letters + "YX"


def _acquisition(image: Mapping[str, Any]) -> Acquisition:
    """What rosettasciio knows the place of, among all that the microscope wrote down."""
    values = {}
    for place, (meaning, convert) in image.get("mapping", {}).items():
        last = meaning.rpartition(".")[2] if isinstance(meaning, str) else ""
        if last in _MEANINGS and (value := _look_up(image["original_metadata"], place)) is not None:
            name, unit = _MEANINGS[last]
            values[name] = (convert(value) if convert else value, unit)
    return known(values)


def _look_up(tree: Mapping[str, Any], place: str) -> Any:
    for name in place.split("."):
        branches = {_slug(key): branch for key, branch in tree.items()}
        tree = branches.get(_slug(name), {})
        if not isinstance(tree, Mapping):
            return tree
    return None


def _slug(name: str) -> str:
    # as rosettasciio's places are meant: 'exposure (s)' is their 'exposure_s'
    return re.sub(r"\W+", "_", name).strip("_")


def _open_hdf5(path: Path) -> Decoded:
    """The largest data set of 2 to 4 axes; the pixel size if it has one by ilastik's attribute."""
    found: list[Any] = []

    def collect(_: str, entry: Any) -> None:
        if isinstance(entry, h5py.Dataset) and 2 <= entry.ndim <= 4 and entry.dtype.kind in "iuf":
            found.append(entry)

    h5py.File(path).visititems(collect)
    if not found:
        raise ValueError("there is no data set of 2 to 4 axes in it")
    largest = max(found, key=lambda entry: prod(entry.shape))
    axes = default_axes(largest.shape)
    sizes = largest.attrs.get("element_size_um", ())
    planes = axes.removesuffix("S")
    pixel_size = {axis: (size, "µm") for axis, size in zip(planes[::-1], sizes[::-1], strict=False)}
    return Decoded(largest, axes, known_sizes(pixel_size), others=len(found) - 1)

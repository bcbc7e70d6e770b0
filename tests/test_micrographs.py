"""Files of electron microscopes: what they hold is read, written and told of; damage is named."""

import importlib.util
import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import h5py
import mrcfile
import numpy as np
import pytest
from micrograph_files import digital_micrograph, tia_description, tia_series
from rsciio import emd, tvips
from typer.testing import CliRunner

from gaintuning.cli import app
from gaintuning.files import make_room, open_image, read_image, write_image
from gaintuning.image import Image
from gaintuning.pixels import CENTIMETRES

RNG = np.random.default_rng(0)
COUNTS = RNG.poisson(20, (5, 12, 16)).astype(np.uint16)
NM = {"Y": (0.02, "nm"), "X": (0.02, "nm")}
PLANE_AND_STACK = [COUNTS[0], COUNTS]


def signal(pixels, scale=0.02, units="nm"):
    """As rosettasciio's writers want an image or a movie."""
    names = ["time", "y", "x"][-pixels.ndim :]
    axes = [
        {
            "name": name,
            "size": size,
            "index_in_array": index,
            "scale": 1.0 if name == "time" else scale,
            "offset": 0.0,
            "units": "s" if name == "time" else units,
            "navigate": name == "time",
        }
        for index, (name, size) in enumerate(zip(names, pixels.shape, strict=True))
    ]
    metadata = {"General": {"title": "one"}, "Signal": {"signal_type": ""}}
    return {
        "data": pixels,
        "axes": axes,
        "metadata": metadata,
        "original_metadata": {},
        "attributes": {"_lazy": False},
    }


def dm3(path, pixels):
    path.write_bytes(digital_micrograph(3, pixels, 0.02, "nm"))


def dm4(path, pixels):
    path.write_bytes(digital_micrograph(4, pixels, 0.02, "nm"))


def ser(path, pixels):
    path.write_bytes(tia_series(pixels.reshape(-1, *pixels.shape[-2:]), 2e-11))


def emi(path, pixels):
    """What TIA tells of the image, beside the file of its pixels."""
    ser(path.with_name(f"{path.stem}_1.ser"), pixels)
    path.write_bytes(
        tia_description({"High tension": ("300", "kV"), "Magnification": ("1e6", "x")})
    )


def berkeley(path, pixels):
    emd.file_writer(path, signal(pixels))


def velox(path, pixels):
    """The groups that Velox makes: an image whose last axis is time, its metadata as JSON."""
    frames = pixels.reshape(-1, *pixels.shape[-2:])
    size = '{"width": "2e-11", "height": "2e-11"}'
    told = (
        f'{{"BinaryResult": {{"PixelSize": {size}, "PixelUnitX": "m", "PixelUnitY": "m",'
        ' "Offset": {"x": "0", "y": "0"}, "Detector": "Ceta", "DetectorIndex": "0"},'
        ' "Detectors": {"Detector-0": {"DetectorName": "Ceta", "ExposureTime": "0.025"}},'
        ' "Optics": {"AccelerationVoltage": "300000"}, "Scan": {},'
        ' "Acquisition": {"AcquisitionStartDatetime": {"DateTime": "1700000000"}},'
        ' "Core": {"MetadataDefinitionVersion": "7.9"}}'
    )
    with h5py.File(path, "w") as file:
        file["Version"] = np.array(['{"format": "Velox", "version": "2.0.0.0"}'], dtype="S")
        image = file.create_group("Data/Image/0")
        stack = np.moveaxis(frames, 0, -1)
        image.create_dataset("Data", data=stack, chunks=(*stack.shape[:2], 1))
        metadata = np.zeros((len(told), len(frames)), np.uint8)
        metadata[:] = np.frombuffer(told.encode(), np.uint8)[:, None]
        image["Metadata"] = metadata


def tvips_movie(path, pixels):
    tvips.file_writer(path, signal(pixels), show_progressbar=False, mode=1)


def mrc(path, pixels):
    write_image(path, Image(pixels, "TYX"[-pixels.ndim :], NM))


def hdf5(path, pixels):
    with h5py.File(path, "w") as file:
        file["thumbnail"] = np.zeros((2, 2), np.uint8)
        file["exported/data"] = pixels
        file["exported/data"].attrs["element_size_um"] = [1.0, 2e-5, 2e-5][-pixels.ndim :]


WRITERS = {
    "a.dm3": dm3,
    "a.DM4": dm4,
    "a.ser": ser,
    "b.emi": emi,
    "berkeley.emd": berkeley,
    "velox.emd": velox,
    "a_000.tvips": tvips_movie,
    "a.mrc": mrc,
    "a.mrcs": mrc,
    "a.h5": hdf5,
}
each_format = pytest.mark.parametrize("name", WRITERS)


def test_an_emi_file_tells_of_the_pixels_beside_it(tmp_path: Path) -> None:
    emi(tmp_path / "b.emi", COUNTS)
    image = read_image(tmp_path / "b.emi")
    assert image.acquisition == {"voltage": (300.0, "kV"), "magnification": (1e6, "×")}
    (tmp_path / "b_1.ser").unlink()
    with pytest.raises(ValueError, match=r"in b_1\.ser, which is not there"):
        read_image(tmp_path / "b.emi")


def test_what_a_reader_has_to_say_does_not_come_between_what_is_asked_for(tmp_path: Path) -> None:
    """In a process of its own, as rosettasciio begins to print when it is imported."""
    emi(tmp_path / "b.emi", COUNTS)
    description = tia_description({"Magnification": ("high", "x")})
    (tmp_path / "b.emi").write_bytes(description)
    command = [sys.executable, "-m", "gaintuning", "info", str(tmp_path / "b.emi"), "--json"]
    told = subprocess.run(command, capture_output=True, text=True, check=True)
    assert json.loads(told.stdout)["axes"] == "TYX"
    assert told.stderr == ""


@each_format
def test_a_movie_is_read_with_the_size_of_its_pixels(tmp_path: Path, name: str) -> None:
    WRITERS[name](tmp_path / name, COUNTS)
    image = read_image(tmp_path / name)
    assert image.axes == ("ZYX" if name == "a.h5" else "TYX")
    np.testing.assert_array_equal(image.pixels, COUNTS)
    assert image.pixels.dtype == np.uint16
    nanometres = 1 if name == "a_000.tvips" else 0.02  # of which TVIPS writes whole numbers
    for axis in "YX":
        length, unit = image.pixel_size[axis]
        assert length * CENTIMETRES[unit] == pytest.approx(nanometres * 1e-7, rel=1e-6)


@pytest.mark.parametrize("name", sorted(WRITERS.keys() - {"a_000.tvips"}))  # a stream of frames
def test_a_single_image_is_a_plane(tmp_path: Path, name: str) -> None:
    WRITERS[name](tmp_path / name, COUNTS[0])
    image = read_image(tmp_path / name)
    assert image.axes == "YX"
    np.testing.assert_array_equal(image.pixels, COUNTS[0])


@each_format
@pytest.mark.parametrize("part", [0.03, 0.3, 0.95])
def test_a_file_cut_short_is_named_in_one_sentence(tmp_path: Path, name: str, part: float) -> None:
    path = tmp_path / name
    WRITERS[name](path, COUNTS)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(part * len(whole))])
    with pytest.raises(ValueError, match="damaged, cut short") as caught:
        read_image(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@each_format
@pytest.mark.parametrize("content", [b"not an image at all, but a letter\n" * 40, bytes(4096)])
def test_what_is_no_such_file_is_named_in_one_sentence(
    tmp_path: Path, name: str, content: bytes
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(ValueError, match="could not be read as"):
        read_image(path)


@pytest.mark.parametrize("version", [3, 4])
def test_how_a_micrograph_was_taken_survives(tmp_path: Path, version: int) -> None:
    source = tmp_path / f"a.dm{version}"
    microscope = {"Voltage": 3e5, "Indicated Magnification": 1.2e6, "Emission Current": 0.0}
    source.write_bytes(digital_micrograph(version, COUNTS, 0.02, "nm", microscope))
    image = read_image(source)
    assert image.acquisition == {"voltage": (300.0, "kV"), "magnification": (1.2e6, "×")}
    for name in ("a.tif", "a.ome.tif", "a.mrc"):
        write_image(tmp_path / name, image)
        assert read_image(tmp_path / name).acquisition == image.acquisition


def test_the_dose_of_a_microscope_is_kept_from_mrc_to_tiff_and_back(tmp_path: Path) -> None:
    with mrcfile.new(tmp_path / "epu.mrc") as file:
        file.set_data(COUNTS[0])
        file.voxel_size = 0.8
        head = np.zeros(1, mrcfile.dtypes.get_ext_header_dtype(b"FEI1"))
        head["Metadata size"] = head.dtype.itemsize
        head["Dose"], head["HT"], head["Integration time"] = 40e20, 3e5, 2.5
        file.set_extended_header(head)
        file.header.exttyp = b"FEI1"
    image = read_image(tmp_path / "epu.mrc")
    dose, unit = image.acquisition["dose"]
    assert (pytest.approx(40), "e/Å²") == (dose, unit)
    write_image(tmp_path / "a.tif", image)
    write_image(tmp_path / "b.mrc", read_image(tmp_path / "a.tif"))
    again = read_image(tmp_path / "b.mrc")
    assert again.acquisition == image.acquisition
    assert again.acquisition["exposure"] == (2.5, "s")
    assert again.pixel_size["X"] == (pytest.approx(0.8), "Å")


def test_of_several_images_the_largest_is_read(tmp_path: Path) -> None:
    hdf5(tmp_path / "a.hdf5", COUNTS)
    image = read_image(tmp_path / "a.hdf5")
    assert image.pixels.shape == COUNTS.shape
    assert image.others > 0


@pytest.mark.parametrize("dtype", ["int8", "int16", "uint16", "float16", "float32"])
@pytest.mark.parametrize("axes", ["YX", "TYX", "ZYX", "TZYX"])
def test_mrc_gives_back_every_image_that_it_can_hold(tmp_path: Path, dtype: str, axes: str) -> None:
    pixels = RNG.integers(0, 100, (2, 3, 4, 5)[-len(axes) :]).astype(dtype)
    write_image(tmp_path / "a.mrc", Image(pixels, axes))
    image = read_image(tmp_path / "a.mrc")
    assert (image.axes, image.pixels.dtype, image.pixel_size) == (axes, dtype, {})
    np.testing.assert_array_equal(image.pixels, pixels)


def mrc_of_others(
    path: Path, pixels: np.ndarray, extended: bytes = b"", *, order: str = "<", **fields: object
) -> None:
    """An MRC as other programs write it."""
    head = np.zeros((), mrcfile.dtypes.HEADER_DTYPE.newbyteorder(order))
    stamp = mrcfile.utils.machine_stamp_from_byte_order(order)
    of_all = {"map": b"MAP ", "machst": stamp, "nsymbt": len(extended), "nversion": 20141}
    of_all |= dict(zip(("mapc", "mapr", "maps"), (1, 2, 3), strict=True))
    of_all["mode"] = mrcfile.utils.mode_from_dtype(pixels.dtype)
    *_, planes, height, width = (1, *pixels.shape)
    for axis, length in zip("xyz", (width, height, planes), strict=True):
        of_all |= {f"n{axis}": length, f"m{axis}": length}
    for name, value in (of_all | fields).items():
        head[name] = value
    ordered = pixels.astype(pixels.dtype.newbyteorder(order))
    path.write_bytes(head.tobytes() + extended + ordered.tobytes())


def of_imod(flags: int, order: str = "<") -> np.ndarray:
    """The part of a header in which IMOD has its stamp at byte 152 and its flags after it."""
    words = np.zeros(21, f"{order}i4")
    words[10:12] = 1146047817, flags
    return words.view("V84")[0]


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("flags", [0b100, 0b101])
def test_bytes_are_unsigned_where_imod_does_not_say_that_they_are_signed(
    tmp_path: Path, order: str, flags: int
) -> None:
    bytes_ = np.array([[0, 100, 200], [127, 128, 255]], np.uint8)
    imod = of_imod(flags, order)
    mrc_of_others(tmp_path / "a.st", bytes_.view(np.int8), order=order, extra2=imod)
    image = read_image(tmp_path / "a.st")
    signed = bool(flags & 1)
    assert image.pixels.dtype == (np.int8 if signed else np.uint16)
    np.testing.assert_array_equal(image.pixels, bytes_.view(np.int8) if signed else bytes_)
    write_image(tmp_path / "b.mrc", image)
    np.testing.assert_array_equal(read_image(tmp_path / "b.mrc").pixels, image.pixels)


def test_bytes_of_no_imod_are_signed_and_a_movie_of_bytes_is_read_frame_by_frame(
    tmp_path: Path,
) -> None:
    movie = COUNTS.astype(np.uint8) + 180
    mrc_of_others(tmp_path / "a.mrc", movie.view(np.int8))
    np.testing.assert_array_equal(read_image(tmp_path / "a.mrc").pixels, movie.view(np.int8))
    mrc_of_others(tmp_path / "b.mrc", movie.view(np.int8), extra2=of_imod(0))
    opened = open_image(tmp_path / "b.mrc")
    assert not isinstance(opened.pixels, np.ndarray)
    assert (opened.pixels.shape, opened.pixels.dtype) == (movie.shape, np.uint16)
    np.testing.assert_array_equal(opened.pixels[3], movie[3])


@pytest.mark.parametrize("extended", [b"", bytes(100), bytes(4000)])
def test_a_microscope_that_tells_nothing_of_its_planes_does_no_harm(
    tmp_path: Path, extended: bytes
) -> None:
    mrc_of_others(tmp_path / "a.mrc", COUNTS, extended, exttyp=b"FEI1")
    image = read_image(tmp_path / "a.mrc")
    assert image.acquisition == {}
    np.testing.assert_array_equal(image.pixels, COUNTS)


OLD = [{"machst": [0] * 4}, {"map": b""}, {"map": b"", "machst": [0] * 4}]


@pytest.mark.parametrize("missing", OLD)
@pytest.mark.parametrize(("dtype", "order"), [("u2", "<"), ("f4", ">"), ("i1", "<")])
def test_an_old_mrc_without_its_words_is_read(
    tmp_path: Path, missing: dict[str, object], dtype: str, order: str
) -> None:
    pixels = COUNTS.astype(dtype)
    mrc_of_others(tmp_path / "a.mrc", pixels, bytes(100), order=order, **missing)
    image = read_image(tmp_path / "a.mrc")
    assert image.axes == "TYX"
    np.testing.assert_array_equal(image.pixels, pixels)


@pytest.mark.parametrize("missing", OLD)
@pytest.mark.parametrize("change", [-1, 1, -1000, -len(COUNTS.tobytes())])
def test_without_its_words_a_file_of_another_length_is_no_mrc(
    tmp_path: Path, missing: dict[str, object], change: int
) -> None:
    path = tmp_path / "a.mrc"
    mrc_of_others(path, COUNTS, bytes(100), **missing)
    whole = path.read_bytes()
    path.write_bytes((whole + bytes(1))[: len(whole) + change])
    with pytest.raises(ValueError, match=r"a\.mrc could not be read as \.mrc .*cut short"):
        read_image(path)


GEOMETRY = {
    "nxstart": 3, "nystart": -4, "nzstart": 5, "origin": (1.5, -2.5, 3.5), "cellb": (90, 90, 120),
    "mapc": 2, "mapr": 1, "maps": 3, "extra2": of_imod(0b100),
}  # fmt: skip
TILTS = np.arange(-2, 3).astype("<i2").tobytes()


@pytest.mark.parametrize("dtype", [np.uint16, np.float32])
def test_what_only_mrc_has_a_place_for_is_kept_from_mrc_to_mrc(
    tmp_path: Path, dtype: type[np.generic]
) -> None:
    mrc_of_others(tmp_path / "a.st", COUNTS, TILTS, exttyp=b"SERI", **GEOMETRY)
    image = read_image(tmp_path / "a.st")
    write_image(tmp_path / "b.mrc", replace(image, pixels=image.pixels.astype(dtype)))
    like = replace(open_image(tmp_path / "a.st"), pixels=image.pixels.astype(dtype))
    room = make_room(tmp_path / "c.mrc", like)
    for name in ("b.mrc", "c.mrc"):
        with mrcfile.open(tmp_path / name) as file:
            assert {key: file.header[key].item() for key in GEOMETRY} == {
                key: value if isinstance(value, (int, tuple)) else value.item()
                for key, value in GEOMETRY.items()
            }
            assert file.header.exttyp == b"SERI"
            assert file.extended_header.tobytes() == TILTS
            assert file.data.dtype == dtype
    assert room == 1024 + len(TILTS)
    np.testing.assert_array_equal(read_image(tmp_path / "b.mrc").pixels, COUNTS)
    write_image(tmp_path / "d.tif", image)
    write_image(tmp_path / "e.mrc", read_image(tmp_path / "d.tif"))
    with mrcfile.open(tmp_path / "e.mrc") as file:
        assert (file.header.nxstart, file.header.mapc, file.extended_header.nbytes) == (0, 1, 0)


def test_of_another_byte_order_or_age_what_could_be_mistaken_is_left_out(tmp_path: Path) -> None:
    mrc_of_others(tmp_path / "a.mrc", COUNTS, TILTS, order=">", exttyp=b"SERI", **GEOMETRY)
    write_image(tmp_path / "b.mrc", read_image(tmp_path / "a.mrc"))
    with mrcfile.open(tmp_path / "b.mrc") as file:
        assert file.header.nystart == -4
        assert file.header.origin.item() == GEOMETRY["origin"]
        assert (file.header.exttyp, file.extended_header.nbytes) == (b"", 0)
    mrc_of_others(tmp_path / "c.mrc", COUNTS, map=b"", **GEOMETRY)
    write_image(tmp_path / "d.mrc", read_image(tmp_path / "c.mrc"))
    with mrcfile.open(tmp_path / "d.mrc") as file:
        assert file.header.nystart == -4
        assert file.header.origin.item() == (0, 0, 0)


@pytest.mark.parametrize(
    ("image", "words"),
    [
        (Image(np.zeros((4, 4), np.uint32), "YX"), "not uint32; write a .tif"),
        (Image(np.zeros((2, 4, 4), np.float32), "CYX"), "not CYX; write a .tif"),
        (Image(np.zeros((4, 4), np.int16), "YX", {"X": (2.0, "furlong")}), "furlong"),
    ],
)
def test_what_mrc_cannot_hold_is_refused_before_any_work(
    tmp_path: Path, image: Image, words: str
) -> None:
    with pytest.raises(ValueError, match="cannot be written") as caught:
        write_image(tmp_path / "a.mrc", image)
    assert words in str(caught.value)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("name", "missing"), [("a.dm4", "rsciio"), ("a.mrc", "mrcfile")])
def test_without_the_extra_a_sentence_names_it(
    tmp_path: Path, name: str, missing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    WRITERS[{"a.dm4": "a.DM4"}.get(name, name)](tmp_path / name, COUNTS)
    monkeypatch.setitem(sys.modules, missing, None)
    for module in ("gaintuning.micrographs", "gaintuning.mrc"):
        monkeypatch.delitem(sys.modules, module, raising=False)
    with pytest.raises(ImportError, match=r"pip install 'gaintuning\[em\]'"):
        read_image(tmp_path / name)
    result = CliRunner().invoke(app, ["info", str(tmp_path / name)])
    assert result.exit_code == 2
    assert result.output.count("\n") == 1


def emd_by_others(path: Path, pixels: np.ndarray, axes: Sequence[tuple[str, str, float]]) -> None:
    """As the programs of Berkeley write it: the axes in the order of the pixels."""
    with h5py.File(path, "w") as file:
        file.attrs["version_major"], file.attrs["version_minor"] = 0, 2
        group = file.create_group("data/movie")
        group.attrs["emd_group_type"] = 1
        group["data"] = pixels
        for number, (name, unit, step) in enumerate(axes, 1):
            places = group.create_dataset(
                f"dim{number}", data=step * np.arange(pixels.shape[number - 1])
            )
            places.attrs["name"], places.attrs["units"] = name, unit


@pytest.mark.parametrize("names", [("time", "y", "x"), ("dim1", "dim2", "dim3")])
def test_emd_of_other_programs_keeps_the_order_of_its_axes(
    tmp_path: Path, names: tuple[str, str, str]
) -> None:
    movie = np.random.default_rng(0).poisson(20, (5, 40, 60)).astype(np.uint16)
    dims = list(zip(names, ("[s]", "[n_m]", "[n_m]"), (0.1, 0.02, 0.03), strict=True))
    emd_by_others(tmp_path / "movie.emd", movie, dims)
    found = read_image(tmp_path / "movie.emd")
    assert found.axes == "TYX"
    assert found.pixel_size == {"Y": (0.02, "nm"), "X": (0.03, "nm")}
    np.testing.assert_array_equal(found.pixels, movie)
    if names[0] == "time":
        emd_by_others(tmp_path / "image.emd", movie[0], dims[1:])
        np.testing.assert_array_equal(read_image(tmp_path / "image.emd").pixels, movie[0])


@pytest.mark.parametrize("name", ["example_Se_implanted_MoS2.dm3", "example_Au_nanoparticle.emd"])
def test_real_micrographs_are_read_denoised_and_written_with_their_pixel_size(
    tmp_path: Path, name: str
) -> None:
    installed = importlib.util.find_spec("temul")
    assert installed is not None, "temul-toolkit, whose examples these are, is not installed"
    assert installed.origin is not None
    source = Path(installed.origin).parent / "example_data" / "experimental" / name
    arguments = ["denoise", str(source), "-o", str(tmp_path / "denoised"), "--no-tune", "--quiet"]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    noisy, denoised = read_image(source), read_image(tmp_path / "denoised" / f"{source.stem}.tif")
    assert denoised.pixels.shape == noisy.pixels.shape
    assert denoised.pixels.dtype == noisy.pixels.dtype
    assert denoised.pixel_size == noisy.pixel_size
    assert denoised.acquisition == noisy.acquisition
    steps = (np.abs(np.diff(one.pixels.astype(float), axis=1)).mean() for one in (noisy, denoised))
    rough, smooth = steps
    assert smooth < 0.5 * rough
    told = CliRunner().invoke(app, ["info", str(tmp_path / "denoised" / f"{source.stem}.tif")])
    assert "nm" in told.output
    assert "kV" in told.output

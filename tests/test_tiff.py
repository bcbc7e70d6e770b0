"""TIFF: each dialect's axes and pixel size, as other programs write and read them."""

import logging

import numpy as np
import pytest
import tifffile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gaintuning.files import read_image, write_image
from gaintuning.image import Image
from gaintuning.tiff import complaints_of

MICRONS = {"Z": (0.3, "µm"), "Y": (0.065, "µm"), "X": (0.065, "µm")}
STACK = np.arange(2 * 20 * 30, dtype=np.uint16).reshape(2, 20, 30)


def written(path, shape, dtype=np.uint16, **options):
    pixels = np.arange(np.prod(shape)).reshape(shape).astype(dtype)
    tifffile.imwrite(path, pixels, **options)
    return pixels, read_image(path)


GRAY = {"photometric": "minisblack"}


@pytest.mark.parametrize(
    ("shape", "options", "axes"),
    [
        ((20, 30), {}, "YX"),
        ((20, 30, 3), {}, "YXS"),
        ((20, 30, 4), {"photometric": "rgb"}, "YXS"),
        ((20, 30, 2), GRAY | {"planarconfig": "contig"}, "YXS"),
        ((5, 20, 30), GRAY, "ZYX"),
        ((5, 20, 30), GRAY | {"metadata": None}, "ZYX"),
        ((4, 5, 20, 30), GRAY, "TZYX"),
        ((3, 4, 5, 20, 30), GRAY, "CTZYX"),
        ((5, 20, 30, 3), {"photometric": "rgb"}, "ZYXS"),
        ((5, 20, 30), GRAY | {"metadata": {"axes": "TYX"}}, "TYX"),
        ((4, 5, 20, 30), GRAY | {"metadata": {"axes": "CTYX"}}, "CTYX"),
        ((4, 5, 20, 30), GRAY | {"metadata": {"axes": "ZQYX"}}, "ZTYX"),
        ((5, 20, 30), GRAY | {"imagej": True, "metadata": {"axes": "TYX"}}, "TYX"),
        ((2, 3, 4, 20, 30), GRAY | {"imagej": True, "metadata": {"axes": "TZCYX"}}, "TZCYX"),
        ((3, 20, 30), GRAY | {"ome": True, "metadata": {"axes": "ZYX"}}, "ZYX"),
        ((2, 3, 20, 30), GRAY | {"ome": True, "metadata": {"axes": "CTYX"}}, "CTYX"),
        ((5, 20, 30), GRAY | {"compression": "zlib"}, "ZYX"),
        ((5, 20, 30), GRAY | {"compression": "lzw", "predictor": True}, "ZYX"),
        ((5, 40, 40), GRAY | {"tile": (16, 16), "bigtiff": True}, "ZYX"),
        ((5, 20, 30), GRAY | {"byteorder": ">"}, "ZYX"),
    ],
)
def test_axes_of_a_file_by_another_program(tmp_path, shape, options, axes):
    pixels, image = written(tmp_path / "a.tif", shape, **options)
    assert image.axes == axes
    assert image.pixels.dtype == pixels.dtype
    np.testing.assert_array_equal(image.pixels, pixels)


def test_samples_and_channels_that_stand_elsewhere_are_moved(tmp_path):
    planar = {"photometric": "rgb", "planarconfig": "separate"}
    pixels, image = written(tmp_path / "a.tif", (3, 20, 30), **planar)
    assert image.axes == "YXS"
    np.testing.assert_array_equal(image.pixels, np.moveaxis(pixels, 0, -1))
    many = GRAY | {"planarconfig": "contig"}
    pixels, image = written(tmp_path / "b.tif", (20, 30, 7), **many)
    assert image.axes == "CYX"
    np.testing.assert_array_equal(image.pixels, np.moveaxis(pixels, -1, 0))


def test_the_largest_series_is_read(tmp_path):
    with tifffile.TiffWriter(tmp_path / "a.tif") as file:
        file.write(np.zeros((4, 4), np.uint8))
        file.write(STACK, photometric="minisblack")
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif").pixels, STACK)


def test_a_color_map_is_left_out(tmp_path):
    colormap = np.zeros((3, 256), np.uint16)
    pixels, image = written(tmp_path / "a.tif", (8, 8), np.uint8, colormap=colormap)
    assert image.axes == "YX"
    np.testing.assert_array_equal(image.pixels, pixels)


def test_more_axes_than_there_are_names_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"a\.tif cannot be used: axes.*reorder or split"):
        written(tmp_path / "a.tif", (2, 2, 2, 2, 20, 30), **GRAY)


def test_bits_are_refused_as_a_mask(tmp_path):
    with pytest.raises(ValueError, match=r"a\.tif cannot be used: a mask"):
        written(tmp_path / "a.tif", (8, 8), bool)


DIALECTS = {
    "imagej": ("a.tif", np.uint16, "ZYX"),
    "shaped": ("a.tif", np.float64, "ZYX"),
    "ome": ("a.ome.tif", np.uint16, "ZYX"),
}
lengths = st.floats(1e-9, 1e9)
units = st.sampled_from(["pm", "Å", "nm", "µm", "mm", "cm", "in", "m"])


@pytest.mark.parametrize("dialect", DIALECTS)
def test_pixel_size_survives_in_the_dialect_meant(tmp_path, dialect):
    name, dtype, axes = DIALECTS[dialect]
    write_image(tmp_path / name, Image(STACK.astype(dtype), axes, MICRONS))
    with tifffile.TiffFile(tmp_path / name) as file:
        assert file.series[0].kind == dialect
    assert read_image(tmp_path / name).pixel_size == MICRONS


@given(
    dialect=st.sampled_from(list(DIALECTS)),
    pixel_size=st.dictionaries(st.sampled_from("ZYX"), st.tuples(lengths, units)),
)
@settings(
    max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_every_pixel_size_survives_to_the_last_bit(tmp_path, dialect, pixel_size):
    name, dtype, axes = DIALECTS[dialect]
    write_image(tmp_path / name, Image(STACK.astype(dtype), axes, pixel_size), overwrite=True)
    assert read_image(tmp_path / name).pixel_size == pixel_size


def test_a_unit_of_no_standard_survives_in_tif(tmp_path):
    size = {"Y": (2.0, "ell²"), "X": (2.0, "ell²")}
    write_image(tmp_path / "a.tif", Image(STACK[0], "YX", size))
    assert read_image(tmp_path / "a.tif").pixel_size == size


def test_other_programs_find_the_resolution_in_the_tags(tmp_path):
    write_image(tmp_path / "imagej.tif", Image(STACK, "ZYX", MICRONS))
    with tifffile.TiffFile(tmp_path / "imagej.tif") as file:
        assert file.imagej_metadata["unit"] == "um"
        assert file.imagej_metadata["spacing"] == 0.3
        assert file.pages[0].tags["XResolution"].value == (200, 13)
    write_image(tmp_path / "plain.tif", Image(STACK.astype(np.uint32), "ZYX", MICRONS))
    with tifffile.TiffFile(tmp_path / "plain.tif") as file:
        # 32-bit ratios are within 2**-32 of the number, for numbers around 1e5 of less than 1e-9
        assert file.pages[0].get_resolution("micrometer") == pytest.approx((200 / 13,) * 2, 1e-9)


@pytest.mark.parametrize("unit", ["micron", "um", "\\u00B5m"])
def test_pixel_size_as_imagej_writes_it(tmp_path, unit):
    description = f"ImageJ=1.54f\nimages=2\nslices=2\nunit={unit}\nspacing=0.5\nloop=false\n"
    options = {"description": description, "resolution": (10, 5), "resolutionunit": "NONE"}
    tifffile.imwrite(tmp_path / "a.tif", STACK, metadata=None, **GRAY, **options)
    image = read_image(tmp_path / "a.tif")
    assert image.axes == "ZYX"
    assert image.pixel_size == {"Z": (0.5, "µm"), "Y": (0.2, "µm"), "X": (0.1, "µm")}


@pytest.mark.parametrize(("unit", "symbol"), [("INCH", "in"), ("CENTIMETER", "cm")])
def test_pixel_size_of_a_plain_tiff(tmp_path, unit, symbol):
    tifffile.imwrite(
        tmp_path / "a.tif", STACK[0], metadata=None, resolution=(300, 200), resolutionunit=unit
    )
    assert read_image(tmp_path / "a.tif").pixel_size == {
        "Y": (1 / 200, symbol),
        "X": (1 / 300, symbol),
    }


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"imagej": True},
        {"imagej": True, "resolution": (2, 2), "metadata": {"unit": "pixel"}},
        {"resolution": (2, 2), "resolutionunit": "NONE"},
        {"ome": True, "metadata": {"PhysicalSizeX": 2.0, "PhysicalSizeXUnit": "pixel"}},
        {"ome": True, "metadata": {"PhysicalSizeX": 0.0}},
    ],
)
def test_what_is_no_length_leaves_the_pixel_size_unknown(tmp_path, options):
    assert written(tmp_path / "a.tif", (20, 30), **options)[1].pixel_size == {}


def test_a_length_without_a_unit_is_in_microns_for_ome(tmp_path):
    image = written(tmp_path / "a.tif", (8, 8), ome=True, metadata={"PhysicalSizeX": 2.0})[1]
    assert image.pixel_size == {"X": (2.0, "µm")}


@pytest.mark.parametrize("options", [{"imagej": True}, {"ome": True}, {"metadata": None}, {}])
@pytest.mark.parametrize("kept", [0.3, 0.6, 0.95])
def test_a_stack_cut_short_is_refused_and_not_read_as_a_plane(tmp_path, capfd, options, kept):
    tifffile.imwrite(tmp_path / "a.tif", np.tile(STACK, (3, 1, 1)), **GRAY, **options)
    encoded = (tmp_path / "a.tif").read_bytes()
    (tmp_path / "a.tif").write_bytes(encoded[: int(kept * len(encoded))])
    with pytest.raises(ValueError, match=r"a\.tif could not be read.*cut short"):
        read_image(tmp_path / "a.tif")
    assert capfd.readouterr() == ("", "")


def test_a_bad_tag_of_a_makers_own_does_no_harm(tmp_path, capfd):
    tifffile.imwrite(tmp_path / "a.tif", STACK[0], extratags=[(65000, "s", 0, "x" * 99, True)])
    with tifffile.TiffFile(tmp_path / "a.tif") as file:
        offset = file.pages[0].tags[65000].offset
    encoded = bytearray((tmp_path / "a.tif").read_bytes())
    encoded[offset + 8 : offset + 12] = b"\xff" * 4
    (tmp_path / "a.tif").write_bytes(encoded)
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif").pixels, STACK[0])
    assert capfd.readouterr() == ("", "")


def test_planes_in_a_missing_file_are_not_taken_for_zeros(tmp_path):
    planes = "".join(
        f'<TiffData IFD="0" FirstT="{t}" PlaneCount="1">'
        f'<UUID FileName="{t}.ome.tif">urn:uuid:{t}</UUID></TiffData>'
        for t in range(2)
    )
    for t in range(2):
        description = (
            '<?xml version="1.0" encoding="UTF-8"?><OME xmlns="http://www.openmicroscopy.org/'
            f'Schemas/OME/2016-06" UUID="urn:uuid:{t}"><Image ID="Image:0"><Pixels ID="Pixels:0" '
            'DimensionOrder="XYZCT" Type="uint16" SizeX="30" SizeY="20" SizeZ="1" SizeC="1" '
            f'SizeT="2">{planes}</Pixels></Image></OME>'
        )
        path = tmp_path / f"{t}.ome.tif"
        tifffile.imwrite(path, STACK[t], ome=False, description=description, metadata=None)
    image = read_image(tmp_path / "0.ome.tif")
    assert image.axes == "TYX"
    np.testing.assert_array_equal(image.pixels, STACK)
    (tmp_path / "1.ome.tif").unlink()
    with pytest.raises(ValueError, match="planes are missing, or in files that are not there"):
        read_image(tmp_path / "0.ome.tif")


def test_complaints_are_collected_and_the_logger_is_as_before():
    logger = logging.getLogger("tifffile")
    before = list(logger.filters)
    with complaints_of("tifffile") as complaints:
        logger.error("a page is missing")
    assert [complaint.getMessage() for complaint in complaints] == ["a page is missing"]
    assert logger.filters == before

"""TIFF: each dialect's axes and pixel size, as other programs write and read them."""

import logging
import threading
from dataclasses import replace

import numpy as np
import pytest
import tifffile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gaintuning.complaints import complaints_of
from gaintuning.files import open_image, read_image, write_image
from gaintuning.image import Image

MICRONS = {"Z": (0.3, "µm"), "Y": (0.065, "µm"), "X": (0.065, "µm")}
STACK = np.arange(2 * 20 * 30, dtype=np.uint16).reshape(2, 20, 30)


def written(path, shape, dtype=np.uint16, **options):
    pixels = np.arange(np.prod(shape)).reshape(shape).astype(dtype)
    tifffile.imwrite(path, pixels, **options)
    return pixels, read_image(path)


GRAY = {"photometric": "minisblack"}
CONTIG = GRAY | {"planarconfig": "contig"}
RGB = {"photometric": "rgb"}


@pytest.mark.parametrize(
    ("shape", "options", "axes"),
    [
        ((20, 30), {}, "YX"),
        ((20, 30, 3), {}, "YXS"),
        ((20, 30, 4), {"photometric": "rgb"}, "YXS"),
        ((20, 30, 2), CONTIG | {"extrasamples": ["unassalpha"]}, "YXS"),
        ((20, 30, 4), {"photometric": "rgb", "extrasamples": ["assocalpha"]}, "YXS"),
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
    pixels, image = written(tmp_path / "b.tif", (20, 30, 7), **CONTIG)
    assert image.axes == "CYX"
    np.testing.assert_array_equal(image.pixels, np.moveaxis(pixels, -1, 0))


@pytest.mark.parametrize(
    ("shape", "options", "axes"),
    [
        ((20, 30, 2), CONTIG, "CYX"),
        ((20, 30, 4), CONTIG, "CYX"),
        ((20, 30, 4), RGB | {"extrasamples": ["unspecified"]}, "CYX"),
        ((5, 20, 30, 2), CONTIG | {"metadata": {"axes": "TYXS"}}, "TCYX"),
        ((2, 20, 30), GRAY | {"planarconfig": "separate", "metadata": {"axes": "SYX"}}, "CYX"),
        ((3, 20, 30, 2), CONTIG | {"metadata": {"axes": "CYXS"}}, "CZYX"),
    ],
)
def test_no_sample_is_taken_for_alpha_unless_the_file_says_so(tmp_path, shape, options, axes):
    pixels, image = written(tmp_path / "a.tif", shape, **options)
    assert image.axes == axes
    in_front = np.moveaxis(pixels, -1, -3) if shape[-1] in (2, 4) else pixels
    np.testing.assert_array_equal(image.pixels, in_front)


def test_inks_are_refused_with_a_cure(tmp_path):
    with pytest.raises(ValueError, match=r"a\.tif cannot be used: .*CMYK.* convert it to RGB$"):
        written(tmp_path / "a.tif", (20, 30, 4), np.uint8, photometric="separated")


def test_the_largest_series_is_read(tmp_path):
    with tifffile.TiffWriter(tmp_path / "a.tif") as file:
        file.write(np.zeros((4, 4), np.uint8))
        file.write(STACK, photometric="minisblack")
    image = read_image(tmp_path / "a.tif")
    np.testing.assert_array_equal(image.pixels, STACK)
    assert image.others == 1


def test_what_imagej_shows_of_an_image_is_kept(tmp_path):
    colors = [np.eye(3, 256, dtype=np.uint8), np.ones((3, 256), np.uint8)]
    shown = {
        "mode": "composite",
        "Labels": ["DAPI", "GFP"],
        "Ranges": (0.0, 200.0, 10.0, 90.0),
        "Info": "Objective: 63x/1.4",
        "LUTs": colors,
    }
    source = tmp_path / "a.tif"
    tifffile.imwrite(source, STACK[:2], imagej=True, metadata={"axes": "CYX", **shown})
    image = replace(read_image(source), acquisition={"exposure": (0.1, "s")})
    write_image(tmp_path / "b.tif", image)
    write_image(tmp_path / "c.tif", read_image(tmp_path / "b.tif"))
    write_image(tmp_path / "d.mrc", replace(image, pixels=image.pixels[0], axes="YX"))
    for name in ("b.tif", "c.tif"):
        with tifffile.TiffFile(tmp_path / name) as file:
            found = file.imagej_metadata
        assert found["mode"] == "composite"
        assert found["Labels"] == shown["Labels"]
        assert found["Ranges"] == shown["Ranges"]
        assert found["Info"].splitlines() == ["Objective: 63x/1.4", "exposure: 0.1 s"]
        np.testing.assert_array_equal(found["LUTs"], colors)


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


def by_imagej(path, stored, *lines):
    """A stack of three planes as ImageJ writes it, its first byte the most significant."""
    description = "\n".join(("ImageJ=1.54f", "images=3", "frames=3", "hyperstack=true", *lines, ""))
    tifffile.imwrite(path, stored, metadata=None, description=description, byteorder=">", **GRAY)


def test_signed_numbers_of_imagej_are_what_they_are(tmp_path):
    signed = np.random.default_rng(0).integers(-(2**15), 2**15, (3, 20, 30), np.int16)
    stored = (signed.astype(np.int32) + 2**15).astype(np.uint16)
    straight_line = ("cf=0", "c0=-32768.0", "c1=1.0", "vunit=Gray Value")
    by_imagej(tmp_path / "a.tif", stored, *straight_line)
    image = read_image(tmp_path / "a.tif")
    assert image.pixels.dtype == np.int16
    np.testing.assert_array_equal(image.pixels, signed)
    opened = open_image(tmp_path / "a.tif").pixels
    assert not isinstance(opened, np.ndarray)  # as it is not read before it is looked at
    np.testing.assert_array_equal(opened[1], signed[1])
    write_image(tmp_path / "b.tif", image)
    with tifffile.TiffFile(tmp_path / "b.tif") as file:
        assert file.series[0].kind == "imagej"
        assert file.pages[0].tags["SampleFormat"].value == tifffile.SAMPLEFORMAT.INT
    np.testing.assert_array_equal(read_image(tmp_path / "b.tif").pixels, signed)
    by_imagej(tmp_path / "c.tif", stored, "cf=0", "c0=0.0", "c1=2.5")
    np.testing.assert_array_equal(read_image(tmp_path / "c.tif").pixels, stored)


def test_the_interval_between_frames_is_kept(tmp_path):
    movie = np.tile(STACK[:1], (3, 1, 1))
    by_imagej(tmp_path / "a.tif", movie, "finterval=0.25")
    image = read_image(tmp_path / "a.tif")
    assert image.acquisition == {"interval": (0.25, "s")}
    for name in ("b.tif", "b.ome.tif"):
        write_image(tmp_path / name, image)
        assert read_image(tmp_path / name).acquisition == image.acquisition
    with tifffile.TiffFile(tmp_path / "b.tif") as file:
        assert file.imagej_metadata["finterval"] == 0.25
    by_imagej(tmp_path / "c.tif", movie, "finterval=40", "tunit=msec")
    assert read_image(tmp_path / "c.tif").acquisition == {"interval": (40.0, "ms")}
    by_imagej(tmp_path / "d.tif", movie, "finterval=0.0")
    assert read_image(tmp_path / "d.tif").acquisition == {}


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


OME = (
    '<?xml version="1.0" encoding="UTF-8"?><OME xmlns="http://www.openmicroscopy.org/Schemas/OME/'
    '2016-06">{}</OME>'
)


def ome_image(number, content, *, size_x=30, length=0.5):
    return (
        f'<Image ID="Image:{number}"><Description>dose: {number}.0 e/A^2</Description>'
        f'<Pixels ID="Pixels:{number}" DimensionOrder="XYZCT" Type="uint16" SizeX="{size_x}" '
        f'SizeY="20" SizeZ="1" SizeC="1" SizeT="1" PhysicalSizeX="{length}" '
        f'PhysicalSizeY="{length}">{content}</Pixels></Image>'
    )


def test_an_image_of_ome_without_pixels_is_not_counted(tmp_path):
    without = ome_image(1, "<MetadataOnly/>", length=9.0)
    for images in (
        without + ome_image(2, '<TiffData IFD="0" PlaneCount="1"/>'),
        ome_image(2, '<TiffData IFD="0" PlaneCount="1"/>') + without,
    ):
        description = OME.format(images)
        tifffile.imwrite(tmp_path / "a.ome.tif", STACK[0], description=description, metadata=None)
        image = read_image(tmp_path / "a.ome.tif")
        np.testing.assert_array_equal(image.pixels, STACK[0])
        assert image.pixel_size == {"Y": (0.5, "µm"), "X": (0.5, "µm")}
        assert image.acquisition == {"dose": (2.0, "e/Å²")}


def test_where_no_image_of_ome_fits_nothing_is_known(tmp_path):
    other = ome_image(1, '<TiffData IFD="7" PlaneCount="1"/>', size_x=12)  # there is no such page
    description = OME.format(other + ome_image(2, '<TiffData IFD="0" PlaneCount="1"/>'))
    tifffile.imwrite(tmp_path / "a.ome.tif", STACK[0], description=description, metadata=None)
    image = read_image(tmp_path / "a.ome.tif")
    np.testing.assert_array_equal(image.pixels, STACK[0])
    assert (image.pixel_size, image.acquisition) == ({}, {})


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


@pytest.mark.parametrize("name", ["library", "library.format"])
@pytest.mark.parametrize("prints", [True, False])
def test_complaints_are_collected_and_the_logger_is_as_before(name, prints, monkeypatch, capsys):
    library = logging.getLogger("library")
    monkeypatch.setattr(logging.root, "handlers", [])  # as where nobody asked for logs
    monkeypatch.setattr(library, "handlers", [logging.StreamHandler()] if prints else [])
    before = list(library.filters), list(library.handlers)
    logger = logging.getLogger(name)
    with complaints_of("library") as complaints:
        logger.error("a page is missing")
        other = threading.Thread(target=logger.error, args=["of another file"])
        other.start()
        other.join()
    assert [complaint.getMessage() for complaint in complaints] == ["a page is missing"]
    assert (library.filters, library.handlers) == before
    assert capsys.readouterr().err == ""
    logger.error("a page is missing again")
    assert "missing again" in capsys.readouterr().err

"""Files: what one holds is read, what is written is read again, and nothing else is touched."""

import dataclasses
import errno
import io
import os
import zlib
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image as Pillow

from gaintuning import files
from gaintuning.files import check_output, read_image, write_image
from gaintuning.image import Image

PLANE = Image(np.arange(600, dtype=np.uint16).reshape(20, 30), "YX")
RGB = Image(np.arange(60, dtype=np.uint8).reshape(4, 5, 3), "YXS")
MOVIE = Image(np.zeros((3, 4, 5), np.float32), "TYX")

quick = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def images(dtypes, axes, *, min_leading=1):
    """Any image of these dtypes and axes, NaN and infinity among its pixels."""

    def of(dtype, axes):
        sides = {"S": st.integers(2, 4), "Y": st.integers(1, 5), "X": st.integers(1, 5)}
        shape = st.tuples(*(sides.get(axis, st.integers(min_leading, 3)) for axis in axes))
        return shape.flatmap(lambda shape: hnp.arrays(dtype, shape)).map(
            lambda pixels: Image(pixels, axes)
        )

    return st.tuples(st.sampled_from(dtypes), st.sampled_from(axes)).flatmap(lambda it: of(*it))


def assert_same(read, written):
    assert read.axes == written.axes
    assert read.pixels.dtype == written.pixels.dtype
    np.testing.assert_array_equal(read.pixels, written.pixels)


INTEGERS = ["u1", "u2", "u4", "u8", "i1", "i2", "i4", "i8"]
FLOATS = ["f2", "f4", "f8"]
LEADING = ["", "T", "Z", "C", "TZ", "TC", "ZC", "CZ", "ZT", "TZC", "CTZ"]
ALL_AXES = [leading + plane for leading in LEADING for plane in ("YX", "YXS")]


@given(images(INTEGERS + FLOATS, ALL_AXES))
@quick
def test_tiff_gives_back_every_image(tmp_path, image):
    write_image(tmp_path / "a.tif", image, overwrite=True)
    assert_same(read_image(tmp_path / "a.tif"), image)


@given(images(["u1", "u2", "u4", "i1", "i2", "i4", "f4", "f8"], ALL_AXES, min_leading=2))
@quick
def test_ome_tiff_gives_back_every_image_it_can_hold(tmp_path, image):
    if image.axes.endswith("S") and image.pixels.shape[-1] == 2:
        with pytest.raises(ValueError, match=r"gray with alpha.*write a \.tif"):
            check_output(tmp_path / "a.ome.tif", image, overwrite=True)
    else:
        write_image(tmp_path / "a.ome.tif", image, overwrite=True)
        assert_same(read_image(tmp_path / "a.ome.tif"), image)


@given(images(["u1", "u2"], ["YX", "YXS"]))
@quick
def test_png_gives_back_every_plane_of_8_and_16_bits(tmp_path, image):
    write_image(tmp_path / "a.png", image, overwrite=True)
    assert_same(read_image(tmp_path / "a.png"), image)


@given(images(FLOATS + INTEGERS[2:], ["YX", "ZYX", "TZYX"]))
@quick
def test_npy_gives_back_every_array(tmp_path, image):
    write_image(tmp_path / "a.npy", image, overwrite=True)
    assert_same(read_image(tmp_path / "a.npy"), image)


@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.ome.tif", "a.npy", "A.TIFF", "a.b.OME.TIFF"])
def test_byte_order_and_strides_do_not_matter(tmp_path, name):
    image = Image(PLANE.pixels.astype(">u2").T[::-1, ::2], "YX")
    write_image(tmp_path / name, image)
    read = read_image(tmp_path / name)
    assert read.pixels.dtype == np.uint16
    assert read.pixels.dtype.isnative
    np.testing.assert_array_equal(read.pixels, image.pixels)


def test_pixels_can_be_replaced_between_reading_and_writing(tmp_path):
    size = {"Z": (0.3, "µm"), "Y": (0.065, "µm"), "X": (0.065, "µm")}
    write_image(tmp_path / "a.tif", Image(np.zeros((2, 3, 4), np.uint16), "ZYX", size))
    image = read_image(tmp_path / "a.tif")
    write_image(tmp_path / "b.tif", dataclasses.replace(image, pixels=image.pixels + 1))
    read = read_image(tmp_path / "b.tif")
    assert (read.axes, read.pixel_size) == ("ZYX", size)
    assert read.pixels.min() == 1


@pytest.mark.parametrize(
    ("shape", "dtype", "axes"),
    [
        ((20, 3), np.uint8, "YX"),
        ((5, 6, 3), np.uint8, "YXS"),
        ((5, 6, 4), np.uint16, "YXS"),
        ((5, 6, 3), np.float32, "YXS"),
        ((3, 6, 3), np.float32, "ZYX"),
        ((5, 6, 2), np.uint8, "ZYX"),
        ((2, 5, 6, 3), np.uint8, "TZYX"),
    ],
)
def test_axes_of_an_npy(tmp_path, shape, dtype, axes):
    np.save(tmp_path / "a.npy", np.ones(shape, dtype))
    assert read_image(tmp_path / "a.npy").axes == axes


def png(image, **options):
    file = io.BytesIO()
    image.save(file, "png", **options)
    return file.getvalue()


GRAY, COLOR = Pillow.fromarray(PLANE.pixels.astype(np.uint8)), Pillow.fromarray(RGB.pixels)


@pytest.mark.parametrize(
    ("encoded", "shape"),
    [
        (png(GRAY.convert("1")), (20, 30)),
        (png(GRAY.convert("LA")), (20, 30, 2)),
        (png(COLOR.convert("P")), (4, 5, 3)),
        (png(COLOR.convert("RGBA")), (4, 5, 4)),
        (png(COLOR.quantize(4), transparency=1), (4, 5, 4)),
    ],
    ids=["bits", "gray-alpha", "palette", "alpha", "palette-alpha"],
)
def test_every_kind_of_png_becomes_samples(tmp_path, encoded, shape):
    (tmp_path / "a.png").write_bytes(encoded)
    image = read_image(tmp_path / "a.png")
    assert (image.pixels.shape, image.pixels.dtype) == (shape, np.uint8)
    assert image.axes == "YXS"[: len(shape)]


def test_bits_of_a_png_are_black_and_white(tmp_path):
    (tmp_path / "a.png").write_bytes(png(GRAY.convert("1")))
    assert set(np.unique(read_image(tmp_path / "a.png").pixels)) == {0, 255}


@pytest.mark.parametrize(("mode", "axes"), [("L", "YX"), ("RGB", "YXS"), ("CMYK", "YXS")])
def test_jpeg_is_read(tmp_path, mode, axes):
    Pillow.new("RGB", (6, 4), (200, 200, 200)).convert(mode).save(tmp_path / "a.jpg")
    image = read_image(tmp_path / "a.jpg")
    assert image.axes == axes
    assert image.pixels.shape == (4, 6, 3)[: len(axes)]
    assert np.abs(image.pixels.astype(int) - 200).max() <= 2  # JPEG's rounding of one color


def test_jpeg_is_turned_as_the_camera_was(tmp_path):
    exif = Pillow.Exif()
    exif[0x112] = 6  # orientation: the first row of the file is the right column
    pixels = np.zeros((8, 16), np.uint8)
    pixels[:, :8] = 255
    Pillow.fromarray(pixels).save(tmp_path / "a.jpg", exif=exif)
    read = read_image(tmp_path / "a.jpg").pixels
    np.testing.assert_array_equal(read > 127, np.rot90(pixels, -1) > 127)


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tif", ".ome.tif", ".npy"])
@pytest.mark.parametrize("kept", [0.01, 0.1, 0.5, 0.9])
def test_a_file_cut_short_is_refused(tmp_path, capfd, suffix, kept):
    path = tmp_path / f"cut{suffix}"
    noise = np.random.default_rng(0).integers(0, 256, (40, 50), np.uint8)
    if suffix == ".jpg":
        Pillow.fromarray(noise).save(path)
    else:
        write_image(path, Image(noise, "YX"))
    whole = path.read_bytes()
    path.write_bytes(whole[: int(kept * len(whole))])
    with pytest.raises(ValueError, match=r"cut\..*damaged, cut short.*export it again") as caught:
        read_image(path)
    assert "\n" not in str(caught.value)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("suffix", files.SUFFIXES)
def test_text_under_an_images_name_is_refused(tmp_path, capfd, suffix):
    path = tmp_path / f"letter{suffix}"
    path.write_text("Dear reader,\nthis is not an image.\n" * 9)
    with pytest.raises(ValueError, match=f"letter.* could not be read as {suffix}.*export"):
        read_image(path)
    assert capfd.readouterr() == ("", "")


def test_a_png_under_a_jpegs_name_is_refused_as_its_16_bits_would_be_lost(tmp_path):
    (tmp_path / "a.jpg").write_bytes(imagecodecs.png_encode(RGB.pixels.astype(np.uint16)))
    with pytest.raises(ValueError, match="not a JPEG"):
        read_image(tmp_path / "a.jpg")


def test_an_empty_file_is_refused(tmp_path):
    (tmp_path / "a.tif").touch()
    with pytest.raises(ValueError, match=r"a\.tif is empty \(0 bytes\); copy or export"):
        read_image(tmp_path / "a.tif")


def test_a_missing_file_a_folder_and_an_unknown_suffix_are_told(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"a\.tif does not exist; check the name"):
        read_image(tmp_path / "a.tif")
    with pytest.raises(IsADirectoryError, match="is a folder; give one of the images in it"):
        read_image(tmp_path)
    (tmp_path / "a.gif").write_bytes(b"GIF89a")
    with pytest.raises(ValueError, match=r"\.gif, but \.png, \.tif.* known; convert it to \.tif"):
        read_image(tmp_path / "a.gif")
    (tmp_path / "a").write_bytes(b"?")
    with pytest.raises(ValueError, match="suffix is missing"):
        read_image(tmp_path / "a")


def test_an_error_of_the_system_is_one_sentence(tmp_path):
    with pytest.raises(OSError, match=r"could not be read \(File name too long\); check") as caught:
        read_image(tmp_path / ("a" * 300 + ".tif"))
    assert caught.value.errno is None


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (np.zeros((3, 4), bool), "mask.*give the image it came from"),
        (np.zeros((3, 4), complex), "complex128.*give the modulus"),
        (np.zeros((3, 4), "U3"), "convert them to float32"),
        (np.zeros((0, 4)), "no pixels in an image of shape"),
        (np.zeros(4), r"1 axes.*2 \(YX\).*save each stack"),
        (np.zeros((2, 2, 2, 2, 2)), "5 axes.*save each stack"),
        (np.array([[1, None]]), "Python objects in dtype.*plain numbers"),
    ],
)
def test_an_array_that_is_no_image_is_refused(tmp_path, array, words):
    np.save(tmp_path / "a.npy", array, allow_pickle=True)
    with pytest.raises(ValueError, match=rf"a\.npy.*{words}"):
        read_image(tmp_path / "a.npy")


@pytest.mark.parametrize(
    ("shape", "axes"),
    [
        ((3, 4), "XY"),
        ((3, 4), "ZYX"),
        ((2, 3, 4), "QYX"),
        ((2, 2, 3, 4), "ZZYX"),
        ((3, 4, 2), "YXC"),
    ],
)
def test_axes_that_do_not_fit_are_refused(shape, axes):
    with pytest.raises(ValueError, match=f"axes '{axes}'.*reorder or split"):
        Image(np.zeros(shape), axes)


def test_samples_and_pixel_sizes_that_cannot_be_are_refused():
    with pytest.raises(ValueError, match=r"2 to 4 samples, not 7; .* as C"):
        Image(np.zeros((3, 4, 7)), "YXS")
    with pytest.raises(ValueError, match=r"pixel size of 0\.0 nm along 'X'.*leave out"):
        Image(np.zeros((3, 4)), "YX", {"X": (0.0, "nm")})
    with pytest.raises(ValueError, match="along 'T'"):
        Image(np.zeros((2, 3, 4)), "TYX", {"T": (1.0, "s")})


@pytest.mark.parametrize(
    ("name", "image", "words"),
    [
        ("a.png", Image(np.zeros((3, 4), np.float32), "YX"), "integers, not float32; write a .tif"),
        ("a.png", Image(np.zeros((3, 4), np.int16), "YX"), "integers, not int16; write a .tif"),
        ("a.png", MOVIE, "PNG holds one plane, not axes TYX; write a .tif or .npy"),
        ("a.jpg", RGB, "JPEG would add losses.*write a .png or .tif"),
        ("a.gif", RGB, r"suffix is \.gif, but \.png, \.tif, .*are written"),
        ("a", RGB, "suffix is missing"),
        ("a.ome.tif", Image(np.zeros((3, 4), np.float16), "YX"), "not float16; write a .tif"),
        ("a.ome.tif", Image(np.zeros((3, 4)), "YX", {"X": (1.0, "ell")}), "no unit 'ell'"),
    ],
)
def test_what_a_format_cannot_hold_is_told_before_the_work(tmp_path, name, image, words):
    for refuse in (check_output, write_image):
        with pytest.raises(ValueError, match=rf"{name} cannot be written: .*{words}"):
            refuse(tmp_path / name, image, overwrite=False)
    assert list(tmp_path.iterdir()) == []


def test_check_output_leaves_nothing(tmp_path):
    check_output(tmp_path / "a.tif", MOVIE, overwrite=False)
    assert list(tmp_path.iterdir()) == []


def test_an_output_that_exists_is_kept_unless_told_otherwise(tmp_path):
    path = tmp_path / "a.tif"
    path.write_text("precious")
    with pytest.raises(FileExistsError, match="exists; give another name, or --force"):
        write_image(path, PLANE)
    assert path.read_text() == "precious"
    write_image(path, PLANE, overwrite=True)
    assert_same(read_image(path), PLANE)


def test_an_output_without_a_place_is_refused(tmp_path, monkeypatch):
    with pytest.raises(FileNotFoundError, match=r"no folder to be in; make .*there first"):
        check_output(tmp_path / "there" / "a.tif", MOVIE, overwrite=False)
    (tmp_path / "b.tif").mkdir()
    with pytest.raises(IsADirectoryError, match=r"b\.tif is a folder"):
        check_output(tmp_path / "b.tif", MOVIE, overwrite=True)

    def refuse(*_):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(PermissionError, match=r"a\.tif cannot be written \(Permission denied\)"):
        check_output(tmp_path / "a.tif", MOVIE, overwrite=False)


@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.ome.tif", "a.npy"])
@pytest.mark.parametrize("failure", [OSError(errno.ENOSPC, "No space left"), KeyboardInterrupt()])
@pytest.mark.parametrize("before", [b"precious", None])
def test_a_failed_write_harms_nothing(tmp_path, monkeypatch, name, failure, before):
    path = tmp_path / name
    if before:
        path.write_bytes(before)

    def fail(_):
        raise failure

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises((OSError, KeyboardInterrupt)) as caught:
        write_image(path, PLANE, overwrite=True)
    if caught.type is OSError:
        assert str(caught.value).startswith(f"{path} could not be written (No space left); make")
    assert [file.read_bytes() for file in tmp_path.iterdir()] == ([before] if before else [])


@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.ome.tif", "a.npy"])
def test_a_disk_that_takes_no_more_is_told(tmp_path, name):
    resource = pytest.importorskip("resource")
    noise = Image(np.random.default_rng(0).integers(0, 256, (200, 200), np.uint8), "YX")
    former = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, former[1]))
    try:
        with pytest.raises(OSError, match=rf"{name} could not be written \(.+\); make room"):
            write_image(tmp_path / name, noise)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, former)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("umask", [0o022, 0o027])
def test_permissions_follow_the_umask(tmp_path, umask):
    former = os.umask(umask)
    try:
        write_image(tmp_path / "a.tif", PLANE)
    finally:
        os.umask(former)
    assert (tmp_path / "a.tif").stat().st_mode & 0o777 == 0o666 & ~umask


def test_a_link_is_written_through(tmp_path):
    (tmp_path / "real.tif").touch()
    (tmp_path / "link.tif").symlink_to(tmp_path / "real.tif")
    write_image(tmp_path / "link.tif", PLANE, overwrite=True)
    assert (tmp_path / "link.tif").is_symlink()
    assert_same(read_image(tmp_path / "real.tif"), PLANE)


def test_writing_leaves_the_image_alone(tmp_path):
    pixels = PLANE.pixels.copy()
    pixels.flags.writeable = False
    write_image(tmp_path / "a.tif", Image(pixels, "YX"))
    np.testing.assert_array_equal(pixels, PLANE.pixels)


def test_what_a_decoder_has_to_say_of_a_good_file_stays_unsaid(tmp_path, caplog):
    encoded = imagecodecs.png_encode(PLANE.pixels)
    end_of_header = 33
    gamma = b"gAMA\0"  # of one byte instead of four
    chunk = b"\0\0\0\1" + gamma + zlib.crc32(gamma).to_bytes(4, "big")
    (tmp_path / "a.png").write_bytes(encoded[:end_of_header] + chunk + encoded[end_of_header:])
    imagecodecs.png_decode((tmp_path / "a.png").read_bytes())
    assert "gAMA" in caplog.text
    caplog.clear()
    assert_same(read_image(tmp_path / "a.png"), PLANE)
    assert caplog.text == ""

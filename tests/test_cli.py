"""The command line as a person meets it."""

import json
import os
import shutil
import socket
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace

import imagecodecs
import numpy as np
import pytest
import tifffile
import torch
from skimage import data
from typer.testing import CliRunner

from gaintuning.cli import app
from gaintuning.commands import plan
from gaintuning.files import open_image, read_image, write_image
from gaintuning.image import Image, OpenImage
from gaintuning.metrics import psnr
from gaintuning.networks import UNet
from gaintuning.networks.checkpoint import load_network
from gaintuning.noise import Gaussian
from gaintuning.noise_estimation import NoiseEstimate
from gaintuning.simulate.piecewise import piecewise_constant

SIDE = 48
CLEAN = data.camera()[200 : 200 + SIDE, 200 : 200 + SIDE].astype(float)


def gaintuning(*words: object) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, [str(word) for word in words])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, result.stdout, result.stderr


def succeed(*words: object) -> str:
    status, output, errors = gaintuning(*words)
    assert status == 0, errors
    return output


def fail(*words: object) -> str:
    """The one line that a failing command prints."""
    status, output, errors = gaintuning(*words)
    assert status == 2
    assert output == ""
    assert errors.startswith("gaintuning: ")
    assert errors.count("\n") == 1
    return errors


@pytest.fixture(scope="module")
def photograph() -> np.ndarray:
    return CLEAN + np.random.default_rng(0).normal(0, 25, CLEAN.shape)


@pytest.fixture
def noisy(tmp_path: Path, photograph: np.ndarray) -> Path:
    path = tmp_path / "noisy.png"
    write_image(path, Image(photograph.clip(0, 255).round().astype(np.uint8), "YX"))
    return path


def test_one_command_denoises_an_image_and_says_what_it_did(noisy: Path, tmp_path: Path) -> None:
    output = succeed("denoise", noisy, "-o", tmp_path / "out.png")
    image = read_image(tmp_path / "out.png")
    clean = torch.from_numpy(CLEAN)
    scores = [
        psnr(torch.from_numpy(pixels).double(), clean, data_range=255)
        for pixels in (read_image(noisy).pixels, image.pixels)
    ]
    assert scores[1] > scores[0] + 4  # dB
    assert image.pixels.dtype == np.uint8
    assert image.pixels.shape == (SIDE, SIDE)
    assert "Gaussian, sigma" in output
    assert "(estimated)" in output
    assert "kept" in output


def test_few_counts_are_written_as_floats_where_the_format_holds_them(tmp_path: Path) -> None:
    counts = np.random.default_rng(0).poisson(CLEAN / 100).astype(np.uint16)
    write_image(tmp_path / "counts.tif", Image(counts, "YX"))
    source, noise = tmp_path / "counts.tif", ("--noise", "poisson:1")
    output = succeed("denoise", source, "-o", tmp_path / "out.tif", *noise)
    assert "note: the result is finer than whole numbers, so it is float32" in output
    assert read_image(tmp_path / "out.tif").pixels.dtype == np.float32
    output = succeed("denoise", source, "-o", tmp_path / "out.png", *noise)
    assert "warning: the result is finer than the whole numbers of a PNG" in output
    assert read_image(tmp_path / "out.png").pixels.dtype == np.uint16


def test_the_same_seed_gives_the_same_file(tmp_path: Path) -> None:
    """On an image that is large enough for something to be learned and kept."""
    page = data.page()[:128, :128] + np.random.default_rng(0).normal(0, 10, (128, 128))
    write_image(tmp_path / "noisy.tif", Image(page.astype(np.float32), "YX"))
    contents = []
    for name, seed in (("a.tif", 1), ("b.tif", 1), ("c.tif", 2)):
        options = ("--noise", "gaussian:10", "--range", 0, 255, "--seed", seed)
        output = succeed("denoise", tmp_path / "noisy.tif", "-o", tmp_path / name, *options)
        assert "the tuned network was kept" in output
        assert "loss: sure, since the noise is Gaussian and independent" in output
        contents.append((tmp_path / name).read_bytes())
    assert contents[0] == contents[1]
    assert contents[0] != contents[2]


@pytest.mark.parametrize("objective", ["sure", "blind-spot", "noise-resampling"])
def test_every_objective_runs(noisy: Path, tmp_path: Path, objective: str) -> None:
    text = succeed("denoise", noisy, "-o", tmp_path / "out.png", "--objective", objective, "--json")
    (record,) = json.loads(text)
    assert record["channels"][0]["objective"] == objective


def test_json_tells_what_was_given(noisy: Path, tmp_path: Path) -> None:
    words = ["--noise", "poisson:3", "--range", 10, 200, "--json", "--no-tune"]
    (record,) = json.loads(succeed("denoise", noisy, "-o", tmp_path / "out.png", *words))
    channel = record["channels"][0]
    assert channel["noise"] == {"model": "poisson", "gain": 3.0, "offset": 0.0}
    assert (channel["estimate"]["stated"], channel["estimate"]["standard_error"]) == (True, 0)
    assert channel["range"] == [10, 200]
    assert channel["objective"] is None
    assert record["shape"] == [SIDE, SIDE]


def test_like_places_are_filtered_together_and_not_if_that_is_not_wanted(tmp_path: Path) -> None:
    rows, columns = np.mgrid[:96, :96] * 2 * np.pi / 9
    clean = 128 + 60 * np.cos(rows) * np.cos(columns)
    noisy = np.random.default_rng(0).normal(clean, 40).astype(np.float32)
    source = tmp_path / "lattice.tif"
    write_image(source, Image(noisy, "YX"), overwrite=True)
    errors = []
    for name, words in (("with.tif", []), ("without.tif", ["--no-like-places"])):
        words += ["--network", "unet-bias-free", "--noise", "gaussian:40"]
        told = succeed("denoise", source, "-o", tmp_path / name, *words)
        assert ("look alike" in told) == (name == "with.tif")
        errors.append(np.square(read_image(tmp_path / name).pixels - clean).mean())
    assert errors[0] < errors[1]


def test_quiet_prints_nothing(noisy: Path, tmp_path: Path) -> None:
    assert succeed("denoise", noisy, "-o", tmp_path / "o.png", "--quiet", "--no-tune") == ""


def test_what_is_told_goes_into_a_file_while_bars_go_to_the_terminal(
    noisy: Path, tmp_path: Path
) -> None:
    pty = pytest.importorskip("pty", reason="this system has no pseudo-terminals")
    ours, terminal = pty.openpty()
    command = [sys.executable, "-m", "gaintuning", "denoise", str(noisy), "--no-tune"]
    with (tmp_path / "log.txt").open("wb") as log:
        subprocess.run(
            [*command, "-o", str(tmp_path / "o.png")], stdout=log, stderr=terminal, check=True
        )
    os.close(terminal)
    os.close(ours)
    assert "noise: " in (tmp_path / "log.txt").read_text()


def test_an_image_larger_than_memory_is_not_called_damaged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_room(*_: object, **__: object) -> None:
        raise MemoryError

    np.save(tmp_path / "large.npy", CLEAN)
    monkeypatch.setattr(np.lib.format, "open_memmap", no_room)
    assert "too little memory" in fail("denoise", tmp_path / "large.npy", "-o", tmp_path / "o.npy")


def test_a_temporary_folder_without_room_is_told_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    packed, plain = tmp_path / "packed.tif", tmp_path / "plain.tif"
    tifffile.imwrite(packed, CLEAN, compression="zlib")
    tifffile.imwrite(plain, CLEAN)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=10))
    assert "TMPDIR" in fail("info", packed)
    assert "48 x 48" in succeed("info", plain)


def test_axes_pixel_size_and_dtype_survive(tmp_path: Path, photograph: np.ndarray) -> None:
    stack = np.stack([photograph, photograph[::-1]]).clip(0, 255).astype(np.uint16) * 100
    source = tmp_path / "stack.ome.tif"
    write_image(source, Image(stack, "TYX", {"Y": (0.2, "nm"), "X": (0.2, "nm")}))
    succeed("denoise", source, "-o", tmp_path / "out.ome.tif", "--no-tune")
    result = read_image(tmp_path / "out.ome.tif")
    assert result.axes == "TYX"
    assert result.pixels.dtype == np.uint16
    assert result.pixel_size == {"Y": (0.2, "nm"), "X": (0.2, "nm")}


def test_several_files_and_patterns_go_to_a_folder(noisy: Path, tmp_path: Path) -> None:
    (tmp_path / "other.png").write_bytes(noisy.read_bytes())
    (tmp_path / "broken.png").write_bytes(b"")
    words = ["denoise", tmp_path / "*.png", "-o", tmp_path / "out", "--no-tune"]
    status, output, errors = gaintuning(*words, "--report", tmp_path / "pages")
    assert status == 2  # one of them is broken; the others are done all the same
    assert "broken.png" in errors
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["noisy.png", "other.png"]
    assert sorted(p.name for p in (tmp_path / "pages").iterdir()) == [
        "noisy.png.html",
        "other.png.html",
    ]
    assert output.count(" -> ") == 2


def test_a_pattern_means_files_and_dotted_ones_only_if_it_is_dotted(
    noisy: Path, tmp_path: Path
) -> None:
    (tmp_path / "._noisy.png").write_bytes(b"of macOS")
    (tmp_path / "folder.png").mkdir()
    succeed("denoise", tmp_path / "*.png", "-o", tmp_path / "out", "--no-tune")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["noisy.png"]
    message = fail("denoise", tmp_path / "._*.png", "-o", tmp_path / "out", "--no-tune")
    assert "._noisy.png could not be read" in message
    assert noisy.exists()


@pytest.mark.parametrize(
    ("trouble", "words"),
    [
        (ImportError("files of electron microscopes need rosettasciio"), "need rosettasciio"),
        (MemoryError(), "too little memory for an image of this size; denoise it in parts"),
        (torch.OutOfMemoryError("CUDA out of memory.\nTried to"), "too little memory for an image"),
        (
            RuntimeError("DefaultCPUAllocator: can't allocate memory"),
            "too little memory for an image",
        ),
    ],
)
def test_what_fails_for_one_of_several_files_does_not_keep_the_others(
    noisy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trouble: Exception, words: str
) -> None:
    (tmp_path / "a.png").write_bytes(noisy.read_bytes())

    def not_the_first(path: Path) -> OpenImage:
        if path.name == "a.png":
            raise trouble
        return open_image(path)

    monkeypatch.setattr("gaintuning.commands.open_image", not_the_first)
    words_of_command = ["denoise", tmp_path / "a.png", noisy, "-o", tmp_path / "out", "--no-tune"]
    status, output, errors = gaintuning(*words_of_command, "--json")
    assert status == 2
    assert [record["input"] for record in json.loads(output)] == [str(noisy)]
    assert f"gaintuning: {tmp_path / 'a.png'}: " in errors
    assert "1 of 2 images failed" in errors
    assert words in errors
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["noisy.png"]


def test_what_is_there_can_be_left_out(noisy: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.png"
    other.write_bytes(noisy.read_bytes())
    words = ["denoise", noisy, other, "-o", tmp_path / "out", "--no-tune"]
    succeed(*words[:2], *words[3:])
    made = (tmp_path / "out" / "noisy.png").stat().st_mtime_ns
    told = succeed(*words, "--skip-existing")
    assert "other.png" in told
    assert "noisy.png ->" not in told
    assert (tmp_path / "out" / "noisy.png").stat().st_mtime_ns == made
    assert (tmp_path / "out" / "other.png").exists()
    assert "give one" in fail(*words, "--skip-existing", "--force")


def test_the_version_is_told() -> None:
    assert succeed("--version") == f"gaintuning {version('gaintuning')}\n"


def test_info_leaves_out_what_is_no_number(tmp_path: Path) -> None:
    pixels = np.linspace(0, 9, 40 * 40, dtype=np.float32).reshape(40, 40)
    pixels[3, 3] = np.nan
    write_image(tmp_path / "a.tif", Image(pixels, "YX", {"Z": (2.0, "µm"), "X": (1.0, "µm")}))
    told = succeed("info", tmp_path / "a.tif")
    assert "0 to 9, mean" in told
    assert "1 pixels are NaN or infinite" in told
    assert "Z 2" not in told


def test_a_fault_of_the_program_ends_it(
    noisy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fault(_: Path) -> None:
        raise RuntimeError("shapes do not match")

    monkeypatch.setattr("gaintuning.commands.open_image", fault)
    (tmp_path / "a.png").write_bytes(noisy.read_bytes())
    words = ["denoise", str(noisy), str(tmp_path / "a.png"), "-o", str(tmp_path / "out")]
    assert isinstance(CliRunner().invoke(app, words).exception, RuntimeError)


def test_planning_takes_as_long_for_each_of_many_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    resolve, asked = Path.resolve, []

    def counted(path: Path) -> Path:
        asked.append(path)
        return resolve(path)

    monkeypatch.setattr(Path, "resolve", counted)
    sources = [tmp_path / f"{index}.png" for index in range(50)]
    jobs = plan(sources, tmp_path / "out", tmp_path / "pages")
    assert len(jobs) == 50
    assert len(asked) == 3 * 50  # of each file the source, the target and the page


@pytest.mark.usefixtures("noisy")
def test_a_name_without_a_suffix_is_a_folder(tmp_path: Path) -> None:
    succeed("denoise", tmp_path / "noi*.png", "-o", tmp_path / "out", "--no-tune")
    assert (tmp_path / "out" / "noisy.png").exists()


def test_nothing_that_is_read_is_written_over_and_nothing_twice(
    noisy: Path, tmp_path: Path
) -> None:
    before = noisy.read_bytes()
    words = ["denoise", noisy, "--force", "--no-tune"]
    assert "itself" in fail(*words, "-o", noisy)
    assert ".html" in fail(*words, "-o", tmp_path / "out.png", "--report", noisy)
    page = tmp_path / "both.html"
    assert "twice" in fail(*words, "-o", page, "--report", page)
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "noisy.png").write_bytes(before)
    again = tmp_path / "a" / "noisy.png"
    assert "twice" in fail("denoise", noisy, again, "-o", tmp_path / "out", "--no-tune")
    assert noisy.read_bytes() == before


def test_a_jpeg_becomes_a_png_in_a_folder(tmp_path: Path, photograph: np.ndarray) -> None:
    pixels = photograph.clip(0, 255).astype(np.uint8)
    (tmp_path / "a.jpg").write_bytes(imagecodecs.jpeg_encode(pixels))
    (tmp_path / "out").mkdir()
    succeed("denoise", tmp_path / "a.jpg", "-o", tmp_path / "out", "--no-tune")
    assert (tmp_path / "out" / "a.png").exists()


def test_the_report_has_the_command(
    noisy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = tmp_path / "page.html"
    words = ["denoise", noisy, "-o", tmp_path / "out.png", "--report", page, "--no-tune"]
    monkeypatch.setattr(sys, "argv", ["gaintuning", *map(str, words)])
    succeed(*words)
    assert " ".join(["gaintuning", *map(str, words)]) in page.read_text(encoding="utf-8")


def bad_image(kind: str, folder: Path) -> Path:
    rng = np.random.default_rng(0)
    arrays = {
        "nan": np.where(rng.random((SIDE, SIDE)) < 0.01, np.nan, rng.random((SIDE, SIDE))),
        "infinite": np.where(rng.random((SIDE, SIDE)) < 0.01, np.inf, rng.random((SIDE, SIDE))),
        "constant": np.full((SIDE, SIDE), 7.0),
        "one pixel": np.ones((1, 1)),
        "too small": rng.random((20, 90)),
        "five axes": rng.random((2, 2, 2, SIDE, SIDE)),
        "one axis": rng.random(SIDE),
        "complex": rng.random((SIDE, SIDE)) + 1j,
        "no pixels": np.zeros((0, SIDE)),
    }
    if kind in arrays:
        np.save(folder / "bad.npy", arrays[kind])
        return folder / "bad.npy"
    path = folder / {"truncated tiff": "bad.tif", "truncated npy": "bad.npy"}.get(kind, "bad.png")
    if kind == "text":
        path.write_text("This is no image.")
    elif kind == "empty":
        path.write_bytes(b"")
    elif kind == "truncated png":
        whole = imagecodecs.png_encode(rng.integers(0, 255, (SIDE, SIDE), dtype=np.uint8))
        path.write_bytes(whole[: len(whole) // 2])
    elif kind == "truncated tiff":
        tifffile.imwrite(path, rng.random((SIDE, SIDE)))
        path.write_bytes(path.read_bytes()[: SIDE * SIDE])
    elif kind == "truncated npy":
        np.save(path, rng.random((SIDE, SIDE)))
        path.write_bytes(path.read_bytes()[: SIDE * SIDE])
    return path


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("missing", "does not exist; check the name"),
        ("empty", "empty (0 bytes); copy or export it again"),
        ("text", "could not be read as .png"),
        ("truncated png", "bad.png"),
        ("truncated tiff", "bad.tif"),
        ("truncated npy", "bad.npy"),
        ("nan", "NaN or infinite; replace single ones"),
        ("infinite", "NaN or infinite; replace single ones"),
        ("constant", "no image to denoise"),
        ("one pixel", "no image to denoise"),
        ("too small", "--no-tune"),
        ("five axes", "axes"),
        ("one axis", "axes"),
        ("complex", "complex"),
        ("no pixels", "pixels"),
    ],
)
def test_a_bad_image_gets_one_line_and_leaves_nothing(
    kind: str, words: str, tmp_path: Path
) -> None:
    source = bad_image(kind, tmp_path)
    before = sorted(tmp_path.iterdir())
    message = fail("denoise", source, "-o", tmp_path / "out.tif", "--report", tmp_path / "out.html")
    assert words in message
    assert sorted(tmp_path.iterdir()) == before


def test_an_image_smaller_than_the_crop_is_denoised(tmp_path: Path) -> None:
    small = np.random.default_rng(0).random((40, 33)).astype(np.float32)
    np.save(tmp_path / "small.npy", small)
    succeed("denoise", tmp_path / "small.npy", "-o", tmp_path / "out.npy")
    assert np.load(tmp_path / "out.npy").shape == (40, 33)


@pytest.mark.parametrize(
    ("words", "cure"),
    [
        (["--network", "resnet"], "unet-bias-free"),
        (["--network", "none.pt"], "none.pt"),
        (["--noise", "salt"], "gaussian:SIGMA"),
        (["--noise", "gaussian:0"], "above 0"),
        (["--noise", "poisson:1", "--objective", "sure"], "objective pure"),
        (["--range", "5", "5"], "the lower first"),
        (["--device", "abacus"], "use cpu"),
        (["--axes", "YXQ"], "axes"),
    ],
)
def test_bad_options_get_one_line(noisy: Path, tmp_path: Path, words: list[str], cure: str) -> None:
    before = sorted(tmp_path.iterdir())
    assert cure in fail("denoise", noisy, "-o", tmp_path / "out.png", *words)
    assert sorted(tmp_path.iterdir()) == before


def test_an_output_that_exists_is_replaced_only_with_force(noisy: Path, tmp_path: Path) -> None:
    output = tmp_path / "out.png"
    output.write_bytes(b"precious")
    assert "--force" in fail("denoise", noisy, "-o", output, "--no-tune")
    assert output.read_bytes() == b"precious"
    succeed("denoise", noisy, "-o", output, "--no-tune", "--force")
    assert read_image(output).pixels.shape == (SIDE, SIDE)


def test_a_report_that_exists_is_replaced_only_with_force(noisy: Path, tmp_path: Path) -> None:
    page, output = tmp_path / "page.html", tmp_path / "out.png"
    page.write_text("precious")
    words = ["denoise", noisy, "-o", output, "--no-tune", "--report", page]
    assert "--force" in fail(*words)
    assert page.read_text() == "precious"
    assert not output.exists()
    succeed(*words, "--force")
    assert "precious" not in page.read_text(encoding="utf-8")


@pytest.mark.parametrize("target", ["nowhere/out.png", "out.xyz", "out.jpg", "noisy.png"])
def test_an_output_that_cannot_be_is_refused_before_any_work(
    noisy: Path, tmp_path: Path, target: str
) -> None:
    before = noisy.read_bytes()
    fail("denoise", noisy, "-o", tmp_path / target, "--force")
    assert [path.name for path in tmp_path.iterdir()] == ["noisy.png"]
    assert noisy.read_bytes() == before


def test_a_folder_that_cannot_be_written_to_is_refused(noisy: Path) -> None:
    # /proc takes no files from anyone, not even from an administrator.
    if not Path("/proc").is_dir():
        pytest.skip("needs /proc, a folder that takes no files")
    fail("denoise", noisy, "-o", "/proc/out.png")


def test_a_full_disk_leaves_nothing(
    noisy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    monkeypatch.setattr(Path, "replace", full)
    assert "space" in fail("denoise", noisy, "-o", tmp_path / "out.tif", "--no-tune")
    assert [path.name for path in tmp_path.iterdir()] == ["noisy.png"]


def test_a_pickle_bomb_does_not_go_off(noisy: Path, tmp_path: Path) -> None:
    class Bomb:
        def __reduce__(self) -> tuple[object, ...]:
            return Path.touch, (tmp_path / "harmed",)

    torch.save({"model": [Bomb()]}, tmp_path / "bomb.pt")
    message = fail("denoise", noisy, "-o", tmp_path / "out.png", "--network", tmp_path / "bomb.pt")
    assert "safetensors" in message
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bomb.pt", "noisy.png"]


def published_checkpoint(path: Path) -> UNet:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = UNet()
    torch.save({"model": [network.state_dict()]}, path)
    return network


def test_a_published_checkpoint_denoises_and_converts(noisy: Path, tmp_path: Path) -> None:
    checkpoint, converted = tmp_path / "0-55.pt", tmp_path / "unet.safetensors"
    network = published_checkpoint(checkpoint)
    succeed("denoise", noisy, "-o", tmp_path / "a.tif", "--network", checkpoint, "--no-tune")
    words = ["--training-set", "BSD400", "--sigma", 0, 55, "--licence", "MIT"]
    assert "BSD400" in succeed("convert", checkpoint, converted, *words)
    loaded, card = load_network(converted)
    assert card.training_set == "BSD400"
    assert card.sigma == (0, 55 / 255)
    assert all(torch.equal(loaded.state_dict()[k], v) for k, v in network.state_dict().items())
    succeed("denoise", noisy, "-o", tmp_path / "b.tif", "--network", converted, "--no-tune")
    assert (tmp_path / "a.tif").read_bytes() == (tmp_path / "b.tif").read_bytes()
    assert "--force" in fail("convert", checkpoint, converted)


def test_convert_half_stores_the_filters_in_half_the_room(tmp_path: Path) -> None:
    checkpoint, whole, half = (tmp_path / n for n in ("0-55.pt", "a.safetensors", "b.safetensors"))
    network = published_checkpoint(checkpoint)
    succeed("convert", checkpoint, whole)
    succeed("convert", checkpoint, half, "--half")
    assert half.stat().st_size == pytest.approx(whole.stat().st_size / 2, rel=0.01)
    (loaded, card), (_, expected) = load_network(half), load_network(whole)
    assert card == expected
    for name, value in network.state_dict().items():
        kept = value.half().float() if value.dim() == 4 else value
        assert torch.equal(loaded.state_dict()[name], kept), name


def test_a_published_network_without_a_server_is_one_line(
    noisy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pooch.os_cache", lambda name: tmp_path / "cache" / name)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # and nobody listens
        address = f"http://127.0.0.1:{taken.getsockname()[1]}/"
        monkeypatch.setattr("gaintuning.published.ADDRESS", address)
        words = ["denoise", noisy, "-o", tmp_path / "out.png", "--network", "published/unet"]
        message = fail(*words)
    assert "published/unet could not be fetched: the server cannot be reached" in message
    assert f"get {address}unet/bias/0-55.pt yourself" in message
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert files == [noisy]


def test_simulate_writes_the_scenes_to_the_bit(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "scenes"
    words = ["simulate", "piecewise", "-o", folder, "--count", 3, "--size", 40]
    assert "3 images" in succeed(*words)
    paths = sorted(folder.iterdir())
    assert [path.name for path in paths] == ["0.png", "1.png", "2.png"]
    for path, scene in zip(paths, piecewise_constant(3, 40, seed=0), strict=True):
        image = read_image(path)
        assert (image.axes, image.pixels.dtype) == ("YX", np.uint8)
        assert torch.equal(torch.from_numpy(image.pixels).float() / 255, scene[0])
    # The numbers in the names have as many digits, so that their order is that of the scenes.
    words = ["-o", tmp_path / "more", "--count", 11, "--size", 12, "--quiet"]
    assert succeed("simulate", "piecewise", *words) == ""
    names = sorted(path.name for path in (tmp_path / "more").iterdir())
    assert names == [f"{index:02}.png" for index in range(11)]


def test_simulate_leaves_nothing_of_another_series(tmp_path: Path) -> None:
    words = ["piecewise", "-o", tmp_path, "--size", 40, "--force", "--quiet"]
    (tmp_path / "mine.png").touch()
    succeed("simulate", *words, "--count", 12)
    succeed("simulate", *words, "--count", 2)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["0.png", "1.png", "mine.png"]


def test_simulate_takes_a_seed(tmp_path: Path) -> None:
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        words = ["-o", tmp_path / name, "--count", 1, "--size", 20, "--seed", seed]
        succeed("simulate", "piecewise", *words)
    contents = [(tmp_path / name / "0.png").read_bytes() for name in "abc"]
    assert contents[0] == contents[1]
    assert contents[0] != contents[2]


def test_simulate_fills_no_folder_that_has_files_without_force(tmp_path: Path) -> None:
    folder = tmp_path / "scenes"
    folder.mkdir()
    for name in ("0.png", "letter.txt"):
        (folder / name).write_text("precious")
    words = ["simulate", "piecewise", "-o", folder, "--count", 2, "--size", 20]
    assert "--force" in fail(*words)
    assert [path.read_text() for path in folder.iterdir()] == ["precious", "precious"]
    succeed(*words, "--force")
    assert sorted(path.name for path in folder.iterdir()) == ["0.png", "1.png", "letter.txt"]
    assert read_image(folder / "0.png").pixels.shape == (20, 20)
    assert (folder / "letter.txt").read_text() == "precious"


@pytest.mark.parametrize("force", [[], ["--force"]])
def test_simulate_refuses_a_file_in_the_place_of_the_folder(
    tmp_path: Path, force: list[str]
) -> None:
    taken = tmp_path / "scenes"
    taken.write_text("precious")
    words = ["--count", 2, "--size", 20, *force]
    assert "is a file; give a folder" in fail("simulate", "piecewise", "-o", taken, *words)
    fail("simulate", "piecewise", "-o", taken / "below", *words)
    assert taken.read_text() == "precious"


@pytest.mark.parametrize(
    ("option", "number"), [("count", 0), ("size", 0), ("size", 5), ("seed", -1)]
)
def test_simulate_with_bad_numbers_makes_no_folder(
    tmp_path: Path, option: str, number: int
) -> None:
    # Of an option that is given twice, the last counts.
    words = ["--count", 30, "--size", 20, f"--{option}", number]
    message = fail("simulate", "piecewise", "-o", tmp_path / "scenes", *words)
    assert option in message
    assert str(number) in message
    assert list(tmp_path.iterdir()) == []


def test_info_tells_of_images_and_networks(noisy: Path, tmp_path: Path) -> None:
    facts = json.loads(succeed("info", noisy, "--json"))
    assert facts["axes"] == "YX"
    assert "sigma" in facts["noise"]
    published_checkpoint(tmp_path / "0-55.pt")
    assert json.loads(succeed("info", tmp_path / "0-55.pt", "--json"))["parameters"] == 233_440
    assert "dtype" in succeed("info", noisy)
    assert "does not exist" in fail("info", tmp_path / "none.png")


def test_other_images_in_the_file_are_told_of(noisy: Path, tmp_path: Path) -> None:
    both = tmp_path / "both.tif"
    with tifffile.TiffWriter(both) as file:
        for pixels in (np.zeros((4, 4), np.uint8), read_image(noisy).pixels):
            file.write(pixels, photometric="minisblack")
    assert "of 2 in the file the largest" in succeed("info", both)
    told = succeed("denoise", both, "-o", tmp_path / "out.tif", "--no-tune")
    assert "of the 2 images in the file this is the largest" in told
    assert "in the file" not in succeed("denoise", noisy, "-o", tmp_path / "o.tif", "--no-tune")


def test_info_tells_of_each_remark(noisy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = NoiseEstimate(Gaussian(20.0), 0.01, stride=(2, 2), clipped=0.1)
    monkeypatch.setattr("gaintuning.info_command.find_noise", lambda *_: found)
    note = json.loads(succeed("info", noisy, "--json"))["note"]
    assert note == "; ".join(found.remarks)
    assert "neighbouring pixels" in note
    assert "cut off" in note


@pytest.mark.parametrize("words", [["-o", "--force"], ["-o", "out.png", "--report", "--force"]])
def test_an_option_is_not_taken_for_a_name(
    noisy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(app, ["denoise", str(noisy), *words])
    assert result.exit_code == 2
    assert "needs a name behind it, and --force is an option" in result.stderr
    assert not (tmp_path / "--force").exists()


def test_networks_lists_what_is_on_board() -> None:
    output = succeed("networks")
    assert "unet-bias-free" in output
    assert "BSD400" in output
    assert "to be fetched: published/bfcnn, " in output


def test_pretrain_makes_a_network_that_denoise_takes(noisy: Path, tmp_path: Path) -> None:
    folder, network = tmp_path / "clean", tmp_path / "mine.safetensors"
    folder.mkdir()
    for index in range(3):
        clean = data.camera()[index * 64 : index * 64 + 48, :48]
        write_image(folder / f"{index}.png", Image(np.ascontiguousarray(clean), "YX"))
    words = ["--steps", 4, "--patch", 16, "--batch", 2, "--device", "cpu", "--licence", "MIT"]
    words += ["--scale", 1, "--scale", 0.5]
    output = succeed("pretrain", "unet-bias-free", folder, "-o", network, "--residual", *words)
    assert "validation" in output
    _, card = load_network(network)
    assert card.arguments == {"channels": 1, "bias": False, "residual": True}
    assert card.facts["steps"] == 4
    assert list(card.facts["scales"]) == [1.0, 0.5]
    succeed("denoise", noisy, "-o", tmp_path / "o.png", "--network", network, "--no-tune")
    assert "folder" in fail("pretrain", "unet", noisy, "-o", tmp_path / "x.safetensors")
    assert "--residual" in fail(
        "pretrain", "dncnn", folder, "-o", tmp_path / "x.safetensors", "--residual"
    )


def test_the_installed_command_exits_with_2_and_one_line(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "gaintuning", "denoise", str(tmp_path / "none.png")]
    done = subprocess.run(
        [*command, "-o", str(tmp_path / "out.png")], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    assert "none.png" in done.stderr


def test_who_has_read_enough_is_told_no_more() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", "gaintuning", "networks"]
    done = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, check=False)
    os.close(writing)
    assert done.stderr == b""


def test_too_little_memory_is_said_in_one_line(
    noisy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to ...")

    monkeypatch.setattr("gaintuning.commands.denoise", full)
    assert "in parts" in fail("denoise", noisy, "-o", tmp_path / "out.png")

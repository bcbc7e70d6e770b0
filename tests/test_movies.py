"""A long movie: frame by frame, in any format, and gone on with where it stopped."""

import errno
import os
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from importlib.resources import as_file, files
from pathlib import Path

import mrcfile
import numpy as np
import pytest
import safetensors.torch
import torch
from numpy.typing import NDArray
from typer.testing import CliRunner, Result

from gaintuning import commands, movies, unfinished, zoo
from gaintuning.adapted import Adapted, AdaptedFast, Learned
from gaintuning.cli import app
from gaintuning.denoising import denoise
from gaintuning.files import read_image, write_image
from gaintuning.image import Image
from gaintuning.movies import frame_of, is_long, parts_of
from gaintuning.noise import Gaussian, Poisson, PoissonGaussian
from gaintuning.scaling import IntensityRange, spread
from gaintuning.tuning import Schedule

NM = {"Y": (0.02, "nm"), "X": (0.02, "nm")}
TAKEN = {"dose": (30.0, "e/Å²")}
FRAMES = 10


BRIEFLY = Schedule(steps=2, rounds=1)


@pytest.fixture(autouse=True)
def short_is_long_and_tuned_briefly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(movies, "LONG", 10_000)
    monkeypatch.setattr(commands, "denoise", partial(denoise, schedule=BRIEFLY))


def counts(shape: tuple[int, ...] = (FRAMES, 32, 40)) -> NDArray[np.uint16]:
    rng = np.random.default_rng(0)
    clean = 60 + 30 * np.sin(np.arange(shape[-1]) / 6)
    return rng.poisson(np.broadcast_to(clean, shape)).astype(np.uint16)


def movie_in(folder: Path, name: str = "movie.tif", **changed: NDArray[np.generic] | str) -> Path:
    fields = {"pixels": counts(), "axes": "TYX", "pixel_size": NM, "acquisition": TAKEN} | changed
    write_image(folder / name, Image(**fields))
    return folder / name


def run(source: Path, target: Path, *options: str) -> Result:
    arguments = ["denoise", str(source), "-o", str(target), "--noise", "poisson:1", *options]
    return CliRunner().invoke(app, arguments)


def stopped_after(
    frames: int, monkeypatch: pytest.MonkeyPatch, source: Path, target: Path, *options: str
) -> str:
    """What a user sees who stops it while so many frames are done."""
    write = unfinished.Unfinished.write

    def stop(self: unfinished.Unfinished, *frame_and_learned: object) -> None:
        if self.done == frames:
            raise KeyboardInterrupt
        write(self, *frame_and_learned)

    with monkeypatch.context() as patched:
        patched.setattr(unfinished.Unfinished, "write", stop)
        result = run(source, target, *options)
    assert result.exit_code == 130
    assert not target.exists()
    return result.output


@pytest.fixture
def no_tuning(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """Within it nothing can be tuned, so what was learned must come from the disk."""

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("tuned again")

    with monkeypatch.context() as patched:
        patched.setattr(commands, "denoise", refuse)
        yield patched


@pytest.mark.parametrize("name", ["a.tif", "a.ome.tif", "a.npy", "a.mrc"])
def test_each_frame_is_denoised_by_what_was_learned_of_all(tmp_path: Path, name: str) -> None:
    source = movie_in(tmp_path)
    result = run(source, tmp_path / name)
    assert result.exit_code == 0, result.output
    written, noisy = read_image(tmp_path / name), read_image(source)
    parts = parts_of(noisy)
    learned = denoise(
        parts.pixels, axes="TYX", noise=Poisson(1.0), orientations=False, schedule=BRIEFLY
    )
    channels = list(map(Learned.of, learned.adaptations))
    adapted = AdaptedFast(zoo.load(learned.network)[0], channels)
    for frame, expected in zip(written.pixels, noisy.pixels, strict=True):
        np.testing.assert_array_equal(frame, adapted(expected, "YX"))
    assert written.pixels.dtype == np.uint16
    if name != "a.npy":
        assert written.axes == "TYX"
        assert written.acquisition == TAKEN
        assert written.pixel_size["X"][0] == pytest.approx(0.2 if name == "a.mrc" else 0.02)
    assert [path.name for path in tmp_path.iterdir() if "unfinished" in path.name] == []


def test_what_only_mrc_has_a_place_for_is_kept_in_a_movie(tmp_path: Path) -> None:
    tilts = np.arange(FRAMES, dtype=np.int16).view("V1")
    source = movie_in(tmp_path, "movie.mrc")
    with mrcfile.open(source, "r+") as file:
        file.set_extended_header(tilts)
        file.header.exttyp, file.header.origin = b"SERI", (1.5, 0.0, -2.0)
    assert run(source, tmp_path / "a.mrc", "--no-tune").exit_code == 0
    with mrcfile.open(tmp_path / "a.mrc") as file:
        assert file.header.exttyp == b"SERI"
        assert file.header.origin.item() == (1.5, 0.0, -2.0)
        assert file.extended_header.tobytes() == tilts.tobytes()
        assert file.data.shape == (FRAMES, 32, 40)
        assert file.data[-1].mean() == pytest.approx(60, abs=5)


def test_a_stopped_movie_goes_on_where_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    source = movie_in(tmp_path)
    assert run(source, tmp_path / "whole.tif").exit_code == 0
    told = stopped_after(4, monkeypatch, source, tmp_path / "a.tif")
    assert f"stopped after 4 of {FRAMES} frames; the same command goes on there" in told
    request.getfixturevalue("no_tuning")
    result = run(source, tmp_path / "a.tif")
    assert result.exit_code == 0, result.output
    assert "gone on with from frame 4 on" in result.output
    assert (tmp_path / "a.tif").read_bytes() == (tmp_path / "whole.tif").read_bytes()


def test_each_frame_can_be_tuned_to_and_gone_on_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    source = movie_in(tmp_path, pixels=counts((4, 32, 40)))
    each = ("--each-frame",)
    assert run(source, tmp_path / "whole.tif", *each).exit_code == 0
    assert run(source, tmp_path / "shared.tif").exit_code == 0
    stopped_after(2, monkeypatch, source, tmp_path / "a.tif", *each)
    request.getfixturevalue("no_tuning")
    assert run(source, tmp_path / "a.tif", *each).exit_code == 0
    whole, shared = (tmp_path / name for name in ("whole.tif", "shared.tif"))
    assert (tmp_path / "a.tif").read_bytes() == whole.read_bytes() != shared.read_bytes()


def test_each_frame_of_what_has_none_is_an_error(tmp_path: Path) -> None:
    source = movie_in(tmp_path, pixels=counts((32, 40)), axes="YX")
    result = run(source, tmp_path / "a.tif", "--each-frame")
    assert result.exit_code == 2
    assert "--each-frame is for movies" in result.stderr
    result = run(source, tmp_path / "a.tif", "--each-frame", "--no-tune")
    assert result.exit_code == 2
    assert "leave one out" in result.stderr


def test_a_movie_of_few_counts_becomes_one_of_floats(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    source = movie_in(tmp_path, pixels=(counts() // 60).astype(np.uint16))
    assert run(source, tmp_path / "whole.tif").exit_code == 0
    stopped_after(4, monkeypatch, source, tmp_path / "a.tif")
    request.getfixturevalue("no_tuning")
    result = run(source, tmp_path / "a.tif")
    assert "note: the result is finer than whole numbers, so it is float32" in result.output
    assert (tmp_path / "a.tif").read_bytes() == (tmp_path / "whole.tif").read_bytes()
    written = read_image(tmp_path / "a.tif").pixels
    assert written.dtype == np.float32
    assert len(np.unique(written)) > 100


def test_a_frame_that_was_half_written_is_written_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    """As after a loss of power or SIGKILL: pixels are there, but the frame was not counted."""
    source = movie_in(tmp_path)
    assert run(source, tmp_path / "whole.tif").exit_code == 0
    stopped_after(4, monkeypatch, source, tmp_path / "a.tif")
    frames = tmp_path / ".a.tif.unfinished" / "a.tif"
    room = int((tmp_path / ".a.tif.unfinished" / "room").read_text())
    with frames.open("r+b") as file:
        file.seek(room + 4 * 32 * 40 * 2)
        file.write(b"\xff" * 1000)
    request.getfixturevalue("no_tuning")
    assert run(source, tmp_path / "a.tif").exit_code == 0
    assert (tmp_path / "a.tif").read_bytes() == (tmp_path / "whole.tif").read_bytes()


def test_another_request_or_another_movie_begins_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, target = movie_in(tmp_path), tmp_path / "a.tif"
    stopped_after(4, monkeypatch, source, target)
    assert "gone on" not in run(source, target, "--no-tune").output
    target.unlink()
    stopped_after(4, monkeypatch, source, target)
    source.unlink()
    movie_in(tmp_path, pixels=counts()[::-1].copy())
    assert "gone on" not in run(source, target).output
    np.testing.assert_array_equal(read_image(target).pixels.shape, (FRAMES, 32, 40))


def test_an_upgrade_or_other_weights_under_the_same_name_begin_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, target, weights = movie_in(tmp_path), tmp_path / "a.tif", tmp_path / "own.safetensors"
    with as_file(files("gaintuning") / "weights" / "unet.safetensors") as on_board:
        weights.write_bytes(on_board.read_bytes())
    network = ("--network", str(weights))
    stopped_after(4, monkeypatch, source, target, *network)
    assert "gone on" in run(source, target, *network).output
    target.unlink()
    stopped_after(4, monkeypatch, source, target, *network)
    os.utime(weights, ns=(0, weights.stat().st_mtime_ns + 1))
    assert "gone on" not in run(source, target, *network).output
    target.unlink()
    stopped_after(4, monkeypatch, source, target)
    monkeypatch.setattr(commands, "version", lambda _: "99.0")
    assert "gone on" not in run(source, target).output


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("request.json", b""),
        ("room", b""),
        ("learned-0.safetensors", b""),
        ("learned-0.safetensors", safetensors.torch.save({"gains": torch.ones(1)})),
        ("learned-0.safetensors", safetensors.torch.save({}, {"channels": '[{"new": 1}]'})),
    ],
)
def test_a_folder_that_says_nothing_is_begun_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, content: bytes
) -> None:
    """As after a loss of power, or by a version that keeps other things."""
    source, target = movie_in(tmp_path), tmp_path / "a.tif"
    stopped_after(4, monkeypatch, source, target)
    (tmp_path / ".a.tif.unfinished" / name).write_bytes(content)
    result = run(source, target)
    assert result.exit_code == 0, result.output
    assert "gone on" not in result.output
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.tif", "movie.tif"]


def test_of_two_runs_at_once_the_second_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, target = movie_in(tmp_path), tmp_path / "a.tif"
    stopped_after(4, monkeypatch, source, target)
    before = {path: path.read_bytes() for path in (tmp_path / ".a.tif.unfinished").iterdir()}
    with unfinished.Unfinished(target, Image(counts(), "TYX"), {}):
        result = run(source, target)
    assert result.exit_code == 2
    assert "a.tif is being written by another run of gaintuning; wait for it" in result.output
    assert {path: path.read_bytes() for path in before} == before
    assert "gone on with from frame 4 on" in run(source, target).output


KILLED = """
import os, sys
from functools import partial
from gaintuning import Schedule, commands, denoise, movies, unfinished
from gaintuning.cli import app

movies.LONG = 10_000
commands.denoise = partial(denoise, schedule=Schedule(steps=2, rounds=1))
write = unfinished.Unfinished.write

def kill(work, *frame_and_learned):
    if work.done == 4:
        os.kill(os.getpid(), 9)
    write(work, *frame_and_learned)

unfinished.Unfinished.write = kill
app(["denoise", *sys.argv[1:], "--noise", "poisson:1"])
"""


@pytest.mark.parametrize("each", [[], ["--each-frame"]], ids=["", "each frame"])
def test_a_run_that_was_killed_is_gone_on_with(tmp_path: Path, each: list[str]) -> None:
    source, target = movie_in(tmp_path), tmp_path / "a.tif"
    assert run(source, tmp_path / "whole.tif", *each).exit_code == 0
    words = [sys.executable, "-c", KILLED, str(source), "-o", str(target), *each]
    assert subprocess.run(words, check=False).returncode != 0
    assert not target.exists()
    assert "gone on with from frame 4 on" in run(source, target, *each).output
    assert target.read_bytes() == (tmp_path / "whole.tif").read_bytes()


def test_what_a_frame_taught_counts_when_the_frame_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    movie = Image(counts((3, 32, 40)), "TYX")
    known = [
        [Learned(IntensityRange(0.0, 1.0), Gaussian(0.1), {"conv": torch.full((2,), 1.0 + number)})]
        for number in range(3)
    ]
    keep = unfinished.Unfinished._keep

    def taught_last(work: unfinished.Unfinished) -> float:
        found = work.found()
        assert found is not None
        return float(found[0][0].gains["conv"][0])

    def keep_and_stop(work: unfinished.Unfinished, done: int, *what: object) -> None:
        keep(work, done, *what)
        if done == 2:
            raise KeyboardInterrupt

    with unfinished.Unfinished(tmp_path / "a.tif", movie, {}) as work, monkeypatch.context() as m:
        m.setattr(unfinished.Unfinished, "_keep", keep_and_stop)
        work.begin(known[0], "told", movie.pixels.dtype)
        work.write(movie.pixels[0], known[1])
        with pytest.raises(KeyboardInterrupt):
            work.write(movie.pixels[1], known[2])
    with unfinished.Unfinished(tmp_path / "a.tif", movie, {}) as work:
        assert (work.done, taught_last(work)) == (1, 2.0)
        work.write(movie.pixels[1], known[2])
        assert (work.done, taught_last(work)) == (2, 3.0)


@pytest.mark.parametrize("reason", [errno.ENOSYS, errno.ENOTSUP, errno.ENOLCK])
def test_where_there_are_no_locks_it_is_done_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reason: int
) -> None:
    fcntl = pytest.importorskip("fcntl", reason="this system has other locks")

    def refuse(*_: object) -> None:
        raise OSError(reason, os.strerror(reason))

    monkeypatch.setattr(fcntl, "flock", refuse)
    result = run(movie_in(tmp_path), tmp_path / "a.tif", "--no-tune")
    assert result.exit_code == 0, result.output
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.tif", "movie.tif"]


def test_a_folder_that_was_left_behind_by_a_finished_movie_does_no_harm(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As if it had been killed between the last two steps."""
    source, target = movie_in(tmp_path), tmp_path / "a.tif"
    with monkeypatch.context() as patched:
        patched.setattr(unfinished.shutil, "rmtree", lambda *_, **__: None)
        assert run(source, target).exit_code == 0
    assert (tmp_path / ".a.tif.unfinished").is_dir()
    assert run(source, target, "--force").exit_code == 0
    assert not (tmp_path / ".a.tif.unfinished").exists()


def test_a_frame_that_is_no_number_is_named_before_the_work(tmp_path: Path) -> None:
    pixels = counts((40, 32, 40)).astype(np.float32)
    pixels[7, 3, 3] = np.nan  # a frame that no part is taken of
    source = movie_in(tmp_path, pixels=pixels)
    result = run(source, tmp_path / "a.tif")
    assert result.exit_code == 2
    assert "frame 7 (the first is 0)" in result.output
    assert [path.name for path in tmp_path.iterdir()] == ["movie.tif"]


def test_a_report_that_comes_too_late_is_told_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, target, page = movie_in(tmp_path), tmp_path / "a.tif", tmp_path / "a.html"
    stopped_after(2, monkeypatch, source, target)
    assert "no report was made" in run(source, target, "--report", str(page)).output
    assert not page.exists()


def test_info_looks_at_parts_of_a_long_movie(tmp_path: Path) -> None:
    source = movie_in(tmp_path, pixels=counts((40, 32, 40)))
    output = CliRunner().invoke(app, ["info", str(source)]).output
    assert "40 x 32 x 40" in output
    assert "parts of all of it" in output
    assert "Poisson" in output


def test_a_report_is_made_once_and_does_not_stop_what_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, target, page = movie_in(tmp_path), tmp_path / "a.tif", tmp_path / "a.html"
    stopped_after(2, monkeypatch, source, target, "--report", str(page))
    made = page.read_bytes()
    assert f"movie.tif: parts of its {FRAMES} frames" in made.decode()
    assert run(source, target, "--report", str(page)).exit_code == 0
    assert page.read_bytes() == made


def test_channels_and_colors_of_a_movie_are_denoised_like_those_of_an_image() -> None:
    rng = np.random.default_rng(0)
    for shape, axes in (((2, 48, 64), "CYX"), ((48, 64, 3), "YXS")):
        frame = rng.normal(0.5, 0.1, shape).astype(np.float32)
        result = denoise(
            frame,
            axes=axes,
            noise=Gaussian(0.1),
            intensity_range=(0.0, 1.0),
            schedule=BRIEFLY,
            orientations=False,
            nonlocal_bayes=False,
        )
        adapted = Adapted(zoo.load(result.network)[0], list(map(Learned.of, result.adaptations)))
        np.testing.assert_allclose(adapted(frame, axes), result.image, atol=1e-5)


def test_what_was_learned_of_shot_noise_is_read_as_it_was_written(tmp_path: Path) -> None:
    for noise in (Poisson(0.1, -0.2), PoissonGaussian(0.1, 0.3), Gaussian(0.2)):
        written = [Learned(IntensityRange(-1.0, 2.0), noise, {}, 4, True, (1, 2))]
        with (tmp_path / "a").open("wb") as file:
            unfinished.write_learned(file, written, [1])
        assert unfinished.read_learned(tmp_path / "a") == (written, [1])


def test_parts_come_from_all_over_the_movie() -> None:
    pixels = np.broadcast_to(np.arange(100, dtype=np.uint16)[:, None, None], (100, 300, 400))
    parts = parts_of(Image(pixels, "TYX")).pixels
    assert parts.shape == (16, 256, 256)
    assert parts[0].max() == 0
    assert parts[-1].min() == 99
    assert len(np.unique(parts)) == 16
    stacks = parts_of(Image(np.broadcast_to(pixels[:, None], (100, 5, 300, 400)), "TZYX")).pixels
    assert stacks.shape == (16, 1, 256, 256)


@pytest.mark.parametrize(
    ("shape", "axes", "expected"),
    [
        ((10, 200, 100), "TYX", 10),
        ((1, 700, 600), "TYX", 4),
        ((3, 2, 300, 200), "TCYX", 3),
        ((5, 600, 300), "ZYX", 10),
        ((2, 9, 100, 100), "TZYX", 16),
        ((7, 600, 600, 3), "TYXS", 16),
    ],
)
def test_no_pixel_is_in_two_parts(shape: tuple[int, ...], axes: str, expected: int) -> None:
    """For the pixels that judge must not be among those that were learned from."""
    numbers = np.arange(np.prod(shape), dtype=np.int64).reshape(shape)
    parts = parts_of(Image(numbers, axes)).pixels
    assert len(np.unique(parts)) == parts.size
    assert len(parts) == expected
    first = parts.reshape(len(parts), -1)[:, 0]
    assert set(first // numbers[0].size) == set(range(len(numbers)))


@pytest.mark.parametrize("count", [16, 17, 40])
def test_of_many_frames_one_part_is_drawn_each(count: int) -> None:
    pixels = np.arange(count * 2 * 260 * 530, dtype=np.uint32).reshape(count, 2, 260, 530)
    rng, expected = np.random.default_rng(0), []
    for index in spread(count, 16):
        z, y, x = (int(rng.integers(n)) for n in (2, 260 - 256 + 1, 530 - 256 + 1))
        expected.append(pixels[index, z : z + 1, y : y + 256, x : x + 256])
    np.testing.assert_array_equal(parts_of(Image(pixels, "TZYX")).pixels, expected)


def test_only_a_stack_of_many_pixels_is_long() -> None:
    assert is_long(Image(np.zeros((11, 100, 100)), "ZYX"))
    assert not is_long(Image(np.zeros((200, 200)), "YX"))
    assert not is_long(Image(np.zeros((2, 200, 200)), "CYX"))
    assert frame_of(Image(np.zeros((2, 4, 4), ">u2"), "TYX"), 1).dtype == np.uint16

"""Every combination is a row, what is done stays done, and one failure does not lose the rest."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from skimage import data
from torch import Generator, Tensor
from typer.testing import CliRunner

from gaintuning.cli import app
from gaintuning.evaluation import (
    KIND,
    Case,
    all_cases,
    clean_image,
    measure,
    psnr_in_range,
    summary,
)
from gaintuning.files import write_image
from gaintuning.image import Image
from gaintuning.methods import METHODS, Task, Way, parse_method
from gaintuning.metrics import psnr
from gaintuning.noise import Gaussian, Poisson
from gaintuning.scaling import find_range
from gaintuning.tables import fill, read_table

CLEAN = data.camera()[100:148, 200:256]


@pytest.fixture
def images(tmp_path: Path) -> list[Path]:
    folder = tmp_path / "images"
    folder.mkdir()
    for name, pixels in (("a", CLEAN), ("b", CLEAN[::-1].copy())):
        write_image(folder / f"{name}.png", Image(pixels, "YX"))
    return sorted(folder.iterdir())


def run(*arguments: object) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, ["evaluate", *map(str, arguments)])
    return result.exit_code, result.stdout, result.stderr


def test_each_combination_is_a_row_with_its_scores(images: list[Path], tmp_path: Path) -> None:
    table = tmp_path / "table.csv"
    cases = all_cases(
        images, ["noisy", "pretrained"], ["unet"], ["gaussian:25", "poisson:4"], 3, noisy=False
    )
    left = [count for count, _ in fill(table, KIND, cases, measure)]
    assert left == list(range(7, -1, -1))
    rows = read_table(table, KIND)
    assert len(rows) == 8
    assert not any(row["error"] for row in rows)
    row = next(row for row in rows if (row["method"], row["noise"]) == ("noisy", "poisson:4"))
    unit = torch.from_numpy(CLEAN / 255.0).float()[None, None]
    noisy = Poisson(4 / 255).sample(unit, Generator().manual_seed(int(row["seed"])))
    expected = psnr(noisy.clamp(0, 1), unit, data_range=1.0)
    assert float(row["psnr"]) == float(row["noisy_psnr"]) == pytest.approx(expected, abs=1e-3)
    assert float(row["residual_spread"]) == 0
    for image in map(str, images):
        of_image = [row for row in rows if row["image"] == image and row["noise"] == "gaussian:25"]
        assert len({row["noisy_psnr"] for row in of_image}) == 1
        noisy_row, denoised = sorted(of_image, key=lambda row: row["method"])
        assert float(denoised["psnr"]) > float(noisy_row["psnr"]) + 4


def test_scores_do_not_depend_on_the_bits_of_the_file(tmp_path: Path) -> None:
    scores = []
    for name, factor in (("a.png", 1), ("b.png", 257)):
        pixels = CLEAN if factor == 1 else CLEAN.astype(np.uint16) * factor
        write_image(tmp_path / name, Image(pixels, "YX"))
        noise = f"gaussian:{25 * factor}"
        case = Case(str(tmp_path / name), "pretrained", "unet", noise, seed=0, noisy=False)
        scores.append(measure(case))
    narrow, wide = scores
    assert narrow.psnr == pytest.approx(wide.psnr, abs=1e-3)
    assert narrow.ssim == pytest.approx(wide.ssim, abs=1e-4)
    truth = clean_image(tmp_path / "b.png")
    assert psnr_in_range(truth, truth) == float("inf")


def test_the_noise_of_an_image_does_not_depend_on_what_else_is_compared(
    images: list[Path], tmp_path: Path
) -> None:
    """So a second comparison goes on with the rows of the first, and each mean is over the same."""
    table = tmp_path / "table.csv"
    last = images[-1:]
    first = ["evaluate", *map(str, last), "--method", "noisy", "-o", str(table), "--seed", "3"]
    second = ["evaluate", *map(str, images), "--method", "noisy", "--method", "wavelets"]
    second += ["-o", str(table), "--seed", "3"]
    for arguments in (first, second):
        result = CliRunner().invoke(app, [*arguments, "--noise", "gaussian:25"])
        assert result.exit_code == 0, result.output
    counts = {line.split(" | ")[3] for line in result.stdout.splitlines() if "gaussian" in line}
    assert counts == {str(len(images))}
    rows = read_table(table, KIND)
    assert len(rows) == 2 * len(images)
    assert len({row["seed"] for row in rows}) == len(images)


def test_what_is_done_stays_and_a_failure_is_tried_again(
    images: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = tmp_path / "table.csv"
    cases = all_cases(images, ["noisy", "wavelets"], [], ["gaussian:25"], 0, noisy=False)

    def fail(_task: Task) -> torch.Tensor:
        raise RuntimeError("no luck, today")

    with monkeypatch.context() as patch:
        patch.setitem(METHODS, "wavelets", fail)
        found = [row["error"] for _, row in fill(table, KIND, cases, measure)]
    assert found == ["", "RuntimeError: no luck, today"] * 2
    first = read_table(table, KIND)
    with monkeypatch.context() as patch:
        patch.setitem(METHODS, "noisy", fail)
        again = [row for _, row in fill(table, KIND, cases, measure)]
    assert [row["method"] for row in again] == ["wavelets"] * 2
    assert not any(row["error"] for row in again)
    rows = read_table(table, KIND)
    assert len(rows) == 4
    assert [row for row in first if not row["error"]] == rows[:2]
    assert list(fill(table, KIND, cases, measure)) == []


def test_processes_find_the_same_as_one(images: list[Path], tmp_path: Path) -> None:
    cases = all_cases(images, ["noisy", "pretrained"], ["unet"], ["gaussian:25"], 0, noisy=False)
    scores = []
    for processes in (1, 2):
        table = tmp_path / f"{processes}.csv"
        list(fill(table, KIND, cases, measure, processes=processes))
        rows = {(row["image"], row["method"]): row for row in read_table(table, KIND)}
        scores.append([float(rows[case.image, case.method]["psnr"]) for case in cases])
    np.testing.assert_allclose(*scores, atol=1e-3)


def test_a_movie_of_one_scene_is_scored_by_its_other_frames(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    frames = CLEAN + rng.normal(0, 25, (6, *CLEAN.shape))
    write_image(tmp_path / "movie.tif", Image(frames.astype(np.float32), "TYX"))
    case = Case(str(tmp_path / "movie.tif"), "pretrained", "unet", "gaussian:25", 0, noisy=True)
    found = measure(case)
    alone = tmp_path / "first.tif"
    write_image(alone, Image(frames[0].astype(np.float32), "YX"))
    assert measure(replace(case, image=str(alone))).unsupervised_psnr is None
    scale = find_range(frames[:, None].astype(np.float32))
    clean = torch.from_numpy(scale.to_unit(CLEAN)).float()
    first = torch.from_numpy(scale.to_unit(frames[0])).float()
    task = Task(first[None, None], Gaussian(25 / scale.width), "unet", None, 0)
    expected = psnr(METHODS["pretrained"](task)[0, 0].float(), clean, data_range=1.0)
    assert found.unsupervised_psnr == pytest.approx(expected, abs=0.5)
    with pytest.raises(ValueError, match="single images are compared"):
        measure(replace(case, noisy=False))


def test_colors_of_a_clean_image_are_compared_as_their_luminance(tmp_path: Path) -> None:
    image = np.stack([CLEAN, CLEAN[::-1], CLEAN[:, ::-1]], axis=-1)
    write_image(tmp_path / "color.png", Image(image, "YXS"))
    expected = (0.299 * image[..., 0] + 0.587 * image[..., 1] + 0.114 * image[..., 2]) / 255
    found = clean_image(tmp_path / "color.png")
    np.testing.assert_allclose(found[0, 0], expected, atol=1e-6)
    case = Case(str(tmp_path / "color.png"), "noisy", "", "gaussian:25", 0, noisy=False)
    assert 20.17 < measure(case).psnr < 21  # that of sigma 25, and a little more, being cut off
    with pytest.raises(ValueError, match="gray images and movies"):  # their noise would be mixed
        measure(replace(case, noisy=True))


def test_the_noise_of_a_noisy_image_is_found_in_it(tmp_path: Path) -> None:
    noisy = CLEAN + np.random.default_rng(0).normal(0, 25, CLEAN.shape)
    write_image(tmp_path / "noisy.tif", Image(noisy.astype(np.float32), "YX"))
    arguments = (tmp_path / "noisy.tif", "-o", tmp_path / "t.csv", "--noisy")
    code, output, _ = run(*arguments, "--method", "pretrained", "--network", "unet")
    assert code == 0
    assert "| auto | pretrained | unet | 1 |" in output
    (found,) = read_table(tmp_path / "t.csv", KIND)
    known = Case(str(tmp_path / "noisy.tif"), "pretrained", "unet", "gaussian:25", 0, noisy=True)
    expected = measure(known).residual_spread
    assert float(found["residual_spread"]) == pytest.approx(expected, rel=0.05)


def test_noisy_images_have_scores_that_need_no_truth(tmp_path: Path) -> None:
    noisy = CLEAN + np.random.default_rng(0).normal(0, 25, CLEAN.shape)
    write_image(tmp_path / "noisy.tif", Image(noisy.astype(np.float32), "YX"))
    case = Case(str(tmp_path / "noisy.tif"), "pretrained", "unet", "gaussian:25", 0, noisy=True)
    score = measure(case)
    assert (score.psnr, score.ssim) == (None, None)
    assert score.residual_spread == pytest.approx(0.95, abs=0.1)


@pytest.mark.parametrize(
    ("pixels", "words"),
    [
        (np.zeros((2, 20, 20), np.uint8), "single images are compared"),
        (np.full((20, 20), 7.0), "every pixel is"),
    ],
)
def test_an_image_that_does_not_do_is_told_in_its_row(
    tmp_path: Path, pixels: np.ndarray, words: str
) -> None:
    axes = "TYX" if pixels.ndim == 3 else "YX"
    write_image(tmp_path / "odd.tif", Image(pixels, axes))
    case = Case(str(tmp_path / "odd.tif"), "noisy", "", "gaussian:25", 0, noisy=False)
    (row,) = [row for _, row in fill(tmp_path / "t.csv", KIND, [case], measure)]
    assert words in row["error"]


def test_the_command_prints_a_table_and_goes_on(images: list[Path], tmp_path: Path) -> None:
    arguments = (images[0].parent, "-o", tmp_path / "t.csv", "--method", "wavelets")
    code, output, _ = run(*arguments)
    assert code == 0
    assert "| gaussian:25 | wavelets |  | 2 |" in output
    assert run(*arguments, "--quiet") == (0, "", "")
    code, output, _ = run(*arguments, "--method", "noisy", "--json")
    assert code == 0
    rows = json.loads(output)
    assert [row["method"] for row in rows] == ["wavelets", "wavelets", "noisy", "noisy"]
    assert summary(rows).count("gaussian:25") == 2


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--method", "magic"], "unknown method 'magic'"),
        (["--method", "self2self:0"], "number of steps above 0"),
        (["--noise", "auto"], "need the noise"),
        (["--noise", "gaussian"], "is not understood"),
        (["--network", "nothing"], "there is no network"),
        (["--processes", "0"], "at least 1"),
    ],
)
def test_what_cannot_be_is_told_before_any_work(
    images: list[Path], tmp_path: Path, arguments: list[str], words: str
) -> None:
    code, _, error = run(images[0], "-o", tmp_path / "t.csv", *arguments)
    assert code == 2
    assert words in error
    assert not (tmp_path / "t.csv").exists()


def test_images_and_tables_that_are_not_there_or_of_something_else_are_refused(
    images: list[Path], tmp_path: Path
) -> None:
    code, _, error = run(tmp_path / "none.png", "-o", tmp_path / "t.csv")
    assert code == 2
    assert "there is no file" in error
    (tmp_path / "empty").mkdir()
    code, _, error = run(tmp_path / "empty", "-o", tmp_path / "t.csv")
    assert code == 2
    assert "there is no image" in error
    (tmp_path / "other.csv").write_text("a,b\n1,2\n")
    code, _, error = run(images[0], "-o", tmp_path / "other.csv")
    assert code == 2
    assert "not a table of this comparison" in error
    assert (tmp_path / "other.csv").read_text() == "a,b\n1,2\n"


def test_failures_are_told_at_the_end(
    images: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_task: Task) -> torch.Tensor:
        raise RuntimeError("no luck")

    monkeypatch.setitem(METHODS, "wavelets", fail)
    arguments = ("--method", "wavelets", "--method", "noisy")
    code, output, error = run(images[0].parent, "-o", tmp_path / "t.csv", *arguments)
    assert code == 2
    assert "2 of 4 failed" in error
    assert "no luck" in error
    assert "| gaussian:25 | noisy |" in output


SHORT = {"blind-spot-alone": 1, "self2self": 2, "zero-shot-noise2noise": 2, "all-by-resampling": 2}


@pytest.mark.parametrize(
    "method", sorted(set(METHODS) - {"bm3d", "anscombe", "bm3d-anscombe", "pure", "topaz"})
)
def test_every_method_denoises_as_it_is_called(method: str) -> None:
    clean = torch.from_numpy(CLEAN / 255.0).float()[None, None]
    noise = Gaussian(0.1)
    noisy = noise.sample(clean, Generator().manual_seed(0))
    before = noisy.clone()
    task = Task(noisy, noise, "unet", SHORT.get(method, 2), seed=0)
    denoised = METHODS[method](task)
    assert denoised.shape == noisy.shape
    assert torch.equal(noisy, before)
    learned_in_full = method not in (*SHORT, "noisy")
    scores = [psnr(image.to(clean), clean, data_range=1.0) for image in (noisy, denoised)]
    assert scores[1] > scores[0] + 1 or not learned_in_full
    again = METHODS[method](task)
    assert torch.equal(denoised, again)


def test_a_loss_for_other_noise_is_refused() -> None:
    noisy = torch.from_numpy(CLEAN / 255.0).float()[None, None]
    for method, noise in (("pure", Gaussian(0.1)), ("anscombe", Gaussian(0.1))):
        with pytest.raises(ValueError, match="shot noise, and the noise is Gaussian"):
            METHODS[method](Task(noisy, noise, "unet"))
    counts = Poisson(0.02).sample(noisy, Generator().manual_seed(0))
    before, after = (
        METHODS[method](Task(counts, Poisson(0.02), "unet")) for method in ("noisy", "pure")
    )
    scores = [psnr(image.to(noisy), noisy, data_range=1.0) for image in (before, after)]
    assert scores[1] > scores[0] + 1


def test_a_method_may_see_means_over_bins_and_gives_back_every_pixel() -> None:
    rows, columns = torch.meshgrid(torch.arange(150.0), torch.arange(181.0), indexing="ij")
    clean = (0.5 + 0.2 * torch.sin(rows / 9) * torch.cos(columns / 7))[None, None]
    noise = Poisson(0.05)
    noisy = noise.sample(clean, Generator().manual_seed(0))
    seen = []

    def look(task: Task) -> Tensor:
        seen.append(task)
        return task.noisy

    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(METHODS, "last-layer", look)
        denoised = parse_method("last-layer@4:3")(Task(noisy, noise))
    (task,) = seen
    torch.testing.assert_close(task.noisy[0, 0, 2, 3], noisy[0, 0, 8:12, 12:16].mean())
    assert (task.noisy.shape[-2:], task.noise, task.steps) == ((38, 46), Poisson(0.05 / 16), 3)
    assert denoised.shape == noisy.shape
    # Of a scene that is smooth over a bin, nearly all that is left is the noise of the means.
    assert float((denoised - clean).square().mean()) < 1.2 * 0.05 * 0.5 / 16
    with pytest.raises(ValueError, match=r"an image of 150 x 181 pixels has no bins of 256 x 256"):
        parse_method("noisy@256")(Task(noisy, noise))
    with pytest.raises(ValueError, match=r"behind the @ stands the side of bins.* as in bm3d@8"):
        parse_method("noisy@0")


def test_steps_stand_behind_a_colon() -> None:
    assert parse_method("last-layer:7") == Way("last-layer", steps=7)
    assert parse_method("self2self@4:7") == Way("self2self", bins=4, steps=7)
    with pytest.raises(ValueError, match="'wavelets:7': wavelets has no number of steps"):
        parse_method("wavelets:7")

"""The log of a training: a table, a picture, and never half of one."""

import csv
import errno
import math
import os
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import matplotlib as mpl
import pytest

from gaintuning.training_log import Entry, write_log

ENTRIES = [
    Entry(1000, 9.51, 0.012345678, {"sigma 15": 30.12345, "sigma 50": 24.5}),
    Entry(2000, 19.4, 0.0061, {"sigma 15": 31.0, "sigma 50": 25.00049}),
    Entry(3000, 3600 * 27.5, 5e-5, {"sigma 15": 31.5, "sigma 50": 25.875}),
]


def test_the_table_has_a_row_for_each_entry(tmp_path: Path) -> None:
    write_log(ENTRIES, tmp_path / "net.state")
    with (tmp_path / "net.csv").open(newline="") as file:
        header, *rows = csv.reader(file)
    assert header == ["step", "seconds", "loss", "psnr at sigma 15", "psnr at sigma 50"]
    assert len(rows) == len(ENTRIES)
    for row, entry in zip(rows, ENTRIES, strict=True):
        step, seconds, loss, *scores = map(float, row)
        assert step == entry.step
        # What is written is rounded to the last digit that is.
        assert seconds == pytest.approx(entry.seconds, abs=0.5)
        assert loss == pytest.approx(entry.loss, rel=0.5e-4)
        assert scores == pytest.approx(list(entry.psnr.values()), abs=0.5e-3)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_the_picture_names_each_level_with_its_last_score(tmp_path: Path, count: int) -> None:
    write_log(ENTRIES[:count], tmp_path / "net.state")
    picture = tmp_path / "net.svg"
    root = ElementTree.parse(picture).getroot()
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    last = ENTRIES[count - 1].psnr
    # Drawn as shapes, each text has its words in a comment.
    text = picture.read_text(encoding="utf-8")
    for level, score in last.items():
        assert f"{level}: {score:.2f}" in text
    assert text.count("sigma ") == len(last)
    for words in ("step", "training loss", "validation PSNR in dB"):
        assert words in text


@pytest.mark.filterwarnings("error")
def test_a_loss_below_zero_is_drawn(tmp_path: Path) -> None:
    below = [replace(entry, loss=entry.loss - 8) for entry in ENTRIES]
    write_log(below, tmp_path / "net.state")
    picture = (tmp_path / "net.svg").read_text(encoding="utf-8")
    assert any(f"<!-- {minus}8." in picture for minus in ("-", "\N{MINUS SIGN}"))


def test_the_files_have_the_name_of_the_one_beside_them(tmp_path: Path) -> None:
    write_log(ENTRIES, tmp_path / "unet.v2.state")
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["unet.v2.csv", "unet.v2.svg"]


def test_a_longer_log_takes_the_place_of_a_shorter_one(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    write_log(ENTRIES[:1], tmp_path / "a" / "net.state")
    write_log(ENTRIES, tmp_path / "a" / "net.state")
    write_log(ENTRIES, tmp_path / "b" / "net.state")
    tables = [(tmp_path / folder / "net.csv").read_bytes() for folder in "ab"]
    assert tables[0] == tables[1]
    picture = (tmp_path / "a" / "net.svg").read_text(encoding="utf-8")
    assert "sigma 15: 31.50" in picture
    assert "sigma 15: 30.12" not in picture


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_training_that_went_wrong_is_logged_too(tmp_path: Path, bad: float) -> None:
    write_log(
        [*ENTRIES, Entry(4000, 1e5, bad, {"sigma 15": -bad, "sigma 50": bad})],
        tmp_path / "net.state",
    )
    last = (tmp_path / "net.csv").read_text().splitlines()[-1]
    assert last == f"4000,100000,{bad:.4e},{-bad:.3f},{bad:.3f}"
    ElementTree.parse(tmp_path / "net.svg")


def test_matplotlib_s_settings_stay_as_they_were(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(mpl.rcParams, "font.size", 31.0)
    before = dict(mpl.rcParams)
    write_log(ENTRIES, tmp_path / "net.state")
    assert dict(mpl.rcParams) == before


@pytest.mark.parametrize("suffix", [".csv", ".svg"])
def test_a_full_disk_leaves_the_log_of_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str
) -> None:
    write_log(ENTRIES[:1], tmp_path / "net.state")
    before = (tmp_path / f"net{suffix}").read_bytes()
    replace = Path.replace

    def full(source: Path, target: Path) -> Path:
        if target.suffix == suffix:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return replace(source, target)

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(OSError, match=rf"net\{suffix} could not be written \(No space"):
        write_log(ENTRIES, tmp_path / "net.state")
    assert (tmp_path / f"net{suffix}").read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["net.csv", "net.svg"]


def test_an_interruption_leaves_no_half_of_a_picture(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_log(ENTRIES[:1], tmp_path / "net.state")
    before = (tmp_path / "net.svg").read_bytes()

    def stop_halfway(_: Any, file: Any, **__: Any) -> None:
        file.write(b"<svg>")
        raise KeyboardInterrupt

    monkeypatch.setattr("matplotlib.figure.Figure.savefig", stop_halfway)
    with pytest.raises(KeyboardInterrupt):
        write_log(ENTRIES, tmp_path / "net.state")
    assert (tmp_path / "net.svg").read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["net.csv", "net.svg"]

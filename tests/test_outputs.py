"""A file is written whole or not at all."""

import errno
import os
import stat
from pathlib import Path

import pytest

from gaintuning.outputs import check_place, whole_file


def test_a_file_appears_only_when_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    with whole_file(path) as file:
        file.write(b"half")
        assert not path.exists()
        file.write(b" and half")
    assert path.read_bytes() == b"half and half"
    assert list(tmp_path.iterdir()) == [path]


def test_a_failure_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    path.write_text("older")

    def write_to_a_full_disk() -> None:
        with whole_file(path) as file:
            file.write(b"half")
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with pytest.raises(OSError, match=r"page.html could not be written \(No space .* make room"):
        write_to_a_full_disk()
    assert path.read_text() == "older"
    assert list(tmp_path.iterdir()) == [path]


def test_an_interruption_leaves_nothing(tmp_path: Path) -> None:
    def stop_halfway() -> None:
        with whole_file(tmp_path / "page.html") as file:
            file.write(b"half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stop_halfway()
    assert list(tmp_path.iterdir()) == []


def test_others_may_read_what_the_umask_lets_them(tmp_path: Path) -> None:
    (tmp_path / "plain").touch()
    with whole_file(tmp_path / "page.html") as file:
        file.write(b"")
    modes = {stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    assert len(modes) == 1


def test_a_place_is_checked_before_any_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "page.html"
    check_place(path, overwrite=False)
    with pytest.raises(IsADirectoryError, match="is a folder"):
        check_place(tmp_path, overwrite=True)
    with pytest.raises(FileNotFoundError, match=r"make .* first"):
        check_place(tmp_path / "missing" / "page.html", overwrite=True)
    path.write_text("older")
    check_place(path, overwrite=True)
    with pytest.raises(FileExistsError, match="--force"):
        check_place(path, overwrite=False)
    assert path.read_text() == "older"

    def refuse(*_: object) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(PermissionError, match=r"Permission denied.*another name or folder"):
        check_place(path, overwrite=True)
    assert list(tmp_path.iterdir()) == [path]

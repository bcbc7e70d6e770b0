"""Files that are written whole or not at all."""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO


def check_place(path: Path, *, overwrite: bool) -> None:
    """Find out, before any work, whether a file can be written in this place.

    Raises
    ------
    OSError : the folder is missing or cannot be written to, or `path` is a folder, or it exists
        and `overwrite` is false.

    Examples
    --------
    >>> check_place(Path("missing/page.html"), overwrite=False)
    Traceback (most recent call last):
    FileNotFoundError: missing/page.html has no folder to be in; make missing first
    """
    target = Path(os.path.realpath(path))
    if target.is_dir():
        raise IsADirectoryError(f"{path} is a folder; give the name of a file in it")
    if not target.parent.is_dir():
        raise FileNotFoundError(f"{path} has no folder to be in; make {path.parent} first")
    if target.exists() and not overwrite:
        raise FileExistsError(f"{path} exists; give another name, or --force to overwrite it")
    # Tried and not asked for, as os.access grants an administrator everything.
    probe = _temporary_in(target.parent)
    try:
        probe.open("xb").close()
        probe.unlink()
    except OSError as error:
        raise type(error)(
            f"{path} cannot be written ({error.strerror}); give another name or folder"
        ) from error


@contextmanager
def whole_file(path: Path) -> Iterator[BinaryIO]:
    """Open a file to be written, which appears in its place only when all is in it.

    Raises
    ------
    OSError : it could not be written; what was there before is unharmed.

    Examples
    --------
    >>> from tempfile import mkdtemp
    >>> path = Path(mkdtemp()) / "note.txt"
    >>> with whole_file(path) as file:
    ...     size = file.write(b"all of it")
    >>> path.read_text()
    'all of it'
    """
    target = Path(os.path.realpath(path))
    temporary = _temporary_in(target.parent)
    try:
        with temporary.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(target)
    except OSError as error:
        raise type(error)(
            f"{path} could not be written ({error.strerror or error}); make room there, or write "
            "to another folder"
        ) from error
    finally:
        temporary.unlink(missing_ok=True)


def _temporary_in(folder: Path) -> Path:
    # Opened by the caller, as tempfile would leave a file that only its owner may read.
    return folder / f".gaintuning-{secrets.token_hex(8)}"

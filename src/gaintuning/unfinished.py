"""A movie that is being written: where it stopped, it is gone on with."""

import json
import os
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gaintuning.adapted import Learned, read_learned, write_learned
from gaintuning.files import make_room
from gaintuning.image import OpenImage
from gaintuning.outputs import whole_file


class Unfinished:
    """The frames that are written so far, in a hidden folder beside the file that they become.

    Parameters
    ----------
    target : the file.
    movie : what is denoised; the file has its shape, and the frames lie along axis 0.
    request : all that the result depends on. A folder that was left by another is begun anew.
    """

    def __init__(self, target: Path, movie: OpenImage, request: dict[str, Any]) -> None:
        self.target = Path(os.path.realpath(target))
        self.movie = movie
        self.request = json.loads(json.dumps(request))  # as it will be when it is read again
        self.folder = self.target.parent / f".{self.target.name}.unfinished"
        self.frames = self.folder / self.target.name
        self.learned_file = self.folder / "learned.safetensors"
        # A byte for each frame that is done: appending one cannot leave half a number behind.
        self.count = self.folder / "done"

    def found(self) -> tuple[list[Learned], Any] | None:
        """What was learned and told when it was begun, if it was by the same request."""
        if not (self.count.is_file() and self.frames.is_file()):
            return None
        learned, facts = read_learned(self.learned_file)
        return (learned, facts["told"]) if facts["request"] == self.request else None

    @property
    def done(self) -> int:
        return self.count.stat().st_size

    def begin(self, learned: Sequence[Learned], told: Any, dtype: np.dtype[Any]) -> None:
        """Make room for the frames, in that dtype, and keep what they are denoised by."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir()
        self._keep(learned, told)
        nothing = np.broadcast_to(np.zeros((), dtype), self.movie.pixels.shape)
        room = make_room(self.frames, replace(self.movie, pixels=nothing))
        (self.folder / "room").write_text(str(room))
        self.count.touch()

    def _keep(self, learned: Sequence[Learned], told: Any) -> None:
        with whole_file(self.learned_file) as file:
            write_learned(file, learned, {"request": self.request, "told": told})

    def write(self, frame: NDArray[Any], learned: Sequence[Learned] | None = None) -> None:
        """Add the next frame, and what is known after it if that is new; it counts once both are
        on the disk.
        """
        room = int((self.folder / "room").read_text())
        pixels = np.ascontiguousarray(frame, frame.dtype.newbyteorder("="))
        with self.frames.open("r+b") as file:
            file.seek(room + self.done * pixels.nbytes)
            file.write(pixels.tobytes())
            file.flush()
            os.fsync(file.fileno())
        if learned is not None:
            self._keep(learned, read_learned(self.learned_file)[1]["told"])
        with self.count.open("ab") as file:
            file.write(b".")

    def finish(self) -> None:
        """Put the file in its place."""
        self.frames.replace(self.target)
        shutil.rmtree(self.folder)

"""A movie that is being written: where it stopped, it is gone on with."""

import errno
import json
import os
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from filelock import FileLock, Timeout
from numpy.typing import NDArray
from safetensors import SafetensorError

from gaintuning.adapted import Learned, read_learned, write_learned
from gaintuning.files import make_room
from gaintuning.image import OpenImage
from gaintuning.outputs import whole_file

_LEARNED = "learned-{}.safetensors"
"""With the number of frames after which it was known."""

_NO_LOCKS = (errno.ENOSYS, errno.ENOTSUP, errno.ENOLCK)


class Unfinished:
    """The frames that are written so far, in a hidden folder beside the file that they become.

    It is to be used within `with`, which keeps other runs away from the folder. Leaving it without
    a frame to go on with leaves no folder.

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
        self.request_file = self.folder / "request.json"
        self.room_file = self.folder / "room"
        # A byte for each frame that is done: appending one cannot leave half a number behind.
        self.count = self.folder / "done"
        # The system lets go of it when a process ends, however that comes about.
        self.lock = FileLock(self.folder / "lock", blocking=False, fallback_to_soft=False)

    def __enter__(self) -> "Unfinished":
        """Keep others away.

        Raises
        ------
        OSError : another run writes this file.
        """
        self.folder.mkdir(exist_ok=True)
        try:
            self.lock.acquire()
        except Timeout:
            raise OSError(
                f"{self.target} is being written by another run of gaintuning; wait for it, or "
                "give another --output"
            ) from None
        except OSError as error:
            if error.errno not in _NO_LOCKS:
                raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        where: TracebackType | None,
    ) -> None:
        if not self._is_begun:
            shutil.rmtree(self.folder, ignore_errors=True)
        self.lock.release()

    @property
    def _is_begun(self) -> bool:
        return self.count.is_file() and self.frames.is_file()

    def found(self) -> tuple[list[Learned], Any] | None:
        """What was learned and told when it was begun, if it was by the same request."""
        if not self._is_begun:
            return None
        try:
            if json.loads(self.request_file.read_text()) != self.request:
                return None
            int(self.room_file.read_text())
            return read_learned(self._learned_so_far())
        except (OSError, ValueError, TypeError, KeyError, SafetensorError):
            return None  # as after a loss of power, or by another version

    @property
    def done(self) -> int:
        return self.count.stat().st_size

    def begin(self, learned: Sequence[Learned], told: Any, dtype: np.dtype[Any]) -> None:
        """Make room for the frames, in that dtype, and keep what they are denoised by."""
        for file in (self.count, self.frames):  # without which the rest is overwritten
            file.unlink(missing_ok=True)
        for file in self.folder.glob(_LEARNED.format("*")):
            file.unlink()
        self.request_file.write_text(json.dumps(self.request))
        self._keep(0, learned, told)
        nothing = np.broadcast_to(np.zeros((), dtype), self.movie.pixels.shape)
        room = make_room(self.frames, replace(self.movie, pixels=nothing))
        self.room_file.write_text(str(room))
        self.count.touch()

    def _keep(self, done: int, learned: Sequence[Learned], told: Any) -> None:
        """What is known after so many frames, beside what was known before."""
        with whole_file(self.folder / _LEARNED.format(done)) as file:
            write_learned(file, learned, told)

    def _learned_so_far(self) -> Path:
        """The last before the frame to go on with; there may be one of that frame, if it was being
        written.
        """
        numbers = [
            int(file.name.split("-")[1].split(".")[0])
            for file in self.folder.glob(_LEARNED.format("*"))
        ]
        last = max(number for number in numbers if number <= self.done)
        return self.folder / _LEARNED.format(last)

    def write(self, frame: NDArray[Any], learned: Sequence[Learned] | None = None) -> None:
        """Add the next frame, and what is known after it if that is new; it counts once both are
        on the disk.
        """
        room = int(self.room_file.read_text())
        pixels = np.ascontiguousarray(frame, frame.dtype.newbyteorder("="))
        with self.frames.open("r+b") as file:
            file.seek(room + self.done * pixels.nbytes)
            file.write(pixels.tobytes())
            file.flush()
            os.fsync(file.fileno())
        former = self._learned_so_far()
        if learned is not None:
            self._keep(self.done + 1, learned, read_learned(former)[1])
        with self.count.open("ab") as file:
            file.write(b".")
        if learned is not None:
            former.unlink()

    def finish(self) -> None:
        """Put the file in its place."""
        self.frames.replace(self.target)

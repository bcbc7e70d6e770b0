"""Workers do not outlive the process that they work for."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from time import monotonic, sleep

import pytest

PARENT = """
from pathlib import Path
from time import sleep
import os, sys
from gaintuning.workers import workers

def work(folder):
    (Path(folder) / str(os.getpid())).touch()
    sleep(600)

if __name__ == "__main__":
    with workers(2) as pool:
        list(pool.map(work, [sys.argv[1]] * 8))
"""


def alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    # One that has ended and that nobody asked after is still listed.
    state = Path(f"/proc/{process}/stat")
    return not state.exists() or ") Z " not in state.read_text()


def wait_until(condition: Callable[[], bool], seconds: float = 120) -> bool:
    """Whether it comes about; a busy machine may take long."""
    end = monotonic() + seconds
    while monotonic() < end:
        if condition():
            return True
        sleep(0.1)
    return False


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL")
def test_workers_end_when_the_process_is_killed_that_they_work_for(tmp_path: Path) -> None:
    script, folder = tmp_path / "parent.py", tmp_path / "workers"
    script.write_text(PARENT)
    folder.mkdir()
    parent = subprocess.Popen([sys.executable, str(script), str(folder)])
    try:
        assert wait_until(lambda: len(list(folder.iterdir())) == 2)
        started = [int(path.name) for path in folder.iterdir()]
        assert all(map(alive, started))
    finally:
        parent.send_signal(signal.SIGKILL)
        parent.wait()
    assert wait_until(lambda: not any(map(alive, started)))
    assert len(list(folder.iterdir())) == 2

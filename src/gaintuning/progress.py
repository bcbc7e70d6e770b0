"""Progress over the stages of some work, and bars of it on the terminal."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import Progress as Bars

from gaintuning._types import Progress


@contextmanager
def progress_bars(quiet: bool) -> Iterator[Callable[[str], Progress]]:
    """A function that opens a bar on the terminal; bars go when all is done."""
    console = Console(stderr=True)
    hidden = quiet or not console.is_terminal
    # Bars and lines that go to one terminal must know of each other; a file is not one.
    together = sys.stdout.isatty()
    with Bars(console=console, transient=True, disable=hidden, redirect_stdout=together) as bars:

        def bar(label: str) -> Progress:
            task = bars.add_task(label, total=None)

            def show(done: int, total: int) -> None:
                bars.update(task, completed=done, total=total)

            return show

        yield bar


def stage_of(progress: Progress | None, stage: int, stages: int) -> Progress | None:
    """Progress over all stages, each taken for as long as the others, from that within one."""
    if progress is None:
        return None
    return lambda done, steps: progress(stage * steps + done, stages * steps)

"""Progress bars on the terminal."""

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
    with Bars(console=console, transient=True, disable=hidden) as bars:

        def bar(label: str) -> Progress:
            task = bars.add_task(label, total=None)

            def show(done: int, total: int) -> None:
                bars.update(task, completed=done, total=total)

            return show

        yield bar

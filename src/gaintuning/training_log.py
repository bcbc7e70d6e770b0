"""What a training wrote down on its way, as a table and as a picture."""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from matplotlib import style
from matplotlib.figure import Figure

from gaintuning.figures import ACCENT, CHART
from gaintuning.outputs import whole_file


@dataclass(frozen=True)
class Entry:
    """A training at one step.

    Parameters
    ----------
    step : steps done.
    seconds : spent on them.
    loss : what the recipe minimises, over about a hundred last steps.
    psnr : of the validation images in dB, by the name of the noise.
    """

    step: int
    seconds: float
    loss: float
    psnr: dict[str, float]


def write_log(entries: Sequence[Entry], beside: Path) -> None:
    """Write the log as a table and as a picture, under the name of `beside`.

    Examples
    --------
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> scores = {"sigma 30": 26.0}, {"sigma 30": 27.25}
    >>> entries = [Entry(1000, 9.5, 0.01, scores[0]), Entry(2000, 19.1, 0.006, scores[1])]
    >>> write_log(entries, folder / "net.state")
    >>> print((folder / "net.csv").read_text())
    step,seconds,loss,psnr at sigma 30
    1000,10,1.0000e-02,26.000
    2000,19,6.0000e-03,27.250
    <BLANKLINE>
    """
    with whole_file(beside.with_suffix(".csv")) as file:
        file.write(_table(entries).encode())
    with whole_file(beside.with_suffix(".svg")) as file:
        _draw(entries, file)


def _table(entries: Sequence[Entry]) -> str:
    levels = list(entries[0].psnr)
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(["step", "seconds", "loss", *(f"psnr at {level}" for level in levels)])
    for entry in entries:
        scores = (f"{entry.psnr[level]:.3f}" for level in levels)
        table.writerow([entry.step, f"{entry.seconds:.0f}", f"{entry.loss:.4e}", *scores])
    return text.getvalue()


def _draw(entries: Sequence[Entry], file: BinaryIO) -> None:
    steps = [entry.step for entry in entries]
    with style.context(["default", CHART]):
        figure = Figure(figsize=(9, 3.2), layout="constrained")
        losses, scores = figure.subplots(1, 2)
        losses.plot(steps, [entry.loss for entry in entries], ".-", color=ACCENT)
        # A mean of logarithms is one already, and may be below zero.
        scale = "log" if all(entry.loss > 0 for entry in entries) else "linear"
        losses.set(xlabel="step", ylabel="training loss", yscale=scale)
        for level, last in entries[-1].psnr.items():
            scores.plot(steps, [entry.psnr[level] for entry in entries], ".-", color=ACCENT)
            scores.annotate(
                f"{level}: {last:.2f}",
                (steps[-1], last),
                xytext=(0, 5),
                textcoords="offset points",
                ha="right",
            )
        scores.set(xlabel="step", ylabel="validation PSNR in dB")
        scores.margins(y=0.15)
        figure.savefig(file, format="svg", metadata={"Date": None})

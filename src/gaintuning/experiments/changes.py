"""Rows of a comparison, told as changes of PSNR against the pre-trained network."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean

import numpy as np
from matplotlib.axes import Axes

from gaintuning.tables import Row


def scores(rows: Iterable[Row], column: str = "psnr", **wanted: str) -> dict[str, float]:
    """A score by image, of the rows that have what is wanted; `images` is the name of a set."""
    images = wanted.pop("images", "")
    return {
        row["image"]: float(row[column])
        for row in rows
        if row[column]
        and row["image"].startswith(images)
        and all(row[name] == value for name, value in wanted.items())
    }


@dataclass(frozen=True)
class Change:
    """PSNR before and after, and what came between them, over the images that have both."""

    count: int
    before: float
    after: float
    worst: float
    best: float
    changes: list[float]

    @property
    def mean(self) -> float:
        return self.after - self.before


def change(before: dict[str, float], after: dict[str, float]) -> Change | None:
    """None where no image has both."""
    both = [image for image in before if image in after]
    if not both:
        return None
    changes = [after[image] - before[image] for image in both]
    return Change(
        len(both),
        fmean(before[image] for image in both),
        fmean(after[image] for image in both),
        min(changes),
        max(changes),
        changes,
    )


def markdown(header: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    """A table.

    Examples
    --------
    >>> print(markdown(["a", "b"], [["1", "2"]]))
    | a | b |
    | --- | --- |
    | 1 | 2 |
    """
    rows = [header, ["---"] * len(header), *lines]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in rows)


@dataclass(frozen=True)
class Group:
    """What a line of the table is about: a method of a network on a set of images with a noise."""

    images: str
    noise: str
    network: str
    method: str

    def of(self, rows: Sequence[Row]) -> Change | None:
        """Its change against the pre-trained network."""
        key = {"images": self.images, "noise": self.noise, "network": self.network}
        return change(
            scores(rows, method="pretrained", **key), scores(rows, method=self.method, **key)
        )


def change_table(rows: Sequence[Row], groups: Iterable[Group]) -> str:
    """A line for each group that has rows."""
    lines = []
    for group in groups:
        found = group.of(rows)
        if found:
            lines.append(
                [
                    *(group.images, group.noise, group.network, group.method, str(found.count)),
                    *(f"{value:.2f}" for value in (found.before, found.after)),
                    *(f"{value:+.3f}" for value in (found.mean, found.worst, found.best)),
                ]
            )
    header = ["images", "noise", "network", "method", "count"]
    return markdown([*header, "pre-trained", "after", "mean", "worst", "best"], lines)


def histogram(axes: Axes, changes: dict[str, list[float]]) -> None:
    """How many images gained how much, by a label for each list."""
    every = np.concatenate([values for values in changes.values() if values] or [[0.0]])
    edges = np.linspace(min(0.0, every.min()), max(every.max(), 0.1), 25).tolist()
    for label, values in changes.items():
        axes.hist(values, edges, alpha=0.6, label=label)
    axes.axvline(0, color="black", linewidth=0.8)
    axes.set_xlabel("change of PSNR in dB")
    axes.set_ylabel("images")
    if changes:
        axes.legend(frameon=False, fontsize="small")

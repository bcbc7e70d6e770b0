"""Rows of a comparison, told as changes of PSNR against the pre-trained network."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gaintuning.tables import Row, markdown


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
    """Mean PSNR before and after, and what came between them image by image."""

    before: float
    after: float
    changes: list[float]

    @property
    def count(self) -> int:
        return len(self.changes)

    @property
    def mean(self) -> float:
        return self.after - self.before

    @property
    def worst(self) -> float:
        return min(self.changes)

    @property
    def best(self) -> float:
        return max(self.changes)


def change(before: dict[str, float], after: dict[str, float]) -> Change | None:
    """Over the images that have both; None where there is none."""
    both = [image for image in before if image in after]
    if not both:
        return None
    mean_before, mean_after = (fmean(each[image] for image in both) for each in (before, after))
    return Change(mean_before, mean_after, [after[image] - before[image] for image in both])


@dataclass(frozen=True)
class Group:
    """What a line of the table is about: a method of a network on a set of images with a noise."""

    images: str
    noise: str
    network: str
    method: str

    def of(self, rows: Sequence[Row], column: str = "psnr") -> Change | None:
        """Its change against the pre-trained network."""
        key = {"images": self.images, "noise": self.noise, "network": self.network}
        before, after = (
            scores(rows, column, method=method, **key) for method in ("pretrained", self.method)
        )
        return change(before, after)


def change_table(rows: Sequence[Row], groups: Iterable[Group]) -> str:
    """A line for each group that has rows."""
    lines = []
    for group in groups:
        found, similarity = group.of(rows), group.of(rows, "ssim")
        if found and similarity:
            lines.append(
                [
                    *(group.images, group.noise, group.network, group.method, str(found.count)),
                    *(f"{value:.2f}" for value in (found.before, found.after)),
                    *(f"{value:+.3f}" for value in (found.mean, found.worst, found.best)),
                    *(f"{value:.4f}" for value in (similarity.before, similarity.after)),
                ]
            )
    header = ["images", "noise", "network", "method", "count"]
    header += ["pre-trained", "after", "mean", "worst", "best"]
    return markdown([*header, "SSIM, pre-trained", "after"], lines)


def panels(titles: Sequence[str], width: float = 4) -> tuple[Figure, list[Axes]]:
    """A figure with a panel for each title, side by side; widths in inches."""
    figure = Figure((width * len(titles), 3.2), layout="constrained")
    (every,) = figure.subplots(1, len(titles), squeeze=False)
    for axes, title in zip(every, titles, strict=True):
        axes.set_title(title, fontsize="medium")
    return figure, list(every)


def slanted(axes: Axes) -> None:
    """The names along the x axis, each ending at its tick."""
    for label in axes.get_xticklabels():
        label.set(rotation=40, ha="right", rotation_mode="anchor")


def histogram(axes: Axes, changes: dict[str, list[float]]) -> None:
    """How many images gained how much, by a label for each list."""
    every = np.concatenate([values for values in changes.values() if values] or [[0.0]])
    lowest, highest = min(0.0, every.min()), max(every.max(), 0.1)
    width = (highest - lowest) / 20
    # One of them is 0, so that no bar holds both what is better and what is worse.
    edges = width * np.arange(np.floor(lowest / width), np.ceil(highest / width) + 1)
    for label, values in changes.items():
        axes.hist(values, edges.tolist(), histtype="step", linewidth=1.5, label=label)
    axes.axvline(0, color="black", linewidth=0.8)
    axes.set_xlabel("change of PSNR in dB")
    axes.set_ylabel("images")
    if changes:
        axes.legend(
            frameon=False, fontsize="small", loc="upper center", bbox_to_anchor=(0.5, -0.22)
        )

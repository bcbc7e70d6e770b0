"""What an experiment is: a claim of the paper, what is measured for it, and how it is told."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from gaintuning import evaluation
from gaintuning.evaluation import Case
from gaintuning.files import image_files
from gaintuning.tables import Kind, Row


@dataclass(frozen=True)
class Sources:
    """Where images and networks come from.

    Parameters
    ----------
    folder : has a folder for each set of clean gray images, by the names of `SETS`.
    quick : a few small images and the networks on board, instead of the published ones.
    """

    folder: Path
    quick: bool

    def images(self, name: str) -> list[str]:
        """The files of a set, as seen from `folder`.

        Raises
        ------
        FileNotFoundError : there is no such set, or it is empty.
        """
        inside = self.folder / name
        found = image_files(inside) if inside.is_dir() else []
        if not found:
            raise FileNotFoundError(f"{inside} has no image; put {SETS[name]} there")
        return [f"{name}/{path.name}" for path in found]

    def first_images(self, name: str, most: int | None = None) -> list[str]:
        """Of `images` so many or all; one in a quick run."""
        return self.images(name)[: 1 if self.quick else most]

    def network(self, name: str) -> str:
        return name if self.quick else f"published/{name}"


SETS = {
    "set12": "the twelve images of Set12",
    "bsd68": "the 68 images of BSD68",
    "urban100": "images of Urban100",
    "tem": "clean micrographs, as 'gaintuning simulate nanoparticles' makes them,",
    "documents": "scanned pages, as 'gaintuning simulate documents' makes them",
}


@dataclass(frozen=True)
class Check:
    """A claim, what was found, and whether it holds."""

    claim: str
    found: str
    holds: bool


@dataclass(frozen=True)
class Experiment:
    """One figure or table of the paper.

    Parameters
    ----------
    title : what is asked.
    paper : what the paper says, in its words.
    differs : what is not as in the paper.
    cases : what is measured, in the order of its weight, so that half of it tells something.
    table : the rows, as Markdown.
    checks : the paper's claims beside what was found.
    draw : the rows, as a figure.
    measured : what the numbers of the table are, and in which unit.
    kind, measure : of the table's rows; by default those of a comparison of methods.
    """

    title: str
    paper: str
    differs: str
    cases: Callable[[Sources], Sequence[Any]]
    table: Callable[[Sequence[Row]], str]
    checks: Callable[[Sequence[Row]], list[Check]]
    draw: Callable[[Sequence[Row]], Figure]
    measured: str = "PSNR in dB"
    kind: Kind[Any, Any] = evaluation.KIND
    measure: Callable[..., Any] = evaluation.measure


def comparison(
    images: Iterable[str],
    noises: Sequence[str],
    networks_and_methods: Sequence[tuple[str, str]],
) -> list[Case]:
    """Every network with its method on every image at every level, an image after the other."""
    return [
        Case(image, method, network, noise, seed, noisy=False)
        for seed, image in enumerate(images)
        for noise in noises
        for network, method in networks_and_methods
    ]


def interleaved(*sets: Sequence[str]) -> list[str]:
    """One image of each set in turn.

    Examples
    --------
    >>> interleaved(["a", "b"], ["c"])
    ['a', 'c', 'b']
    """
    return [image for images in zip_longest(*sets) for image in images if image is not None]

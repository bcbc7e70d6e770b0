"""`gaintuning reproduce`: an experiment of the paper, computed, and told beside its words."""

from functools import partial
from pathlib import Path

from matplotlib import style

from gaintuning.experiments import registry
from gaintuning.experiments.experiment import Sources
from gaintuning.experiments.page import page
from gaintuning.experiments.quick import quick_sources
from gaintuning.figures import CHART
from gaintuning.outputs import check_place, whole_file
from gaintuning.progress import progress_bars
from gaintuning.tables import fill, markdown, rows_of


def list_experiments() -> None:
    """Print the names of the experiments and what each of them asks."""
    titles = [[name, registry.load(name).title] for name in registry.NAMES]
    print(markdown(["experiment", "what is asked"], titles))


def reproduce(
    name: str, output: Path, *, data: Path | None, quick: bool, processes: int, quiet: bool
) -> None:
    """Compute what the experiment's table lacks, and write its page and its figure.

    Raises
    ------
    ValueError, OSError : something that is asked for cannot be, which is told before any work; or
        some of the cases failed, which is told after the others are done.
    """
    experiment = registry.load(name)
    if quick == (data is not None):
        raise ValueError(
            "give either --data, the folder with the sets of images, or --quick for a few small "
            "images on board"
        )
    if processes < 1:
        raise ValueError(f"--processes must be at least 1, got {processes}")
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise type(error)(
            f"the folder {output} cannot be made ({error.strerror}); give another --output"
        ) from error
    table, text, figure = (output / f"{name}.{suffix}" for suffix in ("csv", "md", "svg"))
    for place in (table, text, figure):
        check_place(place, overwrite=True)
    sources = Sources(data, quick=False) if data else quick_sources(output / "images")
    cases = experiment.cases(sources)
    measure = partial(experiment.measure, folder=sources.folder)
    failures = []
    with progress_bars(quiet) as bar:
        show = bar(name)
        for left, row in fill(table, experiment.kind, cases, measure, processes=processes):
            show(len(cases) - left, len(cases))
            if row["error"]:
                failures.append(row["error"])
    rows = [row for row in rows_of(table, experiment.kind, cases) if not row["error"]]
    if rows:
        told = page(name, experiment, rows, asked=len(cases), quick=quick)
        with whole_file(text) as file:
            file.write(told.encode())
        with style.context(["default", CHART]), whole_file(figure) as file:
            experiment.draw(rows).savefig(file, format="svg", metadata={"Date": None})
        if not quiet:
            print(told)
    if failures:
        raise ValueError(
            f"{len(failures)} of {len(cases)} failed, the others are in {table}: "
            f"{'; '.join(dict.fromkeys(failures))}"
        )

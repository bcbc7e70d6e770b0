"""A CSV table that is computed row by row, in several processes, and goes on where it stopped."""

import csv
import platform
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import as_completed
from dataclasses import astuple, dataclass, fields
from importlib.metadata import version
from io import StringIO
from pathlib import Path
from time import perf_counter
from typing import Any, Generic, TypeVar

import torch

from gaintuning.outputs import whole_file
from gaintuning.source_version import source_version
from gaintuning.workers import workers

CaseT = TypeVar("CaseT")
ScoreT = TypeVar("ScoreT")

Row = dict[str, str]
MADE_BY = ("gaintuning", "torch", "machine", "row_seconds")
"""What stands in each row of how it came about: versions, the machine, and the time it took."""


@dataclass(frozen=True)
class Kind(Generic[CaseT, ScoreT]):
    """What the rows of a table are: records of what is measured, and of what came out."""

    case: type[CaseT]
    score: type[ScoreT]

    @property
    def columns(self) -> list[str]:
        return [*_names(self.case), *_names(self.score), "error", *MADE_BY]


def fill(
    table: Path,
    kind: Kind[CaseT, ScoreT],
    cases: Sequence[CaseT],
    measure: Callable[[CaseT], ScoreT],
    *,
    processes: int = 1,
) -> Iterator[tuple[int, Row]]:
    """Compute the rows that a table lacks, and save it after each of them.

    A case that failed is in the table with its error, and is tried again by the next call.

    Parameters
    ----------
    table : a CSV file; what it holds is kept, but for the errors of cases that are asked again.
    kind : classes of cases and scores, which are dataclasses of numbers and words.
    cases : what is to be measured, each once.
    measure : for more than one process, a function that can be pickled.
    processes : how many compute at a time, each with its part of the threads.

    Yields
    ------
    How many rows are still to come, and the row that was computed last.

    Raises
    ------
    ValueError : the file is another table.
    """
    by_cells = {tuple(_cells(case)): case for case in cases}
    rows = [
        row
        for row in read_table(table, kind)
        if not row["error"] or _cells_of_case(row, kind) not in by_cells
    ]
    done = {_cells_of_case(row, kind) for row in rows}
    missing = [case for cells, case in by_cells.items() if cells not in done]
    left, made_by = len(missing), [source_version(), version("torch"), _machine()]
    for case, score, error, seconds in _measured(missing, measure, processes):
        scores = [""] * len(_names(kind.score)) if score is None else _cells(score)
        cells = [*_cells(case), *scores, error, *made_by, f"{seconds:.1f}"]
        row = dict(zip(kind.columns, cells, strict=True))
        rows.append(row)
        write_table(table, kind, rows)
        left -= 1
        yield left, row


def read_table(table: Path, kind: Kind[Any, Any]) -> list[Row]:
    """The rows of a table; none if there is no such file."""
    if not table.exists():
        return []
    with table.open(newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        if reader.fieldnames != kind.columns:
            raise ValueError(f"{table} is not a table of this comparison; give another --output")
        return list(reader)


def rows_of(table: Path, kind: Kind[Any, Any], cases: Iterable[Any]) -> list[Row]:
    """The rows of some of the cases in a table."""
    asked = {tuple(_cells(case)) for case in cases}
    return [row for row in read_table(table, kind) if _cells_of_case(row, kind) in asked]


def write_table(table: Path, kind: Kind[Any, Any], rows: Iterable[Row]) -> None:
    text = StringIO()
    writer = csv.DictWriter(text, kind.columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    with whole_file(table) as file:
        file.write(text.getvalue().encode())


def markdown(header: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    """A table of words.

    Examples
    --------
    >>> print(markdown(["a", "b"], [["1", "2"]]))
    | a | b |
    | --- | --- |
    | 1 | 2 |
    """
    rows = [header, ["---"] * len(header), *lines]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in rows)


def _measured(
    cases: Sequence[CaseT], measure: Callable[[CaseT], ScoreT], processes: int
) -> Iterator[tuple[CaseT, ScoreT | None, str, float]]:
    if processes == 1:
        for case in cases:
            yield case, *_attempt(measure, case)
        return
    with workers(processes) as pool:
        running = {pool.submit(_attempt, measure, case): case for case in cases}
        try:
            for future in as_completed(running):
                yield running[future], *future.result()
        finally:  # whoever stops waits for the cases in hand, and not for all the others
            pool.shutdown(cancel_futures=True)


def _attempt(measure: Callable[[CaseT], ScoreT], case: CaseT) -> tuple[ScoreT | None, str, float]:
    """A score or the reason why there is none, and the seconds that it took."""
    start, score, error = perf_counter(), None, ""
    try:
        score = measure(case)
    except Exception as reason:  # one failure does not lose the rest
        error = f"{type(reason).__name__}: {reason}"
    return score, error, perf_counter() - start


def _machine() -> str:
    return f"{platform.machine()}, {torch.get_num_threads()} threads"


def _cells_of_case(row: Row, kind: Kind[Any, Any]) -> tuple[str, ...]:
    return tuple(row[name] for name in _names(kind.case))


def _names(record: type[Any]) -> list[str]:
    return [field.name for field in fields(record)]


def _cells(record: Any) -> list[str]:
    return [
        "" if value is None else f"{value:.6g}" if isinstance(value, float) else str(value)
        for value in astuple(record)
    ]

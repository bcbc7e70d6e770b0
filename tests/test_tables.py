"""Rows are computed once, saved one by one, and tell how they came about."""

from dataclasses import dataclass
from pathlib import Path
from time import sleep

import pytest

from gaintuning.tables import MADE_BY, Kind, fill, read_table, rows_of


@dataclass(frozen=True)
class Case:
    name: str
    number: int


@dataclass(frozen=True)
class Score:
    root: float
    remark: str | None = None


KIND = Kind(Case, Score)


def root(case: Case) -> Score:
    if case.number < 0:
        raise ValueError("no root of\na number below 0")
    return Score(case.number**0.5)


def test_what_a_table_lacks_is_computed_and_nothing_else(tmp_path: Path) -> None:
    table, asked = tmp_path / "t.csv", []

    def measure(case: Case) -> Score:
        asked.append(case)
        return root(case)

    cases = [Case("a, b", 4), Case('"c"', 9)]
    for _, row in fill(table, KIND, cases[:1], measure):
        assert read_table(table, KIND) == [row]
    assert [left for left, _ in fill(table, KIND, cases, measure)] == [0]
    assert asked == cases
    rows = read_table(table, KIND)
    assert [(row["name"], float(row["root"]), row["remark"]) for row in rows] == [
        ("a, b", 2.0, ""),
        ('"c"', 3.0, ""),
    ]
    assert all(row[name] for row in rows for name in MADE_BY)
    assert list(rows[0]) == KIND.columns


def test_only_the_rows_that_are_asked_for_are_told_of(tmp_path: Path) -> None:
    table, cases = tmp_path / "t.csv", [Case("small", 1), Case("large", 4), Case("large", 9)]
    list(fill(table, KIND, cases, root))
    found = rows_of(table, KIND, cases[1:])
    assert [row["root"] for row in found] == ["2", "3"]
    assert rows_of(table, KIND, []) == []


def test_a_failure_is_told_and_tried_again(tmp_path: Path) -> None:
    table, cases = tmp_path / "t.csv", [Case("a", -1), Case("b", 1)]
    for _ in range(2):
        rows = [row for _, row in fill(table, KIND, cases, root)]
        assert rows[0]["error"] == "ValueError: no root of\na number below 0"
        assert rows[0]["root"] == ""
    assert [row["name"] for row in rows] == ["a"]
    assert len(read_table(table, KIND)) == 2


def test_processes_find_the_same(tmp_path: Path) -> None:
    cases = [Case(str(number), number) for number in range(-1, 5)]
    for processes in (1, 2):
        list(fill(tmp_path / f"{processes}.csv", KIND, cases, root, processes=processes))
    one, two = (
        {row["name"]: (row["root"], row["error"]) for row in read_table(tmp_path / name, KIND)}
        for name in ("1.csv", "2.csv")
    )
    assert one == two
    assert len(one) == 6


def leave_a_trace(case: Case) -> Score:
    sleep(0.2)
    (Path(case.name) / str(case.number)).touch()
    return Score(0.0)


def test_whoever_stops_does_not_wait_for_what_has_not_begun(tmp_path: Path) -> None:
    cases = [Case(str(tmp_path), number) for number in range(24)]
    rows = fill(tmp_path / "t.csv", KIND, cases, leave_a_trace, processes=2)
    next(rows)
    rows.close()
    assert len(read_table(tmp_path / "t.csv", KIND)) == 1
    assert len(list(tmp_path.iterdir())) < 1 + 12


def test_another_table_is_left_alone(tmp_path: Path) -> None:
    table = tmp_path / "t.csv"
    table.write_text("name,number\n")
    with pytest.raises(ValueError, match="not a table of this comparison"):
        list(fill(table, KIND, [Case("a", 1)], root))
    assert table.read_text() == "name,number\n"


def test_errors_of_cases_that_are_not_asked_stay(tmp_path: Path) -> None:
    table = tmp_path / "t.csv"
    list(fill(table, KIND, [Case("bad", -1)], root))
    list(fill(table, KIND, [Case("good", 4)], root))
    assert [bool(row["error"]) for row in read_table(table, KIND)] == [True, False]


def test_a_case_that_is_asked_twice_is_one_row(tmp_path: Path) -> None:
    table, cases = tmp_path / "t.csv", [Case("a", 4), Case("b", 9), Case("a", 4)]
    assert [left for left, _ in fill(table, KIND, cases, root)] == [1, 0]
    assert [row["name"] for row in read_table(table, KIND)] == ["a", "b"]

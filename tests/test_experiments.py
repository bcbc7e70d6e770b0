"""Each experiment runs small, finds what the paper finds, and goes on where it stopped."""

import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from gaintuning.cli import app
from gaintuning.experiments import registry
from gaintuning.experiments.changes import Group, change, scores
from gaintuning.experiments.experiment import SETS, Sources
from gaintuning.experiments.never_worse import part_kept
from gaintuning.experiments.quick import quick_sources
from gaintuning.tables import read_table


def run(*arguments: object) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, ["reproduce", *map(str, arguments)])
    return result.exit_code, result.stdout, result.stderr


@pytest.mark.parametrize("name", registry.NAMES)
def test_every_claim_holds_on_a_few_images(name: str, tmp_path: Path) -> None:
    code, output, error = run(name, "--quick", "-o", tmp_path)
    assert code == 0, error
    experiment = registry.load(name)
    rows = read_table(tmp_path / f"{name}.csv", experiment.kind)
    assert not any(row["error"] for row in rows)
    checks = experiment.checks(rows)
    assert checks
    for check in checks:
        assert check.holds, f"{check.claim}: {check.found}"
    page = (tmp_path / f"{name}.md").read_text(encoding="utf-8")
    assert page == output.removesuffix("\n")
    assert experiment.paper in page
    assert experiment.table(rows) in page
    assert "<svg" in (tmp_path / f"{name}.svg").read_text()
    if name == "poisson":
        nothing_is_computed_twice(name, tmp_path, output)


def nothing_is_computed_twice(name: str, tmp_path: Path, output: str) -> None:
    """Without one row, that one is."""
    table, kind = tmp_path / f"{name}.csv", registry.load(name).kind
    done = [row["row_seconds"] for row in read_table(table, kind)]
    lines = table.read_text().splitlines(keepends=True)
    table.write_text("".join(lines[:-1]))
    code, again, _ = run(name, "--quick", "-o", tmp_path)
    assert code == 0
    kept = [row["row_seconds"] for row in read_table(table, kind)]
    assert len(kept) == len(done)
    assert kept[:-1] == done[:-1]
    assert _without_seconds(again) == _without_seconds(output)


def test_what_is_kept_is_a_part_of_what_tuning_brings_where_it_harms_nothing() -> None:
    rows = [{"always": "0.3", "kept": "0.2"}, {"always": "-6", "kept": "0"}]
    assert part_kept(rows) == pytest.approx(2 / 3)
    assert part_kept(rows[1:]) == 1


def _without_seconds(page: str) -> str:
    return re.sub(r"They took .*", "", page)


def test_the_experiments_are_listed() -> None:
    code, output, _ = run()
    assert code == 0
    assert all(f"| {name} |" in output for name in registry.NAMES)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["fig99", "--quick"], "no experiment 'fig99'"),
        (["fig3"], "either --data"),
        (["fig3", "--quick", "--data", "."], "either --data"),
        (["fig3", "--data", "nowhere"], "put the twelve images of Set12 there"),
        (["fig3", "--quick", "--processes", "0"], "at least 1"),
    ],
)
def test_what_cannot_be_is_told_before_any_work(
    arguments: list[str], words: str, tmp_path: Path
) -> None:
    code, _, error = run(*arguments, "-o", tmp_path / "out")
    assert code == 2
    assert words in error
    assert not list(tmp_path.glob("out/*.csv"))


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    code, _, error = run("fig3", "--quick", "-o", tmp_path / "file" / "folder")
    assert code == 2
    assert "cannot be made" in error


def test_every_set_has_quick_images(tmp_path: Path) -> None:
    sources = quick_sources(tmp_path)
    for name in SETS:
        images = sources.images(name)
        assert all((tmp_path / image).is_file() for image in images)


def test_full_experiments_ask_for_the_published_networks(tmp_path: Path) -> None:
    quick = quick_sources(tmp_path)
    full = Sources(tmp_path, quick=False)
    cases = registry.load("fig3").cases
    assert {case.network for case in cases(full)} == {
        "published/unet",
        "published/dncnn",
        "published/bfcnn",
    }
    assert len(cases(quick)) < len(cases(full))


def test_a_full_run_has_every_level(tmp_path: Path) -> None:
    quick_sources(tmp_path)
    for name, levels in (("unknown-noise", {15, 25, 30, 50, 80}), ("never-worse", {10, 20, 80})):
        cases = registry.load(name).cases(Sources(tmp_path, quick=False))
        assert levels <= {case.sigma for case in cases}


def test_changes_are_taken_over_the_images_that_have_both() -> None:
    row = {"images": "", "noise": "gaussian:30", "network": "unet", "psnr": "30.0"}
    rows = [
        row | {"image": "set12/1.png", "method": "pretrained"},
        row | {"image": "set12/2.png", "method": "pretrained"},
        row | {"image": "set12/1.png", "method": "sure", "psnr": "30.5"},
        row | {"image": "bsd68/1.png", "method": "sure", "psnr": "99"},
        row | {"image": "set12/2.png", "method": "sure", "psnr": ""},
    ]
    assert scores(rows, method="sure", images="set12") == {"set12/1.png": 30.5}
    found = Group("set12", "gaussian:30", "unet", "sure").of(rows)
    assert found is not None
    assert (found.count, found.before, found.after, found.mean) == (1, 30.0, 30.5, 0.5)
    assert change({"a": 1.0}, {"b": 2.0}) is None

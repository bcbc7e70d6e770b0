"""What `import gaintuning` costs, and what it gives."""

import subprocess
import sys
from importlib import import_module
from importlib.metadata import version
from inspect import getmodule

import pytest

import gaintuning

HEAVY = {
    "imagecodecs",
    "jinja2",
    "lightning_fabric",
    "matplotlib",
    "numpy",
    "pywt",
    "safetensors",
    "scipy",
    "skimage",
    "tifffile",
    "torch",
}


def imported_by(code: str) -> set[str]:
    """The top-level packages that a fresh interpreter has imported after running some code."""
    report = "import sys; print('imported:', *{name.partition('.')[0] for name in sys.modules})"
    ran = subprocess.run(
        [sys.executable, "-c", f"{code}\n{report}"], capture_output=True, text=True, check=True
    )
    return set(ran.stdout.rpartition("imported:")[2].split())


def test_importing_the_package_imports_nothing_heavy() -> None:
    assert imported_by("import gaintuning; dir(gaintuning)").isdisjoint(HEAVY)


@pytest.mark.parametrize("arguments", [["--help"], ["denoise", "--help"]])
def test_the_help_of_the_command_imports_no_torch(arguments: list[str]) -> None:
    code = f"""
import runpy, sys
sys.argv[1:] = {arguments}
try:
    runpy.run_module("gaintuning", run_name="__main__")
except SystemExit as finished:
    assert not finished.code
"""
    imported = imported_by(code)
    assert "typer" in imported
    assert "torch" not in imported


def test_dir_lists_the_public_names() -> None:
    assert {"denoise", "tune", "Sure", "Gaussian", "channel_gains", "psnr"} <= set(dir(gaintuning))
    assert set(dir(gaintuning)) == set(gaintuning.__all__)


@pytest.mark.parametrize("name", sorted(set(gaintuning.__all__) - {"networks"}))
def test_a_public_name_is_an_object_also_after_its_module_was_imported(name: str) -> None:
    module = getmodule(getattr(gaintuning, name))
    assert module is not None
    assert import_module(module.__name__) is module
    assert getattr(gaintuning, name) is getattr(module, name)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="denoize"):
        gaintuning.denoize  # noqa: B018


def test_the_version_is_that_of_the_installed_package() -> None:
    assert gaintuning.__version__ == version("gaintuning")

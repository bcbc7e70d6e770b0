"""The examples in the documentation, executed.

The blocks of a page run in the order in which a reader meets them, in one folder that holds
`noisy.png` and `stack.tif`: `python` blocks in one namespace, and of `console` blocks the lines
that start with `$ gaintuning`. A block whose fence says `norun` only has to be right: Python that
compiles, commands and options that exist.
"""

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
import torch
from skimage import data, io
from typer.main import get_command

from gaintuning.cli import app

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCK = re.compile(r"^```(\w+)([^\n]*)\n(.*?)^```\s*?$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, the rest of its info string, and the line where it starts."""

    language: str
    info: str
    text: str
    line: int

    @property
    def runs(self) -> bool:
        return "norun" not in self.info.split()

    @property
    def commands(self) -> list[list[str]]:
        """The words of each `$ gaintuning ...`, the first left out; a backslash continues it."""
        lines = self.text.replace("\\\n", " ").splitlines()
        return [
            shlex.split(line, comments=True)[2:]
            for line in lines
            if line.startswith("$ gaintuning ")
        ]


def blocks(page: str) -> Iterator[Block]:
    for match in BLOCK.finditer(page):
        language, info, text = match.groups()
        yield Block(language, info, text, page.count("\n", 0, match.start(3)))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the files that examples may refer to, made the current one."""
    clean = data.camera()[100:164, 200:264].astype(np.float64)
    noise = np.random.default_rng(0).normal(0, 20, (5, 64, 64))
    noisy = np.clip(np.rint(clean + noise), 0, 255)
    io.imsave(tmp_path / "noisy.png", noisy[0].astype(np.uint8))
    stack = noisy[1:].astype(np.uint16)
    tifffile.imwrite(tmp_path / "stack.tif", stack, imagej=True, metadata={"axes": "TYX"})
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
@pytest.mark.usefixtures("folder")
def test_the_examples_of_a_page_run(page: Path) -> None:
    namespace: dict[str, Any] = {}
    for block in blocks(page.read_text(encoding="utf-8")):
        if block.language == "python":
            # Empty lines before it give an error the line number of the page.
            code = compile("\n" * block.line + block.text, page, "exec")
            if block.runs:
                with torch.random.fork_rng():
                    exec(code, namespace)
        elif block.language == "console":
            for arguments in block.commands:
                if block.runs:
                    run_command(arguments)
                else:
                    check_command(arguments)


def run_command(arguments: list[str]) -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "gaintuning", *arguments],
        capture_output=True,
        text=True,
        timeout=600,
        env=os.environ | {"COLUMNS": "120"},
    )
    assert ran.returncode == 0, f"gaintuning {shlex.join(arguments)}\n{ran.stdout}{ran.stderr}"


def check_command(arguments: list[str]) -> None:
    """Raise unless the subcommand exists and has these options, each with a value if it needs one.

    The parser itself is asked, since the text of `--help` is laid out for readers.
    """
    group: Any = get_command(app)
    context = group.make_context("gaintuning", [*arguments])
    name, command, rest = group.resolve_command(context, arguments)
    command.make_parser(command.context_class(command, info_name=name)).parse_args(rest)


PAGE = """
# A page

```python
answer = 6 * 7
```

```text
not an example
```

```console norun
$ pip install something
$ gaintuning denoise "my image.png" \\
    --output denoised.png
denoised.png  # what it prints
```
"""


def test_blocks_are_found_with_their_place_and_commands() -> None:
    python, text, console = blocks(PAGE)
    assert (python.language, python.text, python.line) == ("python", "answer = 6 * 7\n", 4)
    assert python.runs
    assert text.language == "text"
    assert not console.runs
    assert console.commands == [["denoise", "my image.png", "--output", "denoised.png"]]


@pytest.mark.parametrize("arguments", [["denoize", "noisy.png"], ["denoise", "--no-such-option"]])
def test_a_command_that_does_not_exist_is_noticed(arguments: list[str]) -> None:
    with pytest.raises(Exception, match=r"No such (command|option)"):
        check_command(arguments)

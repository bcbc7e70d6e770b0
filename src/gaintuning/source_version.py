"""Which version of the package this is, to the commit."""

from importlib.metadata import version
from pathlib import Path
from shutil import which
from subprocess import run


def source_version() -> str:
    """With the commit, where the package lies in its repository, as 0.1.0+4f2c1d9."""
    root, git = Path(__file__).parents[2], which("git")
    found = [version("gaintuning")]
    if git and (root / ".git").exists():
        asked = run(
            [git, "-C", root, "describe", "--always", "--dirty", "--exclude=*"],
            capture_output=True,
            text=True,
        )
        found.append(asked.stdout.strip())
    return "+".join(filter(None, found))

"""Pre-trained networks by name: those on board, and any file."""

from importlib.resources import as_file, files
from pathlib import Path

from torch import nn

from gaintuning.networks.checkpoint import Card, load_network

DEFAULT = "unet-bias-free"


def names() -> list[str]:
    """The networks on board.

    Examples
    --------
    >>> DEFAULT in names()
    True
    """
    weights = files("gaintuning") / "weights"
    if not weights.is_dir():
        return []
    return sorted(
        Path(entry.name).stem for entry in weights.iterdir() if entry.name.endswith(".safetensors")
    )


def load(name: str | Path) -> tuple[nn.Module, Card]:
    """A pre-trained network in eval mode and its card.

    Parameters
    ----------
    name : a name on board, or the path of a `.safetensors` or published `.pt` file.

    Raises
    ------
    ValueError : neither, or the file is not a network.
    FileNotFoundError : there is no such file.

    Examples
    --------
    >>> network, card = load("unet-bias-free")
    >>> card.architecture
    'UNet'
    """
    if str(name) in names():
        with as_file(files("gaintuning") / "weights" / f"{name}.safetensors") as path:
            return load_network(path)
    path = Path(name)
    if path.suffix in (".pt", ".safetensors") or path.is_file():
        return load_network(path)
    raise ValueError(
        f"there is no network {str(name)!r}; on board: {', '.join(names()) or 'none'}; a path to a "
        ".safetensors or .pt file names any other"
    )

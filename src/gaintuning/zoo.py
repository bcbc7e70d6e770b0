"""Pre-trained networks by name: those on board, the published ones, and any file."""

from importlib.resources import as_file, files
from pathlib import Path

from torch import nn

from gaintuning import published
from gaintuning.networks.checkpoint import Card, load_network

DEFAULT = "unet-bias-free"
AUTO = "auto"
SUITED = (DEFAULT, "unet-tem")
"""Those of which `auto` takes the one that suits the image."""


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


def candidates(name: str | Path) -> tuple[str | Path, ...]:
    """The names of the networks to choose from; the first is taken if no other is better.

    Examples
    --------
    >>> candidates("auto"), candidates("dncnn")
    (('unet-bias-free', 'unet-tem'), ('dncnn',))
    """
    return SUITED if name == AUTO else (name,)


def load(name: str | Path) -> tuple[nn.Module, Card]:
    """A pre-trained network in eval mode and its card.

    Parameters
    ----------
    name : a name on board, one that begins with published/ (fetched when it is first used), or the
        path of a `.safetensors` or published `.pt` file.

    Raises
    ------
    ValueError : neither, or the file is not a network.
    FileNotFoundError : there is no such file.
    OSError : a published network could not be fetched.

    Examples
    --------
    >>> network, card = load("unet-bias-free")
    >>> card.architecture
    'UNet'
    """
    if str(name) in names():
        with as_file(files("gaintuning") / "weights" / f"{name}.safetensors") as path:
            return load_network(path)
    if str(name) in published.FILES:
        return load_network(published.fetch(str(name)))
    path = Path(name)
    if path.suffix in (".pt", ".safetensors") or path.is_file():
        return load_network(path)
    raise ValueError(
        f"there is no network {str(name)!r}; on board: {', '.join(names()) or 'none'}; to be "
        f"fetched: {', '.join(published.FILES)}; a path to a .safetensors or .pt file names any "
        "other"
    )

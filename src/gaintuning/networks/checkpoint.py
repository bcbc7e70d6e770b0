"""Networks in files: safetensors with a card, and the published `.pt` checkpoints."""

import json
import pickle
from argparse import Namespace
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from gaintuning.networks.blind_spot import BlindSpotNet
from gaintuning.networks.dncnn import DnCNN
from gaintuning.networks.unet import UNet
from gaintuning.outputs import whole_file

ARCHITECTURES: dict[str, type[nn.Module]] = {
    "DnCNN": DnCNN,
    "UNet": UNet,
    "BlindSpotNet": BlindSpotNet,
}


@dataclass(frozen=True)
class Card:
    """What a user should know of a trained network.

    Parameters
    ----------
    architecture : a name in `ARCHITECTURES`.
    arguments : of the architecture's constructor.
    training_set : what it was trained on.
    sigma : range of noise it was trained for, for intensities in [0, 1].
    licence : of the weights.
    source : who trained it, or where it was published.
    facts : anything more: recipe, time, scores.
    """

    architecture: str
    arguments: dict[str, Any] = field(default_factory=dict)
    training_set: str = "unknown"
    sigma: tuple[float, float] | None = None
    licence: str = "unknown"
    source: str = "unknown"
    facts: dict[str, Any] = field(default_factory=dict)


def build(card: Card) -> nn.Module:
    """An untrained network of the card's architecture and arguments."""
    if card.architecture not in ARCHITECTURES:
        raise ValueError(
            f"unknown architecture {card.architecture!r}; known are {', '.join(ARCHITECTURES)}"
        )
    return ARCHITECTURES[card.architecture](**card.arguments)


def save_network(network: nn.Module, card: Card, path: Path, *, half: bool = False) -> None:
    """Write weights and card to one safetensors file; a crash leaves no half of it.

    With `half`, filters are stored in 16 bits each; they are read back as 32.
    """
    state = network.state_dict()
    if half:
        state = {name: _halved(value) for name, value in state.items()}
    tensors = {name: value.contiguous() for name, value in state.items()}
    with torch.device("meta"):
        expected = build(card).state_dict()
    if tensors.keys() != expected.keys():
        raise ValueError(
            f"the network is not the {card.architecture} that its card names; fold its gains first "
            "(gaintuning.fold), or correct the card"
        )
    with whole_file(path) as file:
        file.write(save(tensors, metadata={"card": json.dumps(asdict(card))}))


def load_network(path: Path) -> tuple[nn.Module, Card]:
    """Read a network from a `.safetensors` file of this project or a published `.pt` file.

    Nothing in the file is executed.

    Raises
    ------
    ValueError : the file is not such a file.
    FileNotFoundError : there is none.
    """
    if not path.is_file():
        raise FileNotFoundError(f"no network file {path}")
    is_safetensors = path.suffix == ".safetensors"
    state, card = _read_safetensors(path) if is_safetensors else _read_published(path)
    try:
        # Its first weights are drawn and replaced; the caller's global generator stays as it was.
        with torch.random.fork_rng(devices=[]):
            network = build(card)
    except (ValueError, TypeError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        raise ValueError(
            f"the card in {path} names no network that can be built: {reason}"
        ) from error
    try:
        network.load_state_dict(state, assign=True)
    except RuntimeError as error:
        raise ValueError(
            f"the weights in {path} do not fit the {card.architecture} that it names"
        ) from error
    return network.eval().requires_grad_(False), card


def _read_safetensors(path: Path) -> tuple[dict[str, Tensor], Card]:
    try:
        with safe_open(path, "pt") as file:
            metadata = file.metadata() or {}
            # Copies, since the tensors are views of the file.
            state = {name: _whole(file.get_tensor(name)) for name in file.keys()}  # noqa: SIM118
    except SafetensorError as error:
        raise ValueError(f"{path} is damaged or not a safetensors file: {error}") from error
    if "card" not in metadata:
        raise ValueError(
            f"{path} has no card, so its architecture is unknown; write it with "
            "gaintuning.networks.checkpoint.save_network"
        )
    try:
        fields = json.loads(metadata["card"])
        fields["sigma"] = fields["sigma"] and tuple(fields["sigma"])
        return state, Card(**fields)
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f"the card in {path} is none that gaintuning.networks.checkpoint.save_network wrote"
        ) from error


def _halved(value: Tensor) -> Tensor:
    if not value.is_floating_point():
        return value
    if value.dim() != 4:
        return value.float()
    if value.abs().max() > torch.finfo(torch.float16).max:
        raise ValueError("a filter is too large to be stored in half precision; store it whole")
    return value.half()


def _whole(value: Tensor) -> Tensor:
    return value.float() if value.dtype == torch.float16 else value.clone()


def _read_published(path: Path) -> tuple[dict[str, Tensor], Card]:
    try:
        with torch.serialization.safe_globals([Namespace]):
            content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise ValueError(
            f"{path} is damaged, or holds more than weights; it was not opened, since opening it "
            "could run its code; ask for a safetensors file of the network"
        ) from error
    except Exception as error:  # the reader raises whatever it met, from KeyError to RuntimeError
        raise ValueError(f"{path} is damaged or not a network file") from error
    try:
        state = dict(content["model"][0])
        architecture, arguments = _recognise(state)
        told = content.get("args", Namespace())
        levels = [float(getattr(told, name, 0)) for name in ("min_noise", "max_noise")]
    except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
        raise ValueError(
            f"{path} is none of the published checkpoints (a DnCNN or UNet state in 'model')"
        ) from error
    published = getattr(told, "dataset", None) == "bsd400"
    card = Card(
        architecture,
        arguments,
        training_set=str(getattr(told, "dataset", "unknown")).upper(),
        sigma=(min(levels) / 255, max(levels) / 255) if any(levels) else None,
        licence="MIT" if published else "unknown",
        source="Mohan, Kadkhodaie, Simoncelli & Fernandez-Granda 2020" if published else "unknown",
    )
    return state, card


def _recognise(state: dict[str, Tensor]) -> tuple[str, dict[str, Any]]:
    """Architecture and arguments, from the names and shapes of the weights."""
    if "first_layer.weight" in state:
        features, channels = state["first_layer.weight"].shape[:2]
        hidden = sum(name.startswith("hidden_layer_list") for name in state)
        bias = "last_layer.bias" in state
        depth = 2 + hidden // (2 if bias else 1)
        return "DnCNN", {"channels": channels, "features": features, "depth": depth, "bias": bias}
    channels = state["conv1.weight"].shape[1]
    return "UNet", {"channels": channels, "bias": "conv1.bias" in state, "residual": False}

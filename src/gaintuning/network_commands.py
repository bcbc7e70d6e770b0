"""`gaintuning networks` and `gaintuning convert`: what there is, and published files made safe."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from gaintuning import published, zoo
from gaintuning.networks.checkpoint import Card, load_network, save_network
from gaintuning.outputs import check_place

COUNTS = "counts at intensity 1"
VALIDATION = "validation PSNR in dB, images held out"
"""The fact of a card that tells how good a training became."""


def list_networks() -> None:
    """Print the networks on board with what their cards say, and those that can be fetched."""
    for name in zoo.names():
        network, card = zoo.load(name)
        parameters = sum(parameter.numel() for parameter in network.parameters())
        arguments = ", ".join(f"{key}={value}" for key, value in card.arguments.items())
        print(name)
        print(f"  {card.architecture}({arguments}), {parameters:,} parameters")
        print(f"  trained on {_card_line(card)}")
        scores = card.facts.get(VALIDATION, {})
        if scores:
            told = ", ".join(f"{level}: {score}" for level, score in scores.items())
            print(f"  {VALIDATION}: {told}")
    print("to be fetched:", ", ".join(published.FILES))


def convert_network(
    source: Path,
    target: Path,
    *,
    training_set: str | None,
    sigma: tuple[float, float] | None,
    licence: str | None,
    half: bool,
    force: bool,
) -> None:
    """Write a network as safetensors; what is stated goes before what is found."""
    check_network_output(target, force)
    network, card = load_network(source)
    stated: dict[str, Any] = {"training_set": training_set, "licence": licence}
    stated["sigma"] = (sigma[0] / 255, sigma[1] / 255) if sigma else None
    card = replace(card, **{name: value for name, value in stated.items() if value})
    save_network(network, card, target, half=half)
    print(f"{source} -> {target}: {card.architecture}, {_card_line(card)}")


def _card_line(card: Card) -> str:
    levels = (
        "sigma {:.0f} to {:.0f} (of 255)".format(*(255 * s for s in card.sigma))
        if card.sigma
        else ""
    )
    if counts := card.facts.get(COUNTS):
        levels = "{:g} to {:g} counts at intensity 1".format(*counts)
    return ", ".join(filter(None, [card.training_set, levels, f"licence {card.licence}"]))


def check_network_output(target: Path, force: bool) -> None:
    """Raise unless a network can be written there."""
    if target.suffix != ".safetensors":
        raise ValueError(f"{target} is no .safetensors file; give a name that ends so")
    check_place(target, overwrite=force)

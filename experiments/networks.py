"""PSNR of the networks on board for Gaussian noise beside that of the published ones, untuned.

python experiments/networks.py SET12 BSD68 [--published FOLDER] [--output FILE] [--quick]

SET12 and BSD68 are folders of images. The published networks are fetched, or taken from FOLDER,
which holds {dncnn,unet}/{bias,bias_free}/0-55.pt and dncnn/bias/0-100.pt. Each image gets one draw
of noise, which is not clipped and depends on sigma and the image alone. Outputs are clipped to
[0, 1] for PSNR. Rows that are in the output already are not computed again, unless the network on
board has changed: a run that was stopped goes on.
"""

import argparse
from pathlib import Path

import torch
from rows import place_of_rows, read_images, read_rows, write_rows
from torch import Tensor, nn

from gaintuning import zoo
from gaintuning.evaluation import score
from gaintuning.layout import lay_out_network
from gaintuning.network_commands import COUNTS
from gaintuning.networks.checkpoint import load_network
from gaintuning.noise import Gaussian
from gaintuning.pretraining import fingerprint
from gaintuning.published import FILES

SIGMAS = (10, 30, 50, 80, 100)
FIELDS = ["network", "weights", "images", "sigma", "count", "psnr"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("set12", type=Path)
    parser.add_argument("bsd68", type=Path)
    parser.add_argument("--published", type=Path, help="a folder, instead of fetching them")
    parser.add_argument("--only", nargs="+", help="some of the networks, by name")
    parser.add_argument("--sets", nargs="+", default=["Set12", "BSD68"], help="some of the sets")
    parser.add_argument("--output", type=Path, default=Path("networks.csv"))
    parser.add_argument("--quick", action="store_true", help="two small crops, one network")
    arguments = parser.parse_args()
    sets = {"Set12": arguments.set12, "BSD68": arguments.bsd68}
    names = arguments.only or [*for_gaussian_noise(), *FILES]
    output = place_of_rows(arguments)
    rows = read_rows(output)
    for title in arguments.sets:
        images = list(read_images(sets[title], arguments.quick).values())
        for name in [zoo.DEFAULT] if arguments.quick else names:
            network = load(name, arguments.published)
            weights = fingerprint(network.state_dict().values())[:12]
            rows = [row for row in rows if row["network"] != name or row["weights"] == weights]
            done = {
                row["sigma"] for row in rows if (row["network"], row["images"]) == (name, title)
            }
            for sigma in SIGMAS:
                if str(sigma) not in done:
                    found = [name, weights, title, sigma, len(images)]
                    psnr = mean_psnr(network, images, sigma)
                    rows.append(dict(zip(FIELDS, map(str, [*found, f"{psnr:.3f}"]), strict=True)))
                    write_rows(output, rows, FIELDS)
    print(cards(), table(rows), sep="\n\n")


def for_gaussian_noise() -> list[str]:
    """The networks on board that were trained with it; the others know shot noise."""
    return [name for name in zoo.names() if zoo.load(name)[1].sigma]


def load(name: str, published: Path | None) -> nn.Module:
    if published and name in FILES:
        return lay_out_network(load_network(published / FILES[name][0])[0])
    return lay_out_network(zoo.load(name)[0])


def mean_psnr(network: nn.Module, images: list[Tensor], sigma: int) -> float:
    scores = []
    for index, clean in enumerate(images):
        rng = torch.Generator().manual_seed(1000 * sigma + index)
        scores.append(score(network, Gaussian(sigma / 255).sample(clean, rng), clean))
    return sum(scores) / len(scores)


def table(rows: list[dict[str, str]]) -> str:
    """A network of each name with its published twin and the difference, as Markdown."""
    found = {(row["network"], row["images"], row["sigma"]): float(row["psnr"]) for row in rows}
    ours = sorted({row["network"] for row in rows} - FILES.keys())
    columns = [(images, str(sigma)) for images in ("Set12", "BSD68") for sigma in SIGMAS]
    lines = [
        "| network | " + " | ".join(f"{images} {sigma}" for images, sigma in columns) + " |",
        "| --- |" + " --- |" * len(columns),
    ]
    for name in ours:
        twin = f"published/{name}"
        ours_at = [found.get((name, *column)) for column in columns]
        twin_at = [found.get((twin, *column)) for column in columns]
        gaps = [
            None if ours is None or theirs is None else ours - theirs
            for ours, theirs in zip(ours_at, twin_at, strict=True)
        ]
        lines.append(_line(name, ours_at, "{:.2f}"))
        if twin in FILES:
            lines.append(_line(twin, twin_at, "{:.2f}"))
            lines.append(_line("difference", gaps, "{:+.2f}"))
    return "\n".join(lines)


def cards() -> str:
    """How each network on board was trained, as Markdown."""
    lines = [
        "| network | trained on | noise | patch | steps | normalisation | began with | hours |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for name in zoo.names():
        card = zoo.load(name)[1]
        facts = card.facts
        if card.sigma:
            noise = "sigma {} to {}".format(*(round(255 * level) for level in card.sigma))
        else:
            noise = "{:g} to {:g} counts".format(*facts[COUNTS])
        began = facts["started from"]
        began = began if isinstance(began, str) else began["name"]
        told = [facts["patch"], facts["steps"], facts["statistics"], began, facts["hours"]]
        cells = [name, card.training_set, noise, *map(str, told)]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _line(name: str, values: list[float | None], form: str) -> str:
    cells = ["" if value is None else form.format(value) for value in values]
    return f"| {name} | " + " | ".join(cells) + " |"


if __name__ == "__main__":
    main()

"""Section E.4: images and noise that a network was not trained on."""

from collections.abc import Sequence

from matplotlib.figure import Figure

from gaintuning.evaluation import Case
from gaintuning.experiments.changes import Group, change_table, histogram, panels
from gaintuning.experiments.experiment import Check, Experiment, Sources, comparison
from gaintuning.tables import Row

NETWORKS = ("dncnn-piecewise", "bfcnn-piecewise")
SIGMAS = (70, 80)
METHODS = ("sure", "gaintuning")


def cases(sources: Sources) -> list[Case]:
    networks = NETWORKS[:1] if sources.quick else NETWORKS
    sigmas = SIGMAS[:1] if sources.quick else SIGMAS
    images = sources.first_images("set12")
    methods = METHODS[:1] if sources.quick else METHODS
    ways = [(network, method) for network in networks for method in ("pretrained", *methods)]
    return comparison(images, [f"gaussian:{sigma}" for sigma in sigmas], ways)


def groups() -> list[Group]:
    return [
        Group("set12", f"gaussian:{sigma}", network, method)
        for sigma in SIGMAS
        for network in NETWORKS
        for method in METHODS
    ]


def table(rows: Sequence[Row]) -> str:
    return change_table(rows, groups())


def checks(rows: Sequence[Row]) -> list[Check]:
    means = [found.mean for group in groups() if (found := group.of(rows))]
    return [
        Check(
            "the mean improves also where image and noise are both out of distribution",
            f"{min(means):+.2f} to {max(means):+.2f} dB",
            min(means) > 0,
        )
    ]


def draw(rows: Sequence[Row]) -> Figure:
    networks = list(dict.fromkeys(row["network"] for row in rows))
    figure, every = panels(networks)
    for axes, network in zip(every, networks, strict=True):
        changes = {
            f"{group.noise}, {group.method}": found.changes
            for group in groups()
            if group.network == network and (found := group.of(rows))
        }
        histogram(axes, changes)
    return figure


EXPERIMENT = Experiment(
    title="Images and noise that a network was not trained on",
    paper=(
        "Note that we obtain similar performance increases when both image and noise are "
        "out-of-distribution as discussed in Section E.4."
    ),
    differs=(
        "The networks have seen simulated flat scenes with sigma from 0 to 55 only. `sure` is the "
        "paper's method, `gaintuning` this package as it comes, with less contrast for strong "
        "noise."
    ),
    cases=cases,
    table=table,
    checks=checks,
    draw=draw,
)

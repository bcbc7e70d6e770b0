"""Section F.2: from Gaussian noise to counted particles."""

from collections.abc import Sequence

from matplotlib.figure import Figure

from gaintuning.evaluation import Case
from gaintuning.experiments.changes import Group, change_table, panels, scores, slanted
from gaintuning.experiments.experiment import Check, Experiment, Sources, comparison
from gaintuning.tables import Row

PEAKS = (30, 10, 5)
MANY = 10
METHODS = ("contrast", "anscombe", "sure", "pure", "blind-spot", "gaintuning")


def noise(peak: int) -> str:
    """Of 8-bit images whose brightest possible pixel has so many counts on average."""
    return f"poisson:{255 / peak:g}"


def cases(sources: Sources) -> list[Case]:
    peaks = PEAKS[:1] if sources.quick else PEAKS
    network = sources.network("unet" if sources.quick else "dncnn")
    images = sources.first_images("set12")
    # SURE as if the noise were Gaussian harms, which is no claim for a quick run to assert.
    methods = [method for method in METHODS if not (sources.quick and method == "sure")]
    ways = [(network, method) for method in ("pretrained", *methods)]
    return comparison(images, [noise(peak) for peak in peaks], ways)


def groups(rows: Sequence[Row]) -> list[Group]:
    return [
        Group("set12", noise(peak), rows[0]["network"], method)
        for peak in PEAKS
        for method in METHODS
    ]


def table(rows: Sequence[Row]) -> str:
    return change_table(rows, groups(rows))


def checks(rows: Sequence[Row]) -> list[Check]:
    found = []
    for peak in PEAKS:
        level = [group for group in groups(rows) if group.noise == noise(peak)]
        change = {group.method: each for group in level if (each := group.of(rows))}
        for method in ("sure", "blind-spot", "pure", "gaintuning"):
            if method not in change:
                continue
            found.append(
                Check(
                    f"peak {peak}: tuning ({method}) restores images with Poisson noise",
                    f"mean {change[method].mean:+.2f} dB, worst {change[method].worst:+.3f} dB",
                    change[method].mean > 0 and change[method].worst >= -0.005,
                )
            )
        beyond = {"anscombe", "pure", "gaintuning"} & change.keys()
        # On a single image either may be better.
        if len(beyond) == 3 and all(change[method].count >= MANY for method in beyond):
            transform, pure, ours = (
                change[method].mean for method in ("anscombe", "pure", "gaintuning")
            )
            found.append(
                Check(
                    f"peak {peak}: and better than Anscombe's transform with no gain moved",
                    f"{transform:+.2f} dB; PURE {pure:+.2f}, as the package comes {ours:+.2f}",
                    min(pure, ours) > transform,
                )
            )
    return found


def draw(rows: Sequence[Row]) -> Figure:
    peaks = [peak for peak in PEAKS if any(row["noise"] == noise(peak) for row in rows)]
    figure, every = panels([f"{peak} counts at the brightest" for peak in peaks], width=3.6)
    for axes, peak in zip(every, peaks, strict=True):
        values = {
            method: list(scores(rows, noise=noise(peak), method=method).values())
            for method in ("pretrained", *METHODS)
        }
        some = {method: each for method, each in values.items() if each}
        axes.boxplot(list(some.values()), tick_labels=list(some))
        slanted(axes)
        axes.set_ylabel("PSNR in dB")
    return figure


EXPERIMENT = Experiment(
    title="From Gaussian noise to counted particles",
    paper=(
        "GainTuning can effectively adapt a CNN pre-trained for Gaussian noise removal to restore "
        "images corrupted with Poisson noise as well."
    ),
    differs=(
        "`sure` takes the noise for Gaussian noise as strong; `pure` is told that it is Poisson "
        "noise, and minimises an exact estimate of the error. `contrast` and `anscombe` move no "
        "gain: less contrast, and the network between Anscombe's transform and its inverse. "
        "`gaintuning` is this package as it comes, which tunes between the two where that is "
        "better, and takes the mean over eight orientations."
    ),
    cases=cases,
    table=table,
    checks=checks,
    draw=draw,
)

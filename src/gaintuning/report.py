"""What happened to one image, as a web page in a single file."""

import os
import platform
from dataclasses import dataclass
from importlib.metadata import version
from importlib.resources import files
from math import log10, sqrt
from pathlib import Path

import numpy as np
from jinja2 import Environment, StrictUndefined

from gaintuning.denoising import Adaptation, Array, Denoised
from gaintuning.figures import describe_plane, draw_views, gain_chart, loss_chart

RISKS = {
    "sure": "The risk estimates the mean squared error against the clean image.",
    "blind-spot": (
        "The risk is the squared error of predicting noisy pixels from their surroundings: the "
        "noise's variance is part of it."
    ),
    "noise-resampling": (
        "The risk is the squared error of recovering the pre-trained network's result from that "
        "result with new noise."
    ),
}


def write_report(
    path: Path,
    noisy: Array,
    denoised: Denoised[Array],
    *,
    title: str,
    command: str,
    overwrite: bool = False,
) -> None:
    """Write what happened to an image as one HTML page that needs nothing else.

    The page compares the noisy image with both results and shows what was removed, what was
    learned, and how to repeat it. Of a stack it shows the middle plane, of several channels the
    first. The same arguments give the same bytes. A failure leaves no part of a page.

    Parameters
    ----------
    path : the page to write.
    noisy : the image as it was given to `denoise`.
    denoised : what `denoise` returned.
    title : name of the image.
    command : what to type to get the same result.
    overwrite : whether a file in this place may be replaced.

    Raises
    ------
    FileExistsError : there is such a file, and `overwrite` is False.
    ValueError : the noisy and the denoised image differ in shape.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> from gaintuning.denoising import denoise
    >>> from gaintuning.networks import UNet
    >>> noisy = np.random.default_rng(0).normal(100, 20, (48, 64))
    >>> denoised = denoise(noisy, network=UNet(), tune=False)
    >>> with TemporaryDirectory() as folder:
    ...     path = Path(folder) / "report.html"
    ...     write_report(path, noisy, denoised, title="cells.tif", command="gaintuning ...")
    ...     path.read_text(encoding="utf-8")[:15]
    '<!doctype html>'
    """
    if path.exists() and not overwrite:
        raise FileExistsError(f"{path} exists; give another path, or allow overwriting it")
    if noisy.shape != denoised.image.shape:
        raise ValueError(
            f"the noisy image has shape {noisy.shape} and the denoised {denoised.image.shape}; "
            "give the image that was denoised"
        )
    template = files("gaintuning").joinpath("report.html.jinja").read_text(encoding="utf-8")
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    page = environment.from_string(template).render(
        title=title,
        command=command,
        verdict=overall_verdict(denoised.adaptations),
        views=draw_views(noisy, denoised),
        plane=describe_plane(denoised.axes, noisy.shape),
        sections=[describe(adaptation) for adaptation in denoised.adaptations],
        facts={
            "Image": f"{' × '.join(map(str, noisy.shape))}, axes {denoised.axes}, {noisy.dtype}",
            "Network": denoised.network,
            "Time": f"{denoised.seconds:.3g} s",
        },
        versions={name: version(name) for name in ("gaintuning", "torch", "numpy")}
        | {"Python": platform.python_version()},
    )
    _write_whole(path, page)


@dataclass(frozen=True)
class Section:
    """What was learned about one channel; the charts are None if nothing was tuned."""

    verdict: str
    facts: dict[str, str]
    note: str
    losses: str | None
    gains: str | None


def overall_verdict(adaptations: tuple[Adaptation, ...]) -> str:
    """One sentence in plain words on all channels of an image."""
    count = len(adaptations)
    kept = sum(adaptation.accepted for adaptation in adaptations)
    if count == 1 or adaptations[0].risk is None:
        return verdict(adaptations[0])
    if kept == count:
        return f"The tuned networks were kept in all {count} channels."
    if kept == 0:
        return (
            f"The pre-trained network's result was kept in all {count} channels: tuning did not "
            "lower the estimated risk by more than its standard error."
        )
    return (
        f"The tuned network was kept in {kept} of {count} channels, the pre-trained network's "
        "result in the others."
    )


def verdict(adaptation: Adaptation) -> str:
    """One sentence in plain words on one channel."""
    risk = adaptation.risk
    if risk is None:
        return "Nothing was tuned: this is the pre-trained network's result."
    if not adaptation.accepted:
        return (
            "The pre-trained network's result was kept: tuning did not lower the estimated risk "
            "by more than its standard error."
        )
    if adaptation.objective == "sure" and risk.after > 0:
        return (
            "The tuned network was kept: the estimated error fell from RMSE "
            f"{sqrt(risk.before):.4g} to {sqrt(risk.after):.4g} "
            f"(by {10 * log10(risk.before / risk.after):.2f} dB)."
        )
    return (
        f"The tuned network was kept: the estimated risk ({adaptation.objective}) fell from "
        f"{risk.before:.4g} to {risk.after:.4g}."
    )


def describe(adaptation: Adaptation) -> Section:
    """What was learned about one channel, ready to be shown."""
    low, high = adaptation.intensity_range.low, adaptation.intensity_range.high
    origin = "estimated from the image" if adaptation.noise_was_estimated else "given"
    facts = {
        "Noise": f"{adaptation.noise} ({origin})",
        "Intensity range": f"{low:.6g} to {high:.6g}",
    }
    risk = adaptation.risk
    if risk is None:
        return Section(verdict(adaptation), facts, "", None, None)
    facts |= {
        "Objective": adaptation.objective,
        "Risk of the pre-trained network": f"{risk.before:.4g}",
        "Risk of the tuned network": f"{risk.after:.4g}",
        "Difference": f"{risk.after - risk.before:+.3g} ± {risk.standard_error:.2g}",
    }
    if adaptation.objective == "sure":
        facts |= {
            "Estimated PSNR, pre-trained": _psnr(adaptation, risk.before),
            "Estimated PSNR, tuned": _psnr(adaptation, risk.after),
        }
    facts["Accepted"] = "yes" if adaptation.accepted else "no"
    return Section(
        verdict(adaptation),
        facts,
        RISKS[adaptation.objective],
        loss_chart(adaptation.losses),
        gain_chart(adaptation.gains),
    )


def _psnr(adaptation: Adaptation, risk: float) -> str:
    if risk <= 0:
        return "none, since the estimated risk is not above 0"
    return f"{10 * log10(adaptation.intensity_range.width**2 / risk):.2f} dB"


def _write_whole(path: Path, page: str) -> None:
    partial = path.with_name(path.name + ".partial")
    try:
        partial.write_bytes(page.encode())
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)

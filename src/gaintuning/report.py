"""What happened to one image, as a web page in a single file."""

import platform
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path

import torch
from jinja2 import Environment, StrictUndefined
from torch import Tensor

from gaintuning.adaptation import Adaptation, Array
from gaintuning.comparison import LEVEL_COLORS, SIGNED_COLORS, describe_plane, draw_views
from gaintuning.denoising import Denoised
from gaintuning.figures import gain_chart, loss_chart
from gaintuning.outputs import check_place, whole_file
from gaintuning.trust import ErrorEstimate

RISKS = {
    "sure": "The risk estimates the mean squared error against the clean image.",
    "pure": "The risk estimates the mean squared error against the clean image.",
    "unsure": "The loss is the generalised cross-validation of the network without divergence.",
    "neighbor2neighbor": (
        "The loss is the squared error of predicting pixels from their neighbours at half the "
        "resolution."
    ),
    "blind-spot": (
        "The loss is the squared error of predicting noisy pixels from their surroundings: the "
        "noise's variance is part of it."
    ),
    "noise-resampling": (
        "The loss is the squared error of recovering the pre-trained network's result from that "
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
    first. The same arguments give the same bytes.

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
    OSError : as for `check_place`; or the page could not be written, and then what was there
        before is unharmed.
    ValueError : the noisy and the denoised image differ in shape.

    Examples
    --------
    >>> import numpy as np
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
    check_place(path, overwrite=overwrite)
    if noisy.shape != denoised.image.shape:
        raise ValueError(
            f"the noisy image has shape {noisy.shape} and the denoised {denoised.image.shape}; "
            "give the image that was denoised"
        )
    shape = " \N{MULTIPLICATION SIGN} ".join(map(str, noisy.shape))
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
            "Image": f"{shape}, axes {denoised.axes}, {noisy.dtype}",
            "Network": denoised.network,
            "Time": f"{denoised.seconds:.3g} s",
            "Versions": ", ".join(
                [f"{name} {version(name)}" for name in ("gaintuning", "torch", "numpy")]
                + [f"Python {platform.python_version()}"]
            ),
        },
        signed_colors=SIGNED_COLORS,
        level_colors=LEVEL_COLORS,
    )
    with whole_file(path) as file:
        file.write(page.encode())


@dataclass(frozen=True)
class Section:
    """What was learned about one channel; nothing but facts if nothing was tuned."""

    verdict: str
    facts: dict[str, str]
    remarks: tuple[str, ...]
    doubts: tuple[str, ...]
    note: str = ""
    losses: str | None = None
    gains: str | None = None
    gains_found: str = ""


def overall_verdict(adaptations: tuple[Adaptation, ...]) -> str:
    """One sentence in plain words on all channels of an image."""
    count = len(adaptations)
    kept = sum(adaptation.accepted for adaptation in adaptations)
    if len({adaptation.verdict for adaptation in adaptations}) == 1:
        return _sentence(adaptations[0].verdict)
    if kept == count:
        return f"The tuned networks were kept in all {count} channels."
    return (
        f"The tuned network was kept in {kept} of {count} channels, the pre-trained network in "
        "the others."
    )


def describe(adaptation: Adaptation) -> Section:
    """What was learned about one channel, ready to be shown."""
    low, high = adaptation.intensity_range.low, adaptation.intensity_range.high
    origin = "estimated from the image" if adaptation.noise_was_found else "given"
    facts = {
        "Noise": f"{adaptation.noise} ({origin})",
        "Intensity range": f"{low:.6g} to {high:.6g}",
    }
    if adaptation.bins > 1:
        facts["Pixels that the network saw"] = f"means of {adaptation.bins} x {adaptation.bins}"
    if adaptation.contrast < 1:
        facts["Contrast that the network saw"] = f"{adaptation.contrast:.2g}"
    if adaptation.stabilized:
        facts["Noise that the network saw"] = "made equally strong everywhere"
    remarks, doubts = (
        tuple(map(_sentence, told)) for told in (adaptation.remarks, adaptation.doubts)
    )
    if adaptation.residual:
        facts |= {
            "What was taken away, against the noise": f"{adaptation.residual.spread:.2f}",
            "Correlation of its neighbouring pixels": f"{adaptation.residual.correlation:+.2f}",
        }
    risk = adaptation.risk
    if risk is None:
        return Section(_sentence(adaptation.verdict), facts, remarks, doubts)
    change = risk.after - risk.before
    facts |= {
        "Objective": f"{adaptation.objective}, {adaptation.reason}",
        "Risk of the pre-trained network": f"{risk.before:.4g}",
        "Risk of the tuned network": f"{risk.after:.4g}",
        "Difference, standard error": f"{change:+.3g} ± {risk.standard_error:.2g}",
    }
    if adaptation.pretrained_error and adaptation.error:
        facts |= {
            "Estimated PSNR, pre-trained": _psnr(adaptation, adaptation.pretrained_error),
            "Estimated PSNR, result": _psnr(adaptation, adaptation.error),
        }
    facts["Accepted"] = "yes" if adaptation.accepted else "no"
    return Section(
        _sentence(adaptation.verdict),
        facts,
        remarks,
        doubts,
        RISKS[adaptation.objective],
        loss_chart(adaptation.losses) if adaptation.losses else None,
        gain_chart(adaptation.gains) if adaptation.gains else None,
        _range_of(adaptation.gains) if adaptation.gains else "",
    )


def _range_of(gains: Mapping[str, Tensor]) -> str:
    every = torch.cat([gain.flatten() for gain in gains.values()])
    return f"{len(every)} of them, from {every.min():.3g} to {every.max():.3g}"


def _psnr(adaptation: Adaptation, error: ErrorEstimate) -> str:
    square = adaptation.intensity_range.width**2
    unit = error.scaled(1 / square)
    if unit.mean_square <= 0:
        return "none, since the estimated error is not above 0"
    return f"{unit.psnr:.2f} ± {unit.psnr_error:.2f} dB"


def _sentence(clause: str) -> str:
    return f"{clause[0].upper()}{clause[1:]}."

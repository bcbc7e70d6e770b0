"""What is told of a denoised image: a few lines, and a record."""

from dataclasses import asdict
from typing import Any

from gaintuning import zoo
from gaintuning.adaptation import Array
from gaintuning.denoising import Denoised
from gaintuning.image import OpenImage
from gaintuning.noise_estimation import NoiseEstimate
from gaintuning.trust import ErrorEstimate


def note_on_others(image: OpenImage) -> list[str]:
    """That the file has other images, if so."""
    if not image.others:
        return []
    return [
        f"  note: of the {image.others + 1} images in the file this is the largest, the first of "
        "those as large"
    ]


def lines_of(result: Denoised[Array], *, any_network: bool) -> list[str]:
    """Lines for people.

    Parameters
    ----------
    any_network : whether the network was chosen, and not asked for.
    """
    lines = []
    if any_network and result.network != zoo.DEFAULT:
        lines.append(
            f"  note: {result.network} suits the image better than {zoo.DEFAULT}, by the error "
            "that is estimated of both"
        )
    for channel, found in enumerate(result.adaptations):
        if len(result.adaptations) > 1:
            lines.append(f"  channel {channel}")
        given = "estimated" if found.noise_was_found else "given"
        low, high = found.intensity_range.low, found.intensity_range.high
        lines.append(f"  noise: {found.noise} ({given}), intensities {low:g} to {high:g}")
        if found.objective:
            lines.append(f"  loss: {found.objective}, {found.reason}")
        lines.append(f"  {found.verdict}")
        lines.extend(f"  note: {remark}" for remark in found.remarks)
        lines.extend(f"  warning: {doubt}" for doubt in found.doubts)
    return lines


def record_of(result: Denoised[Array]) -> dict[str, Any]:
    """All of it, for programs."""
    return {
        "network": result.network,
        "shape": list(result.image.shape),
        "axes": result.axes,
        "dtype": str(result.image.dtype),
        "seconds": round(result.seconds, 3),
        "channels": [
            {
                "noise": {"model": type(found.noise).__name__.lower(), **vars(found.noise)},
                "estimate": _facts(found.estimate),
                "range": [found.intensity_range.low, found.intensity_range.high],
                "level": found.level,
                "cut_off": found.cut_off,
                "single": found.single,
                "bins": found.bins,
                "contrast": found.contrast,
                "stabilized": found.stabilized,
                "orientations": found.orientations,
                "nonlocal_bayes": found.nonlocal_bayes,
                "objective": found.objective or None,
                "reason": found.reason or None,
                "accepted": found.accepted,
                "withdrawn": found.withdrawn,
                "risk": asdict(found.risk) if found.risk else None,
                "pretrained_error": _facts(found.pretrained_error),
                "error": _facts(found.error),
                "residual": asdict(found.residual) if found.residual else None,
                "remarks": list(found.remarks),
                "doubts": list(found.doubts),
            }
            for found in result.adaptations
        ],
    }


def _facts(record: NoiseEstimate | ErrorEstimate | None) -> dict[str, Any] | None:
    if record is None:
        return None
    return {name: value for name, value in asdict(record).items() if name != "noise"}

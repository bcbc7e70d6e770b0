"""Charts of what was learned, as data URIs: the same bytes for the same input."""

from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from io import BytesIO

import numpy as np
from matplotlib import style
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy.ndimage import median_filter
from torch import Tensor

INK, FAINT, ACCENT = "#1d2630", "#8b97a3", "#0b6cb8"
CHART = {
    "svg.hashsalt": "gaintuning",
    "font.size": 10,
    "text.color": INK,
    "axes.edgecolor": FAINT,
    "axes.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": FAINT,
    "ytick.color": FAINT,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "legend.frameon": False,
}


def loss_chart(losses: Sequence[float]) -> str:
    """An SVG of the loss at each step, faint, and of its running median.

    Examples
    --------
    >>> loss_chart([3.0, 2.0, 1.5])[:26]
    'data:image/svg+xml;base64,'
    """

    def draw(axes: Axes) -> None:
        steps = np.arange(1, len(losses) + 1)
        window = max(3, len(losses) // 10 | 1)
        median = median_filter(np.array(losses), window)
        axes.plot(steps, losses, color=FAINT, linewidth=0.8, alpha=0.7, label="each step")
        axes.plot(steps, median, color=ACCENT, linewidth=1.8, label=f"running median of {window}")
        axes.set(xlabel="step", ylabel="loss (squared units of the image)")
        axes.margins(x=0.01)
        axes.legend()

    return _svg(draw)


def gain_chart(gains: Mapping[str, Tensor]) -> str:
    """An SVG with a column for each layer and in it a dot for each gain.

    Examples
    --------
    >>> import torch
    >>> gain_chart({"conv1": torch.ones(32)})[:26]
    'data:image/svg+xml;base64,'
    """

    def draw(axes: Axes) -> None:
        axes.axhline(1, color=FAINT, linewidth=1)
        for column, gain in enumerate(gains.values()):
            # Multiples of the golden ratio spread the dots evenly, and the same way each time.
            aside = (np.arange(len(gain)) * 0.618034 % 1 - 0.5) * 0.6
            axes.plot(
                column + aside,
                gain.cpu().numpy(),
                ".",
                color=ACCENT,
                markersize=5,
                markeredgewidth=0,
                alpha=0.7,
                rasterized=True,
            )
        axes.set(ylabel="gain", xlim=(-0.6, len(gains) - 0.4))
        axes.set_xticks(
            range(len(gains)),
            [name if len(name) <= 20 else "…" + name[-19:] for name in gains],
            rotation=0 if len(gains) <= 5 else 90,
            fontsize=9 if len(gains) <= 12 else 6,
        )
        axes.tick_params(axis="x", length=0)

    return _svg(draw)


def data_uri(kind: str, content: bytes | bytearray) -> str:
    """A file of this media type as an address that holds the file itself.

    Examples
    --------
    >>> data_uri("text/plain", b"gain")
    'data:text/plain;base64,Z2Fpbg=='
    """
    return f"data:{kind};base64,{b64encode(content).decode()}"


def _svg(draw: Callable[[Axes], None]) -> str:
    # The reader's own matplotlib settings would change the bytes.
    with style.context(["default", CHART]):
        figure = Figure(figsize=(5, 3.2), dpi=200, layout="constrained")
        draw(figure.subplots())
        content = BytesIO()
        nothing = dict.fromkeys(["Creator", "Date", "Format", "Type"])
        figure.savefig(content, format="svg", transparent=True, metadata=nothing)
    return data_uri("image/svg+xml", content.getvalue())
